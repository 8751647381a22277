//! The stages of a deployment: a closed, ordered set with one name each, in options, YAML, events and documents.

use std::fmt;

/// One step of the pipeline. The order of the variants is the order of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Connect to the device and read what is there.
    Connect,
    /// Pull the logs before anything is destroyed.
    Logs,
    /// Give the device its name.
    Rename,
    /// Remove containers, volumes and images.
    CleanUp,
    /// Have external storage mounted.
    MountUsb,
    /// Create directories.
    Directories,
    /// Move files and trees from and to the device.
    Transfers,
    /// Create bind volumes.
    Volume,
    /// Put images into the device's docker.
    Image,
    /// Remove what is no longer needed.
    Leftovers,
    /// Bring the compose project up and see it healthy.
    Compose,
    /// Have applications start by themselves, or no longer.
    Autostart,
    /// Record the deployment in a file on the device.
    Stamp,
    /// Show a container's output.
    Attach,
    /// Pull what the run itself logged.
    LogsAgain,
}

impl Stage {
    /// Every stage, in the order of the work.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Logs,
        Self::Rename,
        Self::CleanUp,
        Self::MountUsb,
        Self::Directories,
        Self::Transfers,
        Self::Volume,
        Self::Image,
        Self::Leftovers,
        Self::Compose,
        Self::Autostart,
        Self::Stamp,
        Self::Attach,
        Self::LogsAgain,
    ];

    /// Returns the stage's name, as in the YAML and the events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Logs => "logs",
            Self::Rename => "rename",
            Self::CleanUp => "clean_up",
            Self::MountUsb => "mount_usb",
            Self::Directories => "directories",
            Self::Stamp => "stamp",
            Self::Transfers => "transfers",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::Leftovers => "leftovers",
            Self::Compose => "compose",
            Self::Autostart => "autostart",
            Self::Attach => "attach",
            Self::LogsAgain => "logs_again",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_listed_in_the_order_of_the_work() {
        assert!(Stage::ALL.is_sorted());
    }

    #[test]
    fn a_stage_has_one_name_in_text_and_events() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::json!(stage), stage.name());
        }
    }
}
