//! Puts an image into the device's docker: in parcels, of which the next travels while the device unpacks the last, and read
//! back at the end.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::{RunError, Runner};
use crate::{
    command::Command,
    commands::docker,
    delivery::{Delivery, ImageSources, Measured, Packing, ParcelRoute, ParcelSequencer, ParcelSlot, Pieces, behind, compress},
    facts::here::hexadecimal,
    failure::{Failure, FailureKind},
    plan::LoadImage,
    remote::{Input, Output, Remote, RemoteError, Stream},
    report::Event,
    stage::Stage,
    text,
};

/// Interval at which the number of sent bytes is reported.
const TICK: Duration = Duration::from_millis(100);

/// Size of a delivery, in bytes, from which on the link is measured first.
const MUCH: u64 = 64 << 20;

/// Numbers of bytes with which the link is measured in turn, until one of them takes at least [`LONG`].
const LOOKS: [usize; 4] = [64 << 10, 512 << 10, 2 << 20, 8 << 20];
const LONG: Duration = Duration::from_millis(40);

/// Two parcels are under way at once: one is unpacked, the next arrives.
const UNDER_WAY: usize = 2;

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn load(&mut self, stage: Stage, loading: &LoadImage) -> Result<String, Failure> {
        self.report.event(&Event::Step { stage, says: format!("send {}", loading.shown) });
        let seen = self.link(&loading.delivery).await?;
        self.supply.learn(loading.source, &loading.id);
        let begin = Instant::now();
        let sent = self.remote.bytes_sent();
        let mut delivery = loading.delivery.clone();
        while let Err(failure) = self.deliver(stage, loading, &delivery, seen).await {
            let refused = failure.kind() == FailureKind::RemoteCommand;
            if refused {
                // One that has gone away refuses nothing.
                self.remote.check(&docker::version()).await?;
            }
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
            "{}: {} sent in {:.1} s ({} in {} expected)",
            loading.shown,
            text::bytes(sent),
            time.as_secs_f64(),
            text::bytes(expected.bytes),
            expected.duration()
        ))
    }

    /// Returns the present speed of the link in bytes a second, if there is enough to send to measure it. While docker
    /// reads, it cannot be distinguished from the speed of docker.
    async fn link(&self, delivery: &Delivery) -> Result<Option<u64>, Failure> {
        // After a cut it is known, and every byte counts.
        if delivery.travels() < MUCH || delivery.ways.contains(&ParcelRoute::Files) {
            return Ok(None);
        }
        let mut looks = Vec::new();
        for bytes in LOOKS {
            let begin = Instant::now();
            let nowhere = docker::nowhere();
            self.remote.run(&nowhere, Input::Bytes(vec![0; bytes])).await?.success(&nowhere)?;
            looks.push((bytes, begin.elapsed()));
            if begin.elapsed() >= LONG {
                break;
            }
        }
        Ok(speed(&looks))
    }

    async fn deliver(
        &mut self,
        stage: Stage,
        loading: &LoadImage,
        delivery: &Delivery,
        seen: Option<u64>,
    ) -> Result<(), Failure> {
        let gate = ParcelSequencer::default();
        let (remote, supply) = (self.remote, self.supply);
        let ratio = f64::from(loading.forecast.ratio.clamp(1, 100)) / 100.0;
        let packing = seen.or(loading.forecast.link).map(|link| Packing::of(link as f64, ratio).0);
        let parcels = ParcelSlot::of(delivery).into_iter().map(|turn| {
            let parcel = Parcel { loading, delivery, turn };
            parcel.load(remote, supply, &gate, packing)
        });
        let all = stream::iter(parcels).buffered(UNDER_WAY).try_collect::<Vec<()>>();
        tokio::pin!(all);
        let mut tick = tokio::time::interval(TICK);
        let travels = delivery.travels();
        // The archives' own headers are no payload.
        let progress =
            |gate: &ParcelSequencer| Event::Progress { stage, bytes: gate.passed().min(travels), total: Some(travels) };
        let (begin, sent) = (Instant::now(), remote.bytes_sent());
        loop {
            tokio::select! {
                result = &mut all => {
                    self.report.event(&progress(&gate));
                    result?;
                    let (unpacking, unpacked) = gate.worked();
                    supply.measured(Measured {
                        sent: remote.bytes_sent() - sent,
                        sending: gate.all_passed() - begin,
                        link: seen,
                        unpacked,
                        unpacking,
                    });
                    return Ok(());
                }
                _ = tick.tick() => self.report.event(&progress(&gate)),
            }
        }
    }

    /// Verifies that the image on the device has the expected ID and references, and that nothing else of the delivery is
    /// left.
    async fn verify(&self, loading: &LoadImage) -> Result<(), Failure> {
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

/// Returns the speed in bytes a second, from the sizes and times of measurements: it uses the difference between the last
/// two, so that the round trip of a command does not count.
fn speed(looks: &[(usize, Duration)]) -> Option<u64> {
    let (bytes, time) = match looks {
        [] => return None,
        [only] => *only,
        [.., before, last] => (last.0 - before.0, last.1.saturating_sub(before.1)),
    };
    Some((bytes as f64 / time.as_secs_f64().max(0.001)) as u64)
}

/// One parcel of a delivery.
struct Parcel<'a> {
    loading: &'a LoadImage,
    delivery: &'a Delivery,
    turn: ParcelSlot,
}

impl Parcel<'_> {
    async fn load(
        self,
        remote: &impl Remote,
        supply: &ImageSources,
        gate: &ParcelSequencer,
        packing: Option<Packing>,
    ) -> Result<(), Failure> {
        let LoadImage { source, id, .. } = self.loading;
        let number = self.turn.parcel;
        let pieces = supply.pieces(*source, id, self.delivery, number)?;
        // Docker takes what is compressed and what is not; the scripts decompress.
        let gunzip = !matches!(self.delivery.ways.get(number), None | Some(ParcelRoute::Stream));
        let (command, pieces) = match self.delivery.ways.get(number) {
            Some(ParcelRoute::Rebuild(rebuild)) => (docker::rebuild(number, &rebuild.base, &rebuild.roots), pieces),
            Some(ParcelRoute::Files) => match self.by_file(remote, supply, pieces).await? {
                Some(rest) => rest,
                None => {
                    gate.unpacked(None);
                    return Ok(());
                }
            },
            _ => (docker::load(), pieces),
        };
        let pieces = compress(gate.pass(self.turn, pieces), packing, gunzip);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut collect = |stream: Stream, bytes: &[u8]| {
            if stream == Stream::Stdout { stdout.extend_from_slice(bytes) } else { stderr.extend_from_slice(bytes) }
        };
        let exit = remote.exec(&command, Input::Pieces(pieces), &mut collect).await?;
        Output { exit, stdout, stderr }.success(&command)?;
        let parcel = self.delivery.parcels.get(number).filter(|_| !gunzip);
        gate.unpacked(parcel.map(|parcel| self.delivery.bytes(parcel)));
        Ok(())
    }

    /// Returns the command and the data for the rest of a parcel that is sent as files; `None` when it is loaded already.
    async fn by_file(
        &self,
        remote: &impl Remote,
        supply: &ImageSources,
        pieces: Pieces,
    ) -> Result<Option<(Command, Pieces)>, Failure> {
        let LoadImage { source, id, references, .. } = self.loading;
        let size = supply.size(*source, id, self.delivery, self.turn.parcel)?;
        // Whatever changes its bytes changes its name.
        let what = format!("{id} {:?} {references:?} {size}", self.delivery.parcels.get(self.turn.parcel));
        let name = hexadecimal(&Sha256::digest(what)).chars().take(16).collect::<String>();
        let directory = docker::arriving(&name);
        let command = docker::received(&directory);
        let answer = String::from_utf8_lossy(&remote.check(&command).await?).into_owned();
        let there = match answer.trim() {
            "loaded" => return Ok(None),
            there => there.parse::<u64>(),
        };
        let there = there.map_err(|_| RemoteError::NotUnderstood { command: command.shown(), answer })?.min(size);
        Ok(Some((docker::receive(&directory, size), behind(there, pieces))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_a_link_is_told_from_the_time_a_command_takes() {
        let looks = |times: &[u64]| -> Vec<_> {
            LOOKS.into_iter().zip(times.iter().map(|&time| Duration::from_millis(time))).collect()
        };
        assert_eq!(speed(&looks(&[100])), Some(655_360));
        assert_eq!(speed(&looks(&[10, 20, 50])), Some(52_428_800));
        // Faster than can be told.
        assert_eq!(speed(&looks(&[10, 9, 9])), Some(1_572_864_000));
        assert_eq!(speed(&[]), None);
    }
}
