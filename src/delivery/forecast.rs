//! Estimates the cost of each way to deliver an image, and chooses the cheapest.
//!
//! All figures are estimates. Link and unpacking speed are those that earlier deliveries to the same device saw; without any,
//! a Gigabit link and the device's flash are assumed.

use std::{ops::Range, time::Duration};

use flate2::{Compression, write::ZlibEncoder};

use super::{
    Delivery, ParcelRoute, Rebuild, Speeds,
    compress::{LINK, Packing},
};
use crate::image::{Archive, Layer};

/// Bytes a second that a device of which nothing is known unpacks.
const UNPACK: f64 = 60e6;
/// Bytes a second of the slowest link that is usual, and that the slowest device unpacks: until both are known, a delivery may take
/// as long as with these.
const LINK_MIN: f64 = 250e3;
const UNPACK_MIN: f64 = 5e6;
/// Speed at which the device reads an image back and puts a layer together, relative to its speed of unpacking: 150 MB took
/// 0.95 s, without the commands, where they were unpacked in 0.6 s.
const READ: f64 = 0.8;
/// Time that one call of `docker image load` takes besides unpacking.
pub(super) const CALL: Duration = Duration::from_millis(150);
/// Seconds to make the container that an image is read from, and to remove it.
const CONTAINER: f64 = 0.25;
/// Seconds for each path that is read.
const ROOT: f64 = 0.06;
/// Factor by which a rebuilt delivery must be faster to be chosen: it is more work for the device, and estimates can be
/// wrong.
const MARGIN: f64 = 1.25;
/// Seconds of one command of a step, of which each range has two.
const COMMAND: f64 = 0.001;
/// Time in seconds above which a parcel is sent as files, so that a lost connection does not cost all of it.
const LONG: f64 = 30.0;
/// Size in bytes above which a parcel is sent as files, after an earlier delivery lost its connection.
const LARGE: u64 = 8 << 20;
/// Size of one sample, in bytes, and how many are taken.
const SAMPLE: usize = 16 << 10;
const SAMPLES: u64 = 64;
/// Multiples of it, less what is whole, lie evenly between 0 and 1 and in no period: content often has one.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// Which way an image is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Strategy {
    /// Whatever takes the least time.
    #[default]
    Auto,
    /// All layers, whatever the device has.
    Full,
    /// The layers that the device does not have.
    Thin,
    /// Of those layers, what no image on the device has.
    InLayer,
}

impl Strategy {
    /// Returns the name of the strategy on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Full => "full",
            Self::Thin => "thin",
            Self::InLayer => "in-layer",
        }
    }
}

/// The information about an image's layers that is known before the image is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The parcels that it is for; it is worth nothing to others.
    pub parcels: Vec<Range<usize>>,
    /// The way in which each parcel could be rebuilt, if it could be.
    pub rebuilds: Vec<Option<Rebuild>>,
    /// Size of the layers after gzip, in percent of their size.
    pub ratio: Option<u8>,
}

/// The expected cost of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The strategy of the delivery.
    pub strategy: Strategy,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Expected time of the delivery.
    pub time: Duration,
    /// Maximum time of the delivery, as long as the link or the device is not known.
    pub time_max: Option<Duration>,
    /// The most bytes of temporary files on the device at once.
    pub disk: u64,
    /// Bytes written to the device's flash, temporary files and layers.
    pub flash: u64,
    /// Bytes a second of the link, where it is known.
    pub link: Option<u64>,
    /// Size of the layers after gzip, in percent of their size.
    pub ratio: u8,
}

impl Forecast {
    /// Returns the duration as text: one figure for a known device, else a range.
    pub fn duration(&self) -> String {
        let seconds = |time: Duration| match time.as_secs_f64() {
            short if short < 10.0 => format!("{short:.1}"),
            long => format!("{long:.0}"),
        };
        let least = seconds(self.time);
        match self.time_max.map(seconds).filter(|most| *most != least) {
            Some(most) => format!("{least} to {most} s"),
            None => format!("{least} s"),
        }
    }
}

/// Chooses the way of the least time, or takes the one asked for, and says what it costs.
pub fn choose(delivery: &Delivery, offer: &Offer, speeds: &Speeds, strategy: Strategy) -> (Delivery, Forecast) {
    let (delivery, mut forecast) = cheapest(delivery, offer, speeds, strategy);
    if speeds.link.is_none() || speeds.unpack.is_none() {
        let slow = Speeds {
            link: speeds.link.or(Some(LINK_MIN as u64)),
            unpack: speeds.unpack.or(Some(UNPACK_MIN as u64)),
            cut: speeds.cut,
        };
        let costs = Costs { speeds: &slow, ratio: f64::from(forecast.ratio) / 100.0 };
        forecast.time_max = Some(costs.of(delivery.clone(), forecast.strategy).1.time);
    }
    (delivery, forecast)
}

fn cheapest(delivery: &Delivery, offer: &Offer, speeds: &Speeds, strategy: Strategy) -> (Delivery, Forecast) {
    let costs = Costs { speeds, ratio: f64::from(offer.ratio.unwrap_or(100).clamp(1, 100)) / 100.0 };
    let thin = || {
        let strategy = if delivery.present == 0 { Strategy::Full } else { Strategy::Thin };
        costs.of(costs.with_files(delivery.thin()), strategy)
    };
    let in_layer = |asked: bool| {
        let delivery = delivery.with(|parcel| {
            let number = offer.parcels.iter().position(|offered| offered == parcel)?;
            let rebuild = offer.rebuilds.get(number)?.as_ref()?;
            let worth = asked || costs.rebuilt(rebuild) < costs.wire(delivery.bytes(parcel)).0;
            worth.then(|| rebuild.clone())
        });
        let delivery = costs.with_files(delivery);
        let strategy = if delivery.rebuilds() { Strategy::InLayer } else { Strategy::Thin };
        costs.of(delivery, strategy)
    };
    match strategy {
        Strategy::Full => costs.of(costs.with_files(delivery.full()), Strategy::Full),
        Strategy::Thin => thin(),
        Strategy::InLayer => in_layer(true),
        Strategy::Auto => {
            let (thin, in_layer) = (thin(), in_layer(false));
            if in_layer.1.time.mul_f64(MARGIN) < thin.1.time { in_layer } else { thin }
        }
    }
}

/// Returns the size of some layers after gzip, in percent, estimated from samples that are spread over them.
pub(super) fn ratio(archive: &Archive, layers: &[Layer]) -> u8 {
    let total: u64 = layers.iter().map(|layer| layer.stored).sum();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut sampled = 0;
    for layer in layers {
        let samples = (layer.stored * SAMPLES).div_ceil(total.max(1));
        for number in 0..samples {
            let place = ((number + 1) as f64 * GOLDEN).fract() * layer.stored.saturating_sub(SAMPLE as u64) as f64;
            let sample = archive.sample(&layer.diff_id, place as u64, SAMPLE);
            sampled += sample.len();
            // Memory takes all.
            let _ = std::io::Write::write_all(&mut encoder, &sample);
        }
    }
    let packed = encoder.finish().map_or(sampled, |packed| packed.len());
    if sampled == 0 { 100 } else { u8::try_from((packed * 100).div_ceil(sampled)).unwrap_or(100).clamp(1, 100) }
}

/// The cost of each step of a delivery on one device.
struct Costs<'a> {
    speeds: &'a Speeds,
    ratio: f64,
}

impl Costs<'_> {
    fn link(&self) -> f64 {
        self.speeds.link.map_or(LINK, |link| link as f64).max(1.0)
    }

    fn unpack(&self) -> f64 {
        self.speeds.unpack.map_or(UNPACK, |unpack| unpack as f64).max(1.0)
    }

    /// Seconds on the wire and bytes there: compressed, if that is not slower.
    fn wire(&self, bytes: u64) -> (f64, u64) {
        let (packing, seconds) = Packing::of(self.link(), self.ratio);
        let left = if packing == Packing::Plain { 1.0 } else { self.ratio };
        (bytes as f64 * seconds, (bytes as f64 * left) as u64)
    }

    /// Seconds that a rebuilt parcel takes before it can be unpacked.
    fn rebuilt(&self, rebuild: &Rebuild) -> f64 {
        let commands = 2.0 * rebuild.runs.len() as f64 * COMMAND;
        let read = rebuild.read as f64 / (READ * self.unpack());
        CONTAINER + ROOT * rebuild.roots.len() as f64 + commands + read.max(self.wire(rebuild.inserted).0)
    }

    /// Returns the same delivery, in which parcels that take long are sent as files.
    fn with_files(&self, mut delivery: Delivery) -> Delivery {
        let sizes: Vec<_> = delivery.parcels.iter().map(|parcel| delivery.bytes(parcel)).collect();
        for (way, bytes) in delivery.ways.iter_mut().zip(sizes) {
            if *way == ParcelRoute::Stream && (self.wire(bytes).0 > LONG || (self.speeds.cut && bytes > LARGE)) {
                *way = ParcelRoute::Files;
            }
        }
        delivery
    }

    /// Follows the parcels: each arrives behind the one before, and is unpacked when that one is.
    fn of(&self, delivery: Delivery, strategy: Strategy) -> (Delivery, Forecast) {
        let (mut arrived, mut done) = (0_f64, 0_f64);
        let (mut bytes, mut flash, disk) = (0, 0, delivery.peak());
        for (number, parcel) in delivery.parcels.iter().enumerate() {
            let size = delivery.bytes(parcel);
            flash += 2 * size;
            match delivery.ways.get(number) {
                Some(ParcelRoute::Rebuild(rebuild)) => {
                    arrived = arrived.max(done) + self.rebuilt(rebuild);
                    bytes += self.wire(rebuild.inserted).1;
                }
                way => {
                    let (seconds, sent) = self.wire(size);
                    arrived += seconds;
                    bytes += sent;
                    if way == Some(&ParcelRoute::Files) {
                        flash += size;
                    }
                }
            }
            done = arrived.max(done) + size as f64 / self.unpack() + CALL.as_secs_f64();
        }
        let time = Duration::from_millis((done * 1000.0) as u64);
        let ratio = (self.ratio * 100.0) as u8;
        (delivery, Forecast { strategy, bytes, time, time_max: None, disk, flash, link: self.speeds.link, ratio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn rebuild(inserted: u64, read: u64, runs: usize) -> Rebuild {
        let run = super::super::Run { at: 0, from: 0, length: 1 };
        Rebuild { base: "sha256:1".into(), roots: vec!["/app".into()], runs: vec![run; runs], read, inserted }
    }

    fn speeds(link: u64) -> Speeds {
        Speeds { link: Some(link), unpack: Some(200 * MB), cut: false }
    }

    fn chosen(size: u64, offer: Option<Rebuild>, link: u64, strategy: Strategy) -> (Strategy, u64) {
        let delivery = Delivery::new(vec![100 * MB, size], 1);
        let offer = Offer { parcels: delivery.candidates(), rebuilds: vec![offer], ratio: Some(90) };
        let (_, forecast) = choose(&delivery, &offer, &speeds(link), strategy);
        (forecast.strategy, forecast.bytes)
    }

    #[test]
    fn a_slow_link_rebuilds_and_a_fast_one_sends() {
        let change = || Some(rebuild(MB, 150 * MB, 3));
        assert_eq!(chosen(150 * MB, change(), 6 * MB, Strategy::Auto), (Strategy::InLayer, MB * 9 / 10));
        assert_eq!(chosen(150 * MB, change(), 1000 * MB, Strategy::Auto), (Strategy::Thin, 150 * MB));
        assert_eq!(chosen(150 * MB, None, 6 * MB, Strategy::Auto).0, Strategy::Thin);
    }

    #[test]
    fn so_many_steps_that_they_take_longer_than_the_wire_are_not_worth_it() {
        assert_eq!(chosen(5 * MB, Some(rebuild(MB / 2, 5 * MB, 10)), 6 * MB, Strategy::Auto).0, Strategy::InLayer);
        assert_eq!(chosen(5 * MB, Some(rebuild(MB / 2, 5 * MB, 1000)), 6 * MB, Strategy::Auto).0, Strategy::Thin);
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        assert_eq!(chosen(5 * MB, Some(rebuild(MB, 5 * MB, 1000)), 6 * MB, Strategy::InLayer).0, Strategy::InLayer);
        assert_eq!(chosen(150 * MB, Some(rebuild(MB, MB, 1)), MB, Strategy::Thin).0, Strategy::Thin);
        assert_eq!(chosen(150 * MB, Some(rebuild(MB, MB, 1)), 1000 * MB, Strategy::Full), (Strategy::Full, 250 * MB));
    }

    #[test]
    fn what_takes_long_goes_by_way_of_a_file_and_after_a_cut_all_that_is_large() {
        let delivery = Delivery::new(vec![300 * MB, 100 * MB], 0);
        let ways = |speeds: &Speeds| choose(&delivery, &Offer::default(), speeds, Strategy::Auto).0.ways;
        assert_eq!(ways(&speeds(6 * MB)), [ParcelRoute::Files, ParcelRoute::Stream]);
        assert_eq!(ways(&speeds(50 * MB)), [ParcelRoute::Stream, ParcelRoute::Stream]);
        assert_eq!(ways(&Speeds { cut: true, ..speeds(50 * MB) }), [ParcelRoute::Files, ParcelRoute::Files]);
    }

    #[test]
    fn the_device_unpacks_one_parcel_while_the_next_arrives() {
        let delivery = Delivery::new(vec![100 * MB, 100 * MB], 0);
        let (_, forecast) = choose(&delivery, &Offer::default(), &speeds(100 * MB), Strategy::Auto);
        // Two seconds on the wire, half a second for the last, two calls of which one is hidden.
        assert_eq!(forecast.time, Duration::from_millis(2650));
        assert_eq!((forecast.bytes, forecast.flash), (200 * MB, 400 * MB));
    }
}
