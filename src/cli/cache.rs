//! What makes the next deployment faster, kept on this computer. It may be lost at any time.

use std::path::PathBuf;

use crate::delivery::{Shelf, Speeds};

/// The user's cache folder.
pub(super) struct Cache {
    directory: Option<PathBuf>,
    read_only: bool,
}

impl Cache {
    /// `$XDG_CACHE_HOME/o3r-deploy` or `~/.cache/o3r-deploy`, on Windows `%LOCALAPPDATA%\o3r-deploy`. A dry run leaves it as it
    /// is.
    pub(super) fn of(dry_run: bool) -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let directory = if cfg!(windows) {
            variable("LOCALAPPDATA")
        } else {
            variable("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        };
        Self { directory: directory.map(|directory| directory.join("o3r-deploy")), read_only: dry_run }
    }

    fn below(&self, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(name))
    }

    /// What is known of layers.
    pub(super) fn shelf(&self) -> Shelf {
        Shelf::new(self.below("layers"), self.read_only)
    }

    /// How often devices were rebooted.
    pub(super) fn reboots(&self) -> Option<PathBuf> {
        self.below("reboots")
    }

    /// How fast a device was.
    pub(super) fn speeds(&self, serial: Option<&str>) -> Speeds {
        Speeds::of(self.below("devices").as_deref(), serial)
    }

    /// Keeps how fast it was.
    pub(super) fn keep(&self, speeds: &Speeds, serial: Option<&str>) {
        if !self.read_only {
            speeds.keep(self.below("devices").as_deref(), serial);
        }
    }
}
