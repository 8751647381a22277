//! Keeps data on this computer that makes the next deployment faster. It may be lost at any time.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{
    compose::Answer,
    config::Device,
    delivery::{LayerIndexCache, Speeds},
    facts::here,
    small_file,
};

/// Number of files that a folder of the cache keeps.
const FILES_MAX: usize = 100;

/// Removes the oldest file of a folder that is full.
fn forget_oldest(folder: &Path) {
    let entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    if entries.len() >= FILES_MAX {
        let age = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if let Some(oldest) = entries.into_iter().min_by_key(age) {
            let _ = std::fs::remove_file(oldest);
        }
    }
}

/// The user's cache folder.
pub(crate) struct Cache {
    directory: Option<PathBuf>,
    read_only: bool,
}

impl Cache {
    /// Returns the cache in `$XDG_CACHE_HOME/o3r-deploy` or `~/.cache/o3r-deploy`, on Windows in
    /// `%LOCALAPPDATA%\o3r-deploy`. A dry run leaves it as it is.
    pub(crate) fn of(dry_run: bool) -> Self {
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

    /// Returns the cache of layer indexes.
    pub(super) fn shelf(&self) -> LayerIndexCache {
        LayerIndexCache::new(self.below("layers"), self.read_only)
    }

    /// Returns the answer of docker-compose to this input, if it is kept.
    pub(super) fn answer(&self, input: &str) -> Option<Answer> {
        let text = small_file::read(&self.answer_file(input)?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps what docker-compose answered to this input.
    pub(super) fn keep_answer(&self, input: &str, answer: &Answer) {
        if let (Some(file), Ok(text)) = (self.answer_file(input), serde_json::to_string(answer)) {
            self.keep_file(&file, &text);
        }
    }

    /// Returns what the device at this address said of its compose last, or nothing.
    pub(super) fn compose_line(&self, device: &Device) -> String {
        let text = self.compose_line_file(device).and_then(|file| small_file::read(&file).ok());
        text.filter(|text| text.lines().count() == 1).unwrap_or_default().trim().to_owned()
    }

    /// Keeps what a device said of its compose.
    pub(super) fn keep_compose_line(&self, device: &Device, line: &str) {
        if line.is_empty() || self.compose_line(device) == line {
            return;
        }
        if let Some(file) = self.compose_line_file(device) {
            self.keep_file(&file, line);
        }
    }

    fn compose_line_file(&self, device: &Device) -> Option<PathBuf> {
        let Device { address, port, user, .. } = device;
        let digest = here::hexadecimal(&Sha256::digest(format!("{address} {port} {user}")));
        self.below("compose_tools").map(|folder| folder.join(digest))
    }

    /// Writes a file into a folder that does not grow without end.
    fn keep_file(&self, file: &Path, text: &str) {
        if self.read_only {
            return;
        }
        if let Some(folder) = file.parent() {
            let _ = std::fs::create_dir_all(folder);
            forget_oldest(folder);
        }
        let _ = std::fs::write(file, text);
    }

    fn answer_file(&self, input: &str) -> Option<PathBuf> {
        let digest = here::hexadecimal(&Sha256::digest(format!("{} {input}", env!("CARGO_PKG_VERSION"))));
        self.below("compose").map(|folder| folder.join(digest))
    }

    /// Returns the path of the folder with the numbers of reboots of devices.
    pub(crate) fn reboots(&self) -> Option<PathBuf> {
        self.below("reboots")
    }

    /// Returns the speeds of a device in earlier deliveries.
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
