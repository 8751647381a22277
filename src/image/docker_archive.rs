//! Archives that `docker save` writes: `manifest.json` names configurations and layers.
//!
//! Before docker 25 they are `<hex>.json` and `<hex>/layer.tar` (of equal layers all but one are symbolic links); since then
//! the archive is an OCI layout that has `manifest.json` as well. Podman writes the same with other names.

use serde::Deserialize;

use super::{ArchiveError, Reference, contents::Contents, survey::Survey};

/// The part that makes an archive one of these.
pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
struct Entry {
    config: String,
    #[serde(rename = "repotags")]
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Reads the images of such an archive.
pub(super) fn read(survey: &mut Survey) -> Result<Contents, ArchiveError> {
    survey.complete()?;
    let entries: Vec<Entry> = survey.json(MANIFEST)?;
    let mut contents = Contents::default();
    for entry in entries {
        let references =
            entry.repo_tags.unwrap_or_default().iter().map(|tag| Reference::tagged(tag)).collect::<Result<_, _>>()?;
        contents.add(survey, &entry.config, references, &entry.layers.unwrap_or_default())?;
    }
    // An engine with the containerd store saves an image of several platforms as several entries of the same name.
    let names: Vec<_> = contents.images.iter().map(|image| image.references.first().cloned()).collect();
    let same = |at: usize, name: &Option<_>| names.iter().position(|other| name.is_some() && other == name).unwrap_or(at);
    let groups: Vec<_> = names.iter().enumerate().map(|(at, name)| same(at, name)).collect();
    contents.keep_vpu_platform(&groups);
    Ok(contents)
}
