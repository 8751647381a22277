//! Sends files: into an incoming directory beside their destination, then renamed into place.

use std::collections::{BTreeMap, BTreeSet};

use super::Runner;
use crate::{
    command::{Command, path_lines},
    commands::files::{self, Arrival, INCOMING, Receive},
    failure::Failure,
    plan::{SendFile, Sending},
    remote::{Input, Put, Remote, RemoteError, Rest, Taking},
    report::Event,
    stage::Stage,
};

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn send(&mut self, stage: Stage, sending: &Sending) -> Result<(), Failure> {
        if sending.files.is_empty() {
            self.make_directories(sending).await?;
            return self.set_modes(sending).await;
        }
        self.report.event(&Event::Step { stage, says: crate::plan::count(sending.files.len(), "file") });
        self.put(stage, sending).await.map_err(|error| Failure::from(error.with_path(place_of)))
    }

    async fn put(&mut self, stage: Stage, sending: &Sending) -> Result<(), RemoteError> {
        let (mut done, total, report) = (0, sending.bytes(), &mut self.report);
        let mut progress = |bytes| {
            done += bytes;
            report.event(&Event::Progress { stage, bytes: done, total: Some(total) });
        };
        let arrival = arrival(sending);
        let (large, small): (Vec<_>, Vec<_>) = sending.files.iter().partition(|file| file.is_large());
        let put = |file: &&SendFile| Put { local: file.local.clone(), remote: file.arrival(), mode: file.mode };
        let puts: Vec<_> = small.iter().filter(|file| file.have == 0).map(put).collect();
        let part = if large.is_empty() { Receive::Both } else { Receive::Take };
        let command = files::receive(part);
        let directories: Vec<_> = directories(sending).into_iter().map(|new| (new.arrival, new.mode)).collect();
        let taking = Taking { command: &command, head: arrival.head(), directories: &directories, files: &puts };
        self.remote.put(&taking, &mut progress).await?;
        for file in &large {
            let (remote, local) = (file.arrival(), file.local.clone());
            let command = files::append(&remote, file.have, file.size, file.mode);
            self.remote.append(&command, &Rest { remote, local, from: file.have, to: file.size }, &mut progress).await?;
        }
        if !large.is_empty() {
            let command = files::receive(Receive::Place);
            self.remote.run(&command, Input::Bytes(arrival.head())).await?.success(&command)?;
        }
        Ok(())
    }

    async fn make_directories(&self, sending: &Sending) -> Result<(), Failure> {
        let paths: Vec<_> = sending.directories.iter().map(|(path, _)| path.clone()).collect();
        for some in paths.chunks(200) {
            self.remote.check(&files::make_directories(some)).await?;
        }
        Ok(())
    }

    /// Gives directories their permission bits last, the deepest first: one that is read-only would take no files.
    async fn set_modes(&self, sending: &Sending) -> Result<(), Failure> {
        let deepest_first: Vec<_> = sending.directories.iter().rev().collect();
        for alike in deepest_first.chunk_by(|(_, one), (_, other)| one == other) {
            for some in alike.chunks(200) {
                let Some((_, mode)) = some.first() else { continue };
                self.remote.check(&files::set_mode(*mode, some.iter().map(|(path, _)| path))).await?;
            }
        }
        Ok(())
    }

    /// Runs a command that reads paths from its standard input.
    async fn with_list(&self, command: &Command, paths: &BTreeSet<String>) -> Result<(), Failure> {
        self.remote.run(command, Input::Bytes(path_lines(paths))).await?.success(command)?;
        Ok(())
    }

    /// Removes what arrived in part, and the directories made for it that are empty.
    pub(super) async fn abandon(&self, sending: &Sending) {
        let _ = self.with_list(&files::abandon_incoming(), &places(sending).into_keys().collect()).await;
        self.unmake(sending).await;
    }

    /// Removes what was sent and replaced nothing.
    pub(super) async fn unsend(&self, sending: &Sending) {
        let new = sending.files.iter().filter(|file| file.new);
        let new: Vec<_> = new.map(|file| file.remote.as_str().to_owned()).collect();
        for some in new.chunks(200) {
            let _ = self.remote.run(&files::remove(some), Input::Empty).await;
        }
        self.unmake(sending).await;
    }

    /// Removes the directories that were made, as far as they are empty.
    async fn unmake(&self, sending: &Sending) {
        let mut made: Vec<_> = sending.directories.iter().map(|(path, _)| path.clone()).collect();
        made.sort_by(|a, b| b.cmp(a));
        for some in made.chunks(200) {
            let _ = self.remote.run(&files::remove_empty_directories(some), Input::Empty).await;
        }
    }
}

/// The directories that are there already and in whose incoming directories things arrive.
fn places(sending: &Sending) -> BTreeMap<String, bool> {
    let mut places: BTreeMap<_, _> = directories(sending).into_iter().map(|directory| (directory.place, false)).collect();
    for file in &sending.files {
        // What an earlier run left is kept where some of it is of use.
        *places.entry(file.place.as_str().to_owned()).or_default() |= file.have > 0;
    }
    places
}

fn arrival(sending: &Sending) -> Arrival {
    let places = places(sending);
    let kept = |path: &&String| places.iter().any(|(place, kept)| *kept && path.starts_with(&format!("{place}/{INCOMING}/")));
    let stale = sending.stale.iter().filter(kept).cloned().collect();
    let closed = sending.directories.iter().rev().filter(|(_, mode)| mode & OWNER != OWNER);
    Arrival { stale, modes: closed.cloned().collect(), places }
}

/// What the owner may do with a directory into which files go.
const OWNER: u32 = 0o700;

/// A directory that comes into being.
struct Directory {
    /// The innermost directory above it that is there already.
    place: String,
    /// Where it arrives.
    arrival: String,
    /// Its permission bits while files go into it.
    mode: u32,
}

fn directories(sending: &Sending) -> Vec<Directory> {
    let new: BTreeSet<_> = sending.directories.iter().map(|(path, _)| path.as_str()).collect();
    let directory = |(path, mode): &(String, u32)| {
        let mut place = path.clone();
        while new.contains(place.as_str()) {
            place.truncate(place.rfind('/').unwrap_or_default());
        }
        let arrival = format!("{place}/{INCOMING}{}", path.strip_prefix(&place).unwrap_or_default());
        let place = if place.is_empty() { "/".to_owned() } else { place };
        Directory { place, arrival, mode: mode | OWNER }
    };
    sending.directories.iter().map(directory).collect()
}

/// People know the destination, not where files arrive.
fn place_of(path: String) -> String {
    path.replace(&format!("/{INCOMING}/"), "/")
}
