//! The facts about the device, read with one probe in one round trip, and about this computer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

pub mod compare;
pub mod compose;
mod condition;
pub mod gather;
pub mod here;
mod inspect;
mod listing;
mod probe;

pub(crate) use probe::parse as read_answer;

/// Understands docker's JSON, whatever it describes.
pub(crate) fn read_docker(bytes: &[u8]) {
    let _ = inspect::containers(bytes);
    let _ = inspect::images(bytes);
    let _ = inspect::volumes(bytes);
}

use crate::{reference::Reference, text::printable};

pub use inspect::{
    APPLICATION_LABEL, CONTAINER_FORMAT, Container, ContainerState, DockerImage, DockerVolume, Health, HealthCheck,
    IMAGE_FORMAT, VOLUME_FORMAT, containers,
};
pub use probe::{FactsError, Probe, Section};

/// Everything the plan needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The device's serial number, where its configuration interface answers.
    pub serial: Option<String>,
    /// The device's name, where it has one.
    pub name: Option<String>,
    /// The firmware's version, as the device writes it.
    pub firmware: Option<String>,
    /// The most characters a name may have, where the device's schema says so.
    pub name_limit: Option<usize>,
    /// Whether the configuration interface answers.
    pub interface_answers: bool,
    /// The token of the last owner of the device's lock when the reading began; `None` when the lock was taken then. The
    /// facts are true as long as the token is the same.
    pub turn: Option<String>,
    /// Machine name of the device, as `uname -m` prints it.
    pub machine: String,
    /// Emulators registered in the kernel, as `qemu-aarch64`.
    pub emulators: Vec<String>,
    /// The device's clock at the probe, in seconds since 1970. Never to be trusted, only to be compared with itself.
    pub clock: u64,
    /// The docker of the device; `None` where none answers.
    pub docker: Option<Docker>,
    /// The compose tool of the device, if it has one.
    pub compose: Option<ComposeTool>,
    /// The line in which the device named its compose tool, kept for the next probe.
    pub compose_line: String,
    /// The model of autostart that the device has.
    pub autostart: AutostartModel,
    /// Each autostart service asked about.
    pub services: BTreeMap<String, ServiceFact>,
    /// Each path asked about that exists.
    pub paths: BTreeMap<String, PathFact>,
    /// Each of the links asked about, with its target.
    pub links: BTreeMap<String, String>,
    /// Each tree asked about.
    pub trees: BTreeMap<String, Tree>,
    /// The content of each image archive on the device.
    pub archives: BTreeMap<String, Archive>,
    /// The size of each of them in bytes.
    pub archive_sizes: BTreeMap<String, u64>,
    /// The records of earlier deployments, by application.
    pub records: BTreeMap<String, Record>,
    /// The room where each directory asked about is, or is to be.
    pub room: BTreeMap<String, Room>,
    /// The state of each secret of the deployment on the device, by path.
    pub secrets: BTreeMap<String, SecretThere>,
    /// The state of this computer.
    pub here: here::LocalState,
}

/// The state of a secret on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretThere {
    /// The secret has the same value, and nobody else may read it.
    Same,
    /// Another one, or one that others may read.
    Other,
    /// The secret does not exist.
    None,
}

/// A file system, as one who may not use its reserve sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Which: two directories with the same number share their room.
    pub device: u64,
    /// Bytes that are free.
    pub bytes: u64,
    /// Total size of the file system, in bytes.
    pub size: u64,
    /// Inodes that are free; `None` where it makes them as they are needed.
    pub inodes: Option<u64>,
}

/// The way out of a docker whose images are in containerd's store.
pub const STORE_HINT: &str =
    "set `\"features\": {\"containerd-snapshotter\": false}` in /etc/docker/daemon.json on the device and restart its docker";

/// A docker engine and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docker {
    /// Version of docker, as `20.10.24`.
    pub version: String,
    /// The directory in which docker keeps images.
    pub root: Option<String>,
    /// Whether it keeps them in containerd's store: by manifests, under other IDs than docker's own.
    pub containerd_store: bool,
    /// All containers.
    pub containers: Vec<Container>,
    /// All images, intermediate ones too.
    pub images: Vec<DockerImage>,
    /// All volumes of docker.
    pub volumes: Vec<DockerVolume>,
}

impl Docker {
    /// Returns the image that has this ID or this reference, however the reference is spelt.
    pub fn image(&self, reference: &str) -> Option<&DockerImage> {
        if let Some(image) = self.images.iter().find(|image| image.id == reference) {
            return Some(image);
        }
        let wanted: Reference = reference.parse().ok()?;
        let read = |text: &String| text.parse::<Reference>().ok();
        self.images.iter().find(|image| match wanted.digest() {
            // What a tag beside a digest says plays no part.
            Some(digest) => image
                .digests
                .iter()
                .filter_map(read)
                .any(|there| there.digest() == Some(digest) && there.name() == wanted.name()),
            None => image.tags.iter().filter_map(read).any(|there| there == wanted),
        })
    }

    /// Returns the containers of a compose project.
    pub fn project<'a>(&'a self, project: &'a str) -> impl Iterator<Item = &'a Container> {
        self.containers.iter().filter(move |container| container.project.as_deref() == Some(project))
    }
}

/// The compose tool of the device, by the way it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComposeTool {
    /// `docker-compose`, with its version.
    Hyphen(String),
    /// `docker compose`, with its version.
    Plugin(String),
}

/// `hyphen 1.29.2` or `plugin 2.26.1`.
impl std::fmt::Display for ComposeTool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hyphen(version) => write!(formatter, "hyphen {version}"),
            Self::Plugin(version) => write!(formatter, "plugin {version}"),
        }
    }
}

impl ComposeTool {
    /// Reads the line of `compose_tool.sh`: `hyphen 1.29.2 MARK` or `plugin v2.26.1`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (kind, version) = (words.next()?, printable(words.next()?.trim_start_matches('v')));
        Some(if kind == "plugin" { Self::Plugin(version) } else { Self::Hyphen(version) })
    }

    /// Returns the version of the tool.
    pub fn version(&self) -> &str {
        match self {
            Self::Hyphen(version) | Self::Plugin(version) => version,
        }
    }

    /// Returns whether the tool rejects compose files without `version:`, as docker-compose does before 1.27.
    pub fn needs_version(&self) -> bool {
        let Self::Hyphen(version) = self else { return false };
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (1, 27)
    }
}

/// The way in which applications start automatically on this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutostartModel {
    /// Applications do not start automatically.
    #[default]
    None,
    /// A template unit `oem-dc@<service>` for each application.
    Template,
    /// One unit `oem-dc-autostart.service` that starts docker; containers come back by their restart policy.
    Single {
        /// Whether it is enabled.
        enabled: bool,
    },
}

/// One service of the template model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFact {
    /// Whether `oem-dc@<service>` is enabled.
    pub enabled: bool,
    /// Target of its directory, where that is a link.
    pub directory_link: Option<String>,
    /// Target of the `docker-compose.yml` in its directory, where that is a link.
    pub file_link: Option<String>,
    /// Whether its directory has a `docker-compose.yml` that is no link.
    pub own_file: bool,
}

/// The content of an image archive on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// Images with these IDs; none where the archive does not tell them in a way that is known.
    Images(Vec<String>),
    /// An image as the OCI lays it out, which the device's docker does not load.
    Oci,
    /// A root file system; the SHA-256 of the archive.
    RootFileSystem(String),
}

/// A tree on the device. Names are paths relative to it; a tree that is one file has the one name ``.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The files of the tree, and links that lead out of it to a file.
    pub files: BTreeMap<String, PathFact>,
    /// Directories of the tree with their permission bits, the tree itself under the name ``.
    pub directories: BTreeMap<String, u32>,
    /// The names of `files` that are links out of the tree.
    pub linked: BTreeSet<String>,
    /// Links that lead to something within it, each with its target, relative to the directory of the link.
    pub links: BTreeMap<String, String>,
    /// Directories that this user cannot look into.
    pub closed: BTreeSet<String>,
    /// The entries that cannot be fetched, each with the reason.
    pub left_out: BTreeMap<String, LeftOut>,
}

/// Why something in a tree does not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// A link to nothing.
    Dangling,
    /// A link that leads out of the tree, and not to a file.
    LeadsOut,
    /// A link that leads back to a directory above it.
    Loop,
    /// A FIFO, a socket or a device.
    Special,
}

impl LeftOut {
    /// Returns the reason in words, as they stand behind `PATH is left out: `.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Dangling => "it is a link to nothing",
            Self::LeadsOut => "it is a link that leads out of the tree, and not to a file",
            Self::Loop => "it is a link that leads back to a directory above it",
            Self::Special => "it is neither a file nor a directory",
        }
    }
}

/// The facts about a path on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathFact {
    /// File, directory or something else.
    pub kind: PathKind,
    /// Permission bits.
    pub mode: u32,
    /// Size of the file, in bytes.
    pub size: u64,
    /// Whether it is a file that the user can read.
    pub readable: bool,
    /// Whether it is a directory of the user's own, whose mode he can change.
    pub own: bool,
    /// SHA-256 of its content, where it was asked for, can be read and the device can tell.
    pub sha256: Option<String>,
}

/// Kinds of things in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// The path is a directory.
    Directory,
    /// A device, a socket, a link to nothing. Other links are what they lead to.
    Other,
}

/// The record of what an application's earlier deployments created, kept in `~/.o3r-deploy/<application>/record.json` on
/// the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Record {
    /// IDs of the images they put there.
    pub images: BTreeSet<String>,
    /// Names of the volumes they created.
    pub volumes: BTreeSet<String>,
    /// Compose projects they brought up.
    pub projects: BTreeSet<String>,
    /// Digest of the compose files that were last brought up successfully.
    pub up: Option<String>,
}

impl Record {
    /// Returns the images that a rollback to an earlier version of the application needs.
    pub fn needed_images(&self) -> impl Iterator<Item = &String> {
        self.images.iter()
    }
}

impl Facts {
    /// Returns the folder below `local` that collects what comes from this device: the one that its serial number already has there,
    /// whatever the device was called then, else `sn<serial>[_<name>]`.
    pub fn folder(&self, local: &Path) -> PathBuf {
        let serial = format!("sn{}", self.serial.as_deref().unwrap_or("_unknown"));
        let mut folder = serial.clone();
        if let Some(name) = self.name.as_deref().filter(|name| !name.is_empty()) {
            folder.push('_');
            folder.push_str(name);
        }
        let (serial, folder) = (here::safe_name(&serial), here::safe_name(&folder));
        let there = self.here.archives.get(local).map(Vec::as_slice).unwrap_or_default();
        let of_this = |name: &&String| name.strip_prefix(&serial).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
        let known = there.iter().find(|name| **name == folder).or_else(|| there.iter().find(of_this));
        PathBuf::from(known.cloned().unwrap_or(folder))
    }

    /// Returns whether any deployment by this tool created the object that `owns` looks for in a record.
    pub fn is_ours(&self, owns: impl Fn(&Record) -> bool) -> bool {
        self.records.values().any(owns)
    }

    /// Returns whether `path` is a directory on the device.
    pub fn is_directory(&self, path: &str) -> bool {
        self.paths.get(path).is_some_and(|fact| fact.kind == PathKind::Directory)
    }
}
