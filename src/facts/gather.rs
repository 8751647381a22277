//! Reads what a deployment needs of this computer, before anything is asked of the device.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::here::{self, Here, HereError, LocalCompose, Source};
use crate::{
    compose::{ComposeError, ComposeFile, UnknownService},
    config::{ComposeFiles, Deployment, RemotePath, Transfer},
    failure::{Explain, Failure, FailureKind},
    small_file,
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
    /// A service that the compose files do not have.
    #[error(transparent)]
    Service(#[from] UnknownService),
}

impl Explain for GatherError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::File(error) => error.kind(),
            Self::Compose { .. } | Self::Service(_) => FailureKind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Compose { .. } => Some(crate::compose::HINT.into()),
            Self::Service(_) => Some(UnknownService::HINT.into()),
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
    found.archives = wanted.logs.iter().map(|pull| (pull.local.clone(), here::archives(&pull.local))).collect();
    found.directories = destinations.filter(|path| path.is_dir()).collect();
    let compose = match wanted.compose.as_ref().map(|compose| &compose.files) {
        Some(ComposeFiles::Here { files, .. }) => project(files).map(Some),
        Some(ComposeFiles::OnDevice(path)) => transferred(path, &wanted.transfers.to_device, &found.sources),
        None => Ok(None),
    };
    let compose = compose.and_then(|compose| {
        if let (Some(compose), Some(wanted)) = (&compose, &wanted.compose) {
            compose.file.has(&wanted.services)?;
        }
        Ok(compose)
    });
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
    let mut named = BTreeMap::new();
    for (index, path) in files.iter().enumerate() {
        let (file, text) = read_compose(path)?;
        hash.update(&text);
        compose.sources.insert(name_on_device(index), here::source(path)?);
        note_names(&file, path, &mut named);
        if index == 0 { compose.file = file } else { compose.file.merge(file) }
    }
    let base = files.first().and_then(|file| file.parent()).unwrap_or(Path::new("."));
    add_references(base, named, &mut compose)?;
    compose.digest = here::hexadecimal(&hash.finalize());
    Ok(compose)
}

/// What is named, and by which file first.
type Named = BTreeMap<String, PathBuf>;

fn note_names(file: &ComposeFile, path: &Path, named: &mut Named) {
    for name in &file.references {
        named.entry(name.clone()).or_insert_with(|| path.to_owned());
    }
}

/// Adds what the files name, and what the files they extend name in turn.
fn add_references(base: &Path, mut named: Named, compose: &mut LocalCompose) -> Result<(), GatherError> {
    let mut read = BTreeSet::new();
    while let Some(next) = compose.file.extends.iter().find(|name| !read.contains(*name)).cloned() {
        read.insert(next.clone());
        let path = base.join(&next);
        if path.exists() {
            let (file, _) = read_compose(&path)?;
            note_names(&file, &path, &mut named);
            compose.file.references.extend(file.references);
            compose.file.optional.extend(file.optional);
            compose.file.made.extend(file.made);
            compose.file.extends.extend(file.extends);
        }
    }
    compose.file.references.insert(".env".into());
    compose.file.optional.insert(".env".into());
    for name in compose.file.references.iter().filter(|name| !climbs(name)) {
        let path = base.join(name);
        if compose.sources.contains_key(name) {
            continue;
        }
        if path.exists() {
            compose.sources.insert(name.clone(), here::source(&path)?);
        } else if let Some(file) = named.get(name).filter(|_| !compose.file.optional.contains(name)) {
            compose.missing.insert(name.clone(), file.clone());
        }
    }
    Ok(())
}

fn climbs(name: &str) -> bool {
    name.split('/').any(|part| part == "..")
}

fn read_compose(path: &Path) -> Result<(ComposeFile, String), GatherError> {
    let text = small_file::read(path).map_err(|source| HereError::Read { path: path.into(), source })?;
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
                return Ok(Some(LocalCompose { file, digest, ..LocalCompose::default() }));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{check, file};

    /// What is read of a compose file with this text, in a folder that has `here.env` and nothing else.
    fn gathered(text: &str, services: &str) -> Result<LocalCompose, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("compose.yml"), text).expect("written");
        std::fs::write(folder.path().join("here.env"), "A=1").expect("written");
        let yaml = format!("compose: {{file: ./compose.yml, services: [{services}]}}\n");
        std::fs::write(folder.path().join("o3r-deploy.yaml"), yaml).expect("written");
        let (layer, problems) = file::read(&folder.path().join("o3r-deploy.yaml"), "o3r-deploy.yaml").expect("it is read");
        let wanted = check(&[layer], problems).expect("nothing is wrong with it");
        let shown = |failure: Failure| failure.to_string().replace(&folder.path().display().to_string(), "/here");
        gather(&wanted).map_err(shown).map(|here| here.compose.expect("a project"))
    }

    #[test]
    fn what_a_compose_file_names_and_is_not_here_is_noted_unless_it_need_not_be_there() {
        let text = "services:\n  web:\n    env_file: [here.env, gone.env, {path: ./optional.env, required: false}]\n    \
                    volumes: ['./data:/data', 'named:/x', '/home/oem/share:/y']\n";
        let compose = gathered(text, "web").expect("it is read");
        assert_eq!(compose.missing.keys().collect::<Vec<_>>(), ["data", "gone.env"]);
        assert!(compose.missing.values().all(|file| file.ends_with("compose.yml")));
        assert_eq!(compose.sources.keys().collect::<Vec<_>>(), ["docker-compose.yml", "here.env"]);
    }

    #[test]
    fn a_service_that_there_is_not_is_refused_before_anybody_connects() {
        let said = gathered("services: {web: {}, other: {}}", "nobody").expect_err("it is refused");
        insta::assert_snapshot!(said, @"compose: service `nobody` is not in the compose file; it has `other`, `web`");
    }
}
