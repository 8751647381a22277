//! Which files here are copies of files on the device, or their beginnings: by content, in as few words as can be.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::here::{self, LARGE};
use crate::{
    command::{Command, eval_line},
    remote::{Input, Remote, RemoteError},
};

/// A file on the device, and where its copy is to be here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its absolute path there.
    pub remote: String,
    /// Its size there, in bytes.
    pub size: u64,
    /// Its path here.
    pub local: PathBuf,
}

/// A file here that is a file on the device, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The file here.
    pub path: PathBuf,
    /// How many bytes of it are.
    pub bytes: u64,
}

/// The name of the directory, beside where they are to be, in which files arrive here as well as there.
pub const INCOMING: &str = ".o3r-deploy-incoming";

/// So many files are compared at once; of a group that differs each part is compared in turn.
const GROUPS: [usize; 3] = [256, 16, 1];
/// The most beginnings that are compared: each costs the device a process, a file as small as a log is sent as fast.
const BEGINNINGS: usize = 256;
/// What is left of a large file is sent from a multiple of this on, in bytes: the blocks in which `dd` skips.
pub const BLOCK: u64 = 1 << 20;

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

/// The copies among `candidates`, by their path here.
///
/// # Errors
/// When the device cannot be asked. A file that cannot be read, here or there, is no copy.
pub async fn copies(remote: &impl Remote, candidates: &[Candidate]) -> Result<BTreeMap<PathBuf, Copy>, RemoteError> {
    let mut copies = BTreeMap::new();
    let mut doubts: Vec<_> = candidates.iter().filter_map(doubt).collect();
    for doubt in doubts.extract_if(.., |doubt| doubt.copy.bytes == 0) {
        if doubt.is_whole() {
            copies.insert(doubt.candidate.local.clone(), doubt.copy);
        }
    }
    let mut beginnings: Vec<_> = doubts.extract_if(.., |doubt| !doubt.is_whole()).collect();
    beginnings.sort_by_key(|doubt| std::cmp::Reverse(doubt.copy.bytes));
    beginnings.truncate(BEGINNINGS);
    let mut open = vec![doubts, beginnings];
    for size in GROUPS {
        let groups: Vec<_> = open.iter().flat_map(|doubts| doubts.chunks(size)).filter(|group| !group.is_empty()).collect();
        let same = same(remote, &groups).await?;
        for doubt in groups.iter().zip(&same).filter(|(_, same)| **same).flat_map(|(group, _)| *group) {
            copies.insert(doubt.candidate.local.clone(), doubt.copy.clone());
        }
        open = groups.iter().zip(same).filter(|(_, same)| !same).map(|(group, _)| group.to_vec()).collect();
        if open.is_empty() {
            break;
        }
    }
    Ok(copies)
}

/// What is here of a candidate: the file itself, or more of a large one that arrived in part.
fn doubt(candidate: &Candidate) -> Option<Doubt<'_>> {
    let length = |path: &Path| path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    let whole = length(&candidate.local).map(|bytes| Copy { path: candidate.local.clone(), bytes });
    let part = (candidate.size > LARGE).then(|| part(&candidate.local)).and_then(|path| {
        let bytes = length(&path)? / BLOCK * BLOCK;
        Some(Copy { path, bytes })
    });
    let fits = |copy: &Copy| copy.bytes <= candidate.size;
    let copy = whole.filter(fits).into_iter().chain(part.filter(fits)).max_by_key(|copy| copy.bytes)?;
    Some(Doubt { candidate, copy })
}

/// Where a file that is to be at `path` arrives.
pub fn part(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).join(INCOMING).join(path.file_name().unwrap_or_default())
}

/// Whether the files of each group, one after the other, are the same here and there.
async fn same(remote: &impl Remote, groups: &[&[Doubt<'_>]]) -> Result<Vec<bool>, RemoteError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let command = Command::script(include_str!("compare.sh"));
    let mine: Vec<Vec<_>> = groups.iter().map(|group| group.iter().map(|doubt| doubt.copy.clone()).collect()).collect();
    // Both sides read and compute at the same time.
    let here = tokio::task::spawn_blocking(move || mine.iter().map(|copies| digest(copies)).collect::<Vec<_>>());
    let there = remote.run(&command, Input::Bytes(question(groups))).await?;
    let text = String::from_utf8_lossy(&there.stdout);
    let here = here.await.expect("computing digests does not panic");
    Ok(here.iter().zip(in_order(&text, groups.len())).map(|(here, there)| here.is_some() && here.as_deref() == there).collect())
}

/// The digests in the order of the questions: the device gives those of every other from the second on, then the others.
fn in_order(text: &str, count: usize) -> Vec<Option<&str>> {
    let digests: Vec<_> = text.lines().map(|line| line.split_whitespace().next()).collect();
    let digest =
        |index: usize| digests.get(if index.is_multiple_of(2) { count / 2 + index / 2 } else { index / 2 }).copied().flatten();
    // A digest that is missing would have others stand for it.
    let complete = digests.len() == count;
    (0..count).map(|index| digest(index).filter(|_| complete)).collect()
}

/// What `compare.sh` reads, compressed.
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

/// The digest of files here, one after the other; `None` when one of them is not as it was.
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
    fn digests_stand_in_the_order_of_the_questions() {
        assert_eq!(in_order("1  -\n3  -\n0  -\n2  -\n4  -\n", 5), [Some("0"), Some("1"), Some("2"), Some("3"), Some("4")]);
        assert_eq!(in_order("0  -\n", 1), [Some("0")]);
        assert_eq!(in_order("1  -\n", 2), [None, None]);
    }
}
