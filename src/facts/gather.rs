//! Reads what a deployment needs of this computer, before anything is asked of the device.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::here::{self, Here, HereError, LocalCompose, Source};
use crate::{
    compose::{ComposeError, ComposeFile},
    config::{ComposeFiles, Deployment, RemotePath, Transfer},
    failure::{ExitCode, Explain, Failure},
    stage::Stage,
};

/// What is wrong on this computer.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] HereError),
    /// A compose file is none.
    #[error("`{path}` is no compose file: {source}", path = path.display())]
    Compose {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ComposeError,
    },
}

impl Explain for GatherError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::File(error) => error.exit_code(),
            Self::Compose { .. } => ExitCode::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Compose { .. } => Some(crate::compose::HINT.into()),
        }
    }
}

/// Reads all sources of transfers and the compose project.
///
/// # Errors
/// The first thing that cannot be used, with the stage that needs it.
pub fn gather(wanted: &Deployment) -> Result<Here, Failure> {
    let mut found = Here::default();
    for transfer in &wanted.transfers.to_device {
        if !found.sources.contains_key(&transfer.local) {
            let source = here::source(&transfer.local).map_err(|error| Failure::from(error).in_stage(Stage::Transfers))?;
            found.sources.insert(transfer.local.clone(), source);
        }
    }
    let destinations = wanted.transfers.from_device.iter().map(|transfer| transfer.local.clone());
    found.directories = destinations.filter(|path| path.is_dir()).collect();
    let compose = match wanted.compose.as_ref().map(|compose| &compose.files) {
        Some(ComposeFiles::Here { files, .. }) => project(files).map(Some),
        Some(ComposeFiles::OnDevice(path)) => transferred(path, &wanted.transfers.to_device, &found.sources),
        None => Ok(None),
    };
    found.compose = compose.map_err(|error| Failure::from(error).in_stage(Stage::Compose))?;
    Ok(found)
}

/// Adds digests of files here: of each for these lengths.
///
/// # Errors
/// A file that cannot be read.
pub fn add_digests(here: &mut Here, wanted: &BTreeMap<PathBuf, BTreeSet<u64>>) -> Result<(), HereError> {
    let compose = here.compose.iter_mut().flat_map(|compose| compose.sources.values_mut());
    for source in here.sources.values_mut().chain(compose) {
        let files: Vec<_> = match source {
            Source::File(file) => vec![file],
            Source::Tree { files, .. } => files.values_mut().collect(),
        };
        for file in files {
            if let Some(lengths) = wanted.get(&file.path) {
                file.digests.extend(here::digests(&file.path, lengths)?);
            }
        }
    }
    Ok(())
}

/// The name that a compose file has on the device: what docker-compose finds by itself, so that the project is the same whoever
/// starts it.
pub fn name_on_device(index: usize) -> String {
    match index {
        0 => "docker-compose.yml".into(),
        1 => "docker-compose.override.yml".into(),
        _ => format!("docker-compose.{index}.yml"),
    }
}

fn project(files: &[PathBuf]) -> Result<LocalCompose, GatherError> {
    let mut compose = LocalCompose::default();
    let mut hash = Sha256::new();
    for (index, path) in files.iter().enumerate() {
        let (file, text) = read_compose(path)?;
        hash.update(&text);
        compose.sources.insert(name_on_device(index), here::source(path)?);
        if index == 0 { compose.file = file } else { compose.file.merge(file) }
    }
    let base = files.first().and_then(|file| file.parent()).unwrap_or(Path::new("."));
    add_references(base, &mut compose)?;
    compose.digest = here::hexadecimal(&hash.finalize());
    Ok(compose)
}

/// Adds what the files name, and what the files they extend name in turn.
fn add_references(base: &Path, compose: &mut LocalCompose) -> Result<(), GatherError> {
    let mut read = BTreeSet::new();
    while let Some(next) = compose.file.extends.iter().find(|name| !read.contains(*name)).cloned() {
        read.insert(next.clone());
        if base.join(&next).is_file() {
            let (file, _) = read_compose(&base.join(&next))?;
            compose.file.references.extend(file.references);
            compose.file.extends.extend(file.extends);
        }
    }
    compose.file.references.insert(".env".into());
    for name in compose.file.references.iter().filter(|name| !climbs(name)) {
        let path = base.join(name);
        if path.exists() && !compose.sources.contains_key(name) {
            compose.sources.insert(name.clone(), here::source(&path)?);
        }
    }
    Ok(())
}

fn climbs(name: &str) -> bool {
    name.split('/').any(|part| part == "..")
}

fn read_compose(path: &Path) -> Result<(ComposeFile, String), GatherError> {
    let text = std::fs::read_to_string(path).map_err(|source| HereError::Read { path: path.into(), source })?;
    let file = ComposeFile::parse(&text).map_err(|source| GatherError::Compose { path: path.into(), source })?;
    Ok((file, text))
}

/// The compose file on the device that a transfer puts there.
fn transferred(
    path: &RemotePath,
    transfers: &[Transfer],
    sources: &BTreeMap<PathBuf, Source>,
) -> Result<Option<LocalCompose>, GatherError> {
    for transfer in transfers {
        let Some(source) = sources.get(&transfer.local) else { continue };
        let name = transfer.local.file_name().unwrap_or_default().to_string_lossy();
        for root in [transfer.remote.clone(), transfer.remote.join(&name)] {
            let local = match source {
                Source::File(file) if root == *path => Some(&file.path),
                Source::Tree { files, .. } => {
                    files.iter().find(|(name, _)| root.join(name) == *path).map(|(_, file)| &file.path)
                }
                Source::File(_) => None,
            };
            if let Some(local) = local {
                let (file, text) = read_compose(local)?;
                let digest = here::hexadecimal(&Sha256::digest(&text));
                return Ok(Some(LocalCompose { file, sources: BTreeMap::new(), digest }));
            }
        }
    }
    Ok(None)
}
