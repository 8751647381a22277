//! The content of a file that may be compressed as a whole, from any position.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{ArchiveError, Compression};

/// Reads a file as what it holds. Going forward is cheap: a plain file is sought in, a compressed one is decompressed once
/// from its beginning to the last byte needed; going backward in a compressed one begins anew.
pub(super) struct Bytes {
    path: PathBuf,
    compression: Compression,
    source: Source,
    position: u64,
}

enum Source {
    Plain { file: BufReader<File>, length: u64 },
    Packed(Box<dyn Read + Send>),
}

impl Bytes {
    /// Opens `path`, compressed in this way.
    pub(super) fn open(path: &Path, compression: Compression) -> Result<Self, ArchiveError> {
        let file = File::open(path)?;
        let source = match compression {
            Compression::None => {
                let length = file.metadata()?.len();
                Source::Plain { file: BufReader::new(file), length }
            }
            packed => Source::Packed(packed.decode(BufReader::with_capacity(64 << 10, file))?),
        };
        Ok(Self { path: path.to_owned(), compression, source, position: 0 })
    }

    /// Returns the compression of the file `path`, recognised by its first bytes.
    pub(super) fn compression_of(path: &Path) -> Result<Compression, ArchiveError> {
        let mut beginning = Vec::new();
        File::open(path)?.take(6).read_to_end(&mut beginning)?;
        match Compression::of(&beginning) {
            _ if beginning.is_empty() => Err(ArchiveError::Empty),
            packed @ (Compression::Xz | Compression::Bzip2) => Err(ArchiveError::Packed(packed)),
            compression => Ok(compression),
        }
    }

    /// Returns the number of bytes before the next one.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns whether any position can be reached without reading the bytes before it.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.source, Source::Plain { .. })
    }

    /// Goes to `position`; an error if that is beyond the end.
    pub(super) fn go_to(&mut self, position: u64) -> Result<(), ArchiveError> {
        match &mut self.source {
            Source::Plain { length, .. } if position > *length => return Err(ArchiveError::Truncated),
            Source::Plain { file, .. } => {
                let distance = i128::from(position) - i128::from(self.position);
                file.seek_relative(i64::try_from(distance).map_err(|_| ArchiveError::Truncated)?)?;
            }
            Source::Packed(_) if position < self.position => {
                *self = Self::open(&self.path, self.compression)?;
                return self.go_to(position);
            }
            Source::Packed(reader) => {
                let distance = position - self.position;
                if io::copy(&mut reader.take(distance), &mut io::sink())? < distance {
                    return Err(ArchiveError::Truncated);
                }
            }
        }
        self.position = position;
        Ok(())
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.source {
            Source::Plain { file, .. } => file.read(buffer)?,
            Source::Packed(reader) => reader.read(buffer)?,
        };
        self.position += read as u64;
        Ok(read)
    }
}
