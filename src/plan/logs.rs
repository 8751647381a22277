//! Pulling logs: what is new or has changed, judged by content, since the device's clock is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Action, Fetching, PlanError, Planner, PullAgain, count};
use crate::{
    facts::{Facts, PathFact, here::safe_path},
    stage::Stage,
};

/// Which files of a tree on the device are to be fetched below `local`; `copies` tells the digests of what is here.
pub fn changed(
    remote: &str,
    files: &BTreeMap<String, PathFact>,
    local: &Path,
    digest: impl Fn(&Path) -> Option<String>,
) -> (Vec<Fetching>, Vec<String>) {
    let (mut fetch, mut warnings, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, fact) in files {
        let (path, here) = if name.is_empty() {
            (remote.to_owned(), Some(local.to_owned()))
        } else {
            (format!("{remote}/{name}"), safe_path(name).map(|safe| local.join(safe)))
        };
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
        if fact.sha256.is_none() || digest(&here) != fact.sha256 {
            fetch.push(Fetching { remote: path, local: here, mode: fact.mode, size: fact.size });
        }
    }
    (fetch, warnings)
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
        let (mut fetch, mut known) = (Vec::new(), 0);
        for pull in &self.wanted.logs {
            let Some(files) = self.facts.trees.get(pull.remote.as_str()) else { continue };
            known += files.len();
            let local = folder(&pull.local, &self.facts, pull.remote.as_str());
            let copies = &self.facts.here.copies;
            let (new, warnings) = changed(pull.remote.as_str(), files, &local, |path| copies.get(path).cloned());
            fetch.extend(new);
            self.plan.warnings.extend(warnings);
        }
        let says = match (known, fetch.len()) {
            (0, _) => "no logs on the device".to_owned(),
            (_, 0) => format!("{} there, none is new", count(known, "log file")),
            (_, new) => format!("{} of {}", new, count(known, "log file")),
        };
        let actions = if fetch.is_empty() { Vec::new() } else { vec![Action::Fetch(fetch)] };
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
