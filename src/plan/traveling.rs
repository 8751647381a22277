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
    /// The files.
    pub files: Vec<SendFile>,
    /// Directories to make first, each with its permission bits.
    pub directories: Vec<(String, u32)>,
    /// Links to make, after all else.
    pub links: Vec<SendLink>,
    /// Directories that are there already and get other permission bits, or get theirs back after they took files.
    pub modes: BTreeMap<String, u32>,
    /// Directories that are there already and take files only once their owner may write into them.
    pub closed: BTreeSet<String>,
    /// What an earlier run left where these files arrive and is of no use.
    pub stale: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One link to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendLink {
    /// There.
    pub remote: RemotePath,
    /// Where it leads, relative to its directory.
    pub target: String,
    /// The directory, there already, in whose incoming directory it arrives.
    pub place: RemotePath,
    /// Whether nothing is there that it replaces.
    pub new: bool,
}

impl SendLink {
    /// Where it arrives.
    pub fn arrival(&self) -> String {
        arrival(&self.place, &self.remote)
    }
}

/// One file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFile {
    /// Here.
    pub local: PathBuf,
    /// There.
    pub remote: RemotePath,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of its content, where it is known.
    pub sha256: Option<String>,
    /// The directory, there already, in whose incoming directory it arrives.
    pub place: RemotePath,
    /// How many bytes of it an earlier run brought there.
    pub have: u64,
    /// Whether nothing is there that it replaces: should the stage fail, it is removed again.
    pub new: bool,
}

impl SendFile {
    /// Where it arrives.
    pub fn arrival(&self) -> String {
        arrival(&self.place, &self.remote)
    }

    /// Whether it travels by itself.
    pub fn is_large(&self) -> bool {
        self.size > LARGE
    }
}

/// Where a file arrives that is to be at `remote`, below `place`.
pub(super) fn arrival(place: &RemotePath, remote: &RemotePath) -> String {
    let below = remote.as_str().strip_prefix(place.as_str()).unwrap_or_default().trim_start_matches('/');
    place.join(INCOMING).join(below).as_str().to_owned()
}

/// Files to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// The files.
    pub files: Vec<Download>,
    /// Trees of which nearly all is wanted: they come whole, and what is not wanted is passed over.
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
    /// There.
    pub remote: String,
    /// Here.
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
    /// Here.
    pub link: PathBuf,
    /// Where it leads, relative to its directory.
    pub target: String,
    /// The directory here below which its tree is.
    pub root: PathBuf,
    /// Whether another file that is here already is kept beside it.
    pub archive: bool,
}

/// A file of an archive here that the device has renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// Its name so far.
    pub from: PathBuf,
    /// Its name on the device by now.
    pub to: PathBuf,
    /// Its size in bytes, by which it is recognised once more.
    pub size: u64,
    /// The directory here below which its tree is.
    pub root: PathBuf,
}

impl Download {
    /// How many bytes of it are here.
    pub fn have(&self) -> u64 {
        self.copy.as_ref().map_or(0, |copy| copy.bytes)
    }
}

impl Fetch {
    /// Whether there is nothing to do.
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

    /// Each thing that is done, for people.
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
