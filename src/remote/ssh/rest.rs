//! One large file, or the rest of one, as it is: by way of a command that reads or writes nothing else.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Ssh,
    exec::{Sink, exchange},
    pieces::{Measured, PIECE, PieceReader, WAITING, tell},
    room,
};
use crate::{
    command::Command,
    holes::HoleWriter,
    remote::{Exit, FileRange, Input, OnBytes, RemoteError, is_no_space, last_lines},
};

/// Implements [`crate::remote::Remote::append`].
pub(super) async fn append(
    ssh: &Ssh,
    command: &Command,
    rest: &FileRange,
    progress: &mut OnBytes<'_>,
) -> Result<(), RemoteError> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let payload = Arc::new(AtomicU64::new(0));
    let reading = spawn_blocking({
        let (rest, payload) = (rest.clone(), Arc::clone(&payload));
        move || read(&rest, &sender, &payload)
    });
    let (mut stderr, mut told) = (Vec::new(), 0);
    let mut sent = |_| told += tell(&payload, told, progress);
    let output = Sink::Call(&mut |_, bytes| stderr.extend_from_slice(bytes));
    let exit = exchange(ssh, command, Input::Pieces(pieces), &mut sent, output).await;
    match (reading.await, exit) {
        // A file that could not be read explains the rest.
        (Ok(Err(source)), Ok(_) | Err(RemoteError::Input(_))) => Err(RemoteError::Local { path: rest.local.clone(), source }),
        (_, Err(error)) => Err(error),
        (_, Ok(exit)) if exit.is_success() => {
            tell(&payload, told, progress);
            Ok(())
        }
        (_, Ok(exit)) => Err(why_not(ssh, rest, command, exit, &stderr).await),
    }
}

async fn why_not(ssh: &Ssh, rest: &FileRange, command: &Command, exit: Exit, stderr: &[u8]) -> RemoteError {
    let (lines, path) = (last_lines(stderr, 20), rest.remote.clone());
    if lines.iter().any(|line| is_no_space(line)) {
        return RemoteError::NoSpace { path };
    }
    match (room::is_missing(ssh, &path).await, lines.last()) {
        (Err(lost), _) => lost,
        (Ok(true), _) => RemoteError::NoSpace { path },
        (Ok(false), Some(reason)) => RemoteError::File { path, reason: reason.clone() },
        (Ok(false), None) => RemoteError::Failed { command: command.shown(), exit, last_lines: lines },
    }
}

/// Reads from `rest.from` to `rest.to`.
fn read(rest: &FileRange, sender: &mpsc::Sender<io::Result<Vec<u8>>>, payload: &AtomicU64) -> io::Result<()> {
    let read_all = || {
        let mut file = File::open(&rest.local)?;
        file.seek(SeekFrom::Start(rest.from))?;
        let mut left = rest.to.saturating_sub(rest.from);
        let mut source = Measured::new(file, left, payload);
        while left > 0 {
            let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
            source.read_exact(&mut piece).map_err(|error| source.failed.take().unwrap_or(error))?;
            left -= piece.len() as u64;
            if sender.blocking_send(Ok(piece)).is_err() {
                // Whoever takes it has gone, and knows why.
                break;
            }
        }
        Ok(())
    };
    read_all().inspect_err(|_| {
        // Without this the device would take the end of the stream for the end of the file.
        let _ = sender.blocking_send(Err(io::ErrorKind::Interrupted.into()));
    })
}

/// Implements [`crate::remote::Remote::take`].
pub(super) async fn take(
    ssh: &Ssh,
    command: &Command,
    rest: &FileRange,
    progress: &mut OnBytes<'_>,
) -> Result<(), RemoteError> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let payload = Arc::new(AtomicU64::new(0));
    let writing = spawn_blocking({
        let (rest, payload) = (rest.clone(), Arc::clone(&payload));
        move || write(&rest, pieces, &payload)
    });
    let (mut stderr, mut told) = (Vec::new(), 0);
    let exit = {
        let mut sent = |_| ();
        let exchange = exchange(ssh, command, Input::Empty, &mut sent, Sink::Pieces(sender, &mut stderr));
        tokio::pin!(exchange);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                exit = &mut exchange => break exit,
                _ = tick.tick() => told += tell(&payload, told, progress),
            }
        }
    };
    let written = writing.await.expect("the thread that writes does not panic");
    tell(&payload, told, progress);
    let local = |source| RemoteError::Local { path: rest.local.clone(), source };
    match (written.map_err(local)?, exit) {
        // All that was wanted came; a file that grows goes on and on.
        (true, Ok(_) | Err(RemoteError::Input(_))) => Ok(()),
        (_, Err(error)) => Err(error),
        (false, Ok(exit)) => {
            let lines = last_lines(&stderr, 20);
            // `dd` counts its blocks there as well.
            let reason = lines.iter().find(|line| line.contains(": ")).cloned();
            match reason.or_else(|| exit.is_success().then(|| "it became shorter while it was fetched".into())) {
                Some(reason) => Err(RemoteError::File { path: rest.remote.clone(), reason }),
                None => Err(RemoteError::Failed { command: command.shown(), exit, last_lines: lines }),
            }
        }
    }
}

/// Writes what comes from `rest.from` on; whether all came that was wanted. Of a file with holes it comes compressed, and blocks of
/// zeros become holes again.
fn write(rest: &FileRange, pieces: mpsc::Receiver<Vec<u8>>, payload: &AtomicU64) -> io::Result<bool> {
    let file = open(&rest.local, rest.from)?;
    let mut pieces = PieceReader::new(pieces);
    let mut kind = [0];
    if pieces.read(&mut kind)? == 0 {
        return Ok(rest.from >= rest.to);
    }
    if kind != *b"z" {
        return copy(&mut pieces, &mut &file, rest, payload);
    }
    let mut holes = HoleWriter::new(file, rest.from)?;
    let came = copy(&mut flate2::read::GzDecoder::new(pieces), &mut holes, rest, payload)?;
    holes.finish()?;
    Ok(came)
}

/// Copies the bytes of the range; returns whether all of them came.
fn copy(source: &mut impl Read, target: &mut impl Write, rest: &FileRange, payload: &AtomicU64) -> io::Result<bool> {
    let mut left = rest.to.saturating_sub(rest.from);
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let room = piece.split_at_mut(usize::try_from(left).unwrap_or(PIECE).min(PIECE)).0;
        // What breaks off is no end of a compressed stream: it did not come.
        let count = match source.read(room) {
            Ok(0) | Err(_) => return Ok(false),
            Ok(count) => count,
        };
        target.write_all(room.get(..count).unwrap_or_default())?;
        left -= count as u64;
        payload.fetch_add(count as u64, Ordering::Relaxed);
    }
    Ok(true)
}

/// Opens a file for writing behind its first `from` bytes.
fn open(path: &Path, from: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.set_len(from)?;
    file.seek(SeekFrom::Start(from))?;
    Ok(file)
}
