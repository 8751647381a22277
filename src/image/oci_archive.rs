//! Archives in the OCI image layout alone, as `docker buildx build --output type=oci` writes them: docker up to 20.10 does not
//! load them, so they are sent as a `docker save` archive.
//!
//! Source of the format: OCI image layout specification 1.0.

use std::collections::HashMap;

use serde::Deserialize;

use super::{BlobId, Flaw, Reference, contents::Contents, survey::Survey};

/// The part that makes an archive one of these.
pub(super) const INDEX: &str = "index.json";

/// How deep indexes are nested at most; buildx nests one.
const DEEPEST: usize = 4;
/// The most manifests that are read; an index may name itself.
const MOST_MANIFESTS: usize = 256;

/// A manifest or an index, told apart by what it has.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
}

impl Descriptor {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// buildx keeps provenance and SBOM as images of their own, for no platform.
    fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
    }

    /// The image's name. `ref.name` alone is often just a tag and names nothing.
    fn reference(&self) -> Option<Reference> {
        let name = self.annotation("io.containerd.image.name");
        let name =
            name.or_else(|| self.annotation("org.opencontainers.image.ref.name").filter(|name| name.contains(['/', ':'])));
        name?.parse().ok()
    }

    fn blob(&self) -> Result<(String, BlobId), Flaw> {
        let id: BlobId = self.digest.parse().map_err(|_| Flaw::Missing(self.digest.clone()))?;
        Ok((format!("blobs/sha256/{}", id.hex()), id))
    }
}

/// Reads the images of such an archive; where one is there for several platforms, the one that a VPU runs.
pub(super) fn read(survey: &mut Survey) -> Result<Contents, Flaw> {
    survey.complete()?;
    let index: Document = survey.json(INDEX)?;
    let mut reader = Reader { survey, contents: Contents::default(), groups: Vec::new(), manifests_left: MOST_MANIFESTS };
    let mut names: Vec<Option<Reference>> = Vec::new();
    for (at, descriptor) in index.manifests.iter().enumerate() {
        let name = descriptor.reference();
        // What has the same name, or none, is the same image for other platforms.
        let group = names.iter().position(|other| *other == name).unwrap_or(at);
        reader.descend(descriptor, name.as_ref(), group, 1)?;
        names.push(name);
    }
    let Reader { mut contents, groups, .. } = reader;
    contents.keep_vpu_platform(&groups);
    match contents.images.is_empty() {
        true => Err(Flaw::Missing("a manifest".into())),
        false => Ok(contents),
    }
}

struct Reader<'a> {
    survey: &'a mut Survey,
    contents: Contents,
    groups: Vec<usize>,
    manifests_left: usize,
}

impl Reader<'_> {
    fn descend(&mut self, descriptor: &Descriptor, name: Option<&Reference>, group: usize, depth: usize) -> Result<(), Flaw> {
        if descriptor.is_attestation() {
            return Ok(());
        }
        self.manifests_left = self.manifests_left.checked_sub(1).ok_or(Flaw::TooMany("manifests"))?;
        if depth > DEEPEST {
            return Err(Flaw::TooMany("nested indexes"));
        }
        let (path, id) = descriptor.blob()?;
        let content = self.survey.content(&path)?;
        let found = BlobId::of(&content);
        if found != id {
            return Err(Flaw::Digest { name: path, found: found.to_string() });
        }
        let document: Document = super::survey::parse(&path, &content)?;
        if let Some(config) = document.config {
            let layers = document.layers.iter().map(|layer| Ok(layer.blob()?.0)).collect::<Result<Vec<_>, Flaw>>()?;
            self.contents.add(self.survey, &config.blob()?.0, name.cloned().into_iter().collect(), &layers)?;
            self.groups.resize(self.contents.images.len(), group);
            return Ok(());
        }
        document.manifests.iter().try_for_each(|inner| self.descend(inner, name, group, depth + 1))
    }
}
