//! Any number of files as one tar stream through one command.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Ssh,
    exec::{Sink, exchange},
    pieces::{Measured, PIECE, PieceReader, PieceWriter, WAITING, tell},
    room,
};
use crate::{
    command::{Command, path_lines},
    remote::{
        Downloaded, Exit, Get, Input, OnBytes, Put, Remote, RemoteError, TarDownload, TarUpload, is_no_space, last_lines,
    },
};

/// Implements [`crate::remote::Remote::put`].
pub(super) async fn put(ssh: &Ssh, taking: &TarUpload<'_>, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let payload = Arc::new(AtomicU64::new(0));
    let archive = spawn_blocking({
        let (head, directories) = (taking.head.clone(), taking.directories.to_vec());
        let content = Content { head, directories, files: taking.files.to_vec(), links: taking.links.to_vec() };
        let payload = Arc::clone(&payload);
        move || pack(&content, sender, &payload)
    });
    let (mut stderr, mut told) = (Vec::new(), 0);
    let mut sent = |_| told += tell(&payload, told, progress);
    let output = Sink::Call(&mut |_, bytes| stderr.extend_from_slice(bytes));
    let exit = exchange(ssh, taking.command, Input::Pieces(pieces), &mut sent, output).await;
    // The thread ends once nobody takes its pieces; a file that could not be read explains the rest.
    match (archive.await, exit) {
        (Ok(Err(error)), Ok(_) | Err(RemoteError::Input(_))) if !matches!(error, RemoteError::Input(_)) => Err(error),
        (_, Err(error)) => Err(error),
        (_, Ok(exit)) if exit.is_success() => {
            tell(&payload, told, progress);
            Ok(())
        }
        (_, Ok(exit)) => Err(why_not(ssh, taking, exit, &stderr).await),
    }
}

/// Returns the error of an upload: `tar` names the file that it could not write, unless it shows the name escaped; then the
/// first file is named.
async fn why_not(ssh: &Ssh, taking: &TarUpload<'_>, exit: Exit, stderr: &[u8]) -> RemoteError {
    let (command, files) = (taking.command, taking.files);
    let lines = last_lines(stderr, 20);
    let named = lines.iter().find_map(|line| files.iter().find(|file| line.contains(in_archive(&file.remote))));
    let (Some(file), Some(reason)) = (named.or(files.first()), lines.first()) else {
        return RemoteError::Failed { command: command.shown(), exit, last_lines: lines };
    };
    let path = file.remote.clone();
    if lines.iter().any(|line| is_no_space(line)) {
        return RemoteError::NoSpace { path };
    }
    match room::is_missing(ssh, &path).await {
        Err(lost) => lost,
        Ok(true) => RemoteError::NoSpace { path },
        Ok(false) if named.is_some() || files.len() == 1 => RemoteError::File { path, reason: reason.clone() },
        Ok(false) => RemoteError::Failed { command: command.shown(), exit, last_lines: lines },
    }
}

/// Returns a path as it is in an archive: without the slash that makes it absolute.
fn in_archive(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// The content of an archive, and the bytes before it.
struct Content {
    head: Vec<u8>,
    directories: Vec<(String, u32)>,
    files: Vec<Put>,
    links: Vec<(String, String)>,
}

fn pack(content: &Content, sender: mpsc::Sender<io::Result<Vec<u8>>>, payload: &AtomicU64) -> Result<(), RemoteError> {
    let Content { head, directories, files, links } = content;
    let failed = sender.clone();
    let mut stream = PieceWriter::new(sender);
    stream.write_all(head).map_err(RemoteError::Input)?;
    let mut archive = tar::Builder::new(stream);
    let result = directories
        .iter()
        .try_for_each(|(path, mode)| pack_directory(&mut archive, path, *mode))
        .and_then(|()| files.iter().try_for_each(|file| pack_one(&mut archive, file, payload)))
        .and_then(|()| links.iter().try_for_each(|(path, target)| pack_link(&mut archive, path, target)))
        .and_then(|()| archive.into_inner().and_then(PieceWriter::finish).map_err(RemoteError::Input));
    if result.is_err() {
        // Without this the device would take the end of the stream for the end of the archive.
        let _ = failed.blocking_send(Err(io::ErrorKind::Interrupted.into()));
    }
    result
}

fn pack_directory<W: io::Write>(archive: &mut tar::Builder<W>, path: &str, mode: u32) -> Result<(), RemoteError> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    header.set_mtime(now());
    archive.append_data(&mut header, in_archive(path), io::empty()).map_err(RemoteError::Input)
}

fn pack_link<W: io::Write>(archive: &mut tar::Builder<W>, path: &str, target: &str) -> Result<(), RemoteError> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_mtime(now());
    archive.append_link(&mut header, in_archive(path), target).map_err(RemoteError::Input)
}

/// Returns the time of this computer, in seconds since 1970.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn pack_one<W: io::Write>(archive: &mut tar::Builder<W>, file: &Put, payload: &AtomicU64) -> Result<(), RemoteError> {
    let local = |source| RemoteError::Local { path: file.local.clone(), source };
    let source = std::fs::File::open(&file.local).map_err(local)?;
    let metadata = source.metadata().map_err(local)?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(metadata.len());
    header.set_mode(file.mode);
    header.set_mtime(modified.unwrap_or_default().as_secs());
    let mut source = Measured::new(
        BufReader::with_capacity(PIECE.min(usize::try_from(metadata.len()).unwrap_or(PIECE)), source),
        metadata.len(),
        payload,
    );
    let result = archive.append_data(&mut header, in_archive(&file.remote), &mut source);
    match (result, source.failed) {
        (_, Some(error)) => Err(local(error)),
        (Ok(()), None) => Ok(()),
        (Err(error), None) => Err(RemoteError::Input(error)),
    }
}

/// Implements [`crate::remote::Remote::get`].
pub(super) async fn get(
    ssh: &Ssh,
    giving: &TarDownload<'_>,
    progress: &mut OnBytes<'_>,
) -> Result<Vec<Downloaded>, RemoteError> {
    let (command, files) = (giving.command, giving.files);
    let (sender, pieces) = mpsc::channel(WAITING);
    let payload = Arc::new(AtomicU64::new(0));
    let unpacked = spawn_blocking({
        let (files, payload) = (files.to_vec(), Arc::clone(&payload));
        move || unpack(&files, PieceReader::new(pieces), &payload)
    });
    let mut stderr = Vec::new();
    let mut told = 0;
    let exit = {
        let (mut sent, input) = (|_| (), Input::Bytes(giving.input.clone()));
        let exchange = exchange(ssh, command, input, &mut sent, Sink::Pieces(sender, &mut stderr));
        tokio::pin!(exchange);
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            tokio::select! {
                exit = &mut exchange => break exit,
                _ = tick.tick() => told += tell(&payload, told, progress),
            }
        }
    };
    let unpacked = unpacked.await.expect("the thread that unpacks does not panic");
    let exit = match exit {
        Ok(exit) => exit,
        Err(RemoteError::Input(error)) => return Err(unpacked.err().unwrap_or(RemoteError::Input(error))),
        Err(error) => return Err(error),
    };
    tell(&payload, told, progress);
    let failed =
        |exit: &Exit| RemoteError::Failed { command: command.shown(), exit: exit.clone(), last_lines: last_lines(&stderr, 20) };
    let got = match unpacked {
        // 1 and 2 are what `tar` says of files that changed or vanished.
        Err(RemoteError::Input(_)) if !exit.is_success() => return Err(failed(&exit)),
        result => result?,
    };
    if !matches!(exit, Exit::Code(0..=2)) {
        return Err(failed(&exit));
    }
    explain_missing(ssh, files, &got, &stderr).await?;
    Ok(got.into_iter().map(|bytes| bytes.map_or(Downloaded::Vanished, Downloaded::Bytes)).collect())
}

/// Names for the script, relative to `/`.
fn names<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let names: Vec<_> = paths.map(|path| in_archive(path).to_owned()).collect();
    path_lines(&names)
}

/// Asks the device whether a missing file has vanished, or exists and could not be read.
async fn explain_missing(ssh: &Ssh, files: &[Get], got: &[Option<u64>], stderr: &[u8]) -> Result<(), RemoteError> {
    let missing: Vec<_> = files.iter().zip(got).filter(|(_, got)| got.is_none()).map(|(file, _)| file).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = Command::script(include_str!("name_present.sh"));
    let lines_of_names = names(missing.iter().map(|file| file.remote.as_str()));
    let there = ssh.run(&command, Input::Bytes(lines_of_names)).await?.success(&command)?;
    if there.is_empty() {
        return Ok(());
    }
    let found = missing.iter().find(|file| names(std::iter::once(file.remote.as_str())) == there);
    let path = found.map(|file| file.remote.clone()).unwrap_or_default();
    let lines = last_lines(stderr, usize::MAX);
    let reason = lines.iter().find(|line| line.contains(in_archive(&path))).or(lines.first()).cloned();
    Err(RemoteError::File { path, reason: reason.unwrap_or_else(|| "it is not a file that can be read".into()) })
}

/// Unpacks what comes into the local files; how many bytes came of each.
pub(super) fn unpack(files: &[Get], pieces: impl Read, payload: &AtomicU64) -> Result<Vec<Option<u64>>, RemoteError> {
    let mut wanted: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, file) in files.iter().enumerate() {
        wanted.entry(in_archive(&file.remote).as_bytes()).or_default().push(index);
    }
    let mut first: HashMap<Vec<u8>, &Path> = HashMap::new();
    let (mut got, mut piece) = (vec![None; files.len()], vec![0; PIECE]);
    let mut archive = tar::Archive::new(pieces);
    archive.set_ignore_zeros(true);
    for entry in archive.entries().map_err(RemoteError::Input)? {
        let mut entry = entry.map_err(RemoteError::Input)?;
        let name = own_name(&entry.path_bytes());
        // It comes once, however many want it.
        let Some(indices) = wanted.remove(name.as_slice()) else { continue };
        let mut places = indices.iter().filter_map(|index| files.get(*index)).map(|file| &file.local);
        let Some(place) = places.next() else { continue };
        let local = |path: &Path, source| RemoteError::Local { path: path.into(), source };
        let bytes = match entry.header().entry_type() {
            kind if kind.is_file() => {
                let mut target = std::fs::File::create(place).map_err(|source| local(place, source))?;
                copy(&mut entry, &mut target, &mut piece, payload).map_err(|error| error.of(place))?
            }
            // A second name of a file that came already.
            tar::EntryType::Link => {
                let original = own_name(&entry.link_name_bytes().unwrap_or_default());
                let Some(path) = first.get(&original) else { continue };
                std::fs::copy(path, place).map_err(|source| local(place, source))?
            }
            _ => continue,
        };
        for other in places {
            std::fs::copy(place, other).map_err(|source| local(other, source))?;
            payload.fetch_add(bytes, Ordering::Relaxed);
        }
        first.insert(name, place);
        for index in indices {
            if let Some(got) = got.get_mut(index) {
                *got = Some(bytes);
            }
        }
    }
    Ok(got)
}

/// Returns the name of a member without `.` parts and empty parts: `tar` keeps or drops the `./` of a given name, and adds
/// one in a tree.
fn own_name(name: &[u8]) -> Vec<u8> {
    let name = name.strip_prefix(b".").filter(|rest| rest.starts_with(b"/")).unwrap_or(name);
    let parts = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}

enum CopyError {
    Source(io::Error),
    Target(io::Error),
}

impl CopyError {
    fn of(self, path: &Path) -> RemoteError {
        match self {
            Self::Source(error) => RemoteError::Input(error),
            Self::Target(source) => RemoteError::Local { path: path.to_owned(), source },
        }
    }
}

/// Copies by way of `piece`, which is as large as the pieces are to be.
fn copy(source: &mut impl Read, target: &mut impl Write, piece: &mut [u8], payload: &AtomicU64) -> Result<u64, CopyError> {
    let mut total = 0;
    loop {
        let count = match source.read(piece) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Source(error)),
        };
        target.write_all(piece.get(..count).unwrap_or_default()).map_err(CopyError::Target)?;
        total += count as u64;
        payload.fetch_add(count as u64, Ordering::Relaxed);
    }
}
