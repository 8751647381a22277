//! Files on their way, in both directions.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    commands::files::INCOMING,
    config::RemotePath,
    facts::{compare::Copy, here::LARGE},
    text::bytes,
};

/// Files to send. They arrive in an incoming directory beside their destination and are then renamed into place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The files to send.
    pub files: Vec<SendFile>,
    /// Directories to make first, each with its permission bits.
    pub directories: Vec<(String, u32)>,
    /// Links to make, after all else.
    pub links: Vec<SendLink>,
    /// Directories that are there already and get other permission bits, or get theirs back after they took files.
    pub modes: BTreeMap<String, u32>,
    /// Directories that are there already and take files only once their owner may write into them.
    pub closed: BTreeSet<String>,
    /// Files that an earlier run left in the incoming directories and that are of no use.
    pub stale: Vec<String>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// One link to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendLink {
    /// Path of the link on the device.
    pub remote: RemotePath,
    /// Target of the link, relative to its directory.
    pub target: String,
    /// The directory, there already, in whose incoming directory it arrives.
    pub place: RemotePath,
    /// Whether nothing is there that it replaces.
    pub new: bool,
}

impl SendLink {
    /// Returns the path at which the link arrives before it is moved into place.
    pub fn arrival(&self) -> String {
        arrival(&self.place, &self.remote)
    }
}

/// One file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFile {
    /// Path of the file on this computer.
    pub local: PathBuf,
    /// Path of the file on the device.
    pub remote: RemotePath,
    /// Permission bits.
    pub mode: u32,
    /// Size of the file, in bytes.
    pub size: u64,
    /// SHA-256 of its content, where it is known.
    pub sha256: Option<String>,
    /// The directory, there already, in whose incoming directory it arrives.
    pub place: RemotePath,
    /// Number of its bytes that an earlier run has sent.
    pub have: u64,
    /// Whether nothing is there that it replaces: should the stage fail, it is removed again.
    pub new: bool,
}

impl SendFile {
    /// Returns the path at which the file arrives before it is moved into place.
    pub fn arrival(&self) -> String {
        arrival(&self.place, &self.remote)
    }

    /// Returns whether the file is sent by itself because of its size.
    pub fn is_large(&self) -> bool {
        self.size > LARGE
    }
}

/// Returns the path at which a file arrives that belongs at `remote`, below `place`.
pub(super) fn arrival(place: &RemotePath, remote: &RemotePath) -> String {
    let below = remote.as_str().strip_prefix(place.as_str()).unwrap_or_default().trim_start_matches('/');
    place.join(INCOMING).join(below).as_str().to_owned()
}

/// Files to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// The files to fetch.
    pub files: Vec<Download>,
    /// Trees of which nearly all files are wanted: they are fetched as a whole, and the other files are skipped.
    pub whole: Vec<String>,
    /// Directories to make here, each with its permission bits.
    pub directories: Vec<(PathBuf, u32)>,
    /// Links to make here.
    pub links: Vec<FetchLink>,
    /// Files here that get the names which they have on the device by now, in this order, before anything comes.
    pub renames: Vec<Renaming>,
}

/// One file to fetch, to a temporary name and then renamed into place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Download {
    /// Path of the file on the device.
    pub remote: String,
    /// Path of the file on this computer.
    pub local: PathBuf,
    /// The directory here below which its tree is.
    pub root: PathBuf,
    /// Whether another file that is here already is kept beside it.
    pub archive: bool,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes when it was listed.
    pub size: u64,
    /// A file here that is its beginning.
    pub copy: Option<Copy>,
}

/// A link to make here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchLink {
    /// Path of the link on this computer.
    pub link: PathBuf,
    /// Target of the link, relative to its directory.
    pub target: String,
    /// The directory here below which its tree is.
    pub root: PathBuf,
    /// Whether another file that is here already is kept beside it.
    pub archive: bool,
}

/// A file of an archive here that the device has renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// Present path of the file.
    pub from: PathBuf,
    /// Path that follows its new name on the device.
    pub to: PathBuf,
    /// Size of the file in bytes, by which it is recognised again.
    pub size: u64,
    /// The directory here below which its tree is.
    pub root: PathBuf,
}

impl Download {
    /// Returns the number of its bytes that this computer has.
    pub fn have(&self) -> u64 {
        self.copy.as_ref().map_or(0, |copy| copy.bytes)
    }
}

impl Fetch {
    /// Returns whether there is nothing to fetch.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty() && self.links.is_empty() && self.renames.is_empty()
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.files.extend(more.files);
        self.whole.extend(more.whole);
        self.directories.extend(more.directories);
        self.links.extend(more.links);
        self.renames.extend(more.renames);
    }

    /// Describes each step for the user.
    pub(super) fn steps(&self) -> Vec<String> {
        let renames = self
            .renames
            .iter()
            .map(|renaming| format!("rename {} -> {}, as the device has", renaming.from.display(), renaming.to.display()));
        let files = self.files.iter().map(|file| {
            let (local, size) = (file.local.display(), bytes(file.size));
            match file.have() {
                0 => format!("fetch {} -> {local} ({size})", file.remote),
                have => format!("fetch {} -> {local} ({} of {size})", file.remote, bytes(file.size - have)),
            }
        });
        let directories = self.directories.iter().map(|(path, _)| format!("make {} here", path.display()));
        let links = self.links.iter().map(|link| format!("link {} -> {} here", link.link.display(), link.target));
        renames.chain(files).chain(directories).chain(links).collect()
    }
}
