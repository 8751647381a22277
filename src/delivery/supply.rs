//! Gives the bytes of each parcel from the images on this computer.

use std::{cell::RefCell, thread::JoinHandle};

use super::{Delivery, LayerIndexCache, Measured, Offer, PARTIAL, Strategy, forecast, gate::Pieces, rebuild};
use crate::{
    facts::DockerImage,
    image::{Archive, Image, ImageError, ImageId, Load, LoadStream, LocalImages},
};

/// The sources of a deployment's images, and what is known of the layers that were sent before.
#[derive(Debug, Default)]
pub struct ImageSources {
    sources: RefCell<Vec<Option<SourceState>>>,
    shelf: LayerIndexCache,
    learning: RefCell<Vec<JoinHandle<()>>>,
    measured: RefCell<Vec<Measured>>,
}

#[derive(Debug)]
enum SourceState {
    Found(LocalImages),
    Archive(Archive),
}

impl ImageSources {
    /// Takes the sources, each under its number.
    pub fn new(sources: Vec<Option<LocalImages>>, shelf: LayerIndexCache) -> Self {
        let sources = sources.into_iter().map(|source| source.map(SourceState::Found)).collect();
        Self { sources: RefCell::new(sources), shelf, learning: RefCell::default(), measured: RefCell::default() }
    }

    /// Returns the bytes of one parcel of the image `id` from a source. The last parcel is the image itself with its
    /// references, any other an intermediate image of the layers up to its end.
    ///
    /// # Errors
    /// The error of reading the source.
    pub fn pieces(&self, source: usize, id: &str, delivery: &Delivery, number: usize) -> Result<Pieces, ImageError> {
        let whole = delivery.present == 0 && delivery.parcels.len() == 1 && delivery.rebuild(number).is_none();
        if let Some(Some(SourceState::Found(found))) = self.sources.borrow().get(source)
            && whole
            && found.images().len() == 1
        {
            return Ok(found.load_stream()?.pieces());
        }
        let (archive, image) = self.image(source, id)?;
        Ok(match delivery.rebuild(number) {
            None => parcel(&archive, &image, delivery, number, false)?.pieces(),
            Some(found) => rebuild::pieces(parcel(&archive, &image, delivery, number, true)?, found.runs.clone()),
        })
    }

    /// Returns the size of a parcel that is not rebuilt, in bytes.
    ///
    /// # Errors
    /// The error of reading the source.
    pub fn size(&self, source: usize, id: &str, delivery: &Delivery, number: usize) -> Result<u64, ImageError> {
        let (archive, image) = self.image(source, id)?;
        Ok(parcel(&archive, &image, delivery, number, false)?.total().unwrap_or_default())
    }

    /// Notes what a delivery saw.
    pub fn measured(&self, measured: Measured) {
        self.measured.borrow_mut().push(measured);
    }

    /// Returns the stored sizes of an image's layers, in bytes, where docker has to save the image to tell them; `None` for
    /// an image in an archive, which need not be examined before it is delivered in parts.
    ///
    /// # Errors
    /// The error of reading the source.
    pub fn weigh(&self, source: usize, id: &str) -> Result<Option<Vec<u64>>, ImageError> {
        if self.is_archived(source) {
            return Ok(None);
        }
        let (_, image) = self.image(source, id)?;
        Ok(Some(image.layers.iter().map(|layer| layer.stored).collect()))
    }

    /// Returns the information about a delivery that is needed to choose its way.
    ///
    /// # Errors
    /// The error of reading the source.
    pub fn offer(
        &self,
        source: usize,
        id: &str,
        delivery: &Delivery,
        there: &[DockerImage],
        strategy: Strategy,
    ) -> Result<Offer, ImageError> {
        if !self.is_archived(source) {
            return Ok(Offer::default());
        }
        let (archive, image) = self.image(source, id)?;
        let ratio = Some(forecast::ratio(&archive, image.layers.get(delivery.present..).unwrap_or_default()));
        let rebuilds = match strategy {
            Strategy::Full | Strategy::Thin => Vec::new(),
            Strategy::Auto | Strategy::InLayer => rebuild::rebuilds(&archive, &image, delivery, there, &self.shelf)?,
        };
        Ok(Offer { parcels: delivery.candidates(), rebuilds, ratio })
    }

    /// Learns the content of the layers of a delivery in the background: the next delivery may need to send less of them.
    pub fn learn(&self, source: usize, id: &str) {
        // An image that is sent while docker saves it is in no archive.
        let Some((archive, image)) = self.is_archived(source).then(|| self.image(source, id).ok()).flatten() else { return };
        let shelf = self.shelf.clone();
        let unknown: Vec<_> = image.layers.iter().map(|layer| layer.diff_id).filter(|layer| !shelf.has(layer)).collect();
        let learning = std::thread::spawn(move || {
            // What is under way now goes first. On Linux this is the thread's own.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(19);
            unknown.iter().for_each(|layer| drop(rebuild::learn(&archive, layer, &shelf)));
        });
        self.learning.borrow_mut().push(learning);
    }

    /// Waits until all is learned, and gives what the deliveries saw.
    pub fn finish(&self) -> Vec<Measured> {
        for learning in self.learning.take() {
            // A thread that panicked has learned nothing.
            let _ = learning.join();
        }
        self.measured.take()
    }

    fn is_archived(&self, source: usize) -> bool {
        match self.sources.borrow().get(source) {
            Some(Some(SourceState::Found(found))) => found.is_archive(),
            Some(Some(SourceState::Archive(_))) => true,
            _ => false,
        }
    }

    /// Returns an image and the archive that it is in.
    fn image(&self, source: usize, id: &str) -> Result<(Archive, Image), ImageError> {
        let missing = || ImageError::Missing(id.to_owned());
        let mut sources = self.sources.borrow_mut();
        let stock = sources.get_mut(source).ok_or_else(missing)?;
        let archive = match stock.take().ok_or_else(missing)? {
            SourceState::Found(found) => found.into_archive()?,
            SourceState::Archive(archive) => archive,
        };
        *stock = Some(SourceState::Archive(archive.clone()));
        let image = archive.images().iter().find(|image| image.id.to_string() == id).cloned().ok_or_else(missing)?;
        Ok((archive, image))
    }
}

/// Returns the stream of one parcel; with `plain` its layers are sent uncompressed, whatever the archive has.
pub(super) fn parcel(
    archive: &Archive,
    image: &Image,
    delivery: &Delivery,
    number: usize,
    plain: bool,
) -> Result<LoadStream, ImageError> {
    let layers = delivery.parcels.get(number).cloned().unwrap_or_default();
    let part = (layers.end < image.layers.len()).then(|| partial(image, layers.end));
    archive.load_stream(&[Load { image: part.as_ref().unwrap_or(image), present: layers.start, plain }])
}

/// Returns the intermediate image of the first `count` layers.
fn partial(image: &Image, count: usize) -> Image {
    let layers: Vec<_> = image.layers.iter().take(count).cloned().collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = serde_json::json!({
        "architecture": image.platform.architecture,
        "os": image.platform.os,
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = config.to_string().into_bytes();
    let chain = layers.last().map(|layer| layer.chain_id.hex()).unwrap_or_default();
    let tag = format!("{PARTIAL}:{}", chain.get(..12).unwrap_or("none"));
    Image {
        id: ImageId::of(&config),
        platform: image.platform.clone(),
        references: tag.parse().into_iter().collect(),
        layers,
        config: Some(config),
    }
}
