//! Pulling logs: what is new or has changed, judged by content, since the device's clock is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{Action, Fetch, Fetching, PlanError, Planner, PullAgain, count};
use crate::{
    facts::{
        Facts, PathFact,
        compare::{Candidate, Copy},
        here::{LARGE, safe_path},
    },
    stage::Stage,
};

/// Which files of a tree on the device are to be fetched below `local`; `copies` tells what is here.
pub fn changed(
    remote: &str,
    files: &BTreeMap<String, PathFact>,
    local: &Path,
    copies: &BTreeMap<PathBuf, Copy>,
) -> (Vec<Fetching>, Vec<String>) {
    let (mut fetch, mut warnings, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, fact) in files {
        let (path, here) = place(remote, name, local);
        let Some(here) = here else {
            warnings.push(format!("`{path}` is left out: its name would lead out of the folder"));
            continue;
        };
        // What is no UTF-8 was read as this character: the file cannot be asked for by its own name.
        if path.contains('\u{fffd}') {
            warnings.push(format!("`{path}` is left out: its name is not UTF-8"));
            continue;
        }
        if !taken.insert(here.clone()) {
            warnings.push(format!("`{path}` is left out: this computer cannot tell its name from that of another"));
            continue;
        }
        if !fact.readable {
            warnings.push(format!("`{path}` cannot be read by this user"));
            continue;
        }
        let copy = copies.get(&here).cloned();
        if !copy.as_ref().is_some_and(|copy| copy.bytes == fact.size && copy.path == here) {
            fetch.push(Fetching { remote: path, local: here, mode: fact.mode, size: fact.size, copy });
        }
    }
    (fetch, warnings)
}

/// The files of a tree on the device, each with the place of its copy below `local`.
pub fn candidates(remote: &str, files: &BTreeMap<String, PathFact>, local: &Path) -> Vec<Candidate> {
    let candidate = |(name, fact): (&String, &PathFact)| {
        let (remote, here) = place(remote, name, local);
        Some(Candidate { remote, size: fact.size, local: here? })
    };
    files.iter().filter(|(_, fact)| fact.readable).filter_map(candidate).collect()
}

/// A file's path there, and where it goes here.
fn place(remote: &str, name: &str, local: &Path) -> (String, Option<PathBuf>) {
    match name {
        "" => (remote.to_owned(), Some(local.to_owned())),
        name => (format!("{remote}/{name}"), safe_path(name).map(|safe| local.join(safe))),
    }
}

/// Whether nearly all of a tree is to be fetched: then it is asked for as one.
pub fn travels_whole(files: &BTreeMap<String, PathFact>, fetch: &[Fetching]) -> bool {
    let new = || fetch.iter().filter(|file| file.copy.is_none());
    let (all, wanted): (u64, u64) = (files.values().map(|fact| fact.size).sum(), new().map(|file| file.size).sum());
    let most = |part: u64, of: u64| part >= of / 5 * 4;
    let large = files.values().any(|fact| fact.size > LARGE);
    !files.contains_key("") && !large && most(wanted, all) && most(new().count() as u64, files.len() as u64)
}

/// Where the logs of one pull go: `<local>/sn<serial>[_<name>]/<last part of the remote path>`.
pub fn folder(local: &Path, facts: &Facts, remote: &str) -> std::path::PathBuf {
    let last = remote.rsplit('/').next().and_then(safe_path).unwrap_or_default();
    local.join(facts.folder()).join(last)
}

impl Planner<'_> {
    pub(super) fn logs(&mut self) -> Result<(), PlanError> {
        if self.wanted.logs.is_empty() {
            return Ok(());
        }
        let (mut fetch, mut known) = (Fetch::default(), 0);
        for pull in &self.wanted.logs {
            let Some(files) = self.facts.trees.get(pull.remote.as_str()) else { continue };
            known += files.len();
            let local = folder(&pull.local, &self.facts, pull.remote.as_str());
            let (new, warnings) = changed(pull.remote.as_str(), files, &local, &self.facts.here.copies);
            if travels_whole(files, &new) {
                fetch.whole.push(pull.remote.as_str().to_owned());
            }
            fetch.files.extend(new);
            self.plan.warnings.extend(warnings);
        }
        let says = match (known, fetch.files.len()) {
            (0, _) => "no logs on the device".to_owned(),
            (_, 0) => format!("{} there, none is new", count(known, "log file")),
            (_, new) => format!("{} of {}", new, count(known, "log file")),
        };
        let actions = if fetch.files.is_empty() { Vec::new() } else { vec![Action::Fetch(fetch)] };
        self.add(Stage::Logs, says, actions);
        Ok(())
    }

    /// What the run itself logged is pulled only when it ran something.
    pub(super) fn logs_again(&mut self) -> Result<(), PlanError> {
        let ran = self
            .plan
            .stages
            .iter()
            .any(|stage| matches!(stage.stage, Stage::Compose | Stage::Attach) && !stage.actions.is_empty());
        if self.wanted.logs.is_empty() || !ran {
            return Ok(());
        }
        let again = |pull: &crate::config::LogPull| PullAgain {
            remote: pull.remote.as_str().to_owned(),
            local: folder(&pull.local, &self.facts, pull.remote.as_str()),
        };
        let trees = self.wanted.logs.iter().map(again).collect();
        self.add(Stage::LogsAgain, "what the run wrote", vec![Action::PullAgain(trees)]);
        Ok(())
    }
}
