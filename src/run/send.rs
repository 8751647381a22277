//! Sends files: into an incoming directory beside their destination, then renamed into place.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::Runner;
use crate::{
    command::{Command, path_lines},
    commands::files::{self, Arrival, INCOMING, Receive},
    failure::Failure,
    holes,
    plan::{SendFile, Upload},
    remote::{FileRange, Input, Put, Remote, RemoteError, TarUpload},
    report::Event,
    stage::Stage,
};

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn send(&mut self, stage: Stage, sending: &Upload) -> Result<(), Failure> {
        if sending.files.is_empty() && sending.links.is_empty() {
            self.open_directories(sending).await;
            self.make_directories(sending).await?;
            return self.set_modes(sending).await;
        }
        self.report.event(&Event::Step { stage, says: crate::plan::count(sending.files.len() + sending.links.len(), "file") });
        self.put(stage, sending).await.map_err(|error| Failure::from(error.with_path(place_of)))
    }

    async fn put(&mut self, stage: Stage, sending: &Upload) -> Result<(), RemoteError> {
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
        let links: Vec<_> = sending.links.iter().map(|link| (link.arrival(), link.target.clone())).collect();
        let directories: Vec<_> = directories(sending).into_iter().map(|new| (new.arrival, new.mode)).collect();
        let taking =
            TarUpload { command: &command, head: arrival.head(), directories: &directories, files: &puts, links: &links };
        self.remote.put(&taking, &mut progress).await?;
        for file in &large {
            let mut at = file.have;
            let ranges = ranges(file);
            for (number, range) in ranges.iter().enumerate() {
                let (remote, local) = (file.arrival(), file.local.clone());
                let mode = (number + 1 == ranges.len()).then_some(file.mode);
                let command = files::append(&remote, at, range, mode);
                progress(range.start - at);
                self.remote
                    .append(&command, &FileRange { remote, local, from: range.start, to: range.end }, &mut progress)
                    .await?;
                at = range.end;
            }
        }
        if !large.is_empty() {
            let command = files::receive(Receive::Place);
            self.remote.run(&command, Input::Bytes(arrival.head())).await?.success(&command)?;
        }
        Ok(())
    }

    async fn make_directories(&self, sending: &Upload) -> Result<(), Failure> {
        let paths: Vec<_> = sending.directories.iter().map(|(path, _)| path.clone()).collect();
        for some in paths.chunks(200) {
            self.remote.check(&files::make_directories(some)).await?;
        }
        Ok(())
    }

    /// Gives directories their permission bits last, the deepest first: one that is read-only would take no files.
    async fn set_modes(&self, sending: &Upload) -> Result<(), Failure> {
        let modes: Vec<_> = sending.directories.iter().map(|(path, mode)| (path, *mode)).chain(own_modes(sending)).collect();
        let deepest_first: Vec<_> = modes.iter().rev().collect();
        for alike in deepest_first.chunk_by(|(_, one), (_, other)| one == other) {
            for some in alike.chunks(200) {
                let Some((_, mode)) = some.first() else { continue };
                self.remote.check(&files::set_mode(*mode, some.iter().map(|(path, _)| *path))).await?;
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
    pub(super) async fn abandon(&self, sending: &Upload) {
        let _ = self.with_list(&files::abandon_incoming(), &places(sending).into_keys().collect()).await;
        self.unmake(sending).await;
        self.close_directories(sending).await;
    }

    /// Removes what was sent and replaced nothing.
    pub(super) async fn undo_upload(&self, sending: &Upload) {
        let new = sending.files.iter().filter(|file| file.new);
        let links = sending.links.iter().filter(|link| link.new).map(|link| link.remote.as_str().to_owned());
        let new: Vec<_> = new.map(|file| file.remote.as_str().to_owned()).chain(links).collect();
        self.open_directories(sending).await;
        let made = sending.directories.iter().filter(|(_, mode)| mode & OWNER != OWNER).map(|(path, _)| path);
        let made: Vec<_> = made.collect();
        for some in made.chunks(200) {
            let _ = self.remote.run(&files::open(some.iter().copied()), Input::Empty).await;
        }
        for some in new.chunks(200) {
            let _ = self.remote.run(&files::remove(some), Input::Empty).await;
        }
        self.unmake(sending).await;
        self.close_directories(sending).await;
    }

    /// Lets directories take and lose files again that were closed.
    async fn open_directories(&self, sending: &Upload) {
        if !sending.closed.is_empty() {
            let _ = self.remote.run(&files::open(&sending.closed), Input::Empty).await;
        }
    }

    /// Gives directories back what they had before they were opened.
    async fn close_directories(&self, sending: &Upload) {
        for (path, mode) in own_modes(sending).filter(|(path, _)| sending.closed.contains(*path)) {
            let _ = self.remote.run(&files::set_mode(mode, [path]), Input::Empty).await;
        }
    }

    /// Removes the directories that were made, as far as they are empty.
    async fn unmake(&self, sending: &Upload) {
        let mut made: Vec<_> = sending.directories.iter().map(|(path, _)| path.clone()).collect();
        made.sort_by(|a, b| b.cmp(a));
        for some in made.chunks(200) {
            let _ = self.remote.run(&files::remove_empty_directories(some), Input::Empty).await;
        }
    }
}

/// Returns the existing directories in whose incoming directories files arrive.
fn places(sending: &Upload) -> BTreeMap<String, bool> {
    let mut places: BTreeMap<_, _> = directories(sending).into_iter().map(|directory| (directory.place, false)).collect();
    for link in &sending.links {
        places.entry(link.place.as_str().to_owned()).or_default();
    }
    for file in &sending.files {
        // What an earlier run left is kept where some of it is of use.
        *places.entry(file.place.as_str().to_owned()).or_default() |= file.have > 0;
    }
    places
}

fn arrival(sending: &Upload) -> Arrival {
    let places = places(sending);
    let kept = |path: &&String| places.iter().any(|(place, kept)| *kept && path.starts_with(&format!("{place}/{INCOMING}/")));
    let stale = sending.stale.iter().filter(kept).cloned().collect();
    let closed = sending.directories.iter().rev().filter(|(_, mode)| mode & OWNER != OWNER);
    let own = own_modes(sending).map(|(path, mode)| (path.clone(), mode));
    let own = own.collect::<Vec<_>>().into_iter().rev();
    Arrival { stale, open: sending.closed.clone(), modes: closed.cloned().chain(own).collect(), places }
}

/// Returns the modes for directories that exist already, the outer before the inner.
fn own_modes(sending: &Upload) -> impl Iterator<Item = (&String, u32)> {
    sending.modes.iter().map(|(path, mode)| (path, *mode))
}

/// Maximum size of a hole that is sent as zeros, in bytes; larger holes stay holes.
const HOLE: u64 = 1 << 20;

/// Maximum number of pieces in which the data of one file is sent: each is a command of its own.
const PIECES: usize = 64;

/// Returns the ranges of a file that contain data to send, including the end of the file.
fn ranges(file: &SendFile) -> Vec<Range<u64>> {
    let whole = file.have..file.size;
    let data = std::fs::File::open(&file.local).and_then(|open| holes::data(&open, file.have, file.size));
    // What cannot be read is told by whoever reads it.
    let Ok(data) = data else { return std::iter::once(whole).collect() };
    let mut hole = HOLE;
    loop {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for range in data.iter().cloned().chain(std::iter::once(file.size..file.size)) {
            match ranges.last_mut() {
                Some(last) if range.start - last.end < hole => last.end = range.end,
                None if range.start - file.have < hole => ranges.push(file.have..range.end),
                _ => ranges.push(range),
            }
        }
        if ranges.len() <= PIECES {
            return ranges;
        }
        hole *= 2;
    }
}

/// Permissions that the owner needs on a directory into which files are written.
const OWNER: u32 = 0o700;

/// A directory that comes into being.
struct Directory {
    /// The innermost directory above it that is there already.
    place: String,
    /// Path at which it arrives.
    arrival: String,
    /// Permission bits of the directory while files are written into it.
    mode: u32,
}

fn directories(sending: &Upload) -> Vec<Directory> {
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

/// Returns the destination for a path at which a file arrives: users know only the destination.
fn place_of(path: String) -> String {
    path.replace(&format!("/{INCOMING}/"), "/")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;
    use crate::config::RemotePath;

    #[test]
    fn data_of_a_sparse_file_travels_in_a_bounded_number_of_pieces_and_small_holes_as_zeros() {
        let home = tempfile::tempdir().expect("a folder");
        let local = home.path().join("sparse");
        let mut file = std::fs::File::create(&local).expect("made");
        let (size, megabyte) = (300 << 20, 1 << 20);
        file.set_len(size).expect("allowed");
        for at in [0, 3 * megabyte, 3 * megabyte + 100_000, 200 * megabyte] {
            file.seek(SeekFrom::Start(at)).expect("allowed");
            file.write_all(b"data").expect("written");
        }
        let path = RemotePath::new("~/x").expect("a path");
        let (remote, place) = (path.clone(), path);
        let mut sent = SendFile { local, remote, mode: 0o644, size, sha256: None, place, have: 0, new: true };
        if holes::data(&file, 0, size).expect("told").len() < 2 {
            return;
        }
        let pieces = ranges(&sent);
        assert_eq!(pieces.len(), 4, "{pieces:?}");
        assert_eq!(pieces.last(), Some(&(size..size)));
        assert!(pieces.iter().map(|range| range.end - range.start).sum::<u64>() < megabyte, "{pieces:?}");
        sent.have = 100 * megabyte;
        assert_eq!(ranges(&sent).first().map(|range| range.start), Some(200 * megabyte));
        for at in (0..300).map(|number| number * megabyte) {
            file.seek(SeekFrom::Start(at)).expect("allowed");
            file.write_all(b"data").expect("written");
        }
        assert!(ranges(&sent).len() <= PIECES);
    }
}
