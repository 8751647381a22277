//! Fetches files: into an incoming directory beside their destination, then renamed into place.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{RunError, Runner, arriving::Arriving, ends};
use crate::{
    command::path_lines,
    commands::files,
    facts::{Probe, compare, compare::BLOCK, here::LARGE},
    failure::Failure,
    plan::{Fetch, Fetching, PullAgain, candidates, changed, count, travels_whole},
    remote::{Get, Giving, Got, Remote, RemoteError, Rest},
    report::Event,
    stage::Stage,
};

/// A file to fetch, and where it arrives.
pub(super) type Way<'a> = (&'a Fetching, PathBuf);

/// The files of a fetch by the way they travel.
#[derive(Default)]
struct Ways<'a> {
    /// Each by itself.
    large: Vec<Way<'a>>,
    /// What is behind the beginning that is here, all by one command.
    ends: Vec<Way<'a>>,
    /// As archives, all by one command.
    small: Vec<Way<'a>>,
}

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn fetch(&mut self, stage: Stage, fetch: &Fetch) -> Result<(), Failure> {
        let parts = fetch.files.iter().filter_map(|file| file.copy.as_ref()).map(|copy| copy.path.clone());
        // What arrived goes also when this future is given up in the middle, as by Ctrl-C.
        let mut arriving = Arriving::with(parts.collect());
        let mut ways = Ways::default();
        for file in &fetch.files {
            let place = arriving.place_for(&file.local)?;
            let left = file.size - file.have();
            match (file.have(), left) {
                (_, left) if left > LARGE => {
                    arriving.part(&place);
                    ways.large.push((file, place));
                }
                (0, _) => ways.small.push((file, place)),
                _ => ways.ends.push((file, place)),
            }
        }
        self.report.event(&Event::Step { stage, says: count(fetch.files.len(), "file") });
        let result = self.take(stage, fetch, ways).await;
        if matches!(&result, Err(Error::Remote(RemoteError::Lost { .. }))) {
            arriving.keep_parts();
        }
        result.map_err(Failure::from)
    }

    async fn take(&mut self, stage: Stage, fetch: &Fetch, mut ways: Ways<'_>) -> Result<(), Error> {
        let total: u64 = fetch.files.iter().map(|file| file.size - file.have()).sum();
        let (mut done, mut gone, report, remote) = (0, Vec::new(), &mut self.report, self.remote);
        let mut progress = |bytes| {
            done += bytes;
            report.event(&Event::Progress { stage, bytes: done, total: Some(total) });
        };
        if !ways.ends.is_empty() {
            // What is not as it was when it was listed comes whole.
            ways.small.extend(ends::take(remote, ways.ends, &mut progress).await?);
        }
        if !ways.small.is_empty() {
            gone = get(remote, &fetch.whole, &ways.small, &mut progress).await?;
        }
        for (file, place) in &ways.large {
            rest(remote, file, place, &mut progress).await?;
        }
        for file in gone {
            let text = format!("`{}` vanished while it was fetched", file.remote);
            self.report.event(&Event::Warning { text });
        }
        Ok(())
    }

    pub(super) async fn pull_again(&mut self, stage: Stage, trees: &[PullAgain]) -> Result<String, Failure> {
        let probe = Probe { trees: trees.iter().map(|tree| tree.remote.clone()).collect(), ..Probe::default() };
        let facts = probe.ask(self.remote).await?;
        let mut fetch = Fetch::default();
        for tree in trees {
            let Some(there) = facts.trees.get(&tree.remote) else { continue };
            let copies = compare::copies(self.remote, &candidates(&tree.remote, there, &tree.local)).await?;
            let (new, warnings) = changed(&tree.remote, there, &tree.local, &copies);
            if travels_whole(there, &new) {
                fetch.whole.push(tree.remote.clone());
            }
            fetch.files.extend(new);
            for text in warnings {
                self.report.event(&Event::Warning { text });
            }
        }
        if !fetch.files.is_empty() {
            self.fetch(stage, &fetch).await?;
        }
        Ok(format!("{} new", count(fetch.files.len(), "log file")))
    }
}

/// Why files could not be fetched.
#[derive(Debug)]
pub(super) enum Error {
    Remote(RemoteError),
    Local(RunError),
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        Self::Local(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Remote(error) => error.into(),
            Error::Local(error) => error.into(),
        }
    }
}

/// Gets files as archives, trees of which nearly all is wanted whole; gives those that vanished.
async fn get<'a>(
    remote: &impl Remote,
    whole: &[String],
    files: &[Way<'a>],
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<&'a Fetching>, Error> {
    let below =
        |path: &str| whole.iter().any(|tree| path.strip_prefix(tree.as_str()).is_some_and(|rest| rest.starts_with('/')));
    let trees = whole.iter().filter(|tree| files.iter().any(|(file, _)| file.remote.starts_with(tree.as_str())));
    let single = files.iter().map(|(file, _)| &file.remote).filter(|path| !below(path)).cloned();
    let names: Vec<_> = trees.map(|tree| format!("{tree}/.")).chain(single).collect();
    let names: BTreeSet<_> = names.iter().map(|name| name.trim_start_matches('/').to_owned()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let gets: Vec<_> = files.iter().map(|(file, place)| Get { remote: file.remote.clone(), local: place.clone() }).collect();
    let command = files::give();
    let got = remote.get(&Giving { command: &command, input: path_lines(&names), files: &gets }, progress).await?;
    let mut gone = Vec::new();
    for ((file, place), got) in files.iter().zip(got) {
        match got {
            Got::Vanished => gone.push(*file),
            Got::Bytes(_) => settle(file, place)?,
        }
    }
    Ok(gone)
}

/// Takes a large file, or what is missing of it.
async fn rest(remote: &impl Remote, file: &Fetching, place: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let from = file.have() / BLOCK * BLOCK;
    begin(file, place, from)?;
    let rest = Rest { remote: file.remote.clone(), local: place.to_owned(), from, to: file.size };
    remote.take(&files::give_rest(&file.remote, from), &rest, progress).await?;
    Ok(settle(file, place)?)
}

/// Puts the beginning that is here where the file arrives, so that what is missing can go behind it.
pub(super) fn begin(file: &Fetching, place: &Path, bytes: u64) -> Result<(), RunError> {
    if let Some(copy) = file.copy.as_ref().filter(|copy| copy.path != place && bytes > 0) {
        local(place, std::fs::copy(&copy.path, place))?;
    }
    Ok(())
}

/// Renames what came whole into its place.
pub(super) fn settle(file: &Fetching, place: &Path) -> Result<(), RunError> {
    set_mode(place, file.mode);
    local(&file.local, std::fs::rename(place, &file.local))
}

pub(super) fn local<T>(path: &Path, result: std::io::Result<T>) -> Result<T, RunError> {
    result.map_err(|source| RunError::Local { path: path.into(), source })
}

/// Keeps the permission bits where there are such; a file the owner cannot read would be of no use here.
#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode((mode & 0o777) | 0o400));
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}
