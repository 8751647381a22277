//! Archives in the OCI image layout alone, as `docker buildx build --output type=oci` writes them: docker up to 20.10 does not
//! load them, so they are sent as a `docker save` archive.
//!
//! Source of the format: OCI image layout specification 1.0.

use std::collections::HashMap;

use serde::Deserialize;

use super::{ArchiveError, BlobId, Reference, contents::Contents, json, survey::Survey};

/// The parts that make an archive one of these.
pub(super) const INDEX: &str = "index.json";
pub(super) const LAYOUT: &str = "oci-layout";

/// Maximum depth of nested indexes; buildx nests one.
const DEEPEST: usize = 4;
/// The most manifests that are read; an index may name itself.
const MOST_MANIFESTS: usize = 256;

/// The kinds that the configuration and the layers of an image are of, where a manifest tells kinds.
const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYERS: [&str; 2] = ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];

/// A manifest or an index, told apart by what it has.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(rename = "artifacttype")]
    artifact_type: Option<String>,
}

impl Document {
    /// Returns whether the manifest declares that it is not an image but, for example, a signature or a chart.
    fn is_artifact(&self) -> bool {
        let other = |part: &Descriptor, fits: &dyn Fn(&str) -> bool| part.media_type.as_deref().is_some_and(|kind| !fits(kind));
        self.artifact_type.as_ref().is_some_and(|kind| !kind.is_empty())
            || self.config.as_ref().is_some_and(|config| other(config, &|kind| CONFIGURATIONS.contains(&kind)))
            || self.layers.iter().any(|layer| other(layer, &|kind| LAYERS.iter().any(|layers| kind.starts_with(layers))))
    }
}

/// The platform of a configuration or a descriptor.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Said {
    /// Returns whether the platform is empty, or the one that buildx writes for provenance and SBOM.
    fn is_none(&self) -> bool {
        let none = |text: &str| matches!(text, "" | "unknown");
        none(&self.os) && none(&self.architecture)
    }

    fn is_vpu(&self) -> bool {
        self.os == "linux" && self.architecture == "arm64"
    }
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(rename = "mediatype")]
    media_type: Option<String>,
    platform: Option<Said>,
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
}

impl Descriptor {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Returns whether it is provenance or an SBOM, which buildx stores as images of their own without a platform.
    fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
            || self.platform.as_ref().is_some_and(Said::is_none)
    }

    /// Returns whether the manifest is declared to be for a platform other than a VPU.
    fn is_for_others(&self) -> bool {
        self.platform.as_ref().is_some_and(|platform| !platform.is_vpu())
    }

    /// Returns the name of the image. `ref.name` alone is often just a tag and names nothing.
    fn reference(&self) -> Option<Reference> {
        let name = self.annotation("io.containerd.image.name");
        let name =
            name.or_else(|| self.annotation("org.opencontainers.image.ref.name").filter(|name| name.contains(['/', ':'])));
        name?.parse().ok()
    }

    fn blob(&self) -> Result<(String, BlobId), ArchiveError> {
        let id: BlobId = self.digest.parse().map_err(|_| ArchiveError::Missing(self.digest.clone()))?;
        Ok((format!("blobs/sha256/{}", id.hex()), id))
    }
}

/// Reads the images of such an archive; where one is there for several platforms, the one that a VPU runs.
pub(super) fn read(survey: &mut Survey) -> Result<Contents, ArchiveError> {
    survey.complete()?;
    let index: Document = survey.json(INDEX)?;
    let mut reader =
        Reader { survey, contents: Contents::default(), groups: Vec::new(), manifests_left: MOST_MANIFESTS, passed_over: None };
    let mut names: Vec<Option<Reference>> = Vec::new();
    for (at, descriptor) in index.manifests.iter().enumerate() {
        let name = descriptor.reference();
        // What has the same name, or none, is the same image for other platforms.
        let group = names.iter().position(|other| *other == name).unwrap_or(at);
        reader.descend(descriptor, name.as_ref(), group, 1)?;
        names.push(name);
    }
    let Reader { mut contents, groups, passed_over, .. } = reader;
    contents.keep_vpu_platform(&groups);
    match contents.images.is_empty() {
        true => Err(passed_over.unwrap_or(ArchiveError::NoImages)),
        false => Ok(contents),
    }
}

struct Reader<'a> {
    survey: &'a mut Survey,
    contents: Contents,
    groups: Vec<usize>,
    manifests_left: usize,
    /// Why a manifest was passed over that is no image for a device.
    passed_over: Option<ArchiveError>,
}

impl Reader<'_> {
    fn pass_over(&mut self, flaw: ArchiveError) {
        if matches!(self.passed_over, None | Some(ArchiveError::Artifacts)) {
            self.passed_over = Some(flaw);
        }
    }

    fn descend(
        &mut self,
        descriptor: &Descriptor,
        name: Option<&Reference>,
        group: usize,
        depth: usize,
    ) -> Result<(), ArchiveError> {
        if descriptor.is_attestation() {
            self.pass_over(ArchiveError::Artifacts);
            return Ok(());
        }
        self.manifests_left = self.manifests_left.checked_sub(1).ok_or(ArchiveError::TooMany("manifests"))?;
        if depth > DEEPEST {
            return Err(ArchiveError::TooMany("nested indexes"));
        }
        let (path, id) = descriptor.blob()?;
        let content = match self.survey.content(&path) {
            // An index stays whole where only some of its platforms were saved.
            Err(flaw @ ArchiveError::Missing(_)) => {
                self.pass_over(flaw);
                return Ok(());
            }
            content => content?,
        };
        let found = BlobId::of(&content);
        if found != id {
            return Err(ArchiveError::Digest { name: path, found: found.to_string() });
        }
        let document: Document = json::read(&path, &content)?;
        if document.config.is_none() {
            return document.manifests.iter().try_for_each(|inner| self.descend(inner, name, group, depth + 1));
        }
        match self.add(&document, name) {
            Ok(()) => self.groups.resize(self.contents.images.len(), group),
            Err(flaw @ ArchiveError::Artifacts) => self.pass_over(flaw),
            Err(flaw) if descriptor.is_for_others() => self.pass_over(flaw),
            Err(flaw) => return Err(flaw),
        }
        Ok(())
    }

    /// Adds the image of a manifest.
    fn add(&mut self, manifest: &Document, name: Option<&Reference>) -> Result<(), ArchiveError> {
        let Some(config) = manifest.config.as_ref().filter(|_| !manifest.is_artifact()) else {
            return Err(ArchiveError::Artifacts);
        };
        let config = config.blob()?.0;
        // Older signatures call themselves images, and say nothing of what they run on.
        if self.survey.json::<Said>(&config)?.is_none() {
            return Err(ArchiveError::Artifacts);
        }
        let layers = manifest.layers.iter().map(|layer| Ok(layer.blob()?.0)).collect::<Result<Vec<_>, ArchiveError>>()?;
        self.contents.add(self.survey, &config, name.cloned().into_iter().collect(), &layers)
    }
}
