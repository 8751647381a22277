//! Gives the bytes of each parcel from the images on this computer.

use std::{cell::RefCell, ops::Range};

use super::{Delivery, PARTIAL};
use crate::image::{Archive, Image, ImageError, ImageId, Load, LoadStream, LocalImages};

/// The sources of a deployment's images.
#[derive(Debug, Default)]
pub struct Supply {
    sources: RefCell<Vec<Option<Stock>>>,
}

#[derive(Debug)]
enum Stock {
    Found(LocalImages),
    Archive(Archive),
}

impl Supply {
    /// Takes the sources, each under its number.
    pub fn new(sources: Vec<Option<LocalImages>>) -> Self {
        Self { sources: RefCell::new(sources.into_iter().map(|source| source.map(Stock::Found)).collect()) }
    }

    /// The bytes of one parcel of the image `id` from a source. The last parcel is the image itself with its references, any
    /// other an intermediate image of the layers up to its end.
    ///
    /// # Errors
    /// What reading the source says.
    pub fn stream(
        &self,
        source: usize,
        id: &str,
        delivery: &Delivery,
        parcel: &Range<usize>,
    ) -> Result<LoadStream, ImageError> {
        let missing = || ImageError::Missing(id.to_owned());
        let mut sources = self.sources.borrow_mut();
        let stock = sources.get_mut(source).ok_or_else(missing)?;
        let whole = delivery.present == 0 && delivery.parcels.len() == 1;
        if let Some(Stock::Found(found)) = stock
            && whole
            && found.images().len() == 1
        {
            return found.load_stream();
        }
        let archive = match stock.take().ok_or_else(missing)? {
            Stock::Found(found) => found.into_archive()?,
            Stock::Archive(archive) => archive,
        };
        let image = archive.images().iter().find(|image| image.id.to_string() == id).ok_or_else(missing);
        let stream = image.and_then(|image| {
            let image = if parcel.end == image.layers.len() { image.clone() } else { partial(image, parcel.end) };
            archive.load_stream(&[Load { image: &image, present: parcel.start }])
        });
        *stock = Some(Stock::Archive(archive));
        stream
    }
}

/// The intermediate image of the first `count` layers.
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
