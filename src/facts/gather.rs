//! Reads what a deployment needs of this computer, before anything is asked of the device.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    compose::{Brought, LocalCompose},
    here::{self, HereError, LocalState, Source},
};
use crate::{
    config::{Deployment, RemotePath, Transfer},
    failure::Failure,
    stage::Stage,
};

/// Reads all sources of transfers and the compose project.
///
/// # Errors
/// The first thing that cannot be used, with the stage that needs it.
pub fn gather(wanted: &Deployment) -> Result<LocalState, Failure> {
    let mut found = LocalState::default();
    for transfer in &wanted.transfers.to_device {
        if !found.sources.contains_key(&transfer.local) {
            let source = here::source(&transfer.local).map_err(|error| Failure::from(error).in_stage(Stage::Transfers))?;
            found.sources.insert(transfer.local.clone(), source);
        }
    }
    let destinations = wanted.transfers.from_device.iter().map(|transfer| transfer.local.clone());
    add_archives(&mut found, wanted);
    found.directories = destinations.filter(|path| path.is_dir()).collect();
    if let Some(compose) = &wanted.compose {
        let brought = Brought {
            file: &|path| transferred(path, &wanted.transfers.to_device, &found.sources),
            secrets: wanted.secrets.keys().collect(),
        };
        let gathered = LocalCompose::gather(compose, &brought);
        found.compose = Some(gathered.map_err(|error| Failure::from(error).in_stage(Stage::Compose))?);
    }
    Ok(found)
}

/// Looks which devices have folders where logs are collected: a run may have made one, over a connection that was lost since.
pub fn add_archives(here: &mut LocalState, wanted: &Deployment) {
    here.archives = wanted.logs.iter().map(|pull| (pull.local.clone(), here::archives(&pull.local))).collect();
}

/// Adds digests of files here: of each for these lengths.
///
/// # Errors
/// A file that cannot be read.
pub fn add_digests(here: &mut LocalState, wanted: &BTreeMap<PathBuf, BTreeSet<u64>>) -> Result<(), HereError> {
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

/// Returns the file on this computer that a transfer puts at a path on the device.
fn transferred(path: &RemotePath, transfers: &[Transfer], sources: &BTreeMap<PathBuf, Source>) -> Option<PathBuf> {
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
            if local.is_some() {
                return local.cloned();
            }
        }
    }
    None
}
