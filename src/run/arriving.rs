//! Where files arrive on this computer before they are renamed into place.

use std::path::{Path, PathBuf};

use super::{RunError, fetch::local};
use crate::commands::files::INCOMING;

/// The incoming directories of a fetch. They go with the value, whatever happened, and so do the directories that were made for
/// the fetch and into which nothing came.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    incoming: Vec<PathBuf>,
    made: Vec<PathBuf>,
}

impl Arriving {
    /// The path at which the file for `destination` arrives.
    pub(super) fn place_for(&mut self, destination: &Path) -> Result<PathBuf, RunError> {
        let directory = destination.parent().unwrap_or(Path::new("."));
        let incoming = directory.join(INCOMING);
        if !self.incoming.contains(&incoming) {
            self.make(directory)?;
            // One is left over where an earlier run was killed.
            let _ = std::fs::remove_dir_all(&incoming);
            local(&incoming, std::fs::create_dir(&incoming))?;
            self.incoming.push(incoming.clone());
        }
        Ok(incoming.join(destination.file_name().unwrap_or_default()))
    }

    fn make(&mut self, directory: &Path) -> Result<(), RunError> {
        let missing: Vec<_> = directory.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.into_iter().rev().filter(|path| !path.as_os_str().is_empty()) {
            local(path, std::fs::create_dir(path))?;
            self.made.push(path.to_owned());
        }
        Ok(())
    }
}

/// How often an incoming directory is cleared: a thread that was given up may put one more file into it meanwhile.
const TRIES: usize = 100;

impl Drop for Arriving {
    fn drop(&mut self) {
        for incoming in &self.incoming {
            let gone = || std::fs::remove_dir_all(incoming).is_ok() || !incoming.exists();
            let _ = (0..TRIES).any(|_| gone());
        }
        // Only empty ones can be removed so.
        for directory in self.made.iter().rev() {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_fetch_but_what_was_renamed_into_place() {
        let home = tempfile::tempdir().expect("a folder");
        let (kept, lost) = (home.path().join("kept/a"), home.path().join("lost/deep/b"));
        let mut arriving = Arriving::default();
        let from = arriving.place_for(&kept).expect("made");
        std::fs::write(&from, "x").expect("written");
        std::fs::write(arriving.place_for(&lost).expect("made"), "half").expect("written");
        std::fs::rename(from, &kept).expect("renamed");
        drop(arriving);
        assert_eq!(std::fs::read_to_string(&kept).expect("there"), "x");
        assert_eq!(std::fs::read_dir(home.path().join("kept")).expect("there").count(), 1);
        assert!(!home.path().join("lost").exists());
    }

    #[test]
    fn a_name_as_long_as_names_can_be_has_room() {
        let home = tempfile::tempdir().expect("a folder");
        let mut arriving = Arriving::default();
        let place = arriving.place_for(&home.path().join("x".repeat(255))).expect("made");
        std::fs::write(place, "x").expect("written");
    }
}
