//! Images on this computer: what they are, and their bytes as the device's docker takes them.
//!
//! [`open`] finds an image and describes it without reading its layers. It may be an archive in any of the layouts that people
//! have, or an image in this computer's docker. [`LocalImages`] then gives the bytes for `docker load`, or, as an [`Archive`],
//! any single layer. All of this blocks: call it where blocking is allowed.

mod archive;
mod bytes;
mod compression;
mod config;
mod contents;
mod digest;
mod directory;
mod docker_archive;
mod engine;
mod error;
mod json;
mod layer;
mod load_stream;
mod oci_archive;
mod platform;
mod programs;
mod root_file_system;
mod survey;
mod tarball;
#[cfg(test)]
mod tests;

pub use archive::Archive;
pub use compression::Compression;
pub use digest::{BlobId, ChainId, DiffId, DigestError, ImageId, chain_ids};
pub use error::{ArchiveError, ImageError};
pub use layer::LayerReader;
pub use load_stream::{Load, LoadStream, PIECE};
pub use platform::{Platform, runs_on};

use std::path::Path;

pub use crate::reference::{Reference, ReferenceError};
use crate::{config::ImageMetadata, small_file};

/// An image: what docker would say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The ID that it has and will have on the device.
    pub id: ImageId,
    /// The platform that the image is built for.
    pub platform: Platform,
    /// The names that it is to have.
    pub references: Vec<Reference>,
    /// The layers of the image, bottom first.
    pub layers: Vec<Layer>,
    /// The bytes of its configuration, whose digest is its ID. Docker does not tell them before it saves the image.
    pub config: Option<Vec<u8>>,
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its uncompressed tar archive.
    pub diff_id: DiffId,
    /// Chain ID of the layer together with those below it.
    pub chain_id: ChainId,
    /// The size of its uncompressed tar archive in bytes, where it is known without reading the layer.
    pub size: Option<u64>,
    /// Size in bytes as the layer is stored in the archive; 0 while it is in docker.
    pub stored: u64,
    /// Minimum size on a disk when it is unpacked, in bytes, as far as that is known without reading it.
    pub unpacked: u64,
}

/// Images that were found on this computer.
#[derive(Debug)]
pub struct LocalImages(Found);

#[derive(Debug)]
enum Found {
    Archive(Archive),
    Engine(Image),
}

/// Finds what `source` names: an existing file is an archive, a directory an OCI image layout, anything else an image
/// in this computer's docker. `metadata` is
/// for bare root file systems. With `name`, the image gets that name instead of its own; of several images in an archive, the
/// one that has it is taken.
///
/// # Errors
/// Nothing of that name, a file that is no image, a docker that cannot be asked, a name that is none.
pub fn open(source: &str, metadata: &ImageMetadata, name: Option<&str>) -> Result<LocalImages, ImageError> {
    let name = name.map(Reference::tagged).transpose()?;
    let path = Path::new(source);
    let mut found = match std::fs::metadata(path) {
        Ok(file) if file.is_dir() => match directory::is_layout(path) {
            true => Found::Archive(Archive::read_directory(path)?),
            false => return Err(ImageError::Directory(path.to_owned())),
        },
        Ok(_) => {
            small_file::check(path).map_err(|source| ImageError::Unreadable { path: path.to_owned(), source })?;
            Found::Archive(Archive::read(path, metadata)?)
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound && error.kind() != std::io::ErrorKind::NotADirectory => {
            return Err(ImageError::Unreadable { path: path.to_owned(), source: error });
        }
        Err(_) if !may_be_in_engine(source) => return Err(ImageError::Missing(source.into())),
        Err(_) => match engine::find(source)? {
            engine::InEngine::Described(image) => Found::Engine(image),
            engine::InEngine::Archived(archive) => Found::Archive(archive),
        },
    };
    if let Some(name) = name {
        match &mut found {
            Found::Engine(image) => image.references = vec![name],
            Found::Archive(archive) => give_name(archive, name)?,
        }
    }
    Ok(LocalImages(found))
}

/// Returns whether `source` may be a reference, with or without a digest, or an ID. A text that begins with a dash is none
/// of them and never reaches docker.
fn may_be_in_engine(source: &str) -> bool {
    source.parse::<Reference>().is_ok() || source.parse::<ImageId>().is_ok()
}

fn give_name(archive: &mut Archive, name: Reference) -> Result<(), ImageError> {
    let path = archive.path().to_owned();
    let images = archive.images_mut();
    if images.len() > 1 {
        let named = images.iter().filter(|image| image.references.contains(&name)).count();
        if named != 1 {
            let found = images.iter().flat_map(|image| &image.references).map(ToString::to_string).collect();
            return Err(ImageError::Ambiguous { path, name: name.to_string(), found });
        }
        images.retain(|image| image.references.contains(&name));
    }
    images.iter_mut().for_each(|image| image.references = vec![name.clone()]);
    Ok(())
}

impl LocalImages {
    /// Returns the images, with the references that they are to have.
    pub fn images(&self) -> &[Image] {
        match &self.0 {
            Found::Archive(archive) => archive.images(),
            Found::Engine(image) => std::slice::from_ref(image),
        }
    }

    /// Returns whether the images are in an archive, and not in this computer's docker.
    pub fn is_archive(&self) -> bool {
        matches!(self.0, Found::Archive(_))
    }

    /// Returns the stream from which `docker load` gets all of the images, every layer included. An image in docker is
    /// saved while it is read, without a copy on disk.
    ///
    /// # Errors
    /// As [`Archive::load_stream`].
    pub fn load_stream(&self) -> Result<LoadStream, ImageError> {
        match &self.0 {
            Found::Archive(archive) => {
                let loads: Vec<_> = archive.images().iter().map(|image| Load { image, present: 0, plain: false }).collect();
                archive.load_stream(&loads)
            }
            Found::Engine(image) => {
                Ok(load_stream::of_engine(engine::Saved { id: image.id, references: image.references.clone() }))
            }
        }
    }

    /// Returns the same images as an archive, from which single layers can be read. An image in docker is saved to a
    /// temporary file for that, and an archive that is compressed as a whole is decompressed to one.
    ///
    /// # Errors
    /// Docker that fails, no room for the file.
    pub fn into_archive(self) -> Result<Archive, ImageError> {
        match self.0 {
            Found::Archive(archive) => archive.decompressed(),
            Found::Engine(image) => {
                let mut archive = engine::spool(&image.id.to_string())?;
                archive.images_mut().iter_mut().for_each(|found| found.references.clone_from(&image.references));
                Ok(archive)
            }
        }
    }
}
