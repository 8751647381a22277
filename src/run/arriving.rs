//! Where files arrive on this computer before they are renamed into place.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{RunError, fetch::local};
use crate::facts::compare::{INCOMING, part};

/// The incoming directories of a fetch. They go with the value, whatever happened, and so do the directories that were made for
/// the fetch and into which nothing came.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    incoming: BTreeSet<PathBuf>,
    made: Vec<PathBuf>,
    /// What came in part and is of use: it is never cleared away before, and afterwards only when the value goes.
    parts: BTreeSet<PathBuf>,
    /// Whether they outlive the value.
    lasting: bool,
}

impl Arriving {
    /// For a fetch that goes on with these parts, which earlier ones left.
    pub(super) fn with(parts: BTreeSet<PathBuf>) -> Self {
        Self { parts, incoming: BTreeSet::new(), made: Vec::new(), lasting: false }
    }

    /// The path at which the file for `destination` arrives.
    pub(super) fn place_for(&mut self, destination: &Path) -> Result<PathBuf, RunError> {
        let place = part(destination);
        let directory = destination.parent().unwrap_or(Path::new("."));
        let incoming = directory.join(INCOMING);
        if !self.incoming.contains(&incoming) {
            self.make(directory)?;
            // One is left over where an earlier run was killed.
            clear(&incoming, &self.parts);
            if !incoming.is_dir() {
                local(&incoming, std::fs::create_dir(&incoming))?;
            }
            self.incoming.insert(incoming);
        }
        Ok(place)
    }

    /// A part that the next run goes on with, should this one lose the connection.
    pub(super) fn part(&mut self, place: &Path) {
        self.parts.insert(place.to_owned());
    }

    /// Has parts outlive the value.
    pub(super) fn keep_parts(&mut self) {
        self.lasting = true;
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

/// Removes an incoming directory, but not these parts of files.
fn clear(incoming: &Path, parts: &BTreeSet<PathBuf>) -> bool {
    if !parts.iter().any(|part| part.starts_with(incoming) && part.exists()) {
        return std::fs::remove_dir_all(incoming).is_ok() || !incoming.exists();
    }
    let entries = std::fs::read_dir(incoming).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !parts.contains(path)).all(|path| std::fs::remove_file(path).is_ok())
}

/// How often an incoming directory is cleared: a thread that was given up may put one more file into it meanwhile.
const TRIES: usize = 100;

impl Drop for Arriving {
    fn drop(&mut self) {
        let parts = if self.lasting { std::mem::take(&mut self.parts) } else { BTreeSet::new() };
        for incoming in &self.incoming {
            let _ = (0..TRIES).any(|_| clear(incoming, &parts));
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

    #[test]
    fn a_part_outlives_a_connection_that_was_lost_and_is_gone_on_with() {
        let home = tempfile::tempdir().expect("a folder");
        let large = home.path().join("new/large");
        let mut arriving = Arriving::default();
        let place = arriving.place_for(&large).expect("made");
        std::fs::write(&place, "half").expect("written");
        std::fs::write(place.with_file_name("small"), "half").expect("written");
        arriving.part(&place);
        arriving.keep_parts();
        drop(arriving);
        assert_eq!(std::fs::read_dir(place.parent().expect("a folder")).expect("there").count(), 1);
        let mut arriving = Arriving::with([place.clone()].into());
        assert_eq!(arriving.place_for(&large).expect("there"), place);
        assert_eq!(std::fs::read_to_string(&place).expect("there"), "half");
        drop(arriving);
        assert!(!place.exists());
    }
}
