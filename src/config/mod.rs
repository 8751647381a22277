//! The configuration of a deployment, given as options or in a file.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

mod check;
pub mod file;
mod key_path;
mod layer;
mod locate;
mod paths;
mod problem;
pub mod schema;
mod secret_source;
pub mod settings;
mod shape;
mod yaml;

pub use check::{DEFAULT_ADDRESS, check, check_without_sources};
pub use key_path::KeyPath;
pub use layer::{Layer, Origin};
pub use paths::{LocalPath, PathError, REMOTE_HOME, RemotePath};
pub use problem::{ConfigError, Problem, ProblemKind};
pub use secret_source::{SecretError, SecretSource, WantedSecret};

/// Reads a deployment from a configuration file, or from a folder with an `o3r-deploy.yaml` in it. Relative local paths are relative
/// to the file.
///
/// # Errors
/// There is no such file, or something in it is wrong: all mistakes at once.
pub fn load(path: &str) -> Result<Deployment, ConfigError> {
    let working_directory = std::env::current_dir().unwrap_or_default();
    let found = file::find(Some(path), &working_directory)?;
    let layers = found.map(|file| file::read(&file, &file.display().to_string())).transpose()?;
    let (layers, problems): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
    check(&layers, problems.into_iter().flatten().collect())
}

/// A whole deployment, checked: what every later part works from. Most fields are stages of
/// [`crate::stage::Stage`], under the same names; the others say which application it is, and how to get to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Names the compose project and the record on the device.
    pub application: Option<String>,
    /// Directory for this tool's own logs; `None` writes none.
    pub log_dir: Option<PathBuf>,
    /// The device to deploy to.
    pub device: Device,
    /// The file on the device by which its application holds updates off.
    pub hold_off: Option<RemotePath>,
    /// The password to log in with.
    pub password: Option<WantedSecret>,
    /// Values that the application needs and nobody else sees: files below `secrets` beside the compose file, by their names.
    pub secrets: BTreeMap<String, WantedSecret>,
    /// Logs to pull, first and last.
    pub logs: Vec<LogPull>,
    /// The name the device is to have.
    pub rename: Option<String>,
    /// The objects that are to be removed from docker.
    pub clean_up: CleanUp,
    /// Whether external storage is to be mounted.
    pub mount_usb: bool,
    /// Directories that must exist on the device.
    pub directories: Vec<RemotePath>,
    /// The file on the device that records each deployment.
    pub stamp: Option<RemotePath>,
    /// Files and trees to move.
    pub transfers: Transfers,
    /// Bind volumes that docker on the device must have.
    pub volume: Vec<Volume>,
    /// Images that docker on the device must have.
    pub image: Vec<Image>,
    /// Paths on the device that are to go.
    pub leftovers: Vec<RemotePath>,
    /// The application.
    pub compose: Option<Compose>,
    /// The applications that start automatically.
    pub autostart: Autostart,
    /// The container whose output is shown.
    pub attach: Option<Attach>,
}

/// The device and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Host name or address.
    pub address: String,
    /// The port of its sshd.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// The key to log in with, before all others.
    pub identity: Option<PathBuf>,
}

/// A directory of logs on the device and where it is pulled to: `<local>/sn<serial>[_<name>]/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPull {
    /// The directory there.
    pub remote: RemotePath,
    /// The directory here that collects the logs of all devices.
    pub local: PathBuf,
}

/// The objects that are to be removed from the device's docker. Objects that this deployment itself wants are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanUp {
    /// Remove containers.
    pub containers: bool,
    /// Remove volumes.
    pub volumes: bool,
    /// Whether to remove images.
    pub images: bool,
    /// Names (shell patterns with `*` and `?`) that stay.
    pub keep: Vec<String>,
    /// Remove only what an earlier deployment of this application created.
    pub only_this_application: bool,
}

/// Files and trees to move, each pair on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// The transfers from the device to this computer.
    pub from_device: Vec<Transfer>,
    /// The transfers from this computer to the device.
    pub to_device: Vec<Transfer>,
}

/// One file or tree on both sides. The destination is the file or tree itself, unless it ends with a slash or is a directory
/// while the source is a file: then the source's name is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Path on this computer.
    pub local: PathBuf,
    /// Path on the device.
    pub remote: RemotePath,
}

/// A bind volume of docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Name of the volume in docker.
    pub name: String,
    /// The directory it binds.
    pub path: RemotePath,
}

/// An image that is to be in the device's docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The source of the image.
    pub source: ImageSource,
    /// The reference it is to have, as `name:tag`.
    pub name: Option<String>,
    /// The metadata that a bare root file system does not contain.
    pub metadata: ImageMetadata,
}

/// The source of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// An archive on this computer, or, when no such file exists, an image in this computer's docker.
    Here(String),
    /// An archive on the device.
    OnDevice(RemotePath),
}

/// The metadata with which a bare root file system is run, as a Dockerfile would give it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The command, as `CMD` in a Dockerfile.
    pub command: Vec<String>,
    /// `ENV`, as `NAME=value`.
    pub environment: Vec<String>,
    /// The entry point, as `ENTRYPOINT` in a Dockerfile.
    pub entrypoint: Vec<String>,
    /// The working directory, as `WORKDIR` in a Dockerfile.
    pub working_directory: Option<String>,
}

/// The compose project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compose {
    /// The compose file or files.
    pub files: ComposeFiles,
    /// The services to bring up; all when empty.
    pub services: Vec<String>,
    /// The profiles whose services run; `None` leaves that to the `.env` beside the compose file.
    pub profiles: Option<Vec<String>>,
    /// Variables for the compose file, by their names, as a `.env` file has them.
    pub set: BTreeMap<String, String>,
    /// Maximum time to wait until all of them run and are healthy.
    pub wait: Duration,
    /// Time that they must then run without interruption.
    pub settle: Duration,
    /// Services that may end with exit code 0.
    pub completes: Vec<String>,
}

impl Compose {
    /// The default of `wait`.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(120);
    /// The default of `settle`.
    pub const DEFAULT_SETTLE: Duration = Duration::from_secs(10);
}

/// The place of compose files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComposeFiles {
    /// Here: they and what they name are sent to `directory`.
    Here {
        /// The files, the first the base of the others.
        files: Vec<PathBuf>,
        /// Their directory on the device; the default is `~/<application>`.
        directory: RemotePath,
    },
    /// On the device already, or put there by a transfer.
    OnDevice(RemotePath),
}

/// The applications that start automatically after a power cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autostart {
    /// Services to enable.
    pub enable: Vec<AutostartService>,
    /// Services to disable, before the others are enabled.
    pub disable: Vec<String>,
}

/// A service that is to start by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutostartService {
    /// Name of the service, as in the unit `oem-dc@<service>`.
    pub service: String,
    /// Compose file of the service on the device; `None` means that of this deployment.
    pub file: Option<RemotePath>,
}

/// The container whose output is shown, and the conditions that end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The container's name.
    pub container: String,
    /// Time for which output is shown; `None` means until the container ends or Ctrl-C is pressed.
    pub run_duration: Option<Duration>,
    /// A regular expression: the first line that matches ends it.
    pub until: Option<String>,
    /// Whether the container is removed at the end.
    pub stop_upon_exit: bool,
}
