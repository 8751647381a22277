//! Fetches files: into a directory of this run beside their destination, then renamed into place.

use std::{collections::BTreeSet, path::Path};

use super::{
    RunError, Runner, archive,
    staging::{Arrival, Staging},
    tail_download,
};
use crate::{
    command::path_lines,
    commands::files,
    facts::{Probe, compare, compare::BLOCK, here, here::LARGE, here::LocalState},
    failure::Failure,
    plan::{Fetch, Place, count},
    remote::{Downloaded, FileRange, Get, Remote, RemoteError, TarDownload},
    report::Event,
    stage::Stage,
};

impl<R: Remote> Runner<'_, R> {
    /// Fetches files; returns additional information for the user beyond their number.
    pub(super) async fn fetch(&mut self, stage: Stage, fetch: &Fetch) -> Result<Option<String>, Failure> {
        let mut kept = Vec::new();
        for renaming in &fetch.renames {
            kept.extend(archive::rename(renaming)?);
        }
        // What arrived goes also when this future is given up in the middle, as by Ctrl-C.
        let mut arriving = Staging::default();
        let arrivals = arriving.prepare(&fetch.files)?;
        let is_large = |arrival: &Arrival<'_>| arrival.file.size.saturating_sub(arrival.have) > LARGE;
        let (large, others): (Vec<_>, Vec<_>) = arrivals.into_iter().partition(is_large);
        large.iter().for_each(|arrival| arriving.part(&arrival.place));
        let (ends, small): (Vec<_>, Vec<_>) = others.into_iter().partition(|arrival| arrival.have > 0);
        if !fetch.files.is_empty() {
            self.report.event(&Event::Step { stage, says: count(fetch.files.len(), "file") });
        }
        let result = self.take(stage, &fetch.whole, Ways { large, ends, small }, &mut kept).await;
        if matches!(&result, Err(Error::Remote(RemoteError::Lost { .. }))) {
            arriving.keep_parts();
        }
        result?;
        for link in &fetch.links {
            kept.extend(archive::link(link)?);
        }
        fetch.directories.iter().try_for_each(|(path, mode)| archive::directory(path, *mode))?;
        for path in &kept {
            let says = format!("what was here before is kept as {}", path.display());
            self.report.event(&Event::Step { stage, says });
        }
        let begun = format!("{} begun anew on the device, what was here before is kept beside", count(kept.len(), "file"));
        Ok((!kept.is_empty()).then_some(begun))
    }

    async fn take(
        &mut self,
        stage: Stage,
        whole: &[String],
        ways: Ways<'_>,
        kept: &mut Vec<std::path::PathBuf>,
    ) -> Result<(), Error> {
        let Ways { large, ends, mut small } = ways;
        let left = |arrival: &Arrival<'_>| arrival.file.size.saturating_sub(arrival.have);
        let total: u64 = large.iter().chain(&ends).chain(&small).map(left).sum();
        let (mut done, mut gone, report, remote) = (0, Vec::new(), &mut self.report, self.remote);
        let mut progress = |bytes| {
            done += bytes;
            report.event(&Event::Progress { stage, bytes: done, total: Some(total) });
        };
        if !ends.is_empty() {
            // What is not as it was when it was listed comes whole.
            let (came, others) = tail_download::take(remote, ends, &mut progress).await?;
            for arrival in &came {
                kept.extend(archive::settle(arrival)?);
            }
            small.extend(others);
        }
        if !small.is_empty() {
            for (arrival, got) in small.iter().zip(get(remote, whole, &small, &mut progress).await?) {
                match got {
                    Downloaded::Vanished => gone.push(arrival.file),
                    Downloaded::Bytes(_) => kept.extend(archive::settle(arrival)?),
                }
            }
        }
        for arrival in &large {
            rest(remote, arrival, &mut progress).await?;
            kept.extend(archive::settle(arrival)?);
        }
        for file in gone {
            let text = format!("`{}` vanished while it was fetched", file.remote);
            self.report.event(&Event::Warning { text });
        }
        Ok(())
    }

    pub(super) async fn pull_again(&mut self, stage: Stage, places: &[Place]) -> Result<String, Failure> {
        let probe = Probe { trees: places.iter().map(|place| place.remote.clone()).collect(), ..Probe::default() };
        let facts = probe.ask(self.remote).await?;
        let trees = || places.iter().filter_map(|place| Some((place, facts.trees.get(&place.remote)?)));
        let candidates: Vec<_> = trees().flat_map(|(place, tree)| place.candidates(tree)).collect();
        let copies = compare::copies(self.remote, &candidates).await?;
        let present = here::present(trees().flat_map(|(place, tree)| place.others(tree)));
        let here = LocalState { copies: copies.found, present, ..LocalState::default() };
        let mut fetch = Fetch::default();
        for (place, tree) in trees() {
            let pull = place.pull(tree, &here);
            fetch.add(pull.fetch);
            // What was said when the logs were pulled first is not said again.
            let known = |text: &String| self.progress.unread.iter().any(|path| text.contains(path.as_str()));
            let new: Vec<_> = pull.warnings.into_iter().filter(|text| !known(text)).collect();
            self.progress.unread.extend(pull.unread);
            for text in new {
                self.report.event(&Event::Warning { text });
            }
        }
        let more = if fetch.is_empty() { None } else { self.fetch(stage, &fetch).await? };
        let new = format!("{} new", count(fetch.files.len(), "log file"));
        Ok(more.map_or_else(|| new.clone(), |more| format!("{new}; {more}")))
    }
}

/// The files of a fetch by the way they travel.
struct Ways<'a> {
    /// Each by itself.
    large: Vec<Arrival<'a>>,
    /// The ends of files whose beginnings are on this computer, all by one command.
    ends: Vec<Arrival<'a>>,
    /// The files that come in archives, all by one command.
    small: Vec<Arrival<'a>>,
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

/// Gets files as archives, trees of which nearly all is wanted whole; gives what became of each.
async fn get(
    remote: &impl Remote,
    whole: &[String],
    arrivals: &[Arrival<'_>],
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Downloaded>, Error> {
    let below =
        |path: &str| whole.iter().any(|tree| path.strip_prefix(tree.as_str()).is_some_and(|rest| rest.starts_with('/')));
    let files = || arrivals.iter().map(|arrival| arrival.file);
    let trees = whole.iter().filter(|tree| files().any(|file| file.remote.starts_with(tree.as_str())));
    let single = files().filter(|file| !below(&file.remote)).map(|file| file.remote.clone());
    let names: Vec<_> = trees.map(|tree| format!("{tree}/.")).chain(single).collect();
    let names: BTreeSet<_> = names.iter().map(|name| name.trim_start_matches('/').to_owned()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let get = |arrival: &Arrival<'_>| Get { remote: arrival.file.remote.clone(), local: arrival.place.clone() };
    let gets: Vec<_> = arrivals.iter().map(get).collect();
    let command = files::give();
    Ok(remote.get(&TarDownload { command: &command, input: path_lines(&names), files: &gets }, progress).await?)
}

/// Takes a large file, or what is missing of it.
async fn rest(remote: &impl Remote, arrival: &Arrival<'_>, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let (file, from) = (arrival.file, arrival.have / BLOCK * BLOCK);
    let rest = FileRange { remote: file.remote.clone(), local: arrival.place.clone(), from, to: file.size };
    remote.take(&files::give_rest(&file.remote, from), &rest, progress).await?;
    Ok(())
}

pub(super) fn local<T>(path: &Path, result: std::io::Result<T>) -> Result<T, RunError> {
    result.map_err(|source| RunError::Local { path: path.into(), source })
}
