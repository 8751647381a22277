//! Files over SFTP: many small ones at once, big ones with many requests under way.

use std::{cell::RefCell, io, path::Path};

use futures_util::{StreamExt, TryStreamExt, stream};
use russh::ChannelMsg;
use russh_sftp::{
    client::{Config, SftpSession, error::Error as SftpError, fs::File},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
};

use super::{Ssh, room};
use crate::remote::{Get, Got, OnBytes, Put, RemoteError};

/// Files under way at once.
const FILES: usize = 32;
/// Files larger than [`SMALL`] under way at once: one fills the line, the second covers its ends.
const BIG_FILES: usize = 2;
/// The size of one request, in bytes, and so of a file that takes only one.
const SMALL: usize = 32 << 10;
/// Requests under way for one file.
const REQUESTS: usize = 64;
/// Pieces in which files here are read and written, in bytes.
const PIECE: usize = 256 << 10;

/// Asks the device for SFTP; `None` when it has none. A refusal is seen in the answer to the request, or, where the server
/// is configured but missing, in a session that does not begin.
pub(super) async fn open(ssh: &Ssh) -> Result<Option<SftpSession>, RemoteError> {
    let mut channel = match ssh.handle.channel_open_session().await {
        Ok(channel) => channel,
        Err(russh::Error::ChannelOpenFailure(_)) => return Ok(None),
        Err(_) => return Err(ssh.lost().await),
    };
    if channel.request_subsystem(true, "sftp").await.is_err() {
        return Err(ssh.lost().await);
    }
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure | ChannelMsg::Close) => {
                // The refused channel stays open otherwise, and counts as a session.
                let _ = channel.close().await;
                return Ok(None);
            }
            Some(_) => {}
            None => return Err(ssh.lost().await),
        }
    }
    let config = Config {
        // Read requests take their size from this, less what surrounds the data.
        max_packet_len: SMALL as u32 + 1024,
        max_concurrent_reads: REQUESTS,
        max_concurrent_writes: REQUESTS,
        // At 2 Mbit/s a full window alone takes longer than the default of 10 s.
        request_timeout_secs: 120,
        ..Config::default()
    };
    let session = async { Ok(SftpSession::new_with_config(channel.into_stream(), config).await.ok()) };
    match ssh.unless_lost(session).await? {
        None if ssh.handle.is_closed() => Err(ssh.lost().await),
        session => Ok(session),
    }
}

/// As [`Remote::put`].
pub(super) async fn put(
    ssh: &Ssh,
    session: &SftpSession,
    files: &[Put],
    progress: &mut OnBytes<'_>,
) -> Result<(), RemoteError> {
    let (progress, big) = (RefCell::new(progress), Semaphore::new(BIG_FILES));
    let work = stream::iter(files.iter().map(Ok::<_, RemoteError>))
        .try_for_each_concurrent(FILES, |file| put_one(ssh, session, file, &progress, &big));
    ssh.unless_lost(work).await
}

async fn put_one(
    ssh: &Ssh,
    session: &SftpSession,
    file: &Put,
    progress: &RefCell<&mut OnBytes<'_>>,
    big: &Semaphore,
) -> Result<(), RemoteError> {
    let local = |source| RemoteError::Local { path: file.local.clone(), source };
    let mut source = tokio::fs::File::open(&file.local).await.map_err(local)?;
    let length = source.metadata().await.map_err(local)?.len();
    let _turn = if length > SMALL as u64 { big.acquire().await.ok() } else { None };
    let mut target = match create(session, &file.remote).await {
        Ok(target) => target,
        Err(error) => return Err(why_not(ssh, &file.remote, error).await),
    };
    let mut piece = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE).max(1))];
    loop {
        let count = source.read(&mut piece).await.map_err(local)?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        if let Err(error) = target.write_all(bytes).await {
            return Err(why_not(ssh, &file.remote, error.into()).await);
        }
        progress.borrow_mut()(count as u64);
    }
    let end = async {
        let mode = FileAttributes { permissions: Some(file.mode), ..FileAttributes::empty() };
        // Writes are confirmed before the mode is set and the file is closed: each of them may report the write that failed.
        target.set_metadata(mode).await?;
        target.shutdown().await.map_err(SftpError::from)
    };
    match end.await {
        Ok(()) => Ok(()),
        Err(error) => Err(why_not(ssh, &file.remote, error).await),
    }
}

/// Creates a file. One that is there is removed first, as `tar` does: it may be read-only, or a link to elsewhere.
async fn create(session: &SftpSession, path: &str) -> Result<File, SftpError> {
    let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE;
    let private = FileAttributes { permissions: Some(0o600), ..FileAttributes::empty() };
    match session.open_with_flags_and_attributes(path, flags, private.clone()).await {
        Err(SftpError::Status(status)) if status.status_code == StatusCode::Failure => {
            let first = SftpError::Status(status);
            if session.remove_file(path).await.is_err() {
                return Err(first);
            }
            session.open_with_flags_and_attributes(path, flags, private).await
        }
        result => result,
    }
}

/// SFTP says only "Failure" for a full disk: a command tells.
async fn why_not(ssh: &Ssh, path: &str, error: SftpError) -> RemoteError {
    let said = match &error {
        SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => "no such file or directory".to_owned(),
        SftpError::Status(status) if status.status_code == StatusCode::PermissionDenied => "permission denied".to_owned(),
        other => match room::is_missing(ssh, path).await {
            Err(lost) => return lost,
            Ok(true) => return RemoteError::NoSpace { path: path.to_owned() },
            Ok(false) => reason(other),
        },
    };
    RemoteError::File { path: path.to_owned(), reason: said }
}

/// What an answer says, or why there was none: anything but a status means that the server is gone or went astray.
fn reason(error: &SftpError) -> String {
    match error {
        SftpError::Status(_) | SftpError::Limited(_) => error.to_string(),
        SftpError::Timeout => "its SFTP server does not answer".into(),
        SftpError::IO(_) | SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => {
            "its SFTP server ended in the middle".into()
        }
    }
}

/// As [`Remote::get`].
pub(super) async fn get(
    ssh: &Ssh,
    session: &SftpSession,
    files: &[Get],
    progress: &mut OnBytes<'_>,
) -> Result<Vec<Got>, RemoteError> {
    let (progress, big) = (RefCell::new(progress), Semaphore::new(BIG_FILES));
    let work = stream::iter(files).map(|file| get_one(session, file, &progress, &big)).buffered(FILES).try_collect();
    ssh.unless_lost(work).await
}

async fn get_one(
    session: &SftpSession,
    file: &Get,
    progress: &RefCell<&mut OnBytes<'_>>,
    big: &Semaphore,
) -> Result<Got, RemoteError> {
    let refused = |reason: String| RemoteError::File { path: file.remote.clone(), reason };
    let mut source = match session.open(&file.remote).await {
        Ok(source) => source,
        Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => return Ok(Got::Vanished),
        Err(error) => return Err(refused(reason(&error))),
    };
    // As far as it goes now: one that grows faster than it is read would never end.
    let size = source.metadata().await.map_err(|error| refused(reason(&error)))?.size.unwrap_or(u64::MAX);
    let _turn = if size > SMALL as u64 { big.acquire().await.ok() } else { None };
    let mut target = Local::create(&file.local).await?;
    let length = |left: u64| usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let (mut piece, mut total) = (vec![0; length(size)], 0);
    while total < size {
        let room = piece.get_mut(..length(size - total)).unwrap_or_default();
        let count = fill(&mut source, room).await.map_err(|error| refused(reason(&error.into())))?;
        let came = room.get(..count).unwrap_or_default();
        target.write(came).await?;
        total += count as u64;
        progress.borrow_mut()(count as u64);
        if count < room.len() {
            break;
        }
    }
    target.finish().await?;
    source.shutdown().await.map_err(|error| refused(reason(&error.into())))?;
    Ok(Got::Bytes(total))
}

/// Reads until the piece is full or the file ends.
async fn fill(source: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room).await? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// A file here that is being written.
struct Local<'a> {
    path: &'a Path,
    file: tokio::fs::File,
}

impl<'a> Local<'a> {
    async fn create(path: &'a Path) -> Result<Self, RemoteError> {
        let file = tokio::fs::File::create(path).await;
        Ok(Self { path, file: file.map_err(|source| RemoteError::Local { path: path.to_owned(), source })? })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        let result = self.file.write_all(bytes).await;
        result.map_err(|source| RemoteError::Local { path: self.path.to_owned(), source })
    }

    /// The last piece is still on its way to the file, and with it its error.
    async fn finish(mut self) -> Result<(), RemoteError> {
        let result = self.file.flush().await;
        result.map_err(|source| RemoteError::Local { path: self.path.to_owned(), source })
    }
}
