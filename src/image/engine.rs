//! Images in this computer's own docker, by way of its command line.

use std::{
    io::{self, Read, Write},
    process::{Child, Command, Output, Stdio},
};

use serde::{Deserialize, Serialize};

use super::{
    Archive, ArchiveError, DiffId, Image, ImageError, ImageId, Layer, Platform, Reference, chain_ids, docker_archive::MANIFEST,
    layer::copy,
};

/// The largest `manifest.json` of one image, in bytes.
const LARGEST_MANIFEST: u64 = 1 << 20;

/// The output of `docker image inspect` about an image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    repo_tags: Option<Vec<String>>,
    os: String,
    architecture: String,
    variant: Option<String>,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    #[serde(default)]
    size: u64,
    /// Only there when docker keeps its images in containerd: then the ID is that of a manifest, not of a configuration.
    descriptor: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    layers: Option<Vec<String>>,
}

/// An image as docker has it.
pub(super) enum InEngine {
    /// Described; docker saves it under this ID when it is sent.
    Described(Image),
    /// Docker keeps it in another form, and only what it saves tells the image's ID.
    Archived(Archive),
}

/// Looks for the image `name` (a reference or an ID) in docker.
pub(super) fn find(name: &str) -> Result<InEngine, ImageError> {
    let no_docker = |source: io::Error| ImageError::NoDocker { name: name.into(), source };
    let Output { status, stdout, stderr } =
        Command::new("docker").args(["image", "inspect", name]).stdin(Stdio::null()).output().map_err(no_docker)?;
    if !status.success() {
        return Err(refusal(name, &stderr));
    }
    let strange = |reason: String| ImageError::Docker { name: name.into(), reason };
    let inspected: Vec<Inspected> = serde_json::from_slice(&stdout).map_err(|error| strange(error.to_string()))?;
    let inspected = inspected.into_iter().next().ok_or_else(|| ImageError::Missing(name.into()))?;
    let is_in_containerd = inspected.descriptor.is_some();
    let image = describe(inspected, name).map_err(|error| strange(error.to_string()))?;
    if !is_in_containerd {
        return Ok(InEngine::Described(image));
    }
    let mut archive = spool(name)?;
    archive.images_mut().iter_mut().for_each(|found| found.references.clone_from(&image.references));
    Ok(InEngine::Archived(archive))
}

/// Returns the error for the message with which docker refuses to inspect `name`.
fn refusal(name: &str, said: &[u8]) -> ImageError {
    let reason = last_line(said);
    let lower = reason.to_lowercase();
    match ["no such image", "no such object", "image not known"].iter().any(|text| lower.contains(text)) {
        true => ImageError::Missing(name.into()),
        false => ImageError::Docker { name: name.into(), reason },
    }
}

fn describe(inspected: Inspected, name: &str) -> Result<Image, super::DigestError> {
    let diff_ids = inspected.root_fs.layers.unwrap_or_default();
    let diff_ids = diff_ids.iter().map(|text| text.parse()).collect::<Result<Vec<DiffId>, _>>()?;
    let layers = diff_ids.iter().zip(chain_ids(&diff_ids));
    // Docker tells the size of the whole alone, which is then that of the lowest layer: a device that has it has some of the rest.
    let mut whole = Some(inspected.size);
    let layers = layers.map(|(diff_id, chain_id)| Layer {
        diff_id: *diff_id,
        chain_id,
        size: None,
        stored: 0,
        unpacked: whole.take().unwrap_or(0),
    });
    let layers = layers.collect();
    let tags: Vec<Reference> = inspected.repo_tags.unwrap_or_default().iter().filter_map(|tag| tag.parse().ok()).collect();
    // Asked for by one of its names it has that name; by its ID, all of them.
    let asked = name.parse().ok().filter(|name| tags.contains(name));
    Ok(Image {
        id: inspected.id.parse()?,
        platform: Platform {
            os: inspected.os,
            architecture: inspected.architecture,
            variant: inspected.variant.filter(|variant| !variant.is_empty()),
        },
        references: asked.map_or(tags, |name| vec![name]),
        layers,
        config: None,
    })
}

/// Saves the image `name` to a temporary file, which then is an archive like any other.
pub(super) fn spool(name: &str) -> Result<Archive, ImageError> {
    let mut file = tempfile::NamedTempFile::new().map_err(ImageError::Spool)?;
    let mut saving = Saving::start(name).map_err(ImageError::Spool)?;
    copy(&mut saving, |piece| file.write_all(piece)).and_then(|_| saving.finish()).map_err(ImageError::Spool)?;
    Archive::read_temporary(file.into_temp_path())
}

/// An image that docker saves while it is sent.
#[derive(Debug)]
pub(super) struct Saved {
    /// Which; by its ID, so that it cannot become another one meanwhile.
    pub(super) id: ImageId,
    /// The references that it is to have.
    pub(super) references: Vec<Reference>,
}

/// An entry of `manifest.json` as docker saves it, with whatever else it has.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Saved {
    /// Writes what docker saves, with the wanted references. All else goes through as it is; the device's docker checks it.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut saving = Saving::start(&self.id.to_string())?;
        self.pass(&mut saving, out)?;
        saving.finish()
    }

    fn pass(&self, saved: &mut impl Read, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = tar::Archive::new(&mut *saved);
        let mut builder = tar::Builder::new(out);
        // Raw, so that extension headers go through like any other member.
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            let mut header = entry.header().clone();
            match entry.path_bytes().as_ref() {
                name if name == MANIFEST.as_bytes() => {
                    let manifest = self.rename(entry)?;
                    header.set_size(manifest.len() as u64);
                    header.set_cksum();
                    builder.append(&header, manifest.as_slice())?;
                }
                // Names for docker before 1.10; they would only contradict the wanted ones.
                b"repositories" => {}
                _ => builder.append(&header, &mut entry)?,
            }
        }
        io::copy(saved, &mut io::sink())?;
        builder.into_inner().map(|_| ())
    }

    fn rename(&self, manifest: impl Read) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        manifest.take(LARGEST_MANIFEST).read_to_end(&mut content)?;
        let mut entries: Vec<ManifestEntry> =
            serde_json::from_slice(&content).map_err(|source| ArchiveError::Json { name: MANIFEST.into(), source })?;
        for entry in &mut entries {
            if !entry.config.contains(&self.id.hex()) {
                return Err(io::Error::other(format!("docker saved another image than {}", self.id)));
            }
            entry.repo_tags = Some(self.references.iter().map(ToString::to_string).collect());
        }
        Ok(serde_json::to_vec(&entries)?)
    }
}

/// A running `docker save`; it is ended when it is no longer wanted.
struct Saving(Child);

impl Saving {
    fn start(name: &str) -> io::Result<Self> {
        let mut command = Command::new("docker");
        command.args(["image", "save", name]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map(Self)
    }

    /// Checks that docker ended without an error.
    fn finish(mut self) -> io::Result<()> {
        let mut said = Vec::new();
        if let Some(stderr) = self.0.stderr.as_mut() {
            stderr.take(64 << 10).read_to_end(&mut said)?;
        }
        match self.0.wait()? {
            status if status.success() => Ok(()),
            status => Err(io::Error::other(format!("`docker image save` ended with {status}: {}", last_line(&said)))),
        }
    }
}

impl Read for Saving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.stdout.as_mut().map_or(Ok(0), |stdout| stdout.read(buffer))
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECTED: &str = r#"{"Id": "sha256:00000000000000000000000000000000000000000000000000000000000000aa",
        "RepoTags": ["app:latest", "host:5000/app:1"], "Os": "linux", "Architecture": "arm64", "Variant": "v8",
        "RootFS": {"Type": "layers", "Layers": ["sha256:00000000000000000000000000000000000000000000000000000000000000bb"]}}"#;

    fn references(name: &str) -> Vec<String> {
        let image = describe(serde_json::from_str(INSPECTED).expect("JSON"), name).expect("an image");
        image.references.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_image_has_the_name_it_was_asked_for_by_or_all_of_its_names() {
        assert_eq!(references("docker.io/library/app"), ["app:latest"]);
        assert_eq!(references("0000000000"), ["app:latest", "host:5000/app:1"]);
    }

    #[test]
    fn a_docker_that_cannot_be_asked_is_told_from_an_image_that_is_not_there() {
        let missing = ["Error: No such image: app", "Error response from daemon: no such image: app: No such image: app"];
        assert!(missing.iter().all(|said| matches!(refusal("app", said.as_bytes()), ImageError::Missing(_))));
        let stopped = "\nCannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
        let error = refusal("app", stopped.as_bytes()).to_string();
        assert!(error.ends_with("unix:///var/run/docker.sock. Is the docker daemon running?"), "{error}");
    }

    fn saved(config: &str) -> Vec<u8> {
        let manifest = format!(r#"[{{"Config":"{config}","RepoTags":null,"Layers":["x/layer.tar"]}}]"#);
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in [("x/layer.tar", "layer"), ("manifest.json", &manifest), ("repositories", "{}")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_bytes()).expect("memory takes all");
        }
        builder.into_inner().expect("memory takes all")
    }

    #[test]
    fn what_docker_saves_goes_through_with_the_wanted_names() {
        let id = ImageId::of(b"config");
        let saving = Saved { id, references: vec!["wanted:1".parse().expect("a reference")] };
        let mut out = Vec::new();
        saving.pass(&mut saved(&format!("{}.json", id.hex())).as_slice(), &mut out).expect("it passes");
        let mut members = Vec::new();
        for entry in tar::Archive::new(out.as_slice()).entries().expect("a tar") {
            let mut entry = entry.expect("a member");
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("text");
            members.push((entry.path().expect("a path").display().to_string(), content));
        }
        let manifest = format!(r#"[{{"Config":"{}.json","RepoTags":["wanted:1"],"Layers":["x/layer.tar"]}}]"#, id.hex());
        assert_eq!(members, [("x/layer.tar".into(), "layer".into()), ("manifest.json".into(), manifest)]);
        assert!(saving.pass(&mut saved("other.json").as_slice(), &mut Vec::new()).is_err());
    }
}
