//! Transfers: what must travel, judged by content; where it lands is what the destination says.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Action, Fetching, PlanError, Planner, SendFile, Sending, count, files::not_a_directory, logs};
use crate::{
    config::{RemotePath, Transfer},
    facts::{
        Facts, PathFact, PathKind,
        here::{LocalFile, Source, safe_name},
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
            for above in destination.above() {
                need_directory(&above, 0o755, facts, &mut sending)?;
            }
            for (name, mode) in directories {
                need_directory(&destination.join(name), *mode, facts, &mut sending)?;
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
        for above in remote.above() {
            need_directory(&above, 0o755, facts, sending)?;
        }
        let (local, sha256) = (file.path.clone(), file.sha256.clone());
        sending.files.push(SendFile { local, remote, mode: file.mode, size: file.size, sha256 });
    }
    Ok(())
}

/// Has a directory made that is missing. Each is named, those above others too: what a failed run made is taken back.
fn need_directory(path: &RemotePath, mode: u32, facts: &Facts, sending: &mut Sending) -> Result<(), PlanError> {
    match facts.paths.get(path.as_str()).map(|fact| fact.kind) {
        Some(PathKind::Directory) => {}
        Some(_) => return Err(not_a_directory(path.as_str())),
        None if sending.directories.iter().any(|(made, _)| made == path.as_str()) => {}
        None => sending.directories.push((path.as_str().to_owned(), mode)),
    }
    Ok(())
}

impl Sending {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty()
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
            let Some(files) = self.facts.trees.get(remote) else { continue };
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
    if slash || takes_file { transfer.local.join(safe_name(transfer.remote.name())) } else { transfer.local.clone() }
}
