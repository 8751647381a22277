//! Indexes the content of a layer, in pieces that can be found again in another layer.
//!
//! The content of files is cut where the content itself says so (FastCDC), so that a change moves only the cuts around it.

use std::io::{self, Read};

use fastcdc::v2020::StreamCDC;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::EntryType;

/// Sizes of a piece in bytes: least, average, most. Smaller ones find more and cost more commands on the device.
const PIECE: [usize; 3] = [8 << 10, 32 << 10, 128 << 10];

/// A piece of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// The first 8 bytes of its SHA-256. Two different pieces that share them would be found out by docker's own digest.
    pub hash: u64,
    /// Size of the piece, in bytes.
    pub length: u32,
}

/// The kind of a member of a layer, as far as its content can be found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A file, in pieces.
    File(Vec<Piece>),
    /// Another name of a file of the same layer.
    HardLink(String),
    /// The member is a directory.
    Directory,
    /// A symbolic link, a device, ….
    Other,
}

/// A member of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Path of the member from the root, without a slash at either end.
    pub path: String,
    /// Position of its content in the layer, in bytes.
    pub offset: u64,
    /// The kind of the member.
    pub kind: Kind,
}

/// The members of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerIndex {
    /// The members of the layer, in their order.
    pub members: Vec<Member>,
}

impl LayerIndex {
    /// Reads an uncompressed layer.
    ///
    /// # Errors
    /// The layer cannot be read, or has names or members that are not understood: nothing is known of such a layer.
    pub fn read(layer: impl Read) -> io::Result<Self> {
        let mut members = Vec::new();
        for entry in tar::Archive::new(layer).entries()? {
            let entry = entry?;
            let kind = entry.header().entry_type();
            let offset = entry.raw_file_position();
            let path = clean(&entry.path_bytes())?;
            let kind = match kind {
                EntryType::Regular | EntryType::Continuous => Kind::File(pieces(entry)?),
                EntryType::Link => Kind::HardLink(clean(&entry.link_name_bytes().unwrap_or_default())?),
                EntryType::Directory => Kind::Directory,
                EntryType::Symlink | EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Other,
                _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "a member of unknown kind")),
            };
            members.push(Member { path, offset, kind });
        }
        Ok(Self { members })
    }
}

fn clean(path: &[u8]) -> io::Result<String> {
    let path = std::str::from_utf8(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a path that climbs"));
    }
    Ok(parts.join("/"))
}

fn pieces(content: impl Read) -> io::Result<Vec<Piece>> {
    let [least, average, most] = PIECE;
    let chunks = StreamCDC::new(content, least, average, most);
    chunks.map(|chunk| chunk.map(|chunk| Piece::of(&chunk.data)).map_err(io::Error::from)).collect()
}

impl Piece {
    /// Returns the piece with this content.
    fn of(content: &[u8]) -> Self {
        let digest = Sha256::digest(content);
        let hash = digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte));
        Self { hash, length: u32::try_from(content.len()).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::rebuild::tests::{layer, noise};

    #[test]
    fn members_are_told_with_the_place_of_their_content() {
        let layer = layer(&[("app/", None), ("app/one", Some(&noise(1, 700))), ("app/two", Some(b"short"))]);
        let index = LayerIndex::read(layer.as_slice()).expect("a layer");
        let said: Vec<_> = index.members.iter().map(|member| (member.path.as_str(), member.offset)).collect();
        assert_eq!(said, [("app", 512), ("app/one", 1024), ("app/two", 1024 + 1024 + 512)]);
        assert_eq!(index.members.first().map(|member| &member.kind), Some(&Kind::Directory));
    }

    #[test]
    fn a_change_in_the_middle_of_a_file_leaves_the_other_pieces_alone() {
        let before = noise(7, 3 << 20);
        let mut after = before.clone();
        after.splice(1 << 20..(1 << 20) + 10, *b"a longer text than there was");
        let of = |content: &[u8]| pieces(content).expect("memory is read");
        let (before, after) = (of(&before), of(&after));
        let changed = after.iter().filter(|piece| !before.contains(piece)).count();
        assert!(before.len() > 50 && (1..=3).contains(&changed), "{changed} of {}", before.len());
    }
}
