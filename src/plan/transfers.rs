//! Transfers: what must travel, judged by content; where it lands is what the destination says.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Action, Fetching, PlanError, Planner, SendFile, Sending, count, files::not_a_directory, logs};
use crate::{
    config::{REMOTE_HOME, RemotePath, Transfer},
    facts::{
        Facts, PathFact, PathKind,
        here::{LocalFile, Source, local_name},
    },
    stage::Stage,
};

/// Where a source lands: at the destination itself, or below it where that ends with a slash or is a directory that takes a
/// file.
pub fn destination(transfer: &Transfer, source: &Source, facts: &Facts) -> RemotePath {
    let name = transfer.local.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let into = transfer.remote.is_into() || (matches!(source, Source::File(_)) && facts.is_directory(transfer.remote.as_str()));
    if into && !name.is_empty() { transfer.remote.join(name) } else { transfer.remote.clone() }
}

/// What must be sent for `source` to be at `destination`, given what is there.
///
/// # Errors
/// A file where a directory has to be, or the other way round.
pub fn sending(source: &Source, destination: &RemotePath, facts: &Facts) -> Result<Sending, PlanError> {
    let mut sending = Sending::default();
    match source {
        Source::File(file) => send_file(file, destination.clone(), facts, &mut sending)?,
        Source::Tree { files, directories } => {
            sending.make(destination, directories.get("").copied().unwrap_or(0o755), facts)?;
            for (name, mode) in directories {
                sending.make(&destination.join(name), *mode, facts)?;
            }
            for (name, file) in files {
                send_file(file, destination.join(name), facts, &mut sending)?;
            }
        }
    }
    Ok(sending)
}

fn send_file(file: &LocalFile, remote: RemotePath, facts: &Facts, sending: &mut Sending) -> Result<(), PlanError> {
    let there = facts.paths.get(remote.as_str());
    if there.is_some_and(|fact| fact.kind == PathKind::Directory) {
        return Err(PlanError::Conflict {
            what: format!("`{remote}`"),
            how: "it is a directory, and a file is wanted".into(),
            hint: format!("end the destination with a slash to put the file into it: `{remote}/`"),
        });
    }
    let same = |fact: &&PathFact| {
        fact.kind == PathKind::File && fact.sha256.as_ref() == Some(&file.sha256) && fact.mode & 0o777 == file.mode
    };
    if there.filter(same).is_none() {
        sending.make(&remote.parent(), 0o755, facts)?;
        sending.files.push(SendFile {
            local: file.path.clone(),
            remote,
            mode: file.mode,
            size: file.size,
            sha256: file.sha256.clone(),
            new: there.is_none(),
        });
    }
    Ok(())
}

impl Sending {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty()
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
        self.directories.extend(missing.into_iter().rev());
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        for directory in other.directories {
            if self.directories.iter().all(|(path, _)| *path != directory.0) {
                self.directories.push(directory);
            }
        }
    }

    /// Total size in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl Planner<'_> {
    pub(super) fn transfers(&mut self) -> Result<(), PlanError> {
        let wanted = &self.wanted.transfers;
        if wanted.from_device.is_empty() && wanted.to_device.is_empty() {
            return Ok(());
        }
        let fetch = self.fetching()?;
        let mut send = Sending::default();
        let mut all = 0;
        for transfer in &wanted.to_device {
            let Some(source) = self.facts.here.sources.get(&transfer.local) else { continue };
            all += match source {
                Source::File(_) => 1,
                Source::Tree { files, .. } => files.len(),
            };
            send.merge(sending(source, &destination(transfer, source, &self.facts), &self.facts)?);
        }
        let mut says = Vec::new();
        if !wanted.from_device.is_empty() {
            says.push(format!("{} from the device", count(fetch.len(), "file")));
        }
        if !wanted.to_device.is_empty() {
            says.push(format!("{} of {} to the device", send.files.len(), count(all, "file")));
        }
        let mut actions = Vec::new();
        if !fetch.is_empty() {
            actions.push(Action::Fetch(fetch));
        }
        if !send.is_empty() {
            self.expect_sent(&send);
            actions.push(Action::Send(send));
        }
        let says = if actions.is_empty() { "all files are there".to_owned() } else { says.join(", ") };
        self.add(Stage::Transfers, says, actions);
        Ok(())
    }

    fn fetching(&mut self) -> Result<Vec<Fetching>, PlanError> {
        let mut fetch = Vec::new();
        for transfer in &self.wanted.transfers.from_device {
            let remote = transfer.remote.as_str();
            if !self.facts.paths.contains_key(remote) {
                return Err(PlanError::NothingToFetch { path: remote.into() });
            }
            let is_directory = self.facts.is_directory(remote);
            let Some(files) = self.facts.trees.get(remote).filter(|files| is_directory || !files.is_empty()) else {
                return Err(PlanError::Unreadable { path: remote.into() });
            };
            // Logs may be left out with a warning; what is asked for by name may not.
            if let Some(name) = files.iter().find_map(|(name, fact)| (!fact.readable).then_some(name)) {
                let path = if name.is_empty() { remote.to_owned() } else { format!("{remote}/{name}") };
                return Err(PlanError::Unreadable { path });
            }
            let copies = &self.facts.here.copies;
            let lands = lands(transfer, files, &self.facts);
            let (new, warnings) = logs::changed(remote, files, &lands, |path| copies.get(path).cloned());
            self.plan.warnings.extend(warnings);
            fetch.extend(new);
        }
        Ok(fetch)
    }
}

/// Where a file or tree from the device lands here: at the destination itself, or below it where that ends with a slash or is
/// a directory that takes a file.
pub fn lands(transfer: &Transfer, files: &BTreeMap<String, PathFact>, facts: &Facts) -> PathBuf {
    let slash = transfer.local.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]);
    let takes_file = files.contains_key("") && facts.here.directories.contains(&transfer.local);
    if slash || takes_file { transfer.local.join(local_name(transfer.remote.name())) } else { transfer.local.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Deployment,
        plan::{self, Circumstances},
    };

    fn planned(files: &[(&str, Option<&str>)], kind: PathKind) -> Result<plan::Plan, String> {
        let remote = RemotePath::new("~/x").expect("a path");
        let fact = |kind, sha256: Option<&str>| {
            let sha256 = sha256.map(str::to_owned);
            PathFact { kind, mode: 0o644, size: 7, readable: sha256.is_some(), sha256 }
        };
        let files = files.iter().map(|(name, digest)| ((*name).to_owned(), fact(PathKind::File, *digest))).collect();
        let facts = Facts {
            paths: [(remote.as_str().to_owned(), fact(kind, None))].into(),
            trees: [(remote.as_str().to_owned(), files)].into(),
            ..Facts::default()
        };
        let (layer, _) = crate::config::file::read(std::path::Path::new("/dev/null"), "empty").expect("an empty file");
        let bare = crate::config::check(&[layer], Vec::new()).expect("nothing is wrong with it");
        let transfers =
            crate::config::Transfers { from_device: vec![Transfer { local: "/here/x".into(), remote }], ..bare.transfers };
        let wanted = Deployment { transfers, ..bare };
        let circumstances = Circumstances { stem: "stem".into(), ..Circumstances::default() };
        plan::plan(&wanted, &facts, &circumstances).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_file_that_is_asked_for_and_cannot_be_read_is_an_error() {
        let said = |files: &[_], kind| planned(files, kind).expect_err("it cannot be fetched");
        insta::assert_snapshot!(said(&[("", None)], PathKind::File), @"transfers: `/home/oem/x` on the device is no file or directory that this user can read");
        insta::assert_snapshot!(said(&[("a", Some("1")), ("b", None)], PathKind::Directory), @"transfers: `/home/oem/x/b` on the device is no file or directory that this user can read");
        insta::assert_snapshot!(said(&[], PathKind::Other), @"transfers: `/home/oem/x` on the device is no file or directory that this user can read");
    }

    #[test]
    fn an_empty_directory_is_fetched_by_fetching_nothing() {
        assert!(planned(&[], PathKind::Directory).is_ok());
        assert!(planned(&[("", Some("1"))], PathKind::Other).is_ok(), "a link to a file");
    }
}
