//! The bytes of a layer, proven by its diff ID on the way.

use std::io::{self, Read, Write};

use flate2::write::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::{ArchiveError, DiffId};

/// Reads an uncompressed layer. Its end is an error if what came is not what the diff ID promises.
pub struct LayerReader<R> {
    source: R,
    proof: Option<Proof>,
}

impl<R: Read> LayerReader<R> {
    pub(super) fn new(source: R, diff_id: DiffId) -> Self {
        Self { source, proof: Some(Proof::of(diff_id)) }
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        match (&mut self.proof, buffer.get(..read)) {
            (Some(proof), Some(bytes)) if read > 0 => proof.hasher.update(bytes),
            _ if buffer.is_empty() => {}
            _ => self.proof.take().map_or(Ok(()), Proof::finish)?,
        }
        Ok(read)
    }
}

/// Collects bytes until they can be compared with a diff ID.
struct Proof {
    hasher: Sha256,
    diff_id: DiffId,
}

impl Proof {
    fn of(diff_id: DiffId) -> Self {
        Self { hasher: Sha256::new(), diff_id }
    }

    fn finish(self) -> io::Result<()> {
        match DiffId::finish(self.hasher) == self.diff_id {
            true => Ok(()),
            false => Err(ArchiveError::Layer(self.diff_id).into()),
        }
    }
}

impl Write for Proof {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies a layer that is stored with gzip as it is, and decompresses it on the side to prove it.
pub(super) fn copy_gzip(source: &mut impl Read, diff_id: DiffId, out: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    let mut check = MultiGzDecoder::new(Proof::of(diff_id));
    let copied = copy(source, |bytes| {
        check.write_all(bytes)?;
        out.write_all(bytes)
    })?;
    check.finish()?.finish()?;
    Ok(copied)
}

/// Hands on everything that `source` gives, in large pieces.
pub(super) fn copy(source: &mut impl Read, mut out: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => {
                out(buffer.get(..read).unwrap_or_default())?;
                copied += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
