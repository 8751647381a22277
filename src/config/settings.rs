//! What can be said: the keys of `o3r-deploy.yaml`. Options are put into the same form, so that one check serves both.
//!
//! The comments here are what editors show beside the keys, by way of the JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use super::secret_source::SecretSource;

/// A deployment to an ifm O3R VPU. Every key may be left out; options override the file, key by key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "o3r-deploy.yaml")]
pub struct Settings {
    /// Names the compose project and the record on the device: lower-case letters, digits, `_` and `-`. Default: the name of
    /// the folder of this file.
    #[schemars(extend("examples" = ["python_app"]))]
    pub application: Option<String>,
    /// Where the logs of o3r-deploy itself go, on this computer; empty: nowhere.
    #[schemars(extend("default" = "~/o3r_logs"))]
    pub log_dir: Option<String>,
    /// Which device, and how to log in.
    pub device: Option<Device>,
    /// A file on the device. While a process there holds it with flock, nothing on the device is changed; empty: none.
    #[schemars(extend("default" = "~/share/hold_off.lock"))]
    pub hold_off: Option<String>,
    /// Directories of logs to pull, before anything is destroyed and again at the end. Default: `~/share/logs` to
    /// `~/o3r_logs/From_VPUs`; an empty list: none.
    pub logs: Option<Vec<LogPull>>,
    /// The name the device is to have.
    #[schemars(extend("examples" = ["python bench"]))]
    pub rename: Option<String>,
    /// What is to be removed from docker. What this deployment itself wants stays.
    pub clean_up: Option<CleanUp>,
    /// Whether external storage is to be mounted.
    #[schemars(extend("default" = false))]
    pub mount_usb: Option<bool>,
    /// Directories to create on the device. Default: `~/share`; an empty list: none.
    #[schemars(extend("default" = ["~/share"]))]
    pub directories: Option<Vec<String>>,
    /// The file on the device that gets one line a deployment; empty: none.
    #[schemars(extend("default" = "~/share/Deployments"))]
    pub stamp: Option<String>,
    /// Files and trees to move, from and to the device.
    pub transfers: Option<Transfers>,
    /// Bind volumes that are to be there.
    pub volume: Option<Vec<Volume>>,
    /// Images that are to be in the device's docker.
    pub image: Option<Vec<Image>>,
    /// Paths to remove from the device once the images are there.
    #[schemars(extend("examples" = [["~/share/old"]]))]
    pub leftovers: Option<Vec<String>>,
    /// The application: its compose file is brought up, and its services are waited for.
    pub compose: Option<Compose>,
    /// What starts by itself after a power cut, and what no longer.
    pub autostart: Option<Autostart>,
    /// The container whose output is shown at the end.
    pub attach: Option<Attach>,
}

/// Which device, and how to log in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Device {
    /// Host name or address. `--IP` and the environment variable IFM3D_IP override it.
    #[schemars(extend("default" = "192.168.0.69"))]
    pub address: Option<String>,
    /// The port of its sshd.
    #[schemars(range(min = 1, max = 65535), extend("default" = 22))]
    pub port: Option<u16>,
    /// The user to log in as.
    #[schemars(extend("default" = "oem"))]
    pub user: Option<String>,
    /// The private key to log in with, before all others.
    #[schemars(extend("examples" = ["~/.ssh/id_o3r"]))]
    pub identity: Option<String>,
    /// The password to log in with, tried after all keys: `!env NAME`, `!file PATH`, `!command "…"` or a text.
    pub password: Option<SecretSource>,
}

/// A directory of logs and where it is pulled to.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct LogPull {
    /// The directory on the device.
    #[schemars(extend("examples" = ["~/share/logs"]))]
    pub remote: String,
    /// The folder on this computer that collects the logs of all devices, each in `sn<serial>_<name>`.
    #[schemars(extend("examples" = ["~/o3r_logs/From_VPUs"]))]
    pub local: String,
}

/// What is to be removed from docker.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct CleanUp {
    /// Remove containers.
    #[schemars(extend("default" = false))]
    pub containers: Option<bool>,
    /// Remove volumes.
    #[schemars(extend("default" = false))]
    pub volumes: Option<bool>,
    /// Remove images.
    #[schemars(extend("default" = false))]
    pub images: Option<bool>,
    /// Names that stay; `*` and `?` stand for any text and any character.
    #[schemars(extend("examples" = [["mosquitto*"]]))]
    pub keep: Option<Vec<String>>,
    /// Remove only what an earlier deployment of this application created.
    #[schemars(extend("default" = false))]
    pub only_this_application: Option<bool>,
}

/// Files and trees to move.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Transfers {
    /// From the device to this computer.
    pub from_device: Option<Vec<Transfer>>,
    /// From this computer to the device.
    pub to_device: Option<Vec<Transfer>>,
}

/// One file or tree on both sides. A destination that ends with a slash takes a file or a tree under its own name.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Transfer {
    /// On this computer; a relative path starts at the folder of this file.
    #[schemars(extend("examples" = ["./config"]))]
    pub local: String,
    /// On the device; `~` at the start is `/home/oem`.
    #[schemars(extend("examples" = ["~/share/config"]))]
    pub remote: String,
}

/// A bind volume.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Volume {
    /// Its name in docker.
    #[schemars(extend("examples" = ["share"]))]
    pub name: String,
    /// The directory on the device that it binds.
    #[schemars(extend("examples" = ["~/share"]))]
    pub path: String,
}

/// An image that is to be in the device's docker. The last four keys are for an archive that is a bare root file system.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Image {
    /// An archive on this computer, or the name of an image in its docker. Either this or `on_device`.
    #[schemars(extend("examples" = ["./python_app.tar"]))]
    pub source: Option<String>,
    /// An archive that is on the device. Either this or `source`.
    #[schemars(extend("examples" = ["~/share/python_app.tar"]))]
    pub on_device: Option<String>,
    /// The reference it is to have. Default: that in the archive.
    #[schemars(extend("examples" = ["python_app:1.0"]))]
    pub name: Option<String>,
    /// `CMD`.
    #[schemars(extend("examples" = [["python3", "/app/main.py"]]))]
    pub command: Option<Vec<String>>,
    /// `ENV`, as keys or as a list of `NAME=value`.
    pub environment: Option<Environment>,
    /// `ENTRYPOINT`.
    pub entrypoint: Option<Vec<String>>,
    /// `WORKDIR`.
    #[schemars(extend("examples" = ["/app"]))]
    pub working_directory: Option<String>,
}

/// Environment variables, in either form.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Environment {
    /// As keys.
    Map(BTreeMap<String, EnvironmentValue>),
    /// As a list of `NAME=value`.
    List(Vec<String>),
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum EnvironmentValue {
    /// A text.
    Text(String),
    /// A whole number. Others lose digits on the way through YAML and are to be quoted.
    Number(i64),
}

/// The compose project.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Compose {
    /// The compose file on this computer, or several, the first the base of the others; or their folder, whose `.env` may name them
    /// (`COMPOSE_FILE`). They and what they name are sent to `directory`. Either this or `on_device`.
    pub file: Option<OneOrMore>,
    /// A compose file that is on the device, or put there by a transfer. Either this or `file`.
    #[schemars(extend("examples" = ["~/share/docker-compose.yml"]))]
    pub on_device: Option<String>,
    /// Where `file` goes on the device. Default: `~/<application>`.
    #[schemars(extend("examples" = ["~/python_app"]))]
    pub directory: Option<String>,
    /// The services to bring up; all when empty.
    pub services: Option<Vec<String>>,
    /// Profiles whose services run. Default: `COMPOSE_PROFILES` of the `.env` beside the compose file.
    #[schemars(extend("examples" = [["prod"]]))]
    pub profiles: Option<Vec<String>>,
    /// Variables for the compose file, by their names. They are written into the `.env` beside it on the device; `--set` adds to them.
    pub set: Option<BTreeMap<String, EnvironmentValue>>,
    /// Values that nobody else is to see, by the name of the file below `secrets` beside the compose file that takes them, with
    /// mode 0600: `!env NAME`, `!file PATH`, `!command "…"` or a text.
    pub secrets: Option<BTreeMap<String, SecretSource>>,
    /// How long to wait until all of them run and are healthy, in seconds from the end of `docker-compose up` on.
    #[schemars(range(min = 0), extend("default" = 120))]
    pub wait: Option<f64>,
    /// How long they must then go on running without a break before the version counts, in seconds; 0 turns it off.
    #[schemars(range(min = 0), extend("default" = 10))]
    pub settle: Option<f64>,
    /// Services that may end with exit code 0: they do their work once.
    #[schemars(extend("examples" = [["migrate"]]))]
    pub completes: Option<Vec<String>>,
}

/// One text, or a list of them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// A list.
    More(Vec<String>),
}

/// What starts by itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Autostart {
    /// Services that are to start by themselves.
    pub enable: Option<Vec<AutostartService>>,
    /// Names of services that are to start by themselves no longer.
    #[schemars(extend("examples" = [["old_app"]]))]
    pub disable: Option<Vec<String>>,
}

/// A service that is to start by itself.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct AutostartService {
    /// Its name: that of the unit `oem-dc@<service>`.
    #[schemars(extend("examples" = ["python_app"]))]
    pub service: String,
    /// Its compose file on the device. Default: that of this deployment.
    #[schemars(extend("examples" = ["~/python_app/docker-compose.yml"]))]
    pub file: Option<String>,
}

/// Which container's output is shown, and until when: the first of `run_duration`, `until` and the container's end.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Attach {
    /// The container's name.
    #[schemars(extend("examples" = ["python_app"]))]
    pub container: Option<String>,
    /// How long, in seconds; 0: until it ends or Ctrl-C.
    #[schemars(range(min = 0), extend("default" = 0))]
    pub run_duration: Option<f64>,
    /// A regular expression: the first line of output that it matches ends it.
    #[schemars(extend("examples" = ["self test (passed|failed)"]))]
    pub until: Option<String>,
    /// Whether the container is removed at the end.
    #[schemars(extend("default" = false))]
    pub stop_upon_exit: Option<bool>,
}
