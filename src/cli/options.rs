//! The options: every one of the incumbent under its own name, and ours, in the order of the stages. Each is understood in
//! snake_case and kebab-case.

use std::path::{Path, PathBuf};

use super::option_layer;
use crate::{
    config::{self, ConfigError, Deployment, Layer, Problem},
    delivery::Strategy,
};

mod parts;

pub use parts::{ApplicationOptions, DeviceOptions, DisplayOptions, LockOptions};

/// What to deploy, and how. Options override the configuration file key by key: one that is given replaces what the file says
/// about the same thing, and an empty value (`''`) turns it off.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Which device, and which file tells about it.
    #[command(flatten)]
    pub device: DeviceOptions,

    /// Logs to pull, before anything is destroyed and at the end [default: ~/share/logs>~/o3r_logs/From_VPUs]
    ///
    /// They land in a folder for each device, `LOCAL/sn<serial>_<name>`. '' pulls none.
    ///
    /// Example: --get_logs_from_vpu '~/share/logs>C:\logs'
    #[arg(long = "get_logs_from_vpu", alias = "get-logs-from-vpu", value_name = "REMOTE>LOCAL", num_args = 1.., help_heading = "Logs")]
    pub get_logs_from_vpu: Option<Vec<String>>,

    /// The name the device is to have; it outlives a reboot
    ///
    /// Example: --set_vpu_name 'python bench'
    #[arg(long = "set_vpu_name", alias = "set-vpu-name", value_name = "NAME", help_heading = "Rename")]
    pub set_vpu_name: Option<String>,

    /// Remove all containers; --dont_remove_running_containers takes it back
    ///
    /// What this tool did not deploy goes only with --yes or after a question. The same holds for volumes and images.
    ///
    /// Example: --remove_running_containers --remove_volumes --remove_images --yes
    #[arg(
        long = "remove_running_containers",
        alias = "remove-running-containers",
        overrides_with = "dont_remove_running_containers",
        help_heading = "Clean up"
    )]
    pub remove_running_containers: bool,

    /// The opposite of --remove_running_containers
    #[arg(
        long = "dont_remove_running_containers",
        alias = "dont-remove-running-containers",
        overrides_with = "remove_running_containers",
        hide = true
    )]
    pub dont_remove_running_containers: bool,

    /// Remove all volumes; --dont_remove_volumes takes it back
    ///
    /// Example: --remove_volumes
    #[arg(
        long = "remove_volumes",
        alias = "remove-volumes",
        overrides_with = "dont_remove_volumes",
        help_heading = "Clean up"
    )]
    pub remove_volumes: bool,

    /// The opposite of --remove_volumes
    #[arg(long = "dont_remove_volumes", alias = "dont-remove-volumes", overrides_with = "remove_volumes", hide = true)]
    pub dont_remove_volumes: bool,

    /// Remove all images; --dont_remove_images takes it back
    ///
    /// Example: --remove_images
    #[arg(long = "remove_images", alias = "remove-images", overrides_with = "dont_remove_images", help_heading = "Clean up")]
    pub remove_images: bool,

    /// The opposite of --remove_images
    #[arg(long = "dont_remove_images", alias = "dont-remove-images", overrides_with = "remove_images", hide = true)]
    pub dont_remove_images: bool,

    /// Have external storage mounted; --dont_mount_usb_volumes takes it back
    ///
    /// Example: --mount_usb_volumes
    #[arg(
        long = "mount_usb_volumes",
        alias = "mount-usb-volumes",
        overrides_with = "dont_mount_usb_volumes",
        help_heading = "Mount USB"
    )]
    pub mount_usb_volumes: bool,

    /// The opposite of --mount_usb_volumes
    #[arg(
        long = "dont_mount_usb_volumes",
        alias = "dont-mount-usb-volumes",
        overrides_with = "mount_usb_volumes",
        hide = true
    )]
    pub dont_mount_usb_volumes: bool,

    /// Directories to create on the device [default: ~/share]
    ///
    /// `~` at the start of a path on the device is /home/oem; in quotes, or the shell makes this computer's home of it. ''
    /// creates none.
    ///
    /// Example: --dirs_to_make '~/share' '~/my data'
    #[arg(long = "dirs_to_make", alias = "dirs-to-make", value_name = "DIRECTORY", num_args = 1.., help_heading = "Directories")]
    pub dirs_to_make: Option<Vec<String>>,

    /// The file on the device that gets one line a deployment [default: ~/share/Deployments]
    ///
    /// '' writes none.
    ///
    /// Example: --append_deployment_timestamp_to '~/share/Deployments'
    #[arg(
        long = "append_deployment_timestamp_to",
        alias = "append-deployment-timestamp-to",
        value_name = "FILE",
        help_heading = "Stamp"
    )]
    pub append_deployment_timestamp_to: Option<String>,

    /// Files or folders to fetch from the device: pairs of its path there and its path here
    ///
    /// A part that holds a comma is put in double quotes, or the comma after a backslash.
    ///
    /// Example: --transfers_from_vpu '~/share/result.csv,./result.csv' '"~/share/a,b.csv",C:\results\'
    #[arg(
        long = "transfers_from_vpu",
        alias = "transfers-from-vpu",
        value_name = "REMOTE,LOCAL",
        num_args = 1..,
        help_heading = "Transfers"
    )]
    pub transfers_from_vpu: Option<Vec<String>>,

    /// Files or folders to send to the device: pairs of its path here and its path there
    ///
    /// A destination that ends with a slash takes a file or a tree under its own name.
    ///
    /// Example: --transfers_to_vpu './config,~/share/config' 'C:\models\net.onnx,~/share/models/'
    #[arg(
        long = "transfers_to_vpu",
        alias = "transfers-to-vpu",
        value_name = "LOCAL,REMOTE",
        num_args = 1..,
        help_heading = "Transfers"
    )]
    pub transfers_to_vpu: Option<Vec<String>>,

    /// Bind volumes to create: the directory on the device and the volume's name
    ///
    /// Example: --volume_to_setup '~/share,share'
    #[arg(
        long = "volume_to_setup",
        alias = "volume-to-setup",
        value_name = "PATH,NAME",
        num_args = 1..,
        help_heading = "Volume"
    )]
    pub volume_to_setup: Option<Vec<String>>,

    /// Image to put on the device: an archive here, or an image in this computer's docker
    ///
    /// NAME is the reference it is to have. Archives may be those of `docker save`, OCI archives or bare root file systems.
    ///
    /// Example: --image ./python_app.tar,python_app:1.0
    #[arg(long, value_name = "SOURCE[,NAME]", num_args = 1.., help_heading = "Image")]
    pub image: Option<Vec<String>>,

    /// Image to load from an archive that is on the device, and the reference it is to have
    ///
    /// Example: --image_to_import '~/share/python_app.tar,python_app:1.0'
    #[arg(
        long = "image_to_import",
        alias = "image-to-import",
        value_name = "TAR[,NAME]",
        num_args = 1..,
        help_heading = "Image"
    )]
    pub image_to_import: Option<Vec<String>>,

    /// How much of an image travels; without this option whatever takes the least time
    ///
    /// The time is told by the speeds that earlier deliveries to this device saw, and shown in the plan.
    ///
    /// Example: --strategy thin
    #[arg(long, value_enum, default_value_t, hide_default_value = true, value_name = "HOW", help_heading = "Image")]
    pub strategy: Strategy,

    /// Take an image that is made for another processor than the device's
    ///
    /// Example: --allow-architecture
    #[arg(long = "allow-architecture", alias = "allow_architecture", help_heading = "Image")]
    pub allow_architecture: bool,

    /// Where the room is short, remove the images that nobody needs
    ///
    /// Without it, a deployment for which the device has not enough room is refused before anything is sent, and names what could
    /// go: images of which there is no container, which this deployment does not want, and which no earlier version needs.
    ///
    /// Example: --make-room
    #[arg(long = "make-room", alias = "make_room", help_heading = "Image")]
    pub make_room: bool,

    /// Paths to remove from the device once the images are there
    ///
    /// Example: --items_to_cleanup '~/share/python_app.tar,~/share/old'
    #[arg(
        long = "items_to_cleanup",
        alias = "items-to-cleanup",
        value_name = "PATH[,PATH…]",
        num_args = 1..,
        help_heading = "Leftovers"
    )]
    pub items_to_cleanup: Option<Vec<String>>,

    /// Compose file to bring up, and the service if it is to be only one
    ///
    /// A FILE that begins with `/` or `~` is on the device; any other is on this computer and sent, with all that it names.
    ///
    /// Example: --docker_compose_to_initialize ./docker-compose.yml:python_app
    #[arg(
        long = "docker_compose_to_initialize",
        alias = "docker-compose-to-initialize",
        value_name = "FILE[:SERVICE]",
        help_heading = "Compose"
    )]
    pub docker_compose_to_initialize: Option<String>,

    /// Variable for the compose file, written into the `.env` beside it on the device; may be given several times
    ///
    /// It adds to `compose.set` of the file. The environment of this computer plays no part.
    ///
    /// Example: --set REGISTRY_TAG=1.4
    #[arg(long = "set", value_name = "NAME=VALUE", help_heading = "Compose")]
    pub set: Vec<String>,

    /// Services that are to start by themselves, with their compose file on the device
    ///
    /// Without FILE it is the compose file of this deployment.
    ///
    /// Example: --enable_autostart '~/python_app/docker-compose.yml:python_app'
    #[arg(
        long = "enable_autostart",
        alias = "enable-autostart",
        value_name = "[FILE:]SERVICE[,…]",
        num_args = 1..,
        help_heading = "Autostart"
    )]
    pub enable_autostart: Option<Vec<String>>,

    /// Services that are to start by themselves no longer
    ///
    /// Example: --disable_autostart old_app,older_app
    #[arg(
        long = "disable_autostart",
        alias = "disable-autostart",
        value_name = "SERVICE[,…]",
        num_args = 1..,
        help_heading = "Autostart"
    )]
    pub disable_autostart: Option<Vec<String>>,

    /// Show the output of this container
    ///
    /// Ctrl-C leaves it running.
    ///
    /// Example: --attach_to python_app --run_duration 10
    #[arg(long = "attach_to", alias = "attach-to", value_name = "CONTAINER", help_heading = "Attach")]
    pub attach_to: Option<String>,

    /// How long to show it, in seconds; 0: until it ends or Ctrl-C [default: 0]
    ///
    /// Example: --run_duration 2.5
    #[arg(long = "run_duration", alias = "run-duration", value_name = "SECONDS", value_parser = option_layer::seconds, allow_negative_numbers = true, help_heading = "Attach")]
    pub run_duration: Option<f64>,

    /// Remove the container at the end; --dont_stop_upon_exit takes it back
    ///
    /// Example: --attach_to python_app --run_duration 60 --stop_upon_exit
    #[arg(long = "stop_upon_exit", alias = "stop-upon-exit", overrides_with = "dont_stop_upon_exit", help_heading = "Attach")]
    pub stop_upon_exit: bool,

    /// The opposite of --stop_upon_exit
    #[arg(long = "dont_stop_upon_exit", alias = "dont-stop-upon-exit", overrides_with = "stop_upon_exit", hide = true)]
    pub dont_stop_upon_exit: bool,

    /// Show every command and transfer and change nothing, neither there nor here
    ///
    /// Example: --dry-run
    #[arg(long = "dry-run", alias = "dry_run", help_heading = "This run")]
    pub dry_run: bool,

    /// Agree to whatever would be asked about, such as removing what others deployed
    ///
    /// Example: --remove_images --yes
    #[arg(long, help_heading = "This run")]
    pub yes: bool,

    /// How often a lost connection is made again [default: 8]
    ///
    /// The pauses grow from 1 s to 30 s. The run then goes on where it was. 0: not at all.
    ///
    /// Example: --reconnects 0
    #[arg(long, value_name = "TIMES", value_parser = option_layer::times, allow_negative_numbers = true, help_heading = "This run")]
    pub reconnects: Option<u32>,

    /// How the lock of the device is taken.
    #[command(flatten)]
    pub lock: LockOptions,

    /// How much is said, and in which form.
    #[command(flatten)]
    pub display: DisplayOptions,

    /// Where this tool's own logs go [default: ~/o3r_logs]
    ///
    /// One file a run, in the folder Deployments there. '' writes none.
    ///
    /// Example: --log_dir ./logs
    #[arg(long = "log_dir", alias = "log-dir", value_name = "FOLDER", help_heading = "This run")]
    pub log_dir: Option<String>,
}

impl Options {
    /// Returns whether any option asks for work on the device.
    pub fn names_a_stage(&self) -> bool {
        let texts =
            [&self.set_vpu_name, &self.append_deployment_timestamp_to, &self.docker_compose_to_initialize, &self.attach_to];
        let lists = [
            &self.get_logs_from_vpu,
            &self.dirs_to_make,
            &self.transfers_from_vpu,
            &self.transfers_to_vpu,
            &self.volume_to_setup,
            &self.image,
            &self.image_to_import,
            &self.items_to_cleanup,
            &self.enable_autostart,
            &self.disable_autostart,
        ];
        let flags =
            [self.remove_running_containers, self.remove_volumes, self.remove_images, self.mount_usb_volumes].contains(&true);
        flags || texts.iter().any(|text| text.is_some()) || lists.iter().any(|list| list.is_some())
    }
}

/// The checked deployment, and the configuration file that it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The deployment, checked.
    pub deployment: Deployment,
    /// The configuration file that was used.
    pub config_file: Option<PathBuf>,
}

/// Returns the deployment from the options and the configuration file. Relative paths of options start at
/// `working_directory`, those of the file at its folder. Nothing is touched; files are only looked at.
///
/// # Errors
/// All that is wrong, at once where possible.
pub fn deployment(options: &Options, working_directory: &Path) -> Result<Wanted, ConfigError> {
    with_file(
        option_layer::layer(options, working_directory),
        options.device.config.as_deref(),
        working_directory,
        config::check,
    )
}

/// Returns the deployment for commands that deploy nothing: its local files need not exist.
///
/// # Errors
/// As [`deployment`].
pub fn application(options: &ApplicationOptions, working_directory: &Path) -> Result<Deployment, ConfigError> {
    let compose = options.docker_compose_to_initialize.as_ref();
    let told = option_layer::part(&options.device, compose, working_directory);
    Ok(with_file(told, options.device.config.as_deref(), working_directory, config::check_without_sources)?.deployment)
}

/// Returns the deployment for commands that concern only the device.
///
/// # Errors
/// As [`deployment`].
pub fn device(options: &DeviceOptions, working_directory: &Path) -> Result<Deployment, ConfigError> {
    let told = option_layer::part(options, None, working_directory);
    Ok(with_file(told, options.config.as_deref(), working_directory, config::check_without_sources)?.deployment)
}

fn with_file(
    (told, mut problems): (Layer, Vec<Problem>),
    named: Option<&str>,
    working_directory: &Path,
    check: fn(&[Layer], Vec<Problem>) -> Result<Deployment, ConfigError>,
) -> Result<Wanted, ConfigError> {
    let config_file = config::file::find(named, working_directory)?;
    let mut layers = vec![told];
    if let Some(path) = &config_file {
        let name = path.strip_prefix(working_directory).unwrap_or(path).display().to_string();
        let (layer, found) = config::file::read(path, &name)?;
        problems.extend(found);
        layers.push(layer);
    }
    let deployment = check(&layers, problems)?;
    Ok(Wanted { deployment, config_file })
}

#[cfg(test)]
mod tests;
