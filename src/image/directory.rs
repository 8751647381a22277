//! OCI image layouts that lie in a directory, as `skopeo copy … oci:DIR` and umoci leave them.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use tempfile::TempPath;

use super::oci_archive::{INDEX, LAYOUT};

/// Returns whether the directory `path` is an OCI image layout.
pub(super) fn is_layout(path: &Path) -> bool {
    [INDEX, LAYOUT].iter().all(|name| path.join(name).is_file())
}

/// Puts the parts of the layout into a temporary archive, which is then read like any other.
pub(super) fn spool(path: &Path) -> io::Result<TempPath> {
    let mut file = tempfile::NamedTempFile::new()?;
    let mut archive = tar::Builder::new(BufWriter::new(&mut file));
    for name in [LAYOUT, INDEX] {
        archive.append_file(name, &mut File::open(path.join(name))?)?;
    }
    for algorithm in fs::read_dir(path.join("blobs"))?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        for blob in fs::read_dir(algorithm.path())? {
            let blob = blob?;
            let name = Path::new("blobs").join(algorithm.file_name()).join(blob.file_name());
            // What is no file, such as a pipe, is no blob.
            if blob.path().is_file() {
                archive.append_file(name, &mut File::open(blob.path())?)?;
            }
        }
    }
    archive.into_inner()?.flush()?;
    Ok(file.into_temp_path())
}
