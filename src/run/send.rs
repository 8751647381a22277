//! Sends files: into an incoming directory beside their destination, then renamed into place.

use std::collections::BTreeSet;

use super::Runner;
use crate::{
    command::{Command, path_lines},
    commands::files::{self, INCOMING},
    failure::Failure,
    plan::Sending,
    remote::{Input, Put, Remote},
    report::Event,
    stage::Stage,
};

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn send(&mut self, stage: Stage, sending: &Sending) -> Result<(), Failure> {
        self.make_directories(sending).await?;
        if !sending.files.is_empty() {
            let parents = parents(sending);
            self.report.event(&Event::Step { stage, says: crate::plan::count(sending.files.len(), "file") });
            self.with_list(&files::prepare_incoming(), &parents).await?;
            self.put(stage, sending).await?;
            self.with_list(&files::commit_incoming(), &parents).await?;
        }
        self.set_modes(sending).await
    }

    async fn put(&mut self, stage: Stage, sending: &Sending) -> Result<(), Failure> {
        let put = |file: &crate::plan::SendFile| Put {
            local: file.local.clone(),
            remote: file.remote.parent().join(INCOMING).join(file.remote.name()).as_str().into(),
            mode: file.mode,
        };
        let incoming = format!("/{INCOMING}/");
        let puts: Vec<_> = sending.files.iter().map(put).collect();
        let total = sending.bytes();
        let mut done = 0;
        let report = &mut self.report;
        let progress = &mut |bytes| {
            done += bytes;
            report.event(&Event::Progress { stage, bytes: done, total: Some(total) });
        };
        Ok(self.remote.put(&puts, progress).await.map_err(|error| error.with_path(|path| path.replace(&incoming, "/")))?)
    }

    async fn make_directories(&self, sending: &Sending) -> Result<(), Failure> {
        let paths: Vec<_> = sending.directories.iter().map(|(path, _)| path.clone()).collect();
        for some in paths.chunks(200) {
            self.remote.check(&files::make_directories(some)).await?;
        }
        Ok(())
    }

    /// Gives directories their permission bits last, the deepest first: one that is read-only would take no files.
    async fn set_modes(&self, sending: &Sending) -> Result<(), Failure> {
        let deepest_first: Vec<_> = sending.directories.iter().rev().collect();
        for alike in deepest_first.chunk_by(|(_, one), (_, other)| one == other) {
            for some in alike.chunks(200) {
                let Some((_, mode)) = some.first() else { continue };
                self.remote.check(&files::set_mode(*mode, some.iter().map(|(path, _)| path))).await?;
            }
        }
        Ok(())
    }

    /// Runs a command that reads paths from its standard input.
    async fn with_list(&self, command: &Command, paths: &BTreeSet<String>) -> Result<(), Failure> {
        self.remote.run(command, Input::Bytes(path_lines(paths))).await?.success(command)?;
        Ok(())
    }

    /// Removes what arrived in part, and the directories made for it that are empty.
    pub(super) async fn abandon(&self, sending: &Sending) {
        let _ = self.with_list(&files::abandon_incoming(), &parents(sending)).await;
        self.unmake(sending).await;
    }

    /// Removes what was sent and replaced nothing.
    pub(super) async fn unsend(&self, sending: &Sending) {
        let new = sending.files.iter().filter(|file| file.new);
        let new: Vec<_> = new.map(|file| file.remote.as_str().to_owned()).collect();
        for some in new.chunks(200) {
            let _ = self.remote.run(&files::remove(some), Input::Empty).await;
        }
        self.unmake(sending).await;
    }

    /// Removes the directories that were made, as far as they are empty.
    async fn unmake(&self, sending: &Sending) {
        let mut made: Vec<_> = sending.directories.iter().map(|(path, _)| path.clone()).collect();
        made.sort_by(|a, b| b.cmp(a));
        for some in made.chunks(200) {
            let _ = self.remote.run(&files::remove_empty_directories(some), Input::Empty).await;
        }
    }
}

fn parents(sending: &Sending) -> BTreeSet<String> {
    sending.files.iter().map(|file| file.remote.parent().as_str().to_owned()).collect()
}
