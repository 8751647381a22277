//! An image archive on this computer: what it holds, any of its layers, and what docker loads of it.

use std::{
    collections::HashMap,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ArchiveError, DiffId, Image, ImageError, LayerReader, Load, LoadStream,
    bytes::Bytes,
    contents::{Blob, Contents},
    directory, docker_archive, load_stream, oci_archive, root_file_system,
    survey::Survey,
};
use crate::config::ImageMetadata;

/// An archive whose headers were read and whose images are known. Layers are read when they are needed.
#[derive(Clone, Debug)]
pub struct Archive {
    images: Vec<Image>,
    store: Arc<Store>,
}

/// The file behind an archive.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// The compression of the archive as a whole.
    compression: super::Compression,
    blobs: HashMap<DiffId, Blob>,
    /// Removes the file when it is no longer needed, if it is a temporary one.
    _temporary: Option<tempfile::TempPath>,
}

impl Archive {
    /// Reads what the file `path` holds: one walk over its headers, through a compressed file from beginning to end.
    ///
    /// # Errors
    /// A file that cannot be read, and one that is no image.
    pub(super) fn read(path: &Path, metadata: &ImageMetadata) -> Result<Self, ImageError> {
        Self::survey(path, metadata, None).map_err(|flaw| flaw.at(path))
    }

    /// Reads an OCI image layout that lies in a directory, by way of a temporary archive.
    pub(super) fn read_directory(path: &Path) -> Result<Self, ImageError> {
        let file = directory::spool(path).map_err(ImageError::Spool)?;
        let spooled = file.to_path_buf();
        Self::survey(&spooled, &ImageMetadata::default(), Some(file)).map_err(|flaw| flaw.at(path))
    }

    /// Reads a temporary file, which is removed with the last use of the archive.
    pub(super) fn read_temporary(file: tempfile::TempPath) -> Result<Self, ImageError> {
        let path = file.to_path_buf();
        Self::survey(&path, &ImageMetadata::default(), Some(file)).map_err(|flaw| flaw.at(&path))
    }

    fn survey(path: &Path, metadata: &ImageMetadata, temporary: Option<tempfile::TempPath>) -> Result<Self, ArchiveError> {
        let whole = Bytes::compression_of(path)?;
        let mut survey = Survey::of(path, whole)?;
        let is_layout = survey.has(oci_archive::INDEX) && survey.has(oci_archive::LAYOUT);
        let (contents, compression) = if survey.has(docker_archive::MANIFEST) {
            let mut contents = docker_archive::read(&mut survey)?;
            // `manifest.json` names one platform, that of the computer that wrote it; the layout beside it may have more.
            if is_layout
                && !contents.is_for_vpu()
                && let Ok(all) = oci_archive::read(&mut survey)
            {
                contents.prefer_vpu_images(all);
            }
            (contents, whole)
        } else if is_layout {
            (oci_archive::read(&mut survey)?, whole)
        } else {
            // The file itself is the layer, stored with the compression of the file.
            (root_file_system::read(path, whole, &survey, metadata)?, super::Compression::None)
        };
        let Contents { images, blobs } = contents;
        if images.is_empty() {
            return Err(ArchiveError::NoImages);
        }
        Ok(Self { images, store: Arc::new(Store { path: path.to_owned(), compression, blobs, _temporary: temporary }) })
    }

    /// Returns the same archive, decompressed to a temporary file if it is compressed as a whole, so that any layer can be
    /// read without those before it.
    ///
    /// # Errors
    /// A file that cannot be read any more, no room for the other.
    pub(super) fn decompressed(self) -> Result<Self, ImageError> {
        if self.store.compression == super::Compression::None {
            return Ok(self);
        }
        let mut file = tempfile::NamedTempFile::new().map_err(ImageError::Spool)?;
        let mut bytes = self.store.bytes().map_err(|flaw| flaw.at(&self.store.path))?;
        super::layer::copy(&mut bytes, |piece| std::io::Write::write_all(&mut file, piece)).map_err(ImageError::Spool)?;
        let temporary = file.into_temp_path();
        let store = Store {
            path: temporary.to_path_buf(),
            compression: super::Compression::None,
            blobs: self.store.blobs.clone(),
            _temporary: Some(temporary),
        };
        Ok(Self { images: self.images, store: Arc::new(store) })
    }

    /// Returns the images of the archive, in its order.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    pub(super) fn images_mut(&mut self) -> &mut Vec<Image> {
        &mut self.images
    }

    /// Returns the path of the file with the archive's bytes.
    pub(super) fn path(&self) -> &Path {
        &self.store.path
    }

    /// Reads one layer, uncompressed. In an archive that is compressed as a whole, everything before it is decompressed too.
    ///
    /// # Errors
    /// A layer that is not in the archive, and a file that cannot be read any more.
    pub fn open_layer(&self, diff_id: &DiffId) -> Result<LayerReader<Box<dyn Read + Send>>, ImageError> {
        let open = || -> Result<_, ArchiveError> {
            let blob = self.store.blob(diff_id)?;
            let mut bytes = self.store.bytes()?;
            bytes.go_to(blob.offset)?;
            let stored = std::io::BufReader::with_capacity(64 << 10, bytes.take(blob.size));
            Ok(LayerReader::new(blob.compression.decode(stored)?, *diff_id))
        };
        open().map_err(|flaw| flaw.at(&self.store.path))
    }

    /// Returns at most `length` bytes of a layer from `at` on; none where the bytes before them would have to be
    /// decompressed.
    pub fn sample(&self, diff_id: &DiffId, at: u64, length: usize) -> Vec<u8> {
        let read = || -> Result<Vec<u8>, ArchiveError> {
            let blob = self.store.blob(diff_id)?;
            let mut sample = Vec::new();
            if self.store.compression == super::Compression::None && at < blob.size {
                let mut bytes = self.store.bytes()?;
                bytes.go_to(blob.offset + at)?;
                bytes.take((blob.size - at).min(length as u64)).read_to_end(&mut sample)?;
            }
            Ok(sample)
        };
        read().unwrap_or_default()
    }

    /// Returns the stream from which `docker load` gets the images of `loads`. A layer that several of them need is sent
    /// once. The images need not be those of the archive, but the layers that are sent are in it.
    ///
    /// # Errors
    /// A layer that is not in the archive or cannot be read. Layers stored with zstd are read once to learn their size.
    pub fn load_stream(&self, loads: &[Load<'_>]) -> Result<LoadStream, ImageError> {
        load_stream::of_archive(&self.store, loads).map_err(|flaw| flaw.at(&self.store.path))
    }
}

impl Store {
    /// Returns the place of a layer in the archive.
    pub(super) fn blob(&self, diff_id: &DiffId) -> Result<Blob, ArchiveError> {
        self.blobs.get(diff_id).copied().ok_or_else(|| ArchiveError::Missing(format!("layer {diff_id}")))
    }

    /// Opens the archive at its beginning.
    pub(super) fn bytes(&self) -> Result<Bytes, ArchiveError> {
        Bytes::open(&self.path, self.compression)
    }
}
