//! The directories in which files arrive on this computer before they are moved into place: one for each run, so that
//! parallel runs do not disturb each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{RunError, fetch::local};
use crate::{
    facts::compare::{INCOMING, part_name},
    holes,
    plan::Download,
};

/// A file to fetch, and where it arrives.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) file: &'a Download,
    pub(super) place: PathBuf,
    /// Number of its bytes that are there already.
    pub(super) have: u64,
    /// State of the file at its destination when the fetch began.
    pub(super) before: Option<State>,
}

/// The state by which a local file is recognised within a run: its length, and its modification time by this computer's
/// clock.
pub(super) type State = (u64, Option<SystemTime>);

/// Returns the state of the file at a path; `None` when it is no file.
pub(super) fn state(path: &Path) -> Option<State> {
    let metadata = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((metadata.len(), metadata.modified().ok()))
}

/// The directories in which the files of a fetch arrive: `<root>/.o3r-deploy-incoming/<run>`. They go with the value, whatever
/// happened, and so do the directories that were made for the fetch and into which nothing came.
#[derive(Debug, Default)]
pub(super) struct Staging {
    runs: BTreeMap<PathBuf, Run>,
    made: Vec<PathBuf>,
    /// Partial files that are of use to a later run.
    parts: BTreeSet<PathBuf>,
    /// Whether they outlive the value.
    lasting: bool,
}

/// The directory of a run, and the locked file beside it that shows that the run lives.
#[derive(Debug)]
struct Run {
    directory: PathBuf,
    lock: PathBuf,
    locked: File,
}

/// Number of attempts to make or clear a directory that other runs remove or fill at the same time.
const TRIES: usize = 100;

impl Staging {
    /// Prepares the arrival of files: their existing parts are moved or copied to the place of arrival. Files that dead
    /// runs have left are removed.
    pub(super) fn prepare<'a>(&mut self, files: &'a [Download]) -> Result<Vec<Arrival<'a>>, RunError> {
        let arrivals = files.iter().map(|file| self.arrival(file)).collect::<Result<Vec<_>, _>>()?;
        for (root, run) in &self.runs {
            clear_left_overs(&root.join(INCOMING), &run.directory);
        }
        Ok(arrivals)
    }

    fn arrival<'a>(&mut self, file: &'a Download) -> Result<Arrival<'a>, RunError> {
        let place = self.directory_in(&file.root)?.join(part_name(&file.root, &file.local));
        let taken = file.copy.as_ref().is_some_and(|copy| {
            let own = copy.is_part() && copy.path.parent().is_some_and(|run| !lives(run));
            let moved = own && std::fs::rename(&copy.path, &place).is_ok();
            // Another run may have changed it since it was compared; of a part there may be more by now.
            let same = copy.is_part() || state(&copy.path).is_some_and(|(length, _)| length == copy.bytes);
            moved || (same && holes::copy_beginning(&copy.path, &place, copy.bytes).is_ok())
        });
        let have = if taken { file.have() } else { 0 };
        Ok(Arrival { file, place, have, before: state(&file.local) })
    }

    /// Makes the directory of this run below `root`.
    fn directory_in(&mut self, root: &Path) -> Result<PathBuf, RunError> {
        if let Some(run) = self.runs.get(root) {
            return Ok(run.directory.clone());
        }
        let incoming = root.join(INCOMING);
        let mut tries = 0;
        let run = loop {
            tries += 1;
            self.make(&incoming)?;
            match Run::begin(&incoming) {
                Ok(Some(run)) => break run,
                // Somebody has just tidied up.
                Ok(None) if tries < TRIES => {}
                Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES => {}
                Ok(None) => return local(&incoming, Err(ErrorKind::ResourceBusy.into())),
                Err(error) => return local(&incoming, Err(error)),
            }
        };
        let directory = run.directory.clone();
        self.runs.insert(root.to_owned(), run);
        Ok(directory)
    }

    /// Marks a partial file with which the next run continues, should this one lose the connection.
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
            match std::fs::create_dir(path) {
                Ok(()) => self.made.push(path.to_owned()),
                // Another run was faster, or has just tidied up: whoever asked tries again.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return local(path, Err(error)),
            }
        }
        Ok(())
    }
}

impl Run {
    /// Makes a directory of its own; `None` when another run has removed it at once.
    fn begin(incoming: &Path) -> std::io::Result<Option<Self>> {
        let directory = incoming.join(crate::command::nonce().trim_matches('@'));
        let lock = directory.with_extension("lock");
        let locked = File::create_new(&lock)?;
        // Where files cannot be locked others see that as well, and leave this alone.
        let _ = locked.lock();
        // Until it was locked it looked as if its run were gone.
        if !lock.exists() {
            return Ok(None);
        }
        std::fs::create_dir(&directory)?;
        Ok(Some(Self { directory, lock, locked }))
    }
}

/// Returns whether the run to which this directory belongs is alive.
fn lives(run: &Path) -> bool {
    match File::open(run.with_extension("lock")) {
        Ok(lock) => lock.try_lock().is_err(),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// Removes what runs left that are gone, but for the directory of this one.
fn clear_left_overs(incoming: &Path, own: &Path) {
    for path in std::fs::read_dir(incoming).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let run = path.with_extension("");
        if run == own || lives(&run) {
            continue;
        }
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
}

/// Removes the directory of a run, but not these parts of files.
fn clear(run: &Path, parts: &BTreeSet<PathBuf>) -> bool {
    if !parts.iter().any(|part| part.starts_with(run) && part.exists()) {
        return std::fs::remove_dir_all(run).is_ok() || !run.exists();
    }
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !parts.contains(path)).all(|path| std::fs::remove_file(path).is_ok())
}

impl Drop for Staging {
    fn drop(&mut self) {
        let parts = if self.lasting { std::mem::take(&mut self.parts) } else { BTreeSet::new() };
        for (root, run) in std::mem::take(&mut self.runs) {
            // A thread that was given up may put one more file into it meanwhile.
            let _ = (0..TRIES).any(|_| clear(&run.directory, &parts));
            let _ = std::fs::remove_file(&run.lock);
            drop(run.locked);
            // Only an empty one can be removed so.
            let _ = std::fs::remove_dir(root.join(INCOMING));
        }
        for directory in self.made.iter().rev() {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::compare::Copy;

    fn fetching(root: &Path, name: &str) -> Download {
        Download { remote: format!("/{name}"), local: root.join(name), root: root.to_owned(), ..Download::default() }
    }

    #[test]
    fn nothing_is_left_of_a_fetch_but_what_was_renamed_into_place() {
        let home = tempfile::tempdir().expect("a folder");
        let (kept, lost) = (home.path().join("kept"), home.path().join("lost/deep"));
        let files = [fetching(&kept, "a"), fetching(&lost, &"x".repeat(255))];
        let mut arriving = Staging::default();
        let arrivals = arriving.prepare(&files).expect("made");
        arrivals.iter().for_each(|arrival| std::fs::write(&arrival.place, "x").expect("written"));
        std::fs::rename(&arrivals[0].place, &files[0].local).expect("renamed");
        drop(arriving);
        assert_eq!(std::fs::read_to_string(kept.join("a")).expect("there"), "x");
        assert_eq!(std::fs::read_dir(&kept).expect("there").count(), 1);
        assert!(!home.path().join("lost").exists());
    }

    #[test]
    fn runs_at_the_same_time_do_not_meet_and_what_dead_ones_left_goes() {
        let home = tempfile::tempdir().expect("a folder");
        let files = [fetching(home.path(), "a")];
        let incoming = home.path().join(INCOMING);
        std::fs::create_dir_all(incoming.join("dead")).expect("made");
        std::fs::write(incoming.join("dead/half"), "x").expect("written");
        std::fs::write(incoming.join("killed.lock"), "").expect("written");
        let (mut one, mut other) = (Staging::default(), Staging::default());
        let first = one.prepare(&files).expect("made").remove(0);
        let second = other.prepare(&files).expect("made").remove(0);
        assert_ne!(first.place, second.place);
        std::fs::write(&first.place, "first").expect("its directory is there");
        std::fs::write(&second.place, "second").expect("its directory is there");
        assert_eq!(std::fs::read_dir(&incoming).expect("there").count(), 4, "two directories and their locks");
        drop(other);
        assert_eq!(std::fs::read_to_string(&first.place).expect("there"), "first");
        drop(one);
        assert!(!incoming.exists());
    }

    #[test]
    fn part_outlives_a_lost_connection_and_the_next_run_takes_it_over() {
        let home = tempfile::tempdir().expect("a folder");
        let mut files = [fetching(&home.path().join("new"), "large"), fetching(&home.path().join("new"), "small")];
        let mut arriving = Staging::default();
        let arrivals = arriving.prepare(&files).expect("made");
        arrivals.iter().for_each(|arrival| std::fs::write(&arrival.place, "half").expect("written"));
        let (part, small) = (arrivals[0].place.clone(), arrivals[1].place.clone());
        arriving.part(&part);
        arriving.keep_parts();
        drop(arriving);
        assert!(part.exists() && !small.exists());
        files[0].copy = Some(Copy { path: part.clone(), bytes: 4 });
        let mut arriving = Staging::default();
        let arrivals = arriving.prepare(&files).expect("made");
        assert_eq!((arrivals[0].have, std::fs::read_to_string(&arrivals[0].place).expect("there")), (4, "half".to_owned()));
        assert!(!part.exists());
        drop(arriving);
        assert!(!home.path().join("new").join(INCOMING).exists());
    }

    #[test]
    fn file_that_another_run_has_changed_is_no_beginning_any_more() {
        let home = tempfile::tempdir().expect("a folder");
        let mut file = fetching(home.path(), "a");
        std::fs::write(&file.local, "longer").expect("written");
        file.copy = Some(Copy { path: file.local.clone(), bytes: 4 });
        assert_eq!(Staging::default().prepare(&[file]).expect("made")[0].have, 0);
    }
}
