//! Small archives of every kind, and a reader that takes them as docker does.

use std::{collections::BTreeMap, io::Read};

use flate2::{Compression as Level, read::MultiGzDecoder, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use crate::image::{BlobId, DiffId, ImageId, programs::tests::elf};

/// A member of a tar archive.
#[derive(Clone)]
pub(super) enum Member {
    File(String, Vec<u8>),
    Symlink(String, String),
}

pub(super) fn file(name: impl Into<String>, content: impl AsRef<[u8]>) -> Member {
    Member::File(name.into(), content.as_ref().to_vec())
}

pub(super) fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match member {
            Member::File(name, content) => {
                header.set_size(content.len() as u64);
                // `append_data` refuses hostile names, so what fits goes into the header as it is.
                if name.len() < 100 {
                    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                    header.set_cksum();
                    builder.append(&header, content.as_slice()).expect("memory takes all");
                } else {
                    builder.append_data(&mut header, name, content.as_slice()).expect("memory takes all");
                }
            }
            Member::Symlink(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).expect("memory takes all");
            }
        }
    }
    builder.into_inner().expect("memory takes all")
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// Returns a layer with one file whose content is `seed`, repeated to some hundred kilobytes.
pub(super) fn layer(seed: &str) -> Vec<u8> {
    tar(&[file(format!("opt/{seed}"), seed.repeat(60_000))])
}

/// Returns a root file system with one ARM program.
pub(super) fn root_file_system() -> Vec<u8> {
    tar(&[file("./bin/app", elf(183)), file("./etc/long/".to_owned() + &"n".repeat(150), "name"), file("./etc/motd", "{}")])
}

/// Returns the configuration of an image for `architecture`.
pub(super) fn config(architecture: &str, layers: &[Vec<u8>]) -> String {
    let diff_ids: Vec<_> = layers.iter().map(|layer| DiffId::of(layer).to_string()).collect();
    json!({"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
}

/// An image as the fixtures pack it.
pub(super) struct Fixture {
    pub(super) config: String,
    pub(super) tag: &'static str,
    pub(super) layers: Vec<Vec<u8>>,
}

impl Fixture {
    pub(super) fn new(tag: &'static str, architecture: &str, layers: &[Vec<u8>]) -> Self {
        Self { config: config(architecture, layers), tag, layers: layers.to_vec() }
    }

    pub(super) fn id(&self) -> ImageId {
        ImageId::of(self.config.as_bytes())
    }
}

/// Returns an archive as docker before 25 saves it: equal layers are symbolic links.
pub(super) fn docker_save(fixtures: &[Fixture]) -> Vec<u8> {
    let (mut members, mut manifest) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<DiffId, String> = BTreeMap::new();
    for (image, fixture) in fixtures.iter().enumerate() {
        let mut names = Vec::new();
        for (at, layer) in fixture.layers.iter().enumerate() {
            let name = format!("{image:032}{at:032}/layer.tar");
            match seen.get(&DiffId::of(layer)) {
                Some(other) => members.push(Member::Symlink(name.clone(), format!("../{other}"))),
                None => members.push(file(name.clone(), layer)),
            }
            seen.entry(DiffId::of(layer)).or_insert_with(|| name.clone());
            names.push(name);
        }
        let config = format!("{}.json", fixture.id().hex());
        members.push(file(config.clone(), &fixture.config));
        manifest.push(json!({"Config": config, "RepoTags": [fixture.tag], "Layers": names}));
    }
    members.push(file("manifest.json", Value::from(manifest).to_string()));
    members.push(file("repositories", "{}"));
    tar(&members)
}

/// Returns an OCI layout, each image under its own name, layers packed by `pack`. With `manifest` it is what docker from 25
/// on saves.
pub(super) fn oci(fixtures: &[Fixture], pack: fn(&[u8]) -> Vec<u8>, manifest: bool) -> Vec<u8> {
    let mut blobs = BTreeMap::new();
    let (mut index, mut entries) = (Vec::new(), Vec::new());
    for fixture in fixtures {
        let layers: Vec<_> = fixture.layers.iter().map(|layer| blob(&mut blobs, pack(layer))).collect();
        let config = blob(&mut blobs, fixture.config.clone().into_bytes());
        let described: Vec<_> = layers.iter().map(|id| json!({"digest": id.to_string()})).collect();
        let document = json!({"config": {"digest": config.to_string()}, "layers": described});
        let id = blob(&mut blobs, document.to_string().into_bytes());
        let name = format!("docker.io/library/{}", fixture.tag);
        index.push(json!({"digest": id.to_string(), "annotations": {"io.containerd.image.name": name}}));
        let paths: Vec<_> = layers.iter().map(path).collect();
        entries.push(json!({"Config": path(&config), "RepoTags": [fixture.tag], "Layers": paths}));
    }
    let mut members = layout(&blobs, &json!({"manifests": index}));
    if manifest {
        members.push(file("manifest.json", Value::from(entries).to_string()));
    }
    tar(&members)
}

/// Returns an archive as buildx writes it for several platforms: an index in the index, with an attestation.
pub(super) fn oci_nested(fixtures: &[Fixture]) -> Vec<u8> {
    tar(&nested(fixtures, |_| true))
}

/// Returns the members of such an archive; only those images for which `is_there` is true have their parts in it.
pub(super) fn nested(fixtures: &[Fixture], is_there: fn(&Fixture) -> bool) -> Vec<Member> {
    let mut blobs = BTreeMap::new();
    let mut inner = Vec::new();
    for fixture in fixtures {
        let mut own = BTreeMap::new();
        let layers: Vec<_> = fixture.layers.iter().map(|layer| blob(&mut own, gzip(layer))).collect();
        let described: Vec<_> = layers.iter().map(|id| json!({"digest": id.to_string()})).collect();
        let config = blob(&mut own, fixture.config.clone().into_bytes());
        let document = json!({"config": {"digest": config.to_string()}, "layers": described});
        inner.push(json!({"digest": blob(&mut own, document.to_string().into_bytes()).to_string()}));
        if is_there(fixture) {
            blobs.extend(own);
        }
    }
    let attestation = json!({"config": {"digest": "sha256:not-there"}}).to_string();
    let attestation = blob(&mut blobs, attestation.into_bytes()).to_string();
    inner.push(json!({"digest": attestation, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}));
    let nested = blob(&mut blobs, json!({"manifests": inner}).to_string().into_bytes()).to_string();
    let annotations = json!({"org.opencontainers.image.ref.name": "latest"});
    layout(&blobs, &json!({"manifests": [{"digest": nested, "annotations": annotations}]}))
}

/// Returns the members of an OCI layout with this image and an artifact that has this manifest and this configuration.
pub(super) fn with_artifact(image: Option<&Fixture>, manifest: Value, config: &Value) -> Vec<Member> {
    let (mut blobs, mut index) = (BTreeMap::new(), Vec::new());
    if let Some(image) = image {
        let layers = image.layers.iter().map(|layer| json!({"digest": blob(&mut blobs, layer.clone()).to_string()}));
        let layers: Vec<_> = layers.collect();
        let config = blob(&mut blobs, image.config.clone().into_bytes());
        let document = json!({"config": {"digest": config.to_string()}, "layers": layers});
        index.push(json!({"digest": blob(&mut blobs, document.to_string().into_bytes()).to_string()}));
    }
    let mut manifest = manifest;
    let part = blob(&mut blobs, b"{\"critical\":{}}".to_vec()).to_string();
    manifest["config"]["digest"] = json!(blob(&mut blobs, config.to_string().into_bytes()).to_string());
    for layer in manifest["layers"].as_array_mut().expect("a list") {
        layer["digest"] = json!(part);
    }
    index.push(json!({"digest": blob(&mut blobs, manifest.to_string().into_bytes()).to_string()}));
    layout(&blobs, &json!({"manifests": index}))
}

fn blob(blobs: &mut BTreeMap<BlobId, Vec<u8>>, content: Vec<u8>) -> BlobId {
    let id = BlobId::of(&content);
    blobs.insert(id, content);
    id
}

fn path(id: &BlobId) -> String {
    format!("blobs/sha256/{}", id.hex())
}

fn layout(blobs: &BTreeMap<BlobId, Vec<u8>>, index: &Value) -> Vec<Member> {
    let mut members: Vec<_> = blobs.iter().map(|(id, content)| file(path(id), content)).collect();
    members.push(file("index.json", index.to_string()));
    members.push(file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#));
    members
}

/// An image as docker would have it after `docker load`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) id: ImageId,
    pub(super) tags: Vec<String>,
    /// Whether each layer was in the archive.
    pub(super) sent: Vec<bool>,
}

/// Takes an archive as docker 20.10 does: the layers that are there have to have the diff IDs of the configuration.
pub(super) fn load(bytes: &[u8]) -> Vec<Loaded> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().expect("a tar archive") {
        let mut entry = entry.expect("a member");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        members.insert(entry.path().expect("its name").display().to_string(), content);
    }
    let manifest: Value = serde_json::from_slice(&members["manifest.json"]).expect("JSON");
    let entries = manifest.as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    entries
        .iter()
        .map(|entry| {
            let config = &members[&text(&entry["Config"])];
            let parsed: Value = serde_json::from_slice(config).expect("JSON");
            let layers = list(&entry["Layers"]);
            let diff_ids = list(&parsed["rootfs"]["diff_ids"]);
            assert_eq!(layers.len(), diff_ids.len());
            let sent = layers.iter().zip(&diff_ids).map(|(name, diff_id)| {
                let Some(content) = members.get(&text(name)) else { return false };
                assert_eq!(DiffId::of(&unpack(content)).to_string(), text(diff_id), "docker checks each layer");
                true
            });
            Loaded { id: ImageId::of(config), sent: sent.collect(), tags: list(&entry["RepoTags"]).iter().map(text).collect() }
        })
        .collect()
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes.to_vec();
    }
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content).expect("gzip");
    content
}
