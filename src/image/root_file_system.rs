//! Bare root file systems, as `docker export`, `docker build --output type=tar` or debootstrap make them: sent as an image
//! with one layer.
//!
//! They are not given to `docker import` on the device, as people do by hand: that stamps the image with the device's clock,
//! so that the same file gives another image ID each time and nobody can tell whether it is there already. Here the
//! configuration is made from the file and the wanted metadata alone; the ID is known before a byte is sent.

use std::{collections::HashMap, path::Path};

use sha2::{Digest as _, Sha256};

use super::{
    ArchiveError, Compression, DiffId, Image, ImageId, Layer,
    bytes::Bytes,
    chain_ids, config,
    contents::{Blob, Contents},
    layer::copy,
    survey::Survey,
};
use crate::config::ImageMetadata;

/// Makes an image of the tar archive `path`, compressed as a whole in this way. Reads it to its end, for the digest.
pub(super) fn read(
    path: &Path,
    compression: Compression,
    survey: &Survey,
    metadata: &ImageMetadata,
) -> Result<Contents, ArchiveError> {
    let platform = survey.programs.platform()?;
    survey.inside()?;
    let (diff_id, size) = digest(Bytes::open(path, compression)?)?;
    let stored = std::fs::metadata(path)?.len();
    let config = config::make(metadata, &platform, diff_id);
    let layer = |chain_id| Layer { diff_id, chain_id, size: Some(size), stored, unpacked: size };
    let layers = chain_ids(&[diff_id]).into_iter().map(layer).collect();
    let image = Image { id: ImageId::of(&config), platform, references: Vec::new(), layers, config: Some(config) };
    let blob = Blob { offset: 0, size: stored, compression };
    Ok(Contents { images: vec![image], blobs: HashMap::from([(diff_id, blob)]) })
}

fn digest(mut bytes: Bytes) -> Result<(DiffId, u64), ArchiveError> {
    let mut hasher = Sha256::new();
    let size = copy(&mut bytes, |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok((DiffId::finish(hasher), size))
}
