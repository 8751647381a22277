//! Puts an image into the device's docker: in parcels, of which the next travels while the device unpacks the last, and read
//! back at the end.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::{RunError, Runner};
use crate::{
    command::Command,
    commands::docker,
    delivery::{Delivery, Gate, Link, Measured, Meter, Pieces, Supply, Turn, Way, behind, compress},
    facts::here::hexadecimal,
    failure::{ExitCode, Failure},
    plan::Loading,
    remote::{Input, Output, Remote, Stream},
    report::Event,
    stage::Stage,
    text,
};

/// How often the bytes sent are told.
const TICK: Duration = Duration::from_millis(100);

/// Two parcels are under way at once: one is unpacked, the next arrives.
const UNDER_WAY: usize = 2;

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn load(&mut self, stage: Stage, loading: &Loading) -> Result<String, Failure> {
        self.report.event(&Event::Step { stage, says: format!("send {}", loading.shown) });
        self.supply.learn(loading.source, &loading.id);
        let begin = Instant::now();
        let sent = self.remote.bytes_sent();
        let mut delivery = loading.delivery.clone();
        while let Err(failure) = self.deliver(stage, loading, &delivery).await {
            let refused = failure.exit_code() == ExitCode::RemoteCommand;
            let without = if refused && delivery.rebuilds() {
                delivery = delivery.thin();
                "take what is put together from what it has"
            } else if refused && delivery.present > 0 {
                delivery = delivery.full();
                "take it without the layers that it has"
            } else {
                return Err(failure);
            };
            let text = format!("the device does not {without}: more of `{}` is sent", loading.shown);
            self.report.event(&Event::Warning { text });
        }
        self.verify(loading).await?;
        let (sent, time) = (self.remote.bytes_sent() - sent, begin.elapsed());
        let expected = &loading.forecast;
        Ok(format!(
            "{}: {} sent in {:.1} s ({} in {:.1} s expected)",
            loading.shown,
            text::bytes(sent),
            time.as_secs_f64(),
            text::bytes(expected.bytes),
            expected.time.as_secs_f64()
        ))
    }

    async fn deliver(&mut self, stage: Stage, loading: &Loading, delivery: &Delivery) -> Result<(), Failure> {
        let gate = Gate::default();
        let (remote, supply) = (self.remote, self.supply);
        let link = Link::new(loading.forecast.link, loading.forecast.ratio);
        let parcels = Turn::of(delivery).into_iter().map(|turn| {
            let parcel = Parcel { loading, delivery, turn };
            parcel.load(remote, supply, &gate, link.clone())
        });
        let all = stream::iter(parcels).buffered(UNDER_WAY).try_collect::<Vec<()>>();
        tokio::pin!(all);
        let mut tick = tokio::time::interval(TICK);
        let travels = delivery.travels();
        // The archives' own headers are no payload.
        let progress = |gate: &Gate| Event::Progress { stage, bytes: gate.passed().min(travels), total: Some(travels) };
        let (begin, sent) = (Instant::now(), remote.bytes_sent());
        let mut meter = Meter::new(link.clone(), TICK, sent);
        loop {
            tokio::select! {
                result = &mut all => {
                    self.report.event(&progress(&gate));
                    result?;
                    let last = delivery.parcels.last().map_or(0, |parcel| delivery.bytes(parcel));
                    let all_passed = gate.all_passed();
                    supply.measured(Measured {
                        sent: remote.bytes_sent() - sent,
                        sending: all_passed - begin,
                        link: meter.rate(),
                        unpacked: last,
                        unpacking: all_passed.elapsed(),
                    });
                    return Ok(());
                }
                _ = tick.tick() => {
                    meter.tick(remote.bytes_sent());
                    self.report.event(&progress(&gate));
                }
            }
        }
    }

    /// The image on the device has the ID that it has here, and so has each of its references; and nothing else is left.
    async fn verify(&self, loading: &Loading) -> Result<(), Failure> {
        let images: Vec<_> = loading.references.iter().chain([&loading.id]).cloned().collect();
        let found = self.remote.check(&docker::settle(&images)).await?;
        let found = String::from_utf8_lossy(&found).into_owned();
        let mut found = found.lines();
        for _ in images {
            let found = found.next().unwrap_or_default().trim();
            if found != loading.id {
                return Err(RunError::OtherImage { found: found.to_owned(), sent: loading.id.clone() }.into());
            }
        }
        Ok(())
    }
}

/// One parcel of a delivery.
struct Parcel<'a> {
    loading: &'a Loading,
    delivery: &'a Delivery,
    turn: Turn,
}

impl Parcel<'_> {
    async fn load(self, remote: &impl Remote, supply: &Supply, gate: &Gate, link: Link) -> Result<(), Failure> {
        let Loading { source, id, .. } = self.loading;
        let number = self.turn.parcel;
        let pieces = supply.pieces(*source, id, self.delivery, number)?;
        // Docker takes what is compressed and what is not; the scripts decompress.
        let gunzip = !matches!(self.delivery.ways.get(number), None | Some(Way::Stream));
        let (command, pieces) = match self.delivery.ways.get(number) {
            Some(Way::Rebuild(rebuild)) => (docker::rebuild(number, &rebuild.base, &rebuild.roots), pieces),
            Some(Way::Files) => match self.by_file(remote, supply, pieces).await? {
                Some(rest) => rest,
                None => {
                    gate.unpacked();
                    return Ok(());
                }
            },
            _ => (docker::load(), pieces),
        };
        let pieces = compress(gate.pass(self.turn, pieces), link, gunzip);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut collect = |stream: Stream, bytes: &[u8]| {
            if stream == Stream::Stdout { stdout.extend_from_slice(bytes) } else { stderr.extend_from_slice(bytes) }
        };
        let exit = remote.exec(&command, Input::Pieces(pieces), &mut collect).await?;
        Output { exit, stdout, stderr }.success(&command)?;
        gate.unpacked();
        Ok(())
    }

    /// What has not arrived yet of a parcel that goes by way of files; nothing when it is loaded already.
    async fn by_file(
        &self,
        remote: &impl Remote,
        supply: &Supply,
        pieces: Pieces,
    ) -> Result<Option<(Command, Pieces)>, Failure> {
        let Loading { source, id, references, .. } = self.loading;
        let size = supply.size(*source, id, self.delivery, self.turn.parcel)?;
        // Whatever changes its bytes changes its name.
        let what = format!("{id} {:?} {references:?} {size}", self.delivery.parcels.get(self.turn.parcel));
        let name = hexadecimal(&Sha256::digest(what)).chars().take(16).collect::<String>();
        let directory = docker::arriving(&name);
        let there = remote.check(&docker::received(&directory)).await?;
        let there = String::from_utf8_lossy(&there).trim().to_owned();
        if there == "loaded" {
            return Ok(None);
        }
        let there = there.parse::<u64>().unwrap_or_default().min(size);
        Ok(Some((docker::receive(&directory, size), behind(there, pieces))))
    }
}
