//! Puts an image into the device's docker: streamed, without a copy on its disk, and read back.
//!
//! This is the seam of the delivery: how the bytes travel is decided here alone.

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::sync::mpsc;

use super::{RunError, Runner};
use crate::{
    commands::docker,
    failure::Failure,
    plan::Loading,
    remote::{Input, Output, Remote, Stream},
    report::Event,
    stage::Stage,
};

/// How often the bytes sent are told.
const TICK: Duration = Duration::from_millis(100);

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn load(&mut self, stage: Stage, loading: &Loading) -> Result<(), Failure> {
        let supply = (self.supply)(loading.source)?;
        self.report.event(&Event::Step { stage, says: format!("send {}", loading.shown) });
        let total = supply.total();
        let (pieces, sent) = counted(supply.pieces());
        let command = docker::load();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit = {
            let mut collect = |stream: Stream, bytes: &[u8]| {
                if stream == Stream::Stdout { stdout.extend_from_slice(bytes) } else { stderr.extend_from_slice(bytes) }
            };
            let load = self.remote.exec(&command, Input::Pieces(pieces), &mut collect);
            tokio::pin!(load);
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    exit = &mut load => break exit?,
                    _ = tick.tick() => self.report.event(&Event::Progress { stage, bytes: sent.get(), total }),
                }
            }
        };
        self.report.event(&Event::Progress { stage, bytes: sent.get(), total });
        Output { exit, stdout, stderr }.success(&command)?;
        self.verify(loading).await
    }

    /// Each image on the device has the ID that it has here.
    async fn verify(&self, loading: &Loading) -> Result<(), Failure> {
        for (reference, id) in &loading.images {
            let found = self.remote.check(&docker::image_id(reference)).await?;
            let found = String::from_utf8_lossy(&found).trim().to_owned();
            if found != *id {
                return Err(RunError::OtherImage { found, sent: id.clone() }.into());
            }
        }
        Ok(())
    }
}

type Pieces = mpsc::Receiver<std::io::Result<Vec<u8>>>;

/// Counts the bytes of pieces as they are taken.
fn counted(mut pieces: Pieces) -> (Pieces, Rc<Cell<u64>>) {
    let sent = Rc::new(Cell::new(0));
    let counter = sent.clone();
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        while let Some(piece) = pieces.recv().await {
            let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            if sender.send(piece).await.is_err() {
                break;
            }
            counter.set(counter.get() + bytes);
        }
    });
    (receiver, sent)
}
