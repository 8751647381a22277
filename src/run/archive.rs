//! Moves what came into its place. In an archive nothing shrinks and nothing is overwritten by other content: what is there is kept
//! beside it.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{
    RunError,
    fetch::local,
    staging::{Arrival, state},
};
use crate::{
    facts::compare::generation,
    plan::{FetchLink, Renaming},
    report::Stem,
};

/// Keeps other runs from changing what is below a directory; nothing where directories cannot be locked.
fn lock(root: &Path) -> Option<File> {
    let directory = File::open(root).ok()?;
    directory.lock().ok()?;
    Some(directory)
}

/// Moves a file that came whole into its place. Returns the name that another file got which was there.
pub(super) fn settle(arrival: &Arrival<'_>) -> Result<Option<PathBuf>, RunError> {
    let (file, place) = (arrival.file, &arrival.place);
    set_mode(place, (file.mode & 0o777) | 0o400);
    let _lock = lock(&file.root);
    make_parents(&file.local, &file.root)?;
    let now = state(&file.local);
    let unchanged = now == arrival.before;
    // Made of the beginning that is still there.
    let grown = unchanged && arrival.have > 0 && now.is_some_and(|(length, _)| length == arrival.have);
    let kept = match now {
        Some(_) if file.archive && !grown => match relation(place, &file.local) {
            Relation::Same => return local(place, std::fs::remove_file(place)).map(|()| None),
            Relation::Longer => None,
            // Another run was faster, and has more of it.
            Relation::Shorter if !unchanged => return local(place, std::fs::remove_file(place)).map(|()| None),
            Relation::Shorter | Relation::Other => Some(keep(&file.local)?),
        },
        None if file.archive && file.local.is_dir() && !file.local.is_symlink() => Some(keep(&file.local)?),
        _ => None,
    };
    local(&file.local, std::fs::rename(place, &file.local))?;
    Ok(kept)
}

/// Gives a file of an archive the name that it has on the device by now, unless another run has changed it. Returns the name that
/// another file got which had it.
pub(super) fn rename(renaming: &Renaming) -> Result<Option<PathBuf>, RunError> {
    let _lock = lock(&renaming.root);
    if state(&renaming.from).is_none_or(|(length, _)| length != renaming.size) {
        return Ok(None);
    }
    make_parents(&renaming.to, &renaming.root)?;
    let kept = match renaming.to.symlink_metadata() {
        Ok(_) => Some(keep(&renaming.to)?),
        Err(_) => None,
    };
    local(&renaming.to, std::fs::rename(&renaming.from, &renaming.to))?;
    Ok(kept)
}

/// Makes a link. Returns the name that a file of an archive got which was there.
pub(super) fn link(link: &FetchLink) -> Result<Option<PathBuf>, RunError> {
    let _lock = lock(&link.root);
    make_parents(&link.link, &link.root)?;
    let kept = match link.link.symlink_metadata() {
        Ok(there) if link.archive && !there.is_symlink() => Some(keep(&link.link)?),
        Ok(there) if !there.is_dir() => local(&link.link, std::fs::remove_file(&link.link)).map(|()| None)?,
        _ => None,
    };
    local(&link.link, make_link(&link.target, &link.link))?;
    Ok(kept)
}

/// Makes a directory that was not there, and gives it its mode.
pub(super) fn directory(path: &Path, mode: u32) -> Result<(), RunError> {
    local(path, std::fs::create_dir_all(path))?;
    set_mode(path, (mode & 0o777) | 0o700);
    Ok(())
}

/// Makes the directories between `root` and a path. A link among them would have it land elsewhere: it goes.
fn make_parents(path: &Path, root: &Path) -> Result<(), RunError> {
    let Some(below) = path.parent().and_then(|parent| parent.strip_prefix(root).ok()) else { return Ok(()) };
    let mut directory = root.to_owned();
    local(&directory, std::fs::create_dir_all(&directory))?;
    for part in below {
        directory.push(part);
        if directory.is_symlink() {
            local(&directory, std::fs::remove_file(&directory))?;
        }
        match std::fs::create_dir(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return local(&directory, Err(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Keeps what is at a path beside it, under a name with this computer's time.
fn keep(path: &Path) -> Result<PathBuf, RunError> {
    let (name, stem) = (path.file_name().unwrap_or_default().to_string_lossy(), Stem::now());
    let times = std::iter::once(stem.to_string()).chain((2_u32..).map(|number| format!("{stem}_{number}")));
    let names = times.map(|time| path.with_file_name(generation(&name, &time)));
    let free = names.into_iter().find(|name| name.symlink_metadata().is_err()).unwrap_or_default();
    local(&free, std::fs::rename(path, &free))?;
    Ok(free)
}

/// The relation of one file's content to another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Same,
    /// The file begins with the other one, and is longer.
    Longer,
    /// The other begins with it, and goes on.
    Shorter,
    Other,
}

fn relation(one: &Path, other: &Path) -> Relation {
    compare(one, other).unwrap_or(Relation::Other)
}

fn compare(one: &Path, other: &Path) -> std::io::Result<Relation> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (length, other_length) = (one.metadata()?.len(), other.metadata()?.len());
    let mut left = length.min(other_length);
    let (mut piece, mut other_piece) = (vec![0; PIECE], vec![0; PIECE]);
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let (piece, other_piece) = (piece.split_at_mut(count).0, other_piece.split_at_mut(count).0);
        one.read_exact(piece)?;
        other.read_exact(other_piece)?;
        if piece != other_piece {
            return Ok(Relation::Other);
        }
        left -= count as u64;
    }
    Ok(match length.cmp(&other_length) {
        std::cmp::Ordering::Equal => Relation::Same,
        std::cmp::Ordering::Greater => Relation::Longer,
        std::cmp::Ordering::Less => Relation::Shorter,
    })
}

/// Number of bytes of a file that are compared at once.
const PIECE: usize = 256 << 10;

/// Sets the permission bits of a file, on systems that have them.
#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

#[cfg(unix)]
fn make_link(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Windows lets only some users make links: what the link leads to is here under its own name.
#[cfg(not(unix))]
fn make_link(_: &str, _: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Download, run::staging::Staging};

    /// Returns the files of an archive after a file with the content `came` was added to it, where `before` was there when
    /// the file was examined and `meanwhile` is written by another run; the names of generations are shortened.
    fn archived(before: Option<&str>, came: &str, meanwhile: Option<&str>) -> Vec<(String, String)> {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().to_owned();
        let local = root.join("sub/a.log");
        let file = Download { local: local.clone(), root: root.clone(), archive: true, ..Download::default() };
        std::fs::create_dir_all(root.join("sub")).expect("made");
        before.iter().for_each(|text| std::fs::write(&local, text).expect("written"));
        let mut arriving = Staging::default();
        let arrivals = arriving.prepare(std::slice::from_ref(&file)).expect("made");
        std::fs::write(&arrivals[0].place, came).expect("written");
        meanwhile.iter().for_each(|text| std::fs::write(&local, text).expect("written"));
        settle(&arrivals[0]).expect("settled");
        drop(arriving);
        let entries = std::fs::read_dir(root.join("sub")).expect("there").flatten();
        let shown = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.split_once(".~").map_or(name.clone(), |(name, _)| format!("{name}.~"));
            (name, std::fs::read_to_string(entry.path()).expect("text"))
        };
        let mut all: Vec<_> = entries.map(shown).collect();
        all.sort();
        all
    }

    fn files(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn file_that_the_device_began_anew_leaves_the_old_one_beside_it() {
        assert_eq!(archived(None, "new", None), files(&[("a.log", "new")]));
        assert_eq!(archived(Some("old and long"), "new", None), files(&[("a.log", "new"), ("a.log.~", "old and long")]));
        assert_eq!(archived(Some("old"), "new and longer", None), files(&[("a.log", "new and longer"), ("a.log.~", "old")]));
        // Its new lines are the old ones, as far as they go.
        assert_eq!(archived(Some("start, old"), "start", None), files(&[("a.log", "start"), ("a.log.~", "start, old")]));
        assert_eq!(archived(Some("old"), "", None), files(&[("a.log", ""), ("a.log.~", "old")]));
        assert_eq!(archived(Some("old"), "old, new", None), files(&[("a.log", "old, new")]));
        assert_eq!(archived(Some("same"), "same", None), files(&[("a.log", "same")]));
    }

    #[test]
    fn what_another_run_has_fetched_meanwhile_is_neither_doubled_nor_lost() {
        assert_eq!(archived(Some("old"), "old, new", Some("old, new")), files(&[("a.log", "old, new")]));
        assert_eq!(archived(Some("old"), "old, new", Some("old, new, more")), files(&[("a.log", "old, new, more")]));
        assert_eq!(archived(None, "old, new", Some("old")), files(&[("a.log", "old, new")]));
        assert_eq!(archived(None, "one", Some("other")), files(&[("a.log", "one"), ("a.log.~", "other")]));
    }

    #[test]
    fn rename_keeps_what_has_the_name_and_leaves_alone_what_another_run_changed() {
        let home = tempfile::tempdir().expect("a folder");
        let path = |name: &str| home.path().join(name);
        std::fs::write(path("a"), "1234").expect("written");
        std::fs::write(path("a.1"), "older").expect("written");
        let renaming = |size| Renaming { from: path("a"), to: path("a.1"), size, root: home.path().to_owned() };
        assert_eq!(rename(&renaming(3)).expect("nothing is done"), None);
        assert!(path("a").exists());
        let kept = rename(&renaming(4)).expect("renamed").expect("kept");
        assert_eq!(std::fs::read_to_string(kept).expect("there"), "older");
        assert_eq!(std::fs::read_to_string(path("a.1")).expect("there"), "1234");
    }

    #[cfg(unix)]
    #[test]
    fn link_replaces_a_link_and_nothing_is_written_through_one() {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("tree");
        std::fs::create_dir_all(home.path().join("outside")).expect("made");
        let to = |link: &str, target: &str| FetchLink {
            link: root.join(link),
            target: target.into(),
            root: root.clone(),
            archive: true,
        };
        link(&to("latest", "a")).expect("linked");
        link(&to("latest", "b")).expect("linked");
        assert_eq!(root.join("latest").read_link().expect("a link"), Path::new("b"));
        std::os::unix::fs::symlink("../outside", root.join("sub")).expect("linked");
        let file = Download { local: root.join("sub/x"), root: root.clone(), ..Download::default() };
        let mut arriving = Staging::default();
        let arrivals = arriving.prepare(std::slice::from_ref(&file)).expect("made");
        std::fs::write(&arrivals[0].place, "x").expect("written");
        settle(&arrivals[0]).expect("settled");
        assert!(!home.path().join("outside/x").exists() && root.join("sub/x").exists());
    }
}
