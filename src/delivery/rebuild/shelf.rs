//! Keeps the indexes of layers that were sent on this computer, for the next delivery.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::index::LayerIndex;
use crate::{image::DiffId, small_file};

/// The largest index that is read, in bytes.
const INDEX_LIMIT: u64 = 256 << 20;

/// Time after which an index that was not used is removed.
const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// A folder with a file for each layer, named by its diff ID. It is a cache: what is lost makes a delivery longer, not wrong.
#[derive(Clone, Debug, Default)]
pub struct LayerIndexCache {
    directory: Option<PathBuf>,
    read_only: bool,
}

impl LayerIndexCache {
    /// Keeps what is known in `directory`; nothing without one, and nothing new if it is read only.
    pub fn new(directory: Option<PathBuf>, read_only: bool) -> Self {
        Self { directory, read_only }
    }

    fn path(directory: &Path, diff_id: &DiffId) -> PathBuf {
        directory.join(format!("{}.json", diff_id.hex()))
    }

    /// Returns the index of a layer; `None` when it is not known.
    pub fn get(&self, diff_id: &DiffId) -> Option<LayerIndex> {
        let path = Self::path(self.directory.as_deref()?, diff_id);
        let index = serde_json::from_slice(&small_file::bytes(&path, INDEX_LIMIT).ok()?).ok()?;
        if !self.read_only {
            // It was of use just now. A file that cannot be touched is thrown away too early, no more.
            let _ = fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Some(index)
    }

    /// Returns whether the index of a layer is known.
    pub fn has(&self, diff_id: &DiffId) -> bool {
        self.directory.as_ref().is_some_and(|directory| Self::path(directory, diff_id).is_file())
    }

    /// Stores the index of a layer. A failure is not reported: it only makes a later delivery longer.
    pub fn put(&self, diff_id: &DiffId, index: &LayerIndex) {
        let Some(directory) = self.directory.as_ref().filter(|_| !self.read_only) else { return };
        let keep = || {
            fs::create_dir_all(directory)?;
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            serde_json::to_writer(std::io::BufWriter::new(&mut file), index)?;
            file.persist(Self::path(directory, diff_id)).map_err(|error| error.error)?;
            std::io::Result::Ok(())
        };
        if let Err(error) = keep() {
            tracing::debug!("what is known of layer {diff_id} is not kept: {error}");
        }
        self.throw_away();
    }

    fn throw_away(&self) {
        let files = self.directory.iter().flat_map(fs::read_dir).flatten().flatten();
        for file in files {
            let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
            if modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age > KEPT) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_until_nobody_needs_it() {
        let directory = tempfile::tempdir().expect("a folder");
        let shelf = LayerIndexCache::new(Some(directory.path().join("layers")), false);
        let (old, new) = (DiffId::of(b"old"), DiffId::of(b"new"));
        shelf.put(&old, &LayerIndex::default());
        assert_eq!(shelf.get(&old), Some(LayerIndex::default()));
        assert_eq!(shelf.get(&new), None);
        let file = fs::File::options()
            .append(true)
            .open(LayerIndexCache::path(&directory.path().join("layers"), &old))
            .expect("there");
        file.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)).expect("set");
        shelf.put(&new, &LayerIndex::default());
        assert!(!shelf.has(&old) && shelf.has(&new));
    }
}
