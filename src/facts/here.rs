//! The state of this computer: the files to send with their digests, and the copies of files on the device.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{LeftOut, compare::Copy, compose::LocalCompose, listing::link_target};
use crate::{
    failure::{Explain, FailureKind},
    image::Platform,
    secret::Secret,
};

/// The state of this computer, as far as a plan needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalState {
    /// Each source of a transfer.
    pub sources: BTreeMap<PathBuf, Source>,
    /// Files on this computer that are copies of files on the device or of their beginnings, by their destination.
    pub copies: BTreeMap<PathBuf, Copy>,
    /// Whether the device could not tell what its files are: what is here of them is not known then.
    pub untold: bool,
    /// The entries on this computer at the paths where directories and links of the device belong.
    pub present: BTreeMap<PathBuf, Present>,
    /// The folders `sn…` in each folder that collects logs, the one that was changed last first.
    pub archives: BTreeMap<PathBuf, Vec<String>>,
    /// Destinations of transfers that are directories here.
    pub directories: BTreeSet<PathBuf>,
    /// The compose project, where its files are here.
    pub compose: Option<LocalCompose>,
    /// The secrets that are wanted, by the names of their files.
    pub secrets: BTreeMap<String, Secret>,
    /// The images to deliver.
    pub images: Vec<LocalImage>,
}

/// The kind of entry at a path on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present {
    /// The path is a directory.
    Directory,
    /// A link, with its target.
    Link(String),
    /// Something else.
    Other,
}

/// Returns what is at these paths; nothing for those where nothing is.
pub fn present(paths: impl IntoIterator<Item = PathBuf>) -> BTreeMap<PathBuf, Present> {
    let look = |path: PathBuf| {
        let kind = path.symlink_metadata().ok()?.file_type();
        let present = match kind {
            kind if kind.is_dir() => Present::Directory,
            kind if kind.is_symlink() => Present::Link(path.read_link().ok()?.to_string_lossy().replace('\\', "/")),
            _ => Present::Other,
        };
        Some((path, present))
    };
    paths.into_iter().filter_map(look).collect()
}

/// Returns the names of the folders `sn…` in a folder that collects logs, the one that was changed last first.
pub fn archives(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("sn"))?;
        let metadata = entry.path().metadata().ok().filter(std::fs::Metadata::is_dir)?;
        Some((metadata.modified().ok(), name))
    };
    let mut names: Vec<_> = entries.filter_map(named).collect();
    names.sort_by(|one, other| other.cmp(one));
    names.into_iter().map(|(_, name)| name).collect()
}

/// An image on this computer, as far as a plan must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// Index of its entry in [`crate::config::Deployment::image`].
    pub source: usize,
    /// ID of the image, `sha256:…`.
    pub id: String,
    /// The platform that the image is built for.
    pub platform: Platform,
    /// The references it is to have.
    pub references: Vec<String>,
    /// Layers of the image, the lowest first: diff ID, and size in bytes as it is stored on this computer.
    pub layers: Vec<(String, u64)>,
    /// Minimum size of each layer when it is unpacked on a disk, in bytes.
    pub unpacked: Vec<u64>,
}

impl LocalImage {
    /// Returns the name of the image that is shown to the user.
    pub fn shown(&self) -> String {
        self.references.first().unwrap_or(&self.id).clone()
    }
}

/// A file or a tree to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The source is a single file.
    File(LocalFile),
    /// A directory: its files by their path below it, with `/` between the parts.
    Tree {
        /// The files of the directory.
        files: BTreeMap<String, LocalFile>,
        /// Directories and their permission bits, the tree itself under the name ``.
        directories: BTreeMap<String, u32>,
        /// Links that lead to something within it, each with its target, relative to the directory of the link.
        links: BTreeMap<String, String>,
        /// The entries that are left out, by their path on this computer.
        left_out: BTreeMap<PathBuf, LeftOut>,
    },
}

/// A file on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Path of the file on this computer.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Size of the file, in bytes.
    pub size: u64,
    /// SHA-256 of its first so many bytes, as far as it was computed: of the whole content for all but large files.
    pub digests: BTreeMap<u64, String>,
}

/// Size in bytes above which a file is sent by itself, and is continued after an interruption.
pub const LARGE: u64 = 4 << 20;

impl LocalFile {
    /// Returns the SHA-256 of the whole content; `None` where it is unknown.
    pub fn sha256(&self) -> Option<&String> {
        self.digests.get(&self.size)
    }
}

/// A file here that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HereError {
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {source}", path = path.display())]
    Read {
        /// Path of the file that cannot be read.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The path is neither a file nor a directory.
    #[error("`{path}` is neither a file nor a directory", path = path.display())]
    Kind {
        /// Path that is neither a file nor a directory.
        path: PathBuf,
    },
    /// The name of the file cannot be used on the device.
    #[error("the name of `{path}` is not UTF-8", path = path.display())]
    Name {
        /// Path of the file whose name is not valid UTF-8.
        path: PathBuf,
    },
}

impl Explain for HereError {
    fn kind(&self) -> FailureKind {
        FailureKind::LocalFile
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("local paths are relative to the working directory, and in `o3r-deploy.yaml` to that file".into())
            }
            _ => None,
        }
    }
}

/// Reads a file or a tree. Links that lead to something within the tree stay links, all others are followed.
///
/// # Errors
/// The first thing that cannot be read.
pub fn source(path: &Path) -> Result<Source, HereError> {
    let metadata = read(path, std::fs::metadata(path))?;
    if metadata.is_file() {
        return Ok(Source::File(local_file(path)?));
    }
    if !metadata.is_dir() {
        return Err(HereError::Kind { path: path.into() });
    }
    let root = read(path, path.canonicalize())?;
    let mut walk = Walk { root, ..Walk::default() };
    walk.directory(path, "")?;
    Ok(Source::Tree { files: walk.files, directories: walk.directories, links: walk.links, left_out: walk.left_out })
}

/// The entries of a tree that have been found so far.
#[derive(Default)]
struct Walk {
    root: PathBuf,
    /// The directories above the one that is read.
    above: BTreeSet<PathBuf>,
    files: BTreeMap<String, LocalFile>,
    directories: BTreeMap<String, u32>,
    links: BTreeMap<String, String>,
    left_out: BTreeMap<PathBuf, LeftOut>,
}

impl Walk {
    fn directory(&mut self, directory: &Path, below: &str) -> Result<(), HereError> {
        let canonical = read(directory, directory.canonicalize())?;
        if !self.above.insert(canonical.clone()) {
            self.left_out.insert(directory.into(), LeftOut::Loop);
            return Ok(());
        }
        self.directories.insert(below.to_owned(), mode(&read(directory, std::fs::metadata(directory))?));
        for entry in read(directory, std::fs::read_dir(directory))? {
            let path = read(directory, entry)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| HereError::Name { path: path.clone() })?;
            let name = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            self.entry(path, name)?;
        }
        self.above.remove(&canonical);
        Ok(())
    }

    fn entry(&mut self, path: PathBuf, name: String) -> Result<(), HereError> {
        if path.is_symlink() && !path.exists() {
            self.left_out.insert(path, LeftOut::Dangling);
            return Ok(());
        }
        if path.is_symlink() {
            let leads = read(&path, path.canonicalize())?;
            if let Ok(leads) = leads.strip_prefix(&self.root) {
                let text = |path: &Path| path.to_str().map(|text| text.replace(std::path::MAIN_SEPARATOR, "/"));
                let says = read(&path, path.read_link())?;
                let (says, leads) = text(&says).zip(text(leads)).ok_or_else(|| HereError::Name { path: path.clone() })?;
                let target = link_target(&name, &says, &leads);
                self.links.insert(name, target);
                return Ok(());
            }
        }
        let metadata = read(&path, std::fs::metadata(&path))?;
        if metadata.is_dir() {
            self.directory(&path, &name)?;
        } else if metadata.is_file() {
            self.files.insert(name, local_file(&path)?);
        } else {
            self.left_out.insert(path, LeftOut::Special);
        }
        Ok(())
    }
}

fn local_file(path: &Path) -> Result<LocalFile, HereError> {
    let metadata = read(path, std::fs::metadata(path))?;
    if !metadata.is_file() {
        return Err(HereError::Kind { path: path.into() });
    }
    let size = metadata.len();
    // That of a large file is seldom wanted: only where the device has one that may be the same.
    let digests = if size > LARGE { BTreeMap::new() } else { digests(path, &BTreeSet::from([size]))? };
    Ok(LocalFile { path: path.into(), mode: mode(&metadata), size, digests })
}

/// Returns the SHA-256 of the beginning of a file in hexadecimal, for each of these lengths in bytes that the file has.
///
/// # Errors
/// When it cannot be read.
pub fn digests(path: &Path, lengths: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, HereError> {
    let mut file = read(path, File::open(path))?;
    let (mut hash, mut at, mut found) = (Sha256::new(), 0, BTreeMap::new());
    let mut buffer = Vec::new();
    for length in lengths {
        while at < *length {
            buffer.resize(usize::try_from(length - at).unwrap_or(PIECE).min(PIECE), 0);
            let count = read(path, file.read(&mut buffer))?;
            if count == 0 {
                return Ok(found);
            }
            hash.update(buffer.get(..count).unwrap_or_default());
            at += count as u64;
        }
        found.insert(*length, hexadecimal(&hash.clone().finalize()));
    }
    Ok(found)
}

/// Number of bytes of a file that are read at once.
const PIECE: usize = 256 << 10;

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read<T>(path: &Path, result: std::io::Result<T>) -> Result<T, HereError> {
    result.map_err(|source| HereError::Read { path: path.into(), source })
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

/// Windows has no permission bits: directories and files get the usual ones.
#[cfg(not(unix))]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}

/// Returns a name from the device as one part of a local path: unchanged, except where this system cannot have it.
pub fn local_name(name: &str) -> String {
    let possible = !cfg!(windows) && !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    if possible { name.to_owned() } else { safe_name(name) }
}

/// Returns a name as one part of a path that every system can have: it is neither special nor leaves its folder.
pub fn safe_name(name: &str) -> String {
    let replaced: String = name.chars().map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c }).collect();
    let trimmed = replaced.trim_end_matches([' ', '.']);
    if trimmed.is_empty() { replaced.chars().map(|_| '_').collect() } else { trimmed.to_owned() }
}

/// Returns a relative path from the device as a local one; `None` when nothing is left or a part would leave the folder.
pub fn safe_path(relative: &str) -> Option<PathBuf> {
    let parts: Vec<_> = relative.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() || parts.contains(&"..") {
        return None;
    }
    Some(parts.into_iter().map(local_name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_device_cannot_leave_its_folder() {
        assert_eq!(safe_path("../../etc/passwd"), None);
        assert_eq!(safe_path("a/../b"), None);
        assert_eq!(safe_path("/etc/passwd"), Some(PathBuf::from("etc/passwd")));
        let (climbing, drive) = if cfg!(windows) { (".._.._x", "C_/x") } else { (r"..\..\x", "C:/x") };
        assert_eq!(safe_path(r"..\..\x"), Some(PathBuf::from(climbing)));
        assert_eq!(safe_path("C:/x"), Some(PathBuf::from(drive)));
        assert_eq!(safe_path(""), None);
        assert_eq!((safe_name(".."), local_name("..")), ("__".into(), "__".into()));
        assert_eq!(safe_name("a\u{1b}[2J"), "a_[2J");
    }

    #[test]
    fn a_tree_is_read_with_modes_and_digests() {
        let directory = std::env::temp_dir().join(format!("o3r-here-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("sub")).expect("created");
        std::fs::write(directory.join("sub/a b"), "x").expect("written");
        let Ok(Source::Tree { files, directories, .. }) = source(&directory) else { panic!("a tree") };
        std::fs::remove_dir_all(&directory).expect("removed");
        let file = files.get("sub/a b").expect("found");
        assert_eq!(file.sha256().map(String::as_str), Some("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"));
        assert_eq!(directories.keys().collect::<Vec<_>>(), ["", "sub"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_within_a_tree_stay_links_and_what_cannot_travel_is_left_out() {
        use std::os::unix::fs::symlink;
        let home = tempfile::tempdir().expect("a folder");
        let (root, path) = (home.path().join("tree"), |name: &str| home.path().join("tree").join(name));
        std::fs::create_dir_all(root.join("sub")).expect("made");
        std::fs::create_dir(home.path().join("outside")).expect("made");
        for name in ["tree/a", "outside/b"] {
            std::fs::write(home.path().join(name), "x").expect("written");
        }
        symlink("../a", path("sub/within")).expect("linked");
        symlink(root.join("sub"), path("absolute")).expect("linked");
        symlink("../outside", path("followed")).expect("linked");
        symlink("..", path("around")).expect("linked");
        symlink("..", path("sub/up")).expect("linked");
        symlink("gone", path("dangling")).expect("linked");
        symlink("itself", path("itself")).expect("linked");
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("bound");
        let Ok(Source::Tree { files, directories, links, left_out }) = source(&root) else { panic!("a tree") };
        let followed = files.keys().filter(|name| !name.starts_with("around"));
        assert_eq!(followed.collect::<Vec<_>>(), ["a", "followed/b"]);
        assert!(directories.contains_key("followed"));
        let links: Vec<_> = links.iter().filter(|(name, _)| !name.starts_with("around")).collect();
        let expected = [("absolute", "sub"), ("sub/up", ".."), ("sub/within", "../a")];
        assert_eq!(
            links,
            expected.map(|(link, target)| (link.to_owned(), target.to_owned())).iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
        );
        let why = |name: &str| left_out.get(&path(name)).copied();
        assert_eq!(
            (why("dangling"), why("itself"), why("socket")),
            (Some(LeftOut::Dangling), Some(LeftOut::Dangling), Some(LeftOut::Special))
        );
        assert!(left_out.values().any(|why| *why == LeftOut::Loop), "{left_out:?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = source(Path::new("/nowhere/at all")).expect_err("missing");
        assert!(error.to_string().starts_with("`/nowhere/at all` cannot be read: "), "{error}");
    }
}
