//! The headers of a tar archive, one after the other, without reading what lies between them.
//!
//! The `tar` crate reads the headers themselves. It is not used for the walk because it keeps names of any length in memory,
//! and an archive is not trusted.

use std::io::Read;

use tar::{EntryType, GnuExtSparseHeader, Header, PaxExtensions};

use super::{ArchiveError, bytes::Bytes};

/// The size of a tar header and the unit that everything is padded to, in bytes.
pub(super) const BLOCK: u64 = 512;

/// The longest name or set of extended attributes that is accepted, in bytes; Linux has paths of at most 4096.
const LONGEST_EXTENSION: u64 = 64 << 10;

/// One member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Name of the member as it is written.
    pub(super) name: String,
    /// The kind of the member.
    pub(super) kind: Kind,
    /// Position of its content, in bytes from the beginning of the archive.
    pub(super) offset: u64,
    /// The size of its content in bytes.
    pub(super) size: u64,
}

/// The kind of a member of an archive.
#[derive(Debug)]
pub(super) enum Kind {
    /// A file with content.
    File,
    /// A file whose holes were left out (`tar --sparse`).
    Sparse,
    /// A symbolic link to a name that is relative to its own directory.
    Symlink(String),
    /// Another name of a member named from the root of the archive.
    HardLink(String),
    /// A directory, a device, ….
    Other,
}

/// A walk over an archive.
pub(super) struct Walk {
    /// The archive; it may be read and moved between two steps.
    pub(super) bytes: Bytes,
    next: u64,
}

/// The values that extension headers give for the member that follows them.
#[derive(Default)]
struct Extensions {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Walk {
    /// Begins at the beginning.
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, next: 0 }
    }

    /// Reads the header of the next member; `None` at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extensions = Extensions::default();
        loop {
            self.bytes.go_to(self.next)?;
            let Some(header) = self.header()? else { return Ok(None) };
            let damaged = |error: std::io::Error| ArchiveError::Damaged(error.to_string());
            let mut size = header.entry_size().map_err(damaged)?;
            let kind = header.entry_type();
            if kind == EntryType::GNUSparse && header.as_gnu().is_some_and(|gnu| gnu.is_extended()) {
                self.skip_sparse_map()?;
            }
            let is_extension = kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions();
            size = extensions.size.filter(|_| !is_extension).unwrap_or(size);
            let offset = self.bytes.position();
            let end = size.checked_next_multiple_of(BLOCK).and_then(|padded| offset.checked_add(padded));
            self.next =
                end.filter(|end| *end < 1 << 60).ok_or_else(|| ArchiveError::Damaged("a member of absurd size".into()))?;
            if is_extension {
                let content = self.extension(size)?;
                extensions.read(kind, &content);
                continue;
            }
            if kind.is_pax_global_extensions() {
                continue;
            }
            let name = extensions.name.unwrap_or_else(|| lossy(&header.path_bytes()));
            let link = || extensions.link.unwrap_or_else(|| lossy(&header.link_name_bytes().unwrap_or_default()));
            let kind = match kind {
                EntryType::GNUSparse => Kind::Sparse,
                EntryType::Regular if extensions.is_sparse => Kind::Sparse,
                EntryType::Regular | EntryType::Continuous if !name.ends_with('/') => Kind::File,
                EntryType::Symlink => Kind::Symlink(link()),
                EntryType::Link => Kind::HardLink(link()),
                _ => Kind::Other,
            };
            return Ok(Some(Member { name, kind, offset, size }));
        }
    }

    /// Reads a header; `None` where the archive ends, be it with a block of zeros or without.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut block = [0; BLOCK as usize];
        let read = read_up_to(&mut self.bytes, &mut block)?;
        match read {
            0 if self.next > 0 => return Ok(None),
            BLOCK_SIZE => {}
            _ if self.next == 0 => return Err(ArchiveError::NotTar),
            _ => return Err(ArchiveError::Truncated),
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        let claimed = header.cksum().ok();
        header.set_cksum();
        if claimed.is_none() || claimed != header.cksum().ok() {
            let at = self.next;
            return Err(if at == 0 {
                ArchiveError::NotTar
            } else {
                ArchiveError::Damaged(format!("no tar header at byte {at}"))
            });
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > LONGEST_EXTENSION {
            return Err(ArchiveError::TooLarge { name: "the name of a member".into(), size });
        }
        read_exactly(&mut self.bytes, size)
    }

    /// Skips the rest of GNU tar's map of a sparse file, in blocks between header and content.
    fn skip_sparse_map(&mut self) -> Result<(), ArchiveError> {
        let mut block = GnuExtSparseHeader::new();
        loop {
            self.bytes.read_exact(block.as_mut_bytes())?;
            if !block.is_extended() {
                return Ok(());
            }
        }
    }
}

const BLOCK_SIZE: usize = BLOCK as usize;

impl Extensions {
    fn read(&mut self, kind: EntryType, content: &[u8]) {
        let text = || lossy(content.strip_suffix(&[0]).unwrap_or(content));
        if kind.is_gnu_longname() {
            self.name = Some(text());
        } else if kind.is_gnu_longlink() {
            self.link = Some(text());
        } else {
            for record in PaxExtensions::new(content).flatten() {
                match record.key_bytes() {
                    // The name in the header is then one that nobody gave.
                    b"GNU.sparse.name" => (self.name, self.is_sparse) = (Some(lossy(record.value_bytes())), true),
                    b"GNU.sparse.map" | b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.is_sparse = true,
                    b"path" if self.is_sparse && self.name.is_some() => {}
                    b"path" => self.name = Some(lossy(record.value_bytes())),
                    b"linkpath" => self.link = Some(lossy(record.value_bytes())),
                    b"size" => self.size = record.value().ok().and_then(|size| size.parse().ok()),
                    _ => {}
                }
            }
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads `size` bytes, neither more nor less. The caller has seen to it that `size` is small.
pub(super) fn read_exactly(reader: &mut impl Read, size: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut content = Vec::new();
    reader.take(size).read_to_end(&mut content)?;
    if (content.len() as u64) < size { Err(ArchiveError::Truncated) } else { Ok(content) }
}

/// Fills `buffer` as far as the stream goes.
pub(super) fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Returns a member's name as the path from the root of the archive: `./a//b` and `/a/b` become `a/b`. `None` if it leads
/// out.
pub(super) fn clean(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cleaned_and_never_leads_out() {
        assert_eq!(clean("./a//b/."), Some("a/b".into()));
        assert_eq!(clean("/a/b"), Some("a/b".into()));
        assert_eq!(clean("a/../b"), Some("b".into()));
        assert_eq!(clean("a/../../b"), None);
        assert_eq!(clean("../b"), None);
        assert_eq!(clean("./"), Some(String::new()));
    }
}
