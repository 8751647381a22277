//! Fetches files: into an incoming directory beside their destination, then renamed into place.

use std::path::Path;

use super::{RunError, Runner, arriving::Arriving};
use crate::{
    facts::{Probe, gather},
    failure::Failure,
    plan::{Fetching, PullAgain, changed, count},
    remote::{Get, Got, Remote},
    report::Event,
    stage::Stage,
};

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn fetch(&mut self, stage: Stage, files: &[Fetching]) -> Result<(), Failure> {
        // Also when this future is given up in the middle, as by Ctrl-C.
        let mut arriving = Arriving::default();
        let mut gets = Vec::new();
        for file in files {
            gets.push(Get { remote: file.remote.clone(), local: arriving.place_for(&file.local)? });
        }
        self.report.event(&Event::Step { stage, says: count(files.len(), "file") });
        self.get(stage, files, &gets).await
    }

    async fn get(&mut self, stage: Stage, files: &[Fetching], gets: &[Get]) -> Result<(), Failure> {
        let total: u64 = files.iter().map(|file| file.size).sum();
        let mut done = 0;
        let report = &mut self.report;
        let got = self
            .remote
            .get(gets, &mut |bytes| {
                done += bytes;
                report.event(&Event::Progress { stage, bytes: done, total: Some(total) });
            })
            .await?;
        for ((file, get), got) in files.iter().zip(gets).zip(got) {
            match got {
                Got::Vanished => {
                    let text = format!("`{}` vanished while it was fetched", file.remote);
                    self.report.event(&Event::Warning { text });
                }
                Got::Bytes(_) => {
                    set_mode(&get.local, file.mode);
                    local(&file.local, std::fs::rename(&get.local, &file.local))?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn pull_again(&mut self, stage: Stage, trees: &[PullAgain]) -> Result<String, Failure> {
        let probe = Probe { trees: trees.iter().map(|tree| tree.remote.clone()).collect(), ..Probe::default() };
        let facts = probe.ask(self.remote).await?;
        let mut files = Vec::new();
        for tree in trees {
            let Some(there) = facts.trees.get(&tree.remote) else { continue };
            let digest = |path: &Path| gather::copies(&[path.to_owned()]).ok()?.into_values().next();
            let (new, warnings) = changed(&tree.remote, there, &tree.local, digest);
            files.extend(new);
            for text in warnings {
                self.report.event(&Event::Warning { text });
            }
        }
        if !files.is_empty() {
            self.fetch(stage, &files).await?;
        }
        Ok(format!("{} new", count(files.len(), "log file")))
    }
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
