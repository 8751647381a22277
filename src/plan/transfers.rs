//! Plans transfers: the files that must be sent, compared by content, and the place where they arrive.

use std::{collections::BTreeSet, path::Path};

use super::{
    Action, Fetch, Place, PlanError, Planner, Pull, SendFile, SendLink, Upload, arrival, count,
    files::{is_protected, not_a_directory},
};
use crate::{
    commands::files::INCOMING,
    config::{REMOTE_HOME, RemotePath, Transfer},
    facts::{
        Facts, PathFact, PathKind, Tree,
        here::{LARGE, LocalFile, Source, local_name},
    },
    stage::Stage,
};

/// Returns the path at which a source arrives: the destination itself, or a path below it where the destination ends with a
/// slash or is a directory that takes a file.
pub fn destination(transfer: &Transfer, source: &Source, facts: &Facts) -> RemotePath {
    let name = transfer.local.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let into = transfer.remote.is_into() || (matches!(source, Source::File(_)) && facts.is_directory(transfer.remote.as_str()));
    if into && !name.is_empty() { transfer.remote.join(name) } else { transfer.remote.clone() }
}

/// Returns the files that must be sent so that `source` is at `destination`, given the facts.
///
/// # Errors
/// A file where a directory has to be, or the other way round.
pub fn sending(source: &Source, destination: &RemotePath, facts: &Facts) -> Result<Upload, PlanError> {
    let mut sending = Upload::default();
    match source {
        Source::File(file) => send_file(file, destination.clone(), facts, &mut sending)?,
        Source::Tree { files, directories, links, left_out } => {
            sending.directory(destination, directories.get("").copied().unwrap_or(0o755), facts)?;
            for (name, mode) in directories.iter().filter(|(name, _)| !name.is_empty()) {
                sending.directory(&destination.join(name), *mode, facts)?;
            }
            for (name, file) in files {
                send_file(file, destination.join(name), facts, &mut sending)?;
            }
            for (name, target) in links {
                send_link(target, destination.join(name), facts, &mut sending)?;
            }
            let left_out = left_out.iter().map(|(path, why)| format!("`{}` is left out: {}", path.display(), why.reason()));
            sending.warnings.extend(left_out);
        }
    }
    Ok(sending)
}

fn send_link(target: &str, remote: RemotePath, facts: &Facts, sending: &mut Upload) -> Result<(), PlanError> {
    let link = facts.links.get(remote.as_str());
    if link.is_none() && facts.is_directory(remote.as_str()) {
        return Err(PlanError::Conflict {
            what: format!("`{remote}`"),
            how: "it is a directory, and a link is wanted".into(),
            hint: "remove it with `--items_to_cleanup` in a run of its own, or choose another path".into(),
        });
    }
    if link.is_none_or(|there| there != target) {
        sending.make(&remote.parent(), 0o755, facts)?;
        let (place, new) = (place(&remote, facts), link.is_none() && !facts.paths.contains_key(remote.as_str()));
        sending.open(&place, facts);
        sending.links.push(SendLink { remote, target: target.to_owned(), place, new });
    }
    Ok(())
}

/// Permission bits that the owner needs on a directory so that it can be read.
const LOOK: u32 = 0o500;

/// Permission bits that the owner needs on a file so that it can be compared.
const READ: u32 = 0o400;

fn send_file(file: &LocalFile, remote: RemotePath, facts: &Facts, sending: &mut Upload) -> Result<(), PlanError> {
    let mode = file.mode | READ;
    if mode != file.mode {
        let (path, had) = (file.path.display(), file.mode);
        let text = format!(
            "`{path}` has the mode {had:03o} and gets {mode:03o} on the device, whose user has to read it to compare it"
        );
        sending.warnings.push(text);
    }
    let there = facts.paths.get(remote.as_str());
    if there.is_some_and(|fact| fact.kind == PathKind::Directory) {
        return Err(PlanError::Conflict {
            what: format!("`{remote}`"),
            how: "it is a directory, and a file is wanted".into(),
            hint: format!("end the destination with a slash to put the file into it: `{remote}/`"),
        });
    }
    if there.filter(|fact| is_whole(file, fact)).is_none() {
        sending.make(&remote.parent(), 0o755, facts)?;
        let place = place(&remote, facts);
        sending.open(&place, facts);
        let have = facts.paths.get(&arrival(&place, &remote)).map_or(0, |fact| usable(file, fact));
        sending.files.push(SendFile {
            local: file.path.clone(),
            mode,
            size: file.size,
            sha256: file.sha256().cloned(),
            new: there.is_none(),
            remote,
            place,
            have,
        });
    }
    Ok(())
}

/// Returns whether a file on the device has the content and the mode of `file`.
fn is_whole(file: &LocalFile, fact: &PathFact) -> bool {
    let same = fact.sha256.is_some() && fact.sha256.as_ref() == file.sha256();
    fact.kind == PathKind::File && fact.size == file.size && same && fact.mode == file.mode | READ
}

/// Returns the number of bytes of an existing file that can be used: those of a partial file only where the file is sent by
/// itself.
fn usable(file: &LocalFile, fact: &PathFact) -> u64 {
    let begins = fact.sha256.is_some() && fact.sha256.as_ref() == file.digests.get(&fact.size);
    if is_whole(file, fact) || (file.size > LARGE && fact.kind == PathKind::File && begins) { fact.size } else { 0 }
}

/// Returns the innermost existing directory above `remote`.
fn place(remote: &RemotePath, facts: &Facts) -> RemotePath {
    let there = |path: &RemotePath| path.as_str() == REMOTE_HOME || facts.is_directory(path.as_str());
    remote.above().into_iter().rev().find(there).unwrap_or_else(|| RemotePath::new("/").expect("the root is a path"))
}

/// Returns the lengths of large local files for which digests are needed before the plan: where the device has a file that
/// may be the same, or a partial file of an earlier run.
pub(super) fn digests_needed<'a>(source: &'a Source, destination: &RemotePath, facts: &Facts) -> Vec<(&'a Path, u64)> {
    let files: Vec<_> = match source {
        Source::File(file) => vec![(destination.clone(), file)],
        Source::Tree { files, .. } => files.iter().map(|(name, file)| (destination.join(name), file)).collect(),
    };
    let large = files.into_iter().filter(|(_, file)| file.size > LARGE);
    let mut digests_needed = Vec::new();
    for (remote, file) in large {
        let there = facts.paths.get(remote.as_str()).filter(|fact| fact.size == file.size);
        let part = facts.paths.get(&arrival(&place(&remote, facts), &remote)).filter(|fact| fact.size <= file.size);
        let known = there.into_iter().chain(part).filter(|fact| fact.sha256.is_some());
        digests_needed.extend(known.map(|fact| (file.path.as_path(), fact.size)));
    }
    digests_needed
}

impl Upload {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty() && self.links.is_empty() && self.modes.is_empty()
    }

    /// Makes a directory of a tree, or corrects the mode of one that is there and the user's own.
    ///
    /// # Errors
    /// A file where a directory has to be.
    fn directory(&mut self, directory: &RemotePath, mode: u32, facts: &Facts) -> Result<(), PlanError> {
        let path = directory.as_str();
        if facts.paths.get(path).is_some_and(|fact| fact.own) && !is_protected(directory) {
            self.modes.insert(path.to_owned(), mode | LOOK);
        }
        self.make(directory, mode | LOOK, facts)
    }

    /// Notes a directory into which files go although its mode does not let its owner write.
    fn open(&mut self, place: &RemotePath, facts: &Facts) {
        let Some(fact) = facts.paths.get(place.as_str()).filter(|fact| fact.own && fact.mode & 0o300 != 0o300) else { return };
        self.closed.insert(place.as_str().to_owned());
        self.modes.entry(place.as_str().to_owned()).or_insert(fact.mode);
    }

    /// Leaves the modes of directories that are there as they are: an application may have changed those of what it has bound.
    pub(super) fn keep_modes(&mut self) {
        let closed = &self.closed;
        self.modes.retain(|path, _| closed.contains(path));
    }

    /// Leaves out what directories have already, once all that is sent is known.
    pub(super) fn settle_modes(&mut self, facts: &Facts) {
        let closed = &self.closed;
        self.modes.retain(|path, mode| closed.contains(path) || facts.paths.get(path).is_none_or(|fact| fact.mode != *mode));
    }

    /// Makes a directory where it is missing, and each above it that is, the outermost first: what is made is named, so that it
    /// can be taken back.
    ///
    /// # Errors
    /// A file where a directory has to be.
    pub(super) fn make(&mut self, directory: &RemotePath, mode: u32, facts: &Facts) -> Result<(), PlanError> {
        let mut missing = vec![];
        for path in directory.above().into_iter().chain([directory.clone()]).rev() {
            match facts.paths.get(path.as_str()).map(|fact| fact.kind) {
                Some(PathKind::Directory) => break,
                Some(_) => return Err(not_a_directory(path.as_str())),
                None if path.as_str() == REMOTE_HOME || self.directories.iter().any(|(made, _)| made == path.as_str()) => break,
                None => missing.push((path.as_str().to_owned(), if path == *directory { mode } else { 0o755 })),
            }
        }
        if !missing.is_empty() {
            self.open(&place(directory, facts), facts);
        }
        self.directories.extend(missing.into_iter().rev());
        Ok(())
    }

    /// Notes what an earlier run left where these files arrive and they have no use for.
    pub(super) fn clear(&mut self, facts: &Facts) {
        let of_links = self.links.iter().map(|link| &link.place);
        let places = self.files.iter().map(|file| &file.place).chain(of_links);
        let places: BTreeSet<_> = places.map(|place| format!("{}/", place.join(INCOMING))).collect();
        let used: BTreeSet<_> = self.files.iter().filter(|file| file.have > 0).map(SendFile::arrival).collect();
        let left = facts.paths.iter().filter(|(_, fact)| fact.kind != PathKind::Directory).map(|(path, _)| path);
        let left = left.filter(|path| places.iter().any(|place| path.starts_with(place)) && !used.contains(*path));
        self.stale = left.cloned().collect();
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.links.extend(other.links);
        self.modes.extend(other.modes);
        self.closed.extend(other.closed);
        self.warnings.extend(other.warnings);
        for directory in other.directories {
            if self.directories.iter().all(|(path, _)| *path != directory.0) {
                self.directories.push(directory);
            }
        }
    }

    /// Returns the number of bytes to send.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size - file.have).sum()
    }
}

impl Planner<'_> {
    pub(super) fn transfers(&mut self) -> Result<(), PlanError> {
        let wanted = &self.wanted.transfers;
        if wanted.from_device.is_empty() && wanted.to_device.is_empty() {
            return Ok(());
        }
        let fetch = self.fetching()?;
        let mut send = Upload::default();
        let mut all = 0;
        for transfer in &wanted.to_device {
            let Some(source) = self.facts.here.sources.get(&transfer.local) else { continue };
            all += match source {
                Source::File(_) => 1,
                Source::Tree { files, links, .. } => files.len() + links.len(),
            };
            send.merge(sending(source, &destination(transfer, source, &self.facts), &self.facts)?);
        }
        let mut says = Vec::new();
        if !wanted.from_device.is_empty() {
            says.push(format!("{} from the device", count(fetch.files.len(), "file")));
        }
        if !wanted.to_device.is_empty() {
            says.push(format!("{} of {} to the device", send.files.len() + send.links.len(), count(all, "file")));
        }
        let mut actions = Vec::new();
        if !fetch.is_empty() {
            actions.push(Action::Fetch(fetch));
        }
        send.settle_modes(&self.facts);
        self.plan.warnings.append(&mut send.warnings);
        if !send.is_empty() {
            send.clear(&self.facts);
            self.expect_sent(&send);
            actions.push(Action::Send(send));
        }
        let says = if actions.is_empty() { "all files are there".to_owned() } else { says.join(", ") };
        self.add(Stage::Transfers, says, actions);
        Ok(())
    }

    fn fetching(&mut self) -> Result<Fetch, PlanError> {
        let mut fetch = Fetch::default();
        for transfer in &self.wanted.transfers.from_device {
            let remote = transfer.remote.as_str();
            if !self.facts.paths.contains_key(remote) {
                return Err(PlanError::NothingToFetch { path: remote.into() });
            }
            let is_directory = self.facts.is_directory(remote);
            let Some(tree) = self.facts.trees.get(remote).filter(|tree| is_directory || !tree.files.is_empty()) else {
                return Err(PlanError::Unreadable { path: remote.into() });
            };
            // Of a tree all that can be read is fetched; what is asked for by its own name has to be readable.
            if tree.closed.contains("") || tree.files.get("").is_some_and(|fact| !fact.readable) {
                return Err(PlanError::Unreadable { path: remote.into() });
            }
            let Pull { fetch: more, warnings, unread } = lands(transfer, tree, &self.facts).pull(tree, &self.facts.here);
            self.plan.warnings.extend(warnings);
            self.plan.unread.extend(unread);
            fetch.add(more);
        }
        Ok(fetch)
    }
}

/// Returns the local path at which a file or tree from the device arrives: the destination itself, or a path below it where
/// the destination ends with a slash or is a directory that takes a file.
pub fn lands(transfer: &Transfer, tree: &Tree, facts: &Facts) -> Place {
    let slash = transfer.local.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]);
    let takes_file = tree.files.contains_key("") && facts.here.directories.contains(&transfer.local);
    let local =
        if slash || takes_file { transfer.local.join(local_name(transfer.remote.name())) } else { transfer.local.clone() };
    Place { remote: transfer.remote.as_str().to_owned(), local, archive: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Deployment,
        plan::{self, PlanContext},
    };

    fn planned(files: &[(&str, Option<&str>)], kind: PathKind) -> Result<plan::Plan, String> {
        let remote = RemotePath::new("~/x").expect("a path");
        let fact = |kind, sha256: Option<&str>| {
            let sha256 = sha256.map(str::to_owned);
            PathFact { kind, mode: 0o644, size: 7, readable: sha256.is_some(), own: false, sha256 }
        };
        let files = files.iter().map(|(name, digest)| ((*name).to_owned(), fact(PathKind::File, *digest))).collect();
        let directories = (kind == PathKind::Directory).then(|| (String::new(), 0o755)).into_iter().collect();
        let tree = Tree { files, directories, ..Tree::default() };
        let facts = Facts {
            paths: [(remote.as_str().to_owned(), fact(kind, None))].into(),
            trees: [(remote.as_str().to_owned(), tree)].into(),
            ..Facts::default()
        };
        let (layer, _) = crate::config::file::read(std::path::Path::new("/dev/null"), "empty").expect("an empty file");
        let bare = crate::config::check(&[layer], Vec::new()).expect("nothing is wrong with it");
        let transfers =
            crate::config::Transfers { from_device: vec![Transfer { local: "/here/x".into(), remote }], ..bare.transfers };
        let wanted = Deployment { transfers, ..bare };
        let circumstances = PlanContext { stem: "stem".into(), ..PlanContext::default() };
        plan::plan(&wanted, &facts, &circumstances).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_file_that_is_asked_for_and_cannot_be_read_is_an_error() {
        let said = |files: &[_], kind| planned(files, kind).expect_err("it cannot be fetched");
        insta::assert_snapshot!(said(&[("", None)], PathKind::File), @"transfers: `/home/oem/x` on the device is no file or directory that this user can read");
        insta::assert_snapshot!(said(&[], PathKind::Other), @"transfers: `/home/oem/x` on the device is no file or directory that this user can read");
    }

    #[test]
    fn file_of_a_tree_that_cannot_be_read_is_named_and_the_others_are_fetched() {
        let plan = planned(&[("a", Some("1")), ("b", None)], PathKind::Directory).expect("the others are fetched");
        assert_eq!(plan.unread, ["/home/oem/x/b".to_owned()].into());
        assert!(plan.shown().iter().flat_map(|stage| &stage.steps).any(|step| step.starts_with("fetch /home/oem/x/a ")));
    }

    #[test]
    fn empty_directory_is_made_here_when_it_is_fetched() {
        let plan = planned(&[], PathKind::Directory).expect("it is there");
        assert!(plan.shown().iter().flat_map(|stage| &stage.steps).any(|step| step == "make /here/x here"));
        assert!(planned(&[("", Some("1"))], PathKind::Other).is_ok(), "a link to a file");
    }
}
