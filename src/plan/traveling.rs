//! Files on their way, in both directions.

use std::path::PathBuf;

use crate::{
    commands::files::INCOMING,
    config::RemotePath,
    facts::{compare::Copy, here::LARGE},
};

/// Files to send. They arrive in an incoming directory beside their destination and are then renamed into place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// The files.
    pub files: Vec<SendFile>,
    /// Directories to make first, each with its permission bits.
    pub directories: Vec<(String, u32)>,
    /// What an earlier run left where these files arrive and is of no use.
    pub stale: Vec<String>,
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
    pub files: Vec<Fetching>,
    /// Trees of which nearly all is wanted: they come whole, and what is not wanted is passed over.
    pub whole: Vec<String>,
}

/// One file to fetch, to a temporary name and then renamed into place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetching {
    /// There.
    pub remote: String,
    /// Here.
    pub local: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes when it was listed.
    pub size: u64,
    /// A file here that is its beginning.
    pub copy: Option<Copy>,
}

impl Fetching {
    /// How many bytes of it are here.
    pub fn have(&self) -> u64 {
        self.copy.as_ref().map_or(0, |copy| copy.bytes)
    }
}
