//! Every kind of archive, whole and broken, from the file to what docker loads.

mod broken;
mod fixtures;
mod kinds;
mod layouts;

use std::io::Write;

use tempfile::NamedTempFile;

use super::{ImageError, LocalImages};
use crate::config::ImageMetadata;

/// Images, and the file that their layers are still to be read from.
#[derive(Debug)]
struct Opened {
    images: LocalImages,
    file: NamedTempFile,
}

fn open(bytes: &[u8], name: Option<&str>) -> Result<Opened, ImageError> {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let path = file.path().to_str().expect("a plain path").to_owned();
    Ok(Opened { images: super::open(&path, &ImageMetadata::default(), name)?, file })
}

/// Returns all that `docker load` gets for these bytes.
fn sent(opened: &Opened) -> std::io::Result<Vec<u8>> {
    let stream = opened.images.load_stream().map_err(std::io::Error::other)?;
    let (total, mut out) = (stream.total(), Vec::new());
    stream.write(&mut out)?;
    assert_eq!(total, Some(out.len() as u64), "the total is known before");
    Ok(out)
}
