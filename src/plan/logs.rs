//! Pulling logs: what is new or has changed, judged by content, since the device's clock is wrong.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Action, Download, Fetch, FetchLink, PlanError, Planner, Renaming, count};
use crate::{
    facts::{
        Facts, Tree,
        compare::{Candidate, Copy, INCOMING},
        here::{LARGE, LocalState, Present, safe_path},
    },
    stage::Stage,
};

/// The destination on this computer of a tree on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path of the tree on the device.
    pub remote: String,
    /// Here: the file, or the directory that takes what is in the tree.
    pub local: PathBuf,
    /// Whether nothing that is here is ever overwritten.
    pub archive: bool,
}

/// The files of a tree that are to be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// The files, directories and links to fetch.
    pub fetch: Fetch,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Paths on the device that cannot be read.
    pub unread: BTreeSet<String>,
}

impl Place {
    /// Returns the files of a tree that are new or have changed. `here` holds the state of this computer.
    pub fn pull(&self, tree: &Tree, here: &LocalState) -> Pull {
        let (mut pull, mut taken) = (Pull::default(), BTreeSet::new());
        pull.fetch.renames = self.renames(tree, here);
        for (name, fact) in &tree.files {
            let Some(local) = self.usable(name, &mut taken, &mut pull.warnings) else { continue };
            let remote = self.there(name);
            if !fact.readable {
                pull.unread.insert(remote);
                continue;
            }
            let copy = here.copies.get(&local).cloned().and_then(|copy| {
                let renamed = pull.fetch.renames.iter().any(|renaming| renaming.to == local);
                if renamed {
                    Some(Copy { path: local.clone(), ..copy })
                } else {
                    Some(copy).filter(|copy| !is_renamed(copy, &local))
                }
            });
            if !copy.as_ref().is_some_and(|copy| copy.bytes == fact.size && copy.path == local) {
                let (root, archive) = (self.root(tree), self.archive);
                pull.fetch.files.push(Download { remote, local, root, archive, mode: fact.mode, size: fact.size, copy });
            }
        }
        if self.travels_whole(tree, &pull.fetch.files) {
            pull.fetch.whole.push(self.remote.clone());
        }
        self.add_other_things(tree, here, &mut taken, &mut pull);
        for path in &pull.unread {
            pull.warnings.push(format!("`{path}` cannot be read by this user and is not fetched"));
        }
        pull
    }

    /// Returns the files on this computer that the device has renamed.
    fn renames(&self, tree: &Tree, here: &LocalState) -> Vec<Renaming> {
        let renaming = |(name, _): (&String, _)| {
            let to = self.here(name)?;
            let copy = here.copies.get(&to).filter(|copy| is_renamed(copy, &to))?;
            Some(Renaming { from: copy.path.clone(), to, size: copy.bytes, root: self.root(tree) })
        };
        in_order(tree.files.iter().filter_map(renaming).collect())
    }

    /// Adds what a tree holds beside files.
    fn add_other_things(&self, tree: &Tree, here: &LocalState, taken: &mut BTreeSet<PathBuf>, pull: &mut Pull) {
        // The folder of an archive comes with what goes into it.
        for (name, mode) in tree.directories.iter().filter(|(name, _)| !(self.archive && name.is_empty())) {
            let Some(local) = self.usable(name, taken, &mut pull.warnings) else { continue };
            if here.present.get(&local) != Some(&Present::Directory) {
                pull.fetch.directories.push((local, *mode));
            }
        }
        // Windows lets only some users make links: what they lead to is there under its own name.
        for (name, target) in tree.links.iter().filter(|_| !cfg!(windows)) {
            let Some(link) = self.usable(name, taken, &mut pull.warnings) else { continue };
            if here.present.get(&link) != Some(&Present::Link(target.clone())) {
                let (root, archive) = (self.root(tree), self.archive);
                pull.fetch.links.push(FetchLink { link, target: target.clone(), root, archive });
            }
        }
        pull.unread.extend(tree.closed.iter().map(|name| self.there(name)));
        let left_out = tree.left_out.iter().filter(|(name, _)| !is_incoming(name));
        pull.warnings.extend(left_out.map(|(name, why)| format!("`{}` is left out: {}", self.there(name), why.reason())));
    }

    /// Returns the path on this computer of an entry of the tree; adds a warning where there is no usable one.
    fn usable(&self, name: &str, taken: &mut BTreeSet<PathBuf>, warnings: &mut Vec<String>) -> Option<PathBuf> {
        // What is on its way to the device is nothing of its own.
        if is_incoming(name) {
            return None;
        }
        let (path, local) = (self.there(name), self.here(name));
        let why = if local.is_none() {
            "its name would lead out of the folder"
        } else if path.contains('\u{fffd}') {
            // What is no UTF-8 was read as this character: the file cannot be asked for by its own name.
            "its name is not UTF-8"
        } else if !taken.insert(local.clone().unwrap_or_default()) {
            "this computer cannot tell its name from that of another"
        } else {
            return local;
        };
        warnings.push(format!("`{path}` is left out: {why}"));
        None
    }

    /// Returns the files of the tree, each with the place of its copy.
    pub fn candidates(&self, tree: &Tree) -> Vec<Candidate> {
        let files = tree.files.iter().filter(|(name, fact)| fact.readable && !is_incoming(name));
        let candidate = |(name, fact): (&String, &crate::facts::PathFact)| {
            let (remote, root, archive) = (self.there(name), self.root(tree), self.archive);
            Some(Candidate { remote, size: fact.size, local: self.here(name)?, root, archive })
        };
        files.filter_map(candidate).collect()
    }

    /// Returns the paths on this computer of the tree's directories and links.
    pub fn others(&self, tree: &Tree) -> Vec<PathBuf> {
        tree.directories.keys().chain(tree.links.keys()).filter_map(|name| self.here(name)).collect()
    }

    fn there(&self, name: &str) -> String {
        if name.is_empty() { self.remote.clone() } else { format!("{}/{name}", self.remote) }
    }

    fn here(&self, name: &str) -> Option<PathBuf> {
        if name.is_empty() { Some(self.local.clone()) } else { safe_path(name).map(|safe| self.local.join(safe)) }
    }

    /// Returns the directory on this computer below which the tree is.
    fn root(&self, tree: &Tree) -> PathBuf {
        let parent = || self.local.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if tree.files.contains_key("") { parent().to_owned() } else { self.local.clone() }
    }

    /// Returns whether nearly all of the tree is to be fetched, so that it is fetched as a whole.
    fn travels_whole(&self, tree: &Tree, fetch: &[Download]) -> bool {
        let files = &tree.files;
        let new = || fetch.iter().filter(|file| file.copy.is_none());
        let (all, wanted): (u64, u64) = (files.values().map(|fact| fact.size).sum(), new().map(|file| file.size).sum());
        let most = |part: u64, of: u64| part >= of / 5 * 4;
        let large = files.values().any(|fact| fact.size > LARGE);
        !files.contains_key("")
            && tree.linked.is_empty()
            && !large
            && most(wanted, all)
            && most(new().count() as u64, files.len() as u64)
    }
}

/// Returns whether a copy is a file that had another name until now.
fn is_renamed(copy: &Copy, local: &Path) -> bool {
    copy.path != local && !copy.is_part()
}

/// Returns whether a name belongs to a file that is still being transferred.
fn is_incoming(name: &str) -> bool {
    name.split('/').any(|part| part == INCOMING)
}

/// Puts renames into an order in which none overwrites what another one still has to rename.
fn in_order(mut renames: Vec<Renaming>) -> Vec<Renaming> {
    let mut ordered = Vec::new();
    while !renames.is_empty() {
        let free = |renaming: &Renaming| !renames.iter().any(|other| other.from == renaming.to);
        match renames.iter().position(free) {
            Some(at) => ordered.push(renames.remove(at)),
            None => {
                renames.pop();
            }
        }
    }
    ordered
}

/// Returns the destination for the logs of one pull: `<local>/sn<serial>[_<name>]/<last part of the remote path>`.
pub fn place(pull: &crate::config::LogPull, facts: &Facts) -> Place {
    let remote = pull.remote.as_str();
    let last = remote.rsplit('/').next().and_then(safe_path).unwrap_or_default();
    Place { remote: remote.to_owned(), local: pull.local.join(facts.folder(&pull.local)).join(last), archive: true }
}

impl Planner<'_> {
    pub(super) fn logs(&mut self) -> Result<(), PlanError> {
        if self.wanted.logs.is_empty() {
            return Ok(());
        }
        let (mut fetch, mut known) = (Fetch::default(), 0);
        for pull in &self.wanted.logs {
            let Some(tree) = self.facts.trees.get(pull.remote.as_str()) else { continue };
            known += tree.files.len();
            let Pull { fetch: more, warnings, unread } = place(pull, &self.facts).pull(tree, &self.facts.here);
            fetch.add(more);
            self.plan.warnings.extend(warnings);
            self.plan.unread.extend(unread);
            // The device has this folder from now on, whatever it is called later.
            let folder = self.facts.folder(&pull.local).to_string_lossy().into_owned();
            self.facts.here.archives.entry(pull.local.clone()).or_default().insert(0, folder);
        }
        if self.facts.here.untold {
            let text = "the device cannot tell what its files are (`sha256sum` and `gzip` are needed there): those that are here \
                        already come whole";
            self.plan.warnings.push(text.into());
        }
        let says = match (known, fetch.files.len()) {
            (0, _) if self.plan.unread.is_empty() => "no logs on the device".to_owned(),
            (0, _) => "no logs that can be read".to_owned(),
            (_, 0) => format!("{} there, none is new", count(known, "log file")),
            (_, new) => format!("{} of {}", new, count(known, "log file")),
        };
        let actions = if fetch.is_empty() { Vec::new() } else { vec![Action::Fetch(fetch)] };
        self.add(Stage::Logs, says, actions);
        Ok(())
    }

    /// Plans to fetch the logs of the run itself, only when the run starts or follows something.
    pub(super) fn logs_again(&mut self) -> Result<(), PlanError> {
        let ran = self
            .plan
            .stages
            .iter()
            .any(|stage| matches!(stage.stage, Stage::Compose | Stage::Attach) && !stage.actions.is_empty());
        if self.wanted.logs.is_empty() || !ran {
            return Ok(());
        }
        let places = self.wanted.logs.iter().map(|pull| place(pull, &self.facts)).collect();
        self.add(Stage::LogsAgain, "what the run wrote", vec![Action::PullAgain(places)]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{LeftOut, PathFact, PathKind};

    fn file(size: u64, readable: bool) -> PathFact {
        PathFact { kind: PathKind::File, mode: 0o644, size, readable, own: false, sha256: None }
    }

    fn place() -> Place {
        Place { remote: "/logs".into(), local: "here".into(), archive: true }
    }

    fn copy(path: &str, bytes: u64) -> Copy {
        Copy { path: path.into(), bytes }
    }

    #[test]
    fn rotated_files_are_renamed_from_the_last_on_and_only_their_ends_come() {
        let files = [("a", 1), ("a.1", 9), ("a.2", 5)].map(|(name, size)| (name.to_owned(), file(size, true)));
        let tree = Tree { files: files.into(), ..Tree::default() };
        let copies = [("here/a.1".into(), copy("here/a", 7)), ("here/a.2".into(), copy("here/a.1", 5))];
        let here = LocalState { copies: copies.into(), ..LocalState::default() };
        insta::assert_snapshot!(place().pull(&tree, &here).fetch.steps().join("\n"), @r"
        rename here/a.1 -> here/a.2, as the device has
        rename here/a -> here/a.1, as the device has
        fetch /logs/a -> here/a (1 B)
        fetch /logs/a.1 -> here/a.1 (2 B of 9 B)
        ");
    }

    #[test]
    fn two_files_that_swapped_their_names_lose_neither() {
        let files = [("a", 3), ("b", 3)].map(|(name, size)| (name.to_owned(), file(size, true)));
        let tree = Tree { files: files.into(), ..Tree::default() };
        let copies = [("here/a".into(), copy("here/b", 3)), ("here/b".into(), copy("here/a", 3))];
        let here = LocalState { copies: copies.into(), ..LocalState::default() };
        let steps = place().pull(&tree, &here).fetch.steps();
        assert_eq!(steps.iter().filter(|step| step.starts_with("fetch")).count(), 1, "{steps:?}");
        assert_eq!(steps.iter().filter(|step| step.starts_with("rename")).count(), 1, "{steps:?}");
    }

    #[test]
    fn pull_names_what_it_leaves_out_and_what_cannot_be_read() {
        let tree = Tree {
            files: [("root.log".to_owned(), file(1, false)), (".o3r-deploy-incoming/half".to_owned(), file(1, true))].into(),
            directories: [(String::new(), 0o755), ("empty".into(), 0o750), ("there".into(), 0o755)].into(),
            links: [("latest".to_owned(), "a".to_owned()), ("old".to_owned(), "b".to_owned())].into(),
            closed: ["private".to_owned()].into(),
            linked: BTreeSet::new(),
            left_out: [("fifo".to_owned(), LeftOut::Special), ("gone".to_owned(), LeftOut::Dangling)].into(),
        };
        let present = [("here/there", Present::Directory), ("here/old", Present::Link("b".into()))];
        let present = present.map(|(path, present)| (path.into(), present)).into();
        let pull = place().pull(&tree, &LocalState { present, ..LocalState::default() });
        insta::assert_snapshot!(pull.fetch.steps().into_iter().chain(pull.warnings).collect::<Vec<_>>().join("\n"), @r"
        make here/empty here
        link here/latest -> a here
        `/logs/fifo` is left out: it is neither a file nor a directory
        `/logs/gone` is left out: it is a link to nothing
        `/logs/private` cannot be read by this user and is not fetched
        `/logs/root.log` cannot be read by this user and is not fetched
        ");
        assert_eq!(pull.unread.len(), 2);
    }
}
