//! Files that people write and that are small by nature: read whole, within a bound, and only where they are files. A pipe or a
//! device under such a name would be waited for without end.

use std::{fs::File, io, io::Read, path::Path};

/// The largest that is read, in bytes.
pub const LIMIT: u64 = 1 << 20;

/// The largest list that is read, in bytes: one that grows by a line now and then.
pub const LIST_LIMIT: u64 = 32 << 20;

/// Sees that there is a file, and not something that only looks like one. Links are followed.
///
/// # Errors
/// There is nothing, or something else; a directory is told by whoever opens it.
pub fn check(path: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    match metadata.is_file() || metadata.is_dir() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory")),
    }
}

/// Reads a file's text.
///
/// # Errors
/// It cannot be read, is none, is larger than [`LIMIT`], or no UTF-8 text.
pub fn read(path: &Path) -> io::Result<String> {
    let bytes = bytes(path, LIMIT)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// It cannot be read, is none, or is larger.
pub fn bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    check(path)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} KiB", limit >> 10)));
    }
    Ok(bytes)
}

/// Sees that what is written to under a name is a file, or not there yet.
///
/// # Errors
/// It is something else.
pub fn check_target(path: &Path) -> io::Result<()> {
    match check(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Writes a file.
///
/// # Errors
/// It cannot be written, or something that is no file has its name.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    check_target(path)?;
    std::fs::write(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_within_its_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "text").expect("written");
        assert_eq!(read(&path).expect("read"), "text");
        File::create(&path).and_then(|file| file.set_len(LIMIT + 1)).expect("written");
        assert_eq!(read(&path).expect_err("too large").to_string(), "it is larger than 1024 KiB");
        std::fs::write(&path, b"\xff").expect("written");
        assert_eq!(read(&path).expect_err("no text").to_string(), "it is not UTF-8 text");
        assert_eq!(read(&folder.path().join("gone")).expect_err("gone").kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_waits_for_a_pipe() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).expect("a pipe");
        for said in [read(&path).map(drop), bytes(&path, LIST_LIMIT).map(drop), write(&path, ""), check_target(&path)] {
            assert_eq!(said.expect_err("no file").to_string(), "it is neither a file nor a directory");
        }
        assert!(bytes(Path::new("/dev/zero"), LIMIT).is_err(), "one that never ends");
        check_target(&folder.path().join("gone")).expect("it can be made");
    }
}
