//! Byte streams between a blocking thread and the connection, in large pieces and with a bound on how many wait.

use std::{
    io::{self, Read, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc;

use crate::remote::OnBytes;

/// The size of a piece, in bytes.
pub(super) const PIECE: usize = 256 << 10;

/// Pieces between the thread that reads or writes files and the connection.
pub(super) const WAITING: usize = 4;

/// Reports the payload bytes that have not been reported yet, and returns their number.
pub(super) fn tell(payload: &AtomicU64, told: u64, progress: &mut OnBytes<'_>) -> u64 {
    let news = payload.load(Ordering::Relaxed).saturating_sub(told);
    if news > 0 {
        progress(news);
    }
    news
}

/// Gathers what is written into pieces and sends them.
pub(super) struct PieceWriter {
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
}

impl PieceWriter {
    pub(super) fn new(sender: mpsc::Sender<io::Result<Vec<u8>>>) -> Self {
        Self { sender, piece: Vec::with_capacity(PIECE) }
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if self.piece.len() == PIECE {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads pieces as one stream that ends when no more can come.
pub(super) struct PieceReader {
    pieces: mpsc::Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl PieceReader {
    pub(super) fn new(pieces: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { pieces, piece: io::Cursor::default() }
    }
}

impl Read for PieceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buf)?;
            if count > 0 || buf.is_empty() {
                return Ok(count);
            }
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

/// Reads exactly as many bytes as were promised: a file that grows is taken as far as it was, one that shrinks is an error.
pub(super) struct Measured<'a, R> {
    inner: R,
    left: u64,
    payload: &'a AtomicU64,
    /// The error of the inner reader, kept apart from the errors of those who read from this one.
    pub(super) failed: Option<io::Error>,
}

impl<'a, R: Read> Measured<'a, R> {
    pub(super) fn new(inner: R, left: u64, payload: &'a AtomicU64) -> Self {
        Self { inner, left, payload, failed: None }
    }
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let result = match buf.get_mut(..room) {
            Some(room) if !room.is_empty() => self.inner.read(room),
            _ => return Ok(0),
        };
        match result {
            Ok(0) => {
                self.failed = Some(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was sent"));
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                self.left -= count as u64;
                self.payload.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(io::Error::new(error.kind(), error.to_string()));
                Err(error)
            }
        }
    }
}
