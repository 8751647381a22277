//! The configuration of an image: what is read of it, and the one that is made for a bare root file system.

use serde::{Deserialize, Serialize};

use super::{ArchiveError, DiffId, Platform, json};
use crate::config::ImageMetadata;

/// The configuration of an image, as far as it describes the platform and the layers.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    rootfs: Layers<String>,
}

#[derive(Deserialize, Serialize)]
struct Layers<T> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "Vec::new")]
    diff_ids: Vec<T>,
}

/// Reads platform and diff IDs, bottom first, from the configuration called `name`.
pub(super) fn read(name: &str, content: &[u8]) -> Result<(Platform, Vec<DiffId>), ArchiveError> {
    let Configuration { os, architecture, variant, rootfs } = json::read(name, content)?;
    let os = if os.is_empty() { "linux".to_owned() } else { os };
    let platform = Platform { os, architecture, variant: variant.filter(|variant| !variant.is_empty()) };
    let diff_ids = rootfs.diff_ids.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let diff_ids =
        diff_ids.map_err(|error| ArchiveError::Json { name: name.into(), source: serde::de::Error::custom(error) })?;
    Ok((platform, diff_ids))
}

/// The fixed time at which every image made here was created: with the real one the same input would give another image.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// The order of the fields is the order of the bytes, and so part of the image ID.
#[derive(Serialize)]
struct Made<'a> {
    architecture: &'a str,
    config: Run<'a>,
    created: &'a str,
    history: [History<'a>; 1],
    os: &'a str,
    rootfs: Layers<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Run<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    env: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entrypoint: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cmd: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
}

#[derive(Serialize)]
struct History<'a> {
    created: &'a str,
    created_by: &'a str,
}

/// Creates the configuration of an image with one layer. The same input gives the same bytes.
pub(super) fn make(metadata: &ImageMetadata, platform: &Platform, layer: DiffId) -> Vec<u8> {
    let made = Made {
        architecture: &platform.architecture,
        config: Run {
            env: &metadata.environment,
            entrypoint: &metadata.entrypoint,
            cmd: &metadata.command,
            working_dir: metadata.working_directory.as_deref(),
        },
        created: CREATED,
        history: [History { created: CREATED, created_by: "o3r-deploy: root file system" }],
        os: &platform.os,
        rootfs: Layers { kind: "layers".into(), diff_ids: vec![layer.to_string()] },
    };
    serde_json::to_vec(&made).expect("strings and lists always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageId;

    #[test]
    fn what_is_made_is_read_back_and_always_the_same() {
        let metadata =
            ImageMetadata { command: vec!["a b".into()], working_directory: Some("/app".into()), ..Default::default() };
        let layer = DiffId::of(b"layer");
        let made = make(&metadata, &Platform::linux("arm64"), layer);
        assert_eq!(read("config", &made).expect("it is one"), (Platform::linux("arm64"), vec![layer]));
        assert_eq!(
            ImageId::of(&made).to_string(),
            "sha256:b2aa34c883eab688630c12116985c39ad9b695e3f1a875234ff65fb75f82b52e",
            "the image ID of the same input must never change: {}",
            String::from_utf8_lossy(&made)
        );
    }
}
