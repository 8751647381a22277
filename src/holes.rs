//! Holes of sparse files: where a file has data, and how it is copied and written without filling its holes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::Path,
};

/// Returns where a file has data between `from` and `to`, in order. Where holes cannot be told, all of it is data.
///
/// # Errors
/// When the file cannot be read.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn data(file: &File, from: u64, to: u64) -> io::Result<Vec<Range<u64>>> {
    use rustix::{fs::SeekFrom as Seek, io::Errno};
    let mut ranges = Vec::new();
    let mut at = from;
    while at < to {
        let start = match rustix::fs::seek(file, Seek::Data(at)) {
            Ok(start) if start < to => start,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(std::iter::once(from..to).collect()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, Seek::Hole(start))?.min(to);
        ranges.push(start..end);
        at = end;
    }
    Ok(ranges)
}

/// Holes are told on Linux only.
///
/// # Errors
/// None.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn data(_: &File, from: u64, to: u64) -> io::Result<Vec<Range<u64>>> {
    Ok((from < to).then_some(from..to).into_iter().collect())
}

/// Copies the first `bytes` bytes of a file, holes as holes.
///
/// # Errors
/// When it has fewer, and when it cannot be read or the copy cannot be written.
pub fn copy_beginning(from: &Path, to: &Path, bytes: u64) -> io::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create(to)?);
    if source.metadata()?.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    for range in data(&source, 0, bytes)? {
        source.seek(SeekFrom::Start(range.start))?;
        target.seek(SeekFrom::Start(range.start))?;
        let length = range.end - range.start;
        if io::copy(&mut (&source).take(length), &mut target)? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    target.set_len(bytes)
}

/// Minimum size of a hole, in bytes; holes begin and end at multiples of it.
pub const BLOCK: usize = 64 << 10;

/// Writes into a file from a place on, and leaves a hole for each block of zeros.
#[derive(Debug)]
pub struct HoleWriter {
    file: File,
    /// Position at which `block` begins, in bytes.
    at: u64,
    block: Vec<u8>,
}

impl HoleWriter {
    /// Writes from `at` on: what is behind is cut off.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub fn new(file: File, at: u64) -> io::Result<Self> {
        file.set_len(at)?;
        Ok(Self { file, at, block: Vec::with_capacity(BLOCK) })
    }

    /// Writes what is left, and gives the file its length.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn finish(mut self) -> io::Result<()> {
        self.put()?;
        self.file.set_len(self.at)
    }

    fn put(&mut self) -> io::Result<()> {
        if self.block.iter().any(|byte| *byte != 0) {
            self.file.seek(SeekFrom::Start(self.at))?;
            self.file.write_all(&self.block)?;
        }
        self.at += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

impl Write for HoleWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(BLOCK - self.block.len())).unwrap_or_default();
        self.block.extend_from_slice(piece);
        if self.block.len() == BLOCK {
            self.put()?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn holes_stay_holes_when_a_beginning_is_copied_and_when_zeros_are_written() {
        let home = tempfile::tempdir().expect("a folder");
        let path = |name: &str| home.path().join(name);
        let mut file = File::create(path("sparse")).expect("made");
        file.set_len(32 << 20).expect("allowed");
        for at in [0, 9 << 20, (32 << 20) - 4] {
            file.seek(SeekFrom::Start(at)).expect("allowed");
            file.write_all(b"data").expect("written");
        }
        let content = std::fs::read(path("sparse")).expect("there");
        copy_beginning(&path("sparse"), &path("copy"), 20 << 20).expect("copied");
        assert!(std::fs::read(path("copy")).expect("there") == content[..20 << 20]);
        let mut written = HoleWriter::new(File::create(path("written")).expect("made"), 0).expect("new");
        content.chunks(100_001).for_each(|piece| written.write_all(piece).expect("written"));
        written.finish().expect("finished");
        assert!(std::fs::read(path("written")).expect("there") == content);
        // A file system may have no holes.
        if data(&file, 0, 32 << 20).expect("told").len() < 3 {
            return;
        }
        for name in ["copy", "written"] {
            assert!(path(name).metadata().expect("there").blocks() * 512 < 2 << 20, "{name}");
        }
        assert!(copy_beginning(&path("sparse"), &path("copy"), (32 << 20) + 1).is_err());
    }
}
