//! The content of an archive: its images, and the place of each of their layers.

use std::collections::HashMap;

use super::{
    ArchiveError, Compression, DiffId, Image, ImageId, Layer, Reference, chain_ids, config,
    survey::{Place, Survey},
};

/// The most images an archive may hold.
const MOST_IMAGES: usize = 64;

/// The place of a layer's bytes in the archive, and the form in which they are stored.
pub(super) type Blob = Place;

/// The images of an archive and the blobs of all their layers.
#[derive(Default)]
pub(super) struct Contents {
    /// The images, in the order of the archive.
    pub(super) images: Vec<Image>,
    /// The place of each layer.
    pub(super) blobs: HashMap<DiffId, Blob>,
}

impl Contents {
    /// Adds the image whose configuration is the part called `name` and whose layers are the parts `layers`, bottom first. An
    /// image that is there already only gains the references.
    pub(super) fn add(
        &mut self,
        survey: &mut Survey,
        name: &str,
        references: Vec<Reference>,
        layers: &[String],
    ) -> Result<(), ArchiveError> {
        let content = survey.content(name)?;
        let id = ImageId::of(&content);
        check_name(name, &id)?;
        if let Some(image) = self.images.iter_mut().find(|image| image.id == id) {
            image.references.extend(references);
            return Ok(());
        }
        if self.images.len() >= MOST_IMAGES {
            return Err(ArchiveError::TooMany("images"));
        }
        let (platform, diff_ids) = config::read(name, &content)?;
        if diff_ids.len() != layers.len() {
            return Err(ArchiveError::Layers { image: id, listed: layers.len(), layers: diff_ids.len() });
        }
        let places = layers.iter().map(|name| survey.place(name)).collect::<Result<Vec<_>, _>>()?;
        let mut described = Vec::with_capacity(places.len());
        for (((diff_id, chain_id), place), name) in diff_ids.iter().zip(chain_ids(&diff_ids)).zip(places).zip(layers) {
            if let compression @ (Compression::Xz | Compression::Bzip2) = place.compression {
                return Err(ArchiveError::PackedLayer { name: name.clone(), compression });
            }
            let blob = *self.blobs.entry(*diff_id).or_insert(place);
            let size = (blob.compression == Compression::None).then_some(blob.size);
            let unpacked = survey.unpacked(&blob);
            described.push(Layer { diff_id: *diff_id, chain_id, size, stored: blob.size, unpacked });
        }
        self.images.push(Image { id, platform, references, layers: described, config: Some(content) });
        Ok(())
    }

    /// Returns whether all of its images are for a VPU.
    pub(super) fn is_for_vpu(&self) -> bool {
        !self.images.is_empty() && self.images.iter().all(|image| image.platform.is_vpu())
    }

    /// Replaces the images for other platforms by the same for a VPU, where `all` has them.
    pub(super) fn prefer_vpu_images(&mut self, mut all: Self) {
        all.images.retain(|image| image.platform.is_vpu());
        if self.images.is_empty() {
            *self = all;
            return;
        }
        // One without a name is the same as the only other one.
        let only = self.images.len() == 1 && all.images.len() == 1;
        for image in self.images.iter_mut().filter(|image| !image.platform.is_vpu()) {
            let is_same = |other: &&Image| only || other.references.iter().any(|name| image.references.contains(name));
            if let Some(other) = all.images.iter().find(is_same) {
                let references = match image.references.is_empty() {
                    true => other.references.clone(),
                    false => std::mem::take(&mut image.references),
                };
                *image = Image { references, ..other.clone() };
            }
        }
        self.blobs.extend(all.blobs);
    }

    /// Keeps only the image for a VPU where images differ only by platform. `groups` names, for each image, those it goes
    /// with.
    pub(super) fn keep_vpu_platform(&mut self, groups: &[usize]) {
        let keep: Vec<bool> = groups
            .iter()
            .zip(&self.images)
            .map(|(group, image)| {
                let mut of_group = groups.iter().zip(&self.images).filter(|(other, _)| *other == group);
                image.platform.is_vpu() || !of_group.any(|(_, other)| other.platform.is_vpu())
            })
            .collect();
        let mut keep = keep.into_iter();
        self.images.retain(|_| keep.next().unwrap_or(true));
    }
}

/// Checks the name of a configuration, which is its digest in all layouts that are not hand-made: `<hex>.json` or
/// `blobs/sha256/<hex>`.
fn check_name(name: &str, id: &ImageId) -> Result<(), ArchiveError> {
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    match stem.parse::<ImageId>() {
        Ok(promised) if promised != *id => Err(ArchiveError::Digest { name: name.into(), found: id.to_string() }),
        _ => Ok(()),
    }
}
