//! The functions that the fuzz targets below `fuzz/` and the replay of their corpus call: one for each kind of input from
//! others.
//!
//! None of it may panic, take more than bounded memory and time, or believe what contradicts itself.

use std::io::{self, Write};

use crate::{
    cli::pairs::{file_and_service, join, split},
    compose,
    config::{self, ImageMetadata, RemotePath},
    device, facts, image, remote, text,
};

/// Something that is fed bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("configuration", configuration),
    ("path_pairs", path_pairs),
    ("image_archive", image_archive),
    ("docker_json", docker_json),
    ("device_answer", device_answer),
    ("xml_rpc", xml_rpc),
    ("known_hosts", known_hosts),
    ("ssh_config", ssh_config),
    ("device_archive", device_archive),
];

/// Reads the configuration file and the compose file.
pub fn configuration(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = config::file::read_text(text, "o3r-deploy.yaml").map(|(layer, problems)| config::check(&[layer], problems));
        let _ = compose::Model::parse(text, "/tmp/stage");
        compose::collect(&["/c.yml".into()], "/".as_ref(), &|_| Some(text.into()), &|_| None);
        let _ = compose::DotEnv::parse(text).variables();
    }
}

/// Reads the options' path pairs, and paths: a pair that is split and joined again is the same.
pub fn path_pairs(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for separator in [',', '>', ':'] {
        if let Ok(parts) = split(text, separator) {
            assert_eq!(split(&join(&parts, separator), separator).as_ref(), Ok(&parts), "{text:?}");
        }
    }
    let _ = file_and_service(text);
    if let Ok(path) = RemotePath::new(text) {
        assert!(path.as_str().starts_with('/'), "{text:?}");
        let again = RemotePath::new(path.as_str()).map(|again| again.as_str().to_owned());
        assert_eq!(again.as_deref(), Ok(path.as_str()), "{text:?}");
        assert!(path.above().iter().all(|above| path.is_within(above)), "{text:?}");
    }
    if let Some(path) = facts::here::safe_path(text) {
        let inside = |part| matches!(part, std::path::Component::Normal(_));
        assert!(path.components().all(inside), "{text:?} -> {path:?}");
    }
    let harmless = text::printable(text);
    assert!(!harmless.chars().any(char::is_control), "{harmless:?}");
}

/// Reads an image archive: tar headers, manifests, links, compressed layers.
pub fn image_archive(bytes: &[u8]) {
    // In memory where there is such a place: the archive is read by its path.
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let Ok(mut file) = tempfile::NamedTempFile::new_in(folder) else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let path = file.path().display().to_string();
    let Ok(images) = image::open(&path, &ImageMetadata::default(), None) else { return };
    for image in images.images() {
        assert!(image.layers.len() <= bytes.len(), "layers out of nothing");
    }
    if let Ok(stream) = images.load_stream() {
        let total = stream.total();
        let mut sink = Sink { written: 0, limit: 64 << 20 };
        let done = stream.write(&mut sink);
        // What is sent whole is as long as was said.
        assert!(done.is_err() || total.is_none_or(|total| total == sink.written), "{total:?} {}", sink.written);
    }
}

/// Takes so much and no more.
struct Sink {
    written: u64,
    limit: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        if self.written > self.limit { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads docker's descriptions of containers, images and volumes.
pub fn docker_json(bytes: &[u8]) {
    facts::read_docker(bytes);
}

/// Reads the device's answer to the probe: sections, listings of trees and paths, records, archives.
pub fn device_answer(bytes: &[u8]) {
    if let Ok(facts) = facts::read_answer(bytes, "=n=") {
        let folder = facts.folder(std::path::Path::new("here"));
        assert!(folder.components().count() <= 1, "{folder:?}");
    }
}

/// Reads an answer of the configuration interface.
pub fn xml_rpc(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        device::read_answer(text);
    }
}

/// Reads a file of known host keys.
pub fn known_hosts(bytes: &[u8]) {
    remote::ssh::read_known_hosts(&String::from_utf8_lossy(bytes));
}

/// Reads the output of `ssh -G` about a host, and its jump hosts.
pub fn ssh_config(bytes: &[u8]) {
    remote::ssh::read_config(&String::from_utf8_lossy(bytes));
}

/// Reads the archive that the device sends when it is asked for two files: only these two are written, wherever its names
/// lead.
pub fn device_archive(bytes: &[u8]) {
    let memory = std::path::Path::new("/dev/shm");
    let Ok(folder) = (if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }) else { return };
    let inner = folder.path().join("inner");
    if std::fs::create_dir(&inner).is_err() {
        return;
    }
    remote::ssh::read_archive(
        bytes,
        &["/logs/a", "/logs/b/c"].map(|path| (path.to_owned(), inner.join(path.replace('/', "_")))),
    );
    let names =
        |folder| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    assert_eq!(names(folder.path()), ["inner"]);
    assert!(names(&inner).iter().all(|name| name == "_logs_a" || name == "_logs_b_c"), "{:?}", names(&inner));
    let links = std::fs::read_dir(&inner).into_iter().flatten().flatten().filter(|entry| entry.path().is_symlink());
    assert_eq!(links.count(), 0);
}
