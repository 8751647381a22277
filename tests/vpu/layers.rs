//! Images of many layers, made in the test from a seed: incompressible files of a given size, and whatever else a layer can
//! hold. They carry no program: they are loaded, not run.

use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

/// A layer: an uncompressed tar archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer(Vec<u8>);

impl Layer {
    /// A layer with one file `data/<name>` of `kilobytes` that do not compress.
    pub fn random(name: &str, kilobytes: usize) -> Self {
        Self::of(|archive| file(archive, &format!("data/{name}"), &Self::random_bytes(name, kilobytes)))
    }

    /// So many `kilobytes` that do not compress, told by a name.
    pub fn random_bytes(name: &str, kilobytes: usize) -> Vec<u8> {
        let mut state =
            name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        });
        words.take(kilobytes * 128).flat_map(u64::to_le_bytes).collect()
    }

    /// A layer with these files, and directories where there is no content.
    pub fn files(files: &[(String, Option<Vec<u8>>)]) -> Self {
        Self::of(|archive| {
            for (path, content) in files {
                match content {
                    Some(content) => file(archive, path, content),
                    None => directory(archive, path),
                }
            }
        })
    }

    /// A layer without anything in it.
    pub fn empty() -> Self {
        Self::of(|_| {})
    }

    /// A layer that removes `path` of those below it: a whiteout file, as in the image specification.
    pub fn whiteout(directory: &str, name: &str) -> Self {
        Self::of(|archive| file(archive, &format!("{directory}/.wh.{name}"), b""))
    }

    /// A layer with a file and a hard link to it.
    pub fn hard_link(name: &str) -> Self {
        Self::of(|archive| {
            file(archive, name, b"one file, two names");
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Link);
            header.set_mode(0o644);
            header.set_size(0);
            archive.append_link(&mut header, format!("{name}.link"), name).expect("in memory");
        })
    }

    fn of(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Self {
        let mut archive = tar::Builder::new(Vec::new());
        fill(&mut archive);
        Self(archive.into_inner().expect("in memory"))
    }
}

fn file(archive: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content).expect("in memory");
}

fn directory(archive: &mut tar::Builder<Vec<u8>>, name: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    archive.append_data(&mut header, name, &b""[..]).expect("in memory");
}

/// Writes an archive of images, each a reference and its layers, as `docker save` does, and gives their IDs.
pub fn save(path: &Path, images: &[(&str, &[Layer])]) -> Vec<String> {
    let images: Vec<_> = images.iter().map(|(reference, layers)| (*reference, "arm64", *layers)).collect();
    save_for(path, &images)
}

/// The same for images of several architectures.
pub fn save_for(path: &Path, images: &[(&str, &str, &[Layer])]) -> Vec<String> {
    let mut archive = tar::Builder::new(Vec::new());
    let (mut manifest, mut ids, mut written) = (Vec::new(), Vec::new(), std::collections::BTreeSet::new());
    for (reference, architecture, layers) in images {
        let diff_ids: Vec<_> = layers.iter().map(|layer| digest(&layer.0)).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Labels": { "reference": reference } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids.iter().map(|id| format!("sha256:{id}")).collect::<Vec<_>>() },
        })
        .to_string();
        let id = digest(config.as_bytes());
        let names: Vec<_> = diff_ids.iter().map(|diff_id| format!("{diff_id}/layer.tar")).collect();
        for (name, layer) in names.iter().zip(*layers) {
            if written.insert(name.clone()) {
                file(&mut archive, name, &layer.0);
            }
        }
        file(&mut archive, &format!("{id}.json"), config.as_bytes());
        manifest.push(json!({ "Config": format!("{id}.json"), "RepoTags": [reference], "Layers": names }));
        ids.push(format!("sha256:{id}"));
    }
    file(&mut archive, "manifest.json", json!(manifest).to_string().as_bytes());
    std::fs::write(path, archive.into_inner().expect("in memory")).expect("written");
    ids
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
