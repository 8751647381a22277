//! Puts an image into the device's docker: in parcels, of which the next travels while the device unpacks the last, and read
//! back at the end.

use std::{ops::Range, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{RunError, Runner};
use crate::{
    commands::docker,
    delivery::{Delivery, Gate, Supply, Turn, compress},
    failure::{ExitCode, Failure},
    plan::Loading,
    remote::{Input, Output, Remote, Stream},
    report::Event,
    stage::Stage,
};

/// How often the bytes sent are told.
const TICK: Duration = Duration::from_millis(100);

/// Two parcels are under way at once: one is unpacked, the next arrives.
const UNDER_WAY: usize = 2;

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn load(&mut self, stage: Stage, loading: &Loading) -> Result<(), Failure> {
        self.report.event(&Event::Step { stage, says: format!("send {}", loading.shown) });
        let mut result = self.deliver(stage, loading, &loading.delivery).await;
        if loading.delivery.present > 0 && result.as_ref().is_err_and(|failure| failure.exit_code() == ExitCode::RemoteCommand)
        {
            let text = format!("the device does not take `{}` without the layers that it has: all are sent", loading.shown);
            self.report.event(&Event::Warning { text });
            result = self.deliver(stage, loading, &loading.delivery.full()).await;
        }
        result?;
        self.remote.check(&docker::remove_partial()).await?;
        self.verify(loading).await
    }

    async fn deliver(&mut self, stage: Stage, loading: &Loading, delivery: &Delivery) -> Result<(), Failure> {
        let gate = Gate::default();
        let (remote, supply) = (self.remote, self.supply);
        let parcels = delivery.parcels.iter().zip(Turn::of(delivery)).map(|(parcel, turn)| {
            let parcel = Parcel { loading, delivery, layers: parcel.clone(), turn };
            parcel.load(remote, supply, &gate)
        });
        let all = stream::iter(parcels).buffered(UNDER_WAY).try_collect::<Vec<()>>();
        tokio::pin!(all);
        let mut tick = tokio::time::interval(TICK);
        let missing = delivery.missing();
        // The archives' own headers are no payload.
        let progress = |gate: &Gate| Event::Progress { stage, bytes: gate.passed().min(missing), total: Some(missing) };
        loop {
            tokio::select! {
                result = &mut all => {
                    self.report.event(&progress(&gate));
                    return result.map(drop);
                }
                _ = tick.tick() => self.report.event(&progress(&gate)),
            }
        }
    }

    /// The image on the device has the ID that it has here, and so has each of its references.
    async fn verify(&self, loading: &Loading) -> Result<(), Failure> {
        for reference in loading.references.iter().chain([&loading.id]) {
            let found = self.remote.check(&docker::image_id(reference)).await?;
            let found = String::from_utf8_lossy(&found).trim().to_owned();
            if found != loading.id {
                return Err(RunError::OtherImage { found, sent: loading.id.clone() }.into());
            }
        }
        Ok(())
    }
}

/// One parcel of a delivery.
struct Parcel<'a> {
    loading: &'a Loading,
    delivery: &'a Delivery,
    layers: Range<usize>,
    turn: Turn,
}

impl Parcel<'_> {
    async fn load(self, remote: &impl Remote, supply: &Supply, gate: &Gate) -> Result<(), Failure> {
        let stream = supply.stream(self.loading.source, &self.loading.id, self.delivery, &self.layers)?;
        let pieces = compress(gate.pass(self.turn, stream.pieces()));
        let command = docker::load();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut collect = |stream: Stream, bytes: &[u8]| {
            if stream == Stream::Stdout { stdout.extend_from_slice(bytes) } else { stderr.extend_from_slice(bytes) }
        };
        let exit = remote.exec(&command, Input::Pieces(pieces), &mut collect).await?;
        Output { exit, stdout, stderr }.success(&command)?;
        gate.unpacked();
        Ok(())
    }
}
