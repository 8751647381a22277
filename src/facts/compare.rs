//! Finds the files on this computer that are copies of files on the device, or of their beginnings, by content and with
//! little traffic.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::here::{self, LARGE};
use crate::{
    command::{Command, DISK_SILENCE_MAX, eval_line},
    remote::{Input, Remote, RemoteError},
};

/// A file on the device, and the place for its copy on this computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Absolute path on the device.
    pub remote: String,
    /// Size on the device, in bytes.
    pub size: u64,
    /// Path of the file on this computer.
    pub local: PathBuf,
    /// The directory here below which its tree is.
    pub root: PathBuf,
    /// Whether what is here is an archive, in which it may have another name: that which it had before it was rotated.
    pub archive: bool,
}

/// A file here that is a file on the device, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Path of the file on this computer.
    pub path: PathBuf,
    /// Number of its first bytes that may be a copy of the file on the device.
    pub bytes: u64,
}

impl Copy {
    /// Returns whether it is a partial file that an earlier download left, and not a file of its own.
    pub fn is_part(&self) -> bool {
        self.path.ancestors().nth(2).and_then(Path::file_name).is_some_and(|name| name == INCOMING)
    }
}

/// The files on this computer that are copies of files on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// The copies, by the path that each is to have.
    pub found: BTreeMap<PathBuf, Copy>,
    /// Whether the device could not tell: what is here is not known then.
    pub untold: bool,
}

/// The name of the directory in which files arrive, on this computer and on the device.
pub const INCOMING: &str = ".o3r-deploy-incoming";

/// Numbers of files that are compared at once; when a group differs, its parts are compared in turn.
const GROUPS: [usize; 3] = [256, 16, 1];
/// The most beginnings that are compared: each costs the device a process, a file as small as a log is sent as fast.
const BEGINNINGS: usize = 256;
/// The rest of a large file is sent from a multiple of this size on, in bytes: the size of the blocks that `dd` skips.
pub const BLOCK: u64 = 1 << 20;
/// Size of the beginning that is compared first with files of other names, in bytes.
const HEAD: u64 = 4 << 10;
/// Number of files of other names with which a file is compared.
const OTHER_NAMES: usize = 8;

/// One file here that may be a copy.
#[derive(Clone, Debug)]
struct Doubt<'a> {
    candidate: &'a Candidate,
    copy: Copy,
}

impl Doubt<'_> {
    fn is_whole(&self) -> bool {
        self.copy.bytes == self.candidate.size
    }
}

/// Returns the copies among `candidates`, by their path on this computer.
///
/// # Errors
/// When the device cannot be asked. A file that cannot be read, here or there, is no copy.
pub async fn copies(remote: &impl Remote, candidates: &[Candidate]) -> Result<Copies, RemoteError> {
    let mut copies = Copies::default();
    let mut doubts: Vec<_> = candidates.iter().filter_map(doubt).collect();
    for doubt in doubts.extract_if(.., |doubt| doubt.copy.bytes == 0) {
        if doubt.is_whole() {
            copies.found.insert(doubt.candidate.local.clone(), doubt.copy);
        }
    }
    let mut beginnings: Vec<_> = doubts.extract_if(.., |doubt| !doubt.is_whole()).collect();
    beginnings.sort_by_key(|doubt| std::cmp::Reverse(doubt.copy.bytes));
    beginnings.truncate(BEGINNINGS);
    let mut open = vec![doubts, beginnings];
    for size in GROUPS {
        let groups: Vec<_> = open.iter().flat_map(|doubts| doubts.chunks(size)).filter(|group| !group.is_empty()).collect();
        let Some(same) = same(remote, &groups).await? else {
            copies.untold = true;
            return Ok(copies);
        };
        for doubt in groups.iter().zip(&same).filter(|(_, same)| **same).flat_map(|(group, _)| *group) {
            copies.found.insert(doubt.candidate.local.clone(), doubt.copy.clone());
        }
        open = groups.iter().zip(same).filter(|(_, same)| !same).map(|(group, _)| group.to_vec()).collect();
        if open.is_empty() {
            break;
        }
    }
    add_renamed(remote, candidates, &mut copies).await?;
    Ok(copies)
}

/// Adds files of an archive that the device has under another name by now: a rotation renames them, or copies them.
async fn add_renamed(remote: &impl Remote, candidates: &[Candidate], copies: &mut Copies) -> Result<(), RemoteError> {
    let new = |candidate: &&Candidate| candidate.archive && candidate.size > 0 && !copies.found.contains_key(&candidate.local);
    let new: Vec<_> = candidates.iter().filter(new).collect();
    let roots: BTreeSet<_> = new.iter().map(|candidate| &candidate.root).collect();
    let mut here: Vec<_> = roots.into_iter().flat_map(|root| files_below(root)).collect();
    here.retain(|copy| copies.found.get(&copy.path).is_none_or(|own| own.path != copy.path));
    let mut doubts = Vec::new();
    for candidate in new {
        let mut others: Vec<_> = here.iter().filter(|copy| copy.bytes <= candidate.size).collect();
        others.sort_by_key(|copy| {
            (copy.bytes != candidate.size, std::cmp::Reverse(alike(&copy.path, &candidate.local)), &copy.path)
        });
        doubts.extend(others.into_iter().take(OTHER_NAMES).map(|copy| Doubt { candidate, copy: copy.clone() }));
    }
    doubts.truncate(BEGINNINGS);
    let heads: Vec<_> = doubts.iter().map(|doubt| doubt.only(HEAD)).collect();
    doubts = confirmed(remote, doubts, &heads).await?;
    let longer = doubts.iter().any(|doubt| doubt.copy.bytes > HEAD);
    if longer {
        let whole = doubts.clone();
        doubts = confirmed(remote, doubts, &whole).await?;
    }
    let mut taken = BTreeSet::new();
    for Doubt { candidate, copy } in doubts {
        if !copies.found.contains_key(&candidate.local) && taken.insert(copy.path.clone()) {
            copies.found.insert(candidate.local.clone(), copy);
        }
    }
    Ok(())
}

impl Doubt<'_> {
    /// Returns the same pair, limited to its first `bytes` bytes.
    fn only(&self, bytes: u64) -> Self {
        let copy = Copy { bytes: self.copy.bytes.min(bytes), ..self.copy.clone() };
        Self { copy, candidate: self.candidate }
    }
}

/// Returns those of `doubts` whose `parts`, one each, are the same on both sides.
async fn confirmed<'a>(
    remote: &impl Remote,
    doubts: Vec<Doubt<'a>>,
    parts: &[Doubt<'a>],
) -> Result<Vec<Doubt<'a>>, RemoteError> {
    let groups: Vec<_> = parts.chunks(1).collect();
    let same = same(remote, &groups).await?.unwrap_or_default();
    Ok(doubts.into_iter().zip(same).filter(|(_, same)| *same).map(|(doubt, _)| doubt).collect())
}

/// Returns the number of characters that the names of two files have in common at their beginning.
fn alike(one: &Path, other: &Path) -> usize {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name(one).chars().zip(name(other).chars()).take_while(|(one, other)| one == other).count()
}

/// Returns the files of an archive that are not empty, without generations that were kept.
fn files_below(root: &Path) -> Vec<Copy> {
    let (mut files, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_dir() && name != INCOMING {
                open.push(path);
            } else if metadata.is_file() && metadata.len() > 0 && !is_generation(&name.to_string_lossy()) {
                files.push(Copy { path, bytes: metadata.len() });
            }
        }
    }
    files
}

/// Returns the name under which a file is kept beside the one that the device has begun anew: `<name>.~<time>~`.
pub fn generation(name: &str, time: &str) -> String {
    let end = format!(".~{time}~");
    let room = 255_usize.saturating_sub(end.len());
    let at = (0..=room.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
    name.get(..at).unwrap_or_default().to_owned() + &end
}

fn is_generation(name: &str) -> bool {
    name.strip_suffix('~').is_some_and(|name| name.contains(".~"))
}

/// Returns the possible copy of a candidate on this computer: the file itself, or a longer partial download of a large one.
fn doubt(candidate: &Candidate) -> Option<Doubt<'_>> {
    let length = |path: &Path| path.symlink_metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    let whole = length(&candidate.local).map(|bytes| Copy { path: candidate.local.clone(), bytes });
    let part = |path: PathBuf| Some(Copy { bytes: length(&path)? / BLOCK * BLOCK, path });
    let parts = if candidate.size > LARGE { parts(&candidate.root, &candidate.local) } else { Vec::new() };
    let fits = |copy: &Copy| copy.bytes <= candidate.size;
    let copy = whole.into_iter().chain(parts.into_iter().filter_map(part)).filter(fits).max_by_key(|copy| copy.bytes)?;
    Some(Doubt { candidate, copy })
}

/// Returns the name of the partial file, in the directory of a run, for the file that belongs at `path` below `root`.
pub fn part_name(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    here::hexadecimal(&Sha256::digest(below.as_bytes())).chars().take(32).collect()
}

/// Returns the partial downloads of the file that belongs at `path` below `root`, from the directories of all runs.
fn parts(root: &Path, path: &Path) -> Vec<PathBuf> {
    let name = part_name(root, path);
    let runs = std::fs::read_dir(root.join(INCOMING)).into_iter().flatten().flatten();
    runs.map(|run| run.path().join(&name)).filter(|part| part.is_file()).collect()
}

/// Tells the digests of files on the device, several joined.
const COMPARE: &str = concat!(include_str!("compare.sh"), include_str!("../commands/scripts/range.sh"));

/// Returns for each group whether its files, joined in order, are the same on this computer and on the device; `None` when
/// the device cannot tell.
async fn same(remote: &impl Remote, groups: &[&[Doubt<'_>]]) -> Result<Option<Vec<bool>>, RemoteError> {
    if groups.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let command = Command::script(COMPARE).silent_for(DISK_SILENCE_MAX);
    let mine: Vec<Vec<_>> = groups.iter().map(|group| group.iter().map(|doubt| doubt.copy.clone()).collect()).collect();
    // Both sides read and compute at the same time.
    let here = tokio::task::spawn_blocking(move || mine.iter().map(|copies| digest(copies)).collect::<Vec<_>>());
    let there = remote.run(&command, Input::Bytes(question(groups))).await?;
    let text = String::from_utf8_lossy(&there.stdout);
    let here = here.await.expect("computing digests does not panic");
    let told = text.lines().filter(|line| line.split_whitespace().next().is_some_and(|digest| digest.len() == 64)).count();
    let there = in_order(&text, groups.len());
    let same = here.iter().zip(there).map(|(here, there)| here.is_some() && here.as_deref() == there);
    Ok((told == groups.len()).then(|| same.collect()))
}

/// Returns the digests in the order of the questions: the device gives those of every second question first, starting with
/// the second, then the others.
fn in_order(text: &str, count: usize) -> Vec<Option<&str>> {
    let digests: Vec<_> = text.lines().map(|line| line.split_whitespace().next()).collect();
    let digest =
        |index: usize| digests.get(if index.is_multiple_of(2) { count / 2 + index / 2 } else { index / 2 }).copied().flatten();
    // A digest that is missing would have others stand for it.
    let complete = digests.len() == count;
    (0..count).map(|index| digest(index).filter(|_| complete)).collect()
}

/// Returns the input of `compare.sh`, compressed with gzip.
fn question(groups: &[&[Doubt<'_>]]) -> Vec<u8> {
    let mut squeezed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for group in groups {
        let whole = group.iter().all(Doubt::is_whole);
        let lengths: Vec<_> = group.iter().map(|doubt| doubt.copy.bytes.to_string()).collect();
        let mut words = vec![if whole { "whole" } else { "part" }];
        for (doubt, length) in group.iter().zip(&lengths) {
            if !whole {
                words.push(length);
            }
            words.push(&doubt.candidate.remote);
        }
        writeln!(squeezed, "{}", eval_line(words)).expect("memory takes it");
    }
    squeezed.finish().expect("memory takes it")
}

/// Returns the digest of files on this computer, joined in order; `None` when one of them has changed.
fn digest(copies: &[Copy]) -> Option<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
    for copy in copies {
        let mut file = std::fs::File::open(&copy.path).ok()?.take(copy.bytes);
        let mut left = copy.bytes;
        while left > 0 {
            let count = file.read(&mut buffer).ok().filter(|count| *count > 0)?;
            hash.update(buffer.get(..count)?);
            left -= count as u64;
        }
    }
    Some(here::hexadecimal(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_of_a_long_name_fits_into_a_directory() {
        assert_eq!(generation("app.log", "26.11.21_07.00.00+0100"), "app.log.~26.11.21_07.00.00+0100~");
        let long = generation(&"ü".repeat(127), "26.11.21_07.00.00+0100");
        assert!(long.len() <= 255 && is_generation(&long), "{long}");
        assert!(!is_generation("app.log~") && !is_generation("app.log.1"));
    }

    #[test]
    fn digests_stand_in_the_order_of_the_questions() {
        assert_eq!(in_order("1  -\n3  -\n0  -\n2  -\n4  -\n", 5), [Some("0"), Some("1"), Some("2"), Some("3"), Some("4")]);
        assert_eq!(in_order("0  -\n", 1), [Some("0")]);
        assert_eq!(in_order("1  -\n", 2), [None, None]);
    }
}
