//! Surveys a tar archive: one walk over its headers finds the parts of an image, or the programs of a root file system.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use serde::de::DeserializeOwned;

use super::{
    ArchiveError, Compression,
    bytes::Bytes,
    json,
    programs::Programs,
    tarball::{Kind, Walk, clean, read_exactly, read_up_to},
};

/// The largest JSON part that is read, and all that is kept while walking, in bytes. Real ones have some kilobytes.
const LARGEST_JSON: u64 = 2 << 20;
/// The most that all JSON parts of an archive may come to, in bytes.
const ALL_JSON: u64 = 8 << 20;
/// The largest JSON part that is kept while walking, so that a compressed archive need not be read again for it.
const KEPT_JSON: u64 = 256 << 10;
/// Maximum total length of the names of all members, in bytes: no image has more.
const ALL_NAMES: usize = 8 << 20;
/// The files that tell the kind of an archive, however many others there are.
const KIND_TELLERS: [&str; 3] = ["manifest.json", "index.json", "oci-layout"];
/// The longest way that links may take.
const LONGEST_CHAIN: usize = 16;

/// The place of a member's content in the archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Bytes from the beginning.
    pub(super) offset: u64,
    /// Size of the content in the archive, in bytes.
    pub(super) size: u64,
    /// The compression of the part itself.
    pub(super) compression: Compression,
}

/// The parts that were found in an archive.
pub(super) struct Survey {
    bytes: Bytes,
    files: HashMap<String, Place>,
    links: HashMap<String, String>,
    /// Files that are stored with holes, of which the archive does not have the content as it is.
    sparse: HashSet<String>,
    /// The content of small JSON parts by their place in the archive.
    kept: HashMap<u64, Vec<u8>>,
    json_left: u64,
    too_many: bool,
    outside: Option<String>,
    /// The programs in it.
    pub(super) programs: Programs,
}

impl Survey {
    /// Walks over the archive `path`, compressed as a whole in this way.
    pub(super) fn of(path: &Path, compression: Compression) -> Result<Self, ArchiveError> {
        let mut walk = Walk::new(Bytes::open(path, compression)?);
        let (mut files, mut links, mut sparse, mut kept) = (HashMap::new(), HashMap::new(), HashSet::new(), HashMap::new());
        let (mut names_left, mut kept_left) = (ALL_NAMES, LARGEST_JSON);
        let (mut too_many, mut outside, mut programs) = (false, None, Programs::default());
        while let Some(member) = walk.next()? {
            let Some(name) = clean(&member.name) else {
                outside.get_or_insert(member.name);
                continue;
            };
            // A map's entry costs about as much again as a name.
            let cost = name.len() + 128;
            too_many |= cost > names_left;
            match member.kind {
                Kind::File => {
                    let mut beginning = [0; 20];
                    let read = read_up_to(&mut walk.bytes, first(&mut beginning, member.size))?;
                    let beginning = beginning.get(..read).unwrap_or_default();
                    programs.count(beginning);
                    let is_json = matches!(beginning.first(), Some(b'{' | b'['));
                    if is_json && member.size <= kept_left.min(KEPT_JSON) {
                        kept_left -= member.size;
                        let mut content = beginning.to_vec();
                        content.extend(read_exactly(&mut walk.bytes, member.size - read as u64)?);
                        kept.insert(member.offset, content);
                    }
                    if !too_many || KIND_TELLERS.contains(&name.as_str()) {
                        let compression = Compression::of(beginning);
                        files.insert(name, Place { offset: member.offset, size: member.size, compression });
                    }
                }
                Kind::Sparse if !too_many => {
                    sparse.insert(name);
                }
                Kind::Symlink(target) if !too_many => {
                    let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                    let target = if target.starts_with('/') { target } else { format!("{directory}/{target}") };
                    links.insert(name, target);
                }
                Kind::HardLink(target) if !too_many => {
                    links.insert(name, target);
                }
                _ => {}
            }
            names_left = names_left.saturating_sub(cost);
        }
        Ok(Self { bytes: walk.bytes, files, links, sparse, kept, json_left: ALL_JSON, too_many, outside, programs })
    }

    /// Returns whether there is a file of that name at the root.
    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Checks that the survey is complete: all members are known.
    pub(super) fn complete(&self) -> Result<(), ArchiveError> {
        if self.too_many {
            return Err(ArchiveError::TooMany("members"));
        }
        self.inside()
    }

    /// Checks that none of the members leads out of the archive.
    pub(super) fn inside(&self) -> Result<(), ArchiveError> {
        self.outside.as_ref().map_or(Ok(()), |name| Err(ArchiveError::Outside(name.clone())))
    }

    /// Returns the place of the content of `name`; links are followed.
    pub(super) fn place(&self, name: &str) -> Result<Place, ArchiveError> {
        let mut path = clean(name).ok_or_else(|| ArchiveError::Outside(name.into()))?;
        for _ in 0..LONGEST_CHAIN {
            if let Some(place) = self.files.get(&path) {
                return Ok(*place);
            }
            if self.sparse.contains(&path) {
                return Err(ArchiveError::Sparse(name.into()));
            }
            let target = self.links.get(&path).ok_or_else(|| ArchiveError::Missing(name.into()))?;
            path = clean(target).ok_or_else(|| ArchiveError::Outside(name.into()))?;
        }
        Err(ArchiveError::Missing(name.into()))
    }

    /// Returns the minimum size of a member once it is unpacked, in bytes. The last four bytes of a gzip stream give that
    /// size in 32 bits. They are not read where the whole archive would have to be unpacked for it, and are ignored when
    /// they give less than the stored size.
    pub(super) fn unpacked(&mut self, place: &Place) -> u64 {
        let is_gzip = place.compression == Compression::Gzip && place.size >= 4 && self.bytes.is_plain();
        let told = is_gzip.then(|| {
            self.bytes.go_to(place.offset + place.size - 4).ok()?;
            let bytes = read_exactly(&mut self.bytes, 4).ok()?;
            Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
        });
        told.flatten().unwrap_or(0).max(place.size)
    }

    /// Reads the content of a JSON part.
    pub(super) fn content(&mut self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let Place { offset, size, .. } = self.place(name)?;
        if size > LARGEST_JSON {
            return Err(ArchiveError::TooLarge { name: name.into(), size });
        }
        self.json_left = self.json_left.checked_sub(size).ok_or(ArchiveError::TooMany("metadata"))?;
        if let Some(content) = self.kept.get(&offset) {
            return Ok(content.clone());
        }
        self.bytes.go_to(offset)?;
        read_exactly(&mut self.bytes, size)
    }

    /// Reads and parses a JSON part.
    pub(super) fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ArchiveError> {
        let content = self.content(name)?;
        json::read(name, &content)
    }
}

/// Returns the part of a buffer that a member of `size` bytes can fill.
fn first(buffer: &mut [u8], size: u64) -> &mut [u8] {
    let length = buffer.len().min(usize::try_from(size).unwrap_or(usize::MAX));
    buffer.get_mut(..length).unwrap_or_default()
}
