//! The options that several commands share, each group on its own: a command takes those that mean something to it.

use std::time::Duration;

use crate::{cli::option_layer, deploy::LockSettings};

/// Which device, and which file tells about it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DeviceOptions {
    /// The configuration file, or a folder with an `o3r-deploy.yaml` in it; '' uses none
    ///
    /// Without this option the `o3r-deploy.yaml` (or `.yml`) of the working directory is used, or else that of the nearest folder
    /// above it that has one. Options override it key by key: an option that is given replaces what the file says about the same thing.
    ///
    /// Example: --config deployment_examples/python_app
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub config: Option<String>,

    /// The device's address [default: 192.168.0.69]
    ///
    /// Overrides the file, as does the environment variable IFM3D_IP.
    ///
    /// Example: --IP 192.168.0.70
    #[arg(
        long = "IP",
        alias = "ip",
        env = "IFM3D_IP",
        hide_env_values = true,
        value_name = "ADDRESS",
        value_parser = option_layer::something,
        help_heading = "Device"
    )]
    pub ip: Option<String>,

    /// The port of the device's sshd [default: 22]
    ///
    /// Example: --port 2222
    #[arg(long, value_name = "PORT", value_parser = option_layer::port, allow_negative_numbers = true, help_heading = "Device")]
    pub port: Option<u16>,

    /// The user to log in as [default: oem]
    ///
    /// Example: --user oem
    #[arg(long, value_name = "USER", value_parser = option_layer::something, help_heading = "Device")]
    pub user: Option<String>,

    /// The private key to log in with, before all others
    ///
    /// Example: --identity ~/.ssh/id_o3r
    #[arg(long, value_name = "FILE", value_parser = option_layer::something, help_heading = "Device")]
    pub identity: Option<String>,

    /// Accept the key of a device that is not known yet, without asking
    ///
    /// A key that has changed is refused all the same. But whoever says on port 80 that he is a device with a number that nobody
    /// knows counts as a new one: it is right only where nobody else is on the wire.
    ///
    /// Example: --accept-new
    #[arg(long = "accept-new", alias = "accept_new", help_heading = "Device")]
    pub accept_new: bool,
}

/// How the lock of the device is taken.
#[derive(Clone, Debug, clap::Args)]
pub struct LockOptions {
    /// How many seconds to wait while another deployment is under way or the application holds updates off [default: 0]
    ///
    /// Example: --lock-wait 120
    #[arg(long = "lock-wait", alias = "lock_wait", value_name = "SECONDS", value_parser = option_layer::wait, allow_negative_numbers = true, default_value = "0", hide_default_value = true, help_heading = "This run")]
    pub lock_wait: f64,

    /// Go on although the application holds updates off
    ///
    /// Example: --force
    #[arg(long, help_heading = "This run")]
    pub force: bool,
}

impl LockOptions {
    /// Returns what the use case takes.
    pub(crate) fn settings(&self) -> LockSettings {
        let wait = Duration::from_secs_f64(self.lock_wait.min(f64::from(u32::MAX)));
        LockSettings { wait, ignore_hold_off: self.force }
    }
}

/// How much is said, and in which form.
#[derive(Clone, Debug, clap::Args)]
pub struct DisplayOptions {
    /// Say nothing but warnings and failures
    ///
    /// Example: --quiet
    #[arg(long, help_heading = "This run")]
    pub quiet: bool,

    /// Write events to standard output, one JSON object a line
    ///
    /// Example: --json
    #[arg(long, help_heading = "This run")]
    pub json: bool,

    /// How much to say: DEBUG, INFO, WARNING, ERROR or CRITICAL (or trace, warn), in any case
    ///
    /// Example: --log_level DEBUG
    #[arg(long = "log_level", alias = "log-level", value_name = "LEVEL", value_parser = option_layer::level, default_value = "INFO", help_heading = "This run")]
    pub log_level: tracing::Level,
}

impl DisplayOptions {
    /// Returns the level of output.
    pub fn level(&self) -> crate::report::Level {
        match self.log_level {
            tracing::Level::ERROR => crate::report::Level::Error,
            tracing::Level::WARN => crate::report::Level::Warning,
            tracing::Level::INFO => crate::report::Level::Info,
            _ => crate::report::Level::Debug,
        }
    }

    /// Returns the style of the display.
    pub fn style(&self) -> crate::report::Style {
        crate::report::Style::of(self.json, self.quiet, self.level())
    }
}

/// Which application of which device, for commands that deploy nothing.
#[derive(Clone, Debug, clap::Args)]
pub struct ApplicationOptions {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its options say it")]
    pub device: DeviceOptions,

    /// The compose file that the application was deployed with, where no configuration file tells it
    ///
    /// Example: --docker_compose_to_initialize ./docker-compose.yml
    #[arg(
        long = "docker_compose_to_initialize",
        alias = "docker-compose-to-initialize",
        value_name = "FILE[:SERVICE]",
        help_heading = "Compose"
    )]
    pub docker_compose_to_initialize: Option<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "its options say it")]
    pub display: DisplayOptions,
}
