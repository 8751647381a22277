//! Delivers an image: layers that the device has are left out, and the rest is sent in parcels, so that the device unpacks
//! one while the next is on its way.
//!
//! Docker keeps layers by chain ID: a layer may be left out of an archive exactly if an image on the device begins with the
//! same layers up to it. Each parcel but the last makes an intermediate image, tagged so that nothing collects its layers
//! before the last parcel is in. An interrupted delivery goes on behind the last parcel that arrived, because those
//! intermediate images are images like any other.

use std::ops::Range;

use crate::facts::DockerImage;

mod compress;
mod forecast;
mod gate;
mod rebuild;
mod speeds;
mod supply;

pub use compress::{Packing, compress};
pub use forecast::{Forecast, Offer, Strategy, choose};
pub use gate::{ParcelSequencer, ParcelSlot, Pieces, behind};
pub use rebuild::{LayerIndexCache, Rebuild, Run};
pub use speeds::{Measured, Speeds};
pub use supply::ImageSources;

pub use crate::commands::docker::PARTIAL;

/// A parcel has one layer, and others as long as these are not larger together, in bytes: a call to `docker load` costs 0.1 to
/// 0.3 s, and a cut costs the parcels that are under way.
const JOINED: u64 = 1 << 20;

/// The limit of [`JOINED`] for a parcel that is put together on the device, in bytes: little of it is sent.
const JOINED_THERE: u64 = gate::AHEAD;

/// The parts of one image that are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Number of layers, from the bottom, that the device has.
    pub present: usize,
    /// The layers of each parcel; together all that are missing.
    pub parcels: Vec<Range<usize>>,
    /// The route of each parcel to the device's docker.
    pub ways: Vec<ParcelRoute>,
    /// Sizes of all layers in bytes, as they are stored here.
    pub sizes: Vec<u64>,
}

/// The route by which a parcel reaches the device's docker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ParcelRoute {
    /// The parcel is sent as a stream, directly into docker.
    #[default]
    Stream,
    /// The parcel is sent as files on the device, which outlive a lost connection: for parcels that take long.
    Files,
    /// Put together on the device from what it has and what travels.
    Rebuild(Rebuild),
}

impl Delivery {
    /// Plans the delivery of an image with layers of these sizes, of which the first `present` are there.
    pub fn new(sizes: Vec<u64>, present: usize) -> Self {
        let mut parcels = joined(&sizes, present..sizes.len(), JOINED);
        // An image whose layers are all there still needs its configuration.
        if parcels.is_empty() {
            parcels.push(sizes.len()..sizes.len());
        }
        let ways = vec![ParcelRoute::Stream; parcels.len()];
        Self { present, parcels, ways, sizes }
    }

    /// Plans the delivery of an image with these layers (diff IDs and sizes), of which the device has what its images have.
    pub fn of(layers: &[(String, u64)], there: &[DockerImage]) -> Self {
        Self::new(layers.iter().map(|(_, size)| *size).collect(), present(layers, there))
    }

    /// Returns the parcels that the device may be able to put together.
    pub fn candidates(&self) -> Vec<Range<usize>> {
        joined(&self.sizes, self.present..self.sizes.len(), JOINED_THERE)
    }

    /// Returns the same delivery with some of its [candidates](Self::candidates) put together on the device.
    #[must_use]
    pub fn with(&self, mut rebuild: impl FnMut(&Range<usize>) -> Option<Rebuild>) -> Self {
        let (mut parcels, mut ways) = (Vec::new(), Vec::new());
        for candidate in self.candidates() {
            if let Some(rebuild) = rebuild(&candidate) {
                parcels.push(candidate);
                ways.push(ParcelRoute::Rebuild(rebuild));
            } else {
                let sent = joined(&self.sizes, candidate, JOINED);
                ways.extend(sent.iter().map(|_| ParcelRoute::Stream));
                parcels.extend(sent);
            }
        }
        if parcels.is_empty() { self.thin() } else { Self { parcels, ways, ..self.clone() } }
    }

    /// Returns the same delivery with each parcel as a stream, which needs nothing of the device but its layers.
    #[must_use]
    pub fn thin(&self) -> Self {
        Self::new(self.sizes.clone(), self.present)
    }

    /// Returns the way in which a parcel is rebuilt; `None` when it is not.
    pub fn rebuild(&self, number: usize) -> Option<&Rebuild> {
        match self.ways.get(number) {
            Some(ParcelRoute::Rebuild(rebuild)) => Some(rebuild),
            _ => None,
        }
    }

    /// Returns whether any parcel is rebuilt.
    pub fn rebuilds(&self) -> bool {
        self.ways.iter().any(|way| matches!(way, ParcelRoute::Rebuild(_)))
    }

    /// Bytes that travel, before compression.
    pub fn travels(&self) -> u64 {
        let parcels = self.parcels.iter().enumerate();
        parcels
            .map(|(number, parcel)| self.rebuild(number).map_or_else(|| self.bytes(parcel), |rebuild| rebuild.inserted))
            .sum()
    }

    /// Returns the same delivery with every layer, also those that the device has.
    #[must_use]
    pub fn full(&self) -> Self {
        Self::new(self.sizes.clone(), 0)
    }

    /// Bytes of the layers of a parcel.
    pub fn bytes(&self, parcel: &Range<usize>) -> u64 {
        self.sizes.get(parcel.clone()).unwrap_or_default().iter().sum()
    }

    /// Bytes of all layers that are missing.
    pub fn missing(&self) -> u64 {
        self.sizes.iter().skip(self.present).sum()
    }

    /// Bytes of all layers.
    pub fn whole(&self) -> u64 {
        self.sizes.iter().sum()
    }

    /// Returns the maximum size of temporary copies on the device at one time, in bytes.
    pub fn peak(&self) -> u64 {
        self.parcels.iter().map(|parcel| self.bytes(parcel)).max().unwrap_or(0) + gate::AHEAD
    }
}

/// Returns parcels of neighbouring layers, each with one layer and others of at most `others` bytes together.
fn joined(sizes: &[u64], layers: Range<usize>, others: u64) -> Vec<Range<usize>> {
    let mut parcels: Vec<Range<usize>> = Vec::new();
    let (mut all, mut largest) = (0, 0);
    for (index, &size) in sizes.iter().enumerate().take(layers.end).skip(layers.start) {
        match parcels.last_mut() {
            Some(parcel) if all + size - largest.max(size) <= others => parcel.end = index + 1,
            _ => {
                parcels.push(index..index + 1);
                (all, largest) = (0, 0);
            }
        }
        all += size;
        largest = largest.max(size);
    }
    parcels
}

/// Returns the number of layers of an image, from the bottom, that the device has on one chain of parents.
pub fn present(layers: &[(String, u64)], there: &[DockerImage]) -> usize {
    let common =
        |image: &DockerImage| image.layers.iter().zip(layers).take_while(|(there, (wanted, _))| *there == wanted).count();
    there.iter().map(common).max().unwrap_or(0)
}

/// Returns whether an image was left by an interrupted delivery.
pub fn is_partial(image: &DockerImage) -> bool {
    image.tags.iter().any(|tag| tag.starts_with(PARTIAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn image(layers: &[&str]) -> DockerImage {
        let layers = layers.iter().map(|layer| (*layer).to_owned()).collect();
        DockerImage { layers, ..DockerImage::default() }
    }

    #[test]
    fn only_a_common_beginning_counts_as_there() {
        let wanted = ["a", "b", "c"].map(|layer| (layer.to_owned(), 1));
        assert_eq!(present(&wanted, &[]), 0);
        assert_eq!(present(&wanted, &[image(&["b", "c"]), image(&["a", "x"])]), 1);
        assert_eq!(present(&wanted, &[image(&["a", "b", "c", "d"])]), 3);
        assert_eq!(present(&wanted, &[image(&["b", "a", "c"])]), 0);
    }

    #[test]
    fn a_parcel_has_one_layer_and_what_is_small_beside_it() {
        const KB: u64 = 1 << 10;
        let delivery = Delivery::new(vec![100 * MB, 500 * KB, 500 * KB, 500 * KB, 5 * MB, 10, 400 * KB, 200 * MB], 0);
        assert_eq!(delivery.parcels, [0..3, 3..7, 7..8]);
        assert_eq!(delivery.bytes(&(3..7)), 5 * MB + 900 * KB + 10);
        assert_eq!(delivery.peak(), 200 * MB + gate::AHEAD);
        assert_eq!(Delivery::new(vec![MB; 5], 1).parcels, [1..3, 3..5]);
        assert_eq!(Delivery::new(vec![10; 100], 0).parcels, Vec::from_iter([0..100; 1]));
    }

    #[test]
    fn what_is_put_together_on_the_device_may_be_more_at_once() {
        let delivery = Delivery::new(vec![100 * MB, 5 * MB, 2 * MB, 3 * MB, 3 * MB], 0);
        assert_eq!(delivery.parcels.len(), 5);
        assert_eq!(delivery.candidates(), [0..3, 3..5]);
        let rebuild = Rebuild { base: "sha256:1".into(), roots: vec![], runs: vec![], read: 0, inserted: 10 };
        let delivery = delivery.with(|parcel| (parcel.start == 0).then(|| rebuild.clone()));
        assert_eq!(delivery.parcels, [0..3, 3..4, 4..5]);
        assert_eq!(delivery.ways, [ParcelRoute::Rebuild(rebuild), ParcelRoute::Stream, ParcelRoute::Stream]);
        assert_eq!(delivery.travels(), 10 + 6 * MB);
        assert_eq!(delivery.thin().parcels.len(), 5);
    }

    #[test]
    fn an_image_whose_layers_are_all_there_still_travels_as_a_configuration() {
        let delivery = Delivery::new(vec![MB, MB], 2);
        assert_eq!((delivery.parcels.clone(), delivery.missing(), delivery.whole()), (Vec::from_iter([2..2; 1]), 0, 2 * MB));
    }
}
