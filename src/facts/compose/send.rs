//! Decides which files of a compose project are sent, from docker-compose's answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Generated, LocalCompose, Staged};
use crate::{
    compose::{self, Answer, DotEnv},
    config::{Compose, ComposeFiles},
    facts::here::{self, HereError, LocalFile, Source},
    small_file,
};

impl LocalCompose {
    /// Takes docker-compose's answer: from it follows what is sent.
    ///
    /// # Errors
    /// A file here that cannot be read.
    pub fn take(&mut self, answer: Answer, wanted: &Compose, project: &str) -> Result<(), HereError> {
        self.answer = Some(answer);
        self.sources.clear();
        self.missing.clear();
        self.made.clear();
        let (ComposeFiles::Here { directory, .. }, Some(model)) = (&wanted.files, self.model()) else { return Ok(()) };
        let binds: Vec<_> = model.binds().filter(|bind| bind.of_project).cloned().collect();
        let mut paths: BTreeSet<_> = binds.iter().map(|bind| self.path_of(bind)).collect();
        paths.extend(self.staged.keys().cloned());
        // What lies outside the project's directory keeps its place beside it.
        let top = paths.iter().fold(self.directory.clone(), |top, path| above(&top, path));
        self.below = compose::relative(&top, &self.directory);
        let name = |path: &Path| compose::relative(&top, path);
        for (path, staged) in &self.staged {
            match staged {
                Staged::File(_) if path.is_file() => {
                    self.sources.insert(name(path), here::source(path)?);
                }
                Staged::Directory if *path != self.directory => {
                    let directories = BTreeMap::from([(String::new(), 0o755)]);
                    self.sources.insert(
                        name(path),
                        Source::Tree { files: BTreeMap::new(), directories, links: BTreeMap::new(), left_out: BTreeMap::new() },
                    );
                }
                _ => {}
            }
        }
        self.missing = self.unknown.iter().map(|(path, by)| (name(path), by.clone())).collect();
        for bind in &binds {
            let path = self.path_of(bind);
            if path.exists() {
                self.sources.insert(name(&path), here::source(&path)?);
            } else if !self.staged.contains_key(&path) {
                let file = self.files.first().cloned().unwrap_or_default();
                self.missing.insert(name(&path), file);
                if bind.made {
                    self.made.insert(name(&path));
                }
            }
        }
        let directory = directory.join(&self.below);
        self.add_env(&top, directory.name(), project)?;
        self.merge_sources();
        Ok(())
    }

    /// Adds the `.env` to the files to send. It contains the name, files, profiles and variables of the project, so that
    /// docker-compose in its directory on the device always starts this project, also at autostart.
    fn add_env(&mut self, top: &Path, directory: &str, project: &str) -> Result<(), HereError> {
        let mut env = self.env.clone();
        let named = env.get("COMPOSE_PROJECT_NAME").is_some();
        if named || compose::project_name(directory) != project {
            env.set("COMPOSE_PROJECT_NAME", Some(project));
        }
        let path = self.directory.join(".env");
        let name = compose::relative(top, &path);
        let text = env.text();
        self.generated = None;
        if text.is_empty() {
            self.sources.remove(&name);
            return Ok(());
        }
        if small_file::read(&path).is_ok_and(|there| DotEnv::parse(&there) == env) {
            self.sources.insert(name, here::source(&path)?);
            return Ok(());
        }
        let failed = |source| HereError::Read { path: std::env::temp_dir(), source };
        let mut file = tempfile::Builder::new().prefix("o3r-deploy.").suffix(".env").tempfile().map_err(failed)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
        let Source::File(mut sent) = here::source(file.path())? else { return Ok(()) };
        sent.mode = mode_of(&path).unwrap_or(sent.mode);
        self.sources.insert(name, Source::File(sent));
        self.generated = Some(Generated(Arc::new(file)));
        Ok(())
    }

    /// Merges sources so that nothing is sent twice: a file that is also sent by itself replaces the same file of a tree,
    /// and a tree within another tree is dropped.
    fn merge_sources(&mut self) {
        let singles: Vec<_> = self.sources.iter().filter(|(_, source)| matches!(source, Source::File(_))).collect();
        let singles: Vec<(String, LocalFile)> = singles
            .into_iter()
            .filter_map(|(name, source)| match source {
                Source::File(file) => Some((name.clone(), file.clone())),
                Source::Tree { .. } => None,
            })
            .collect();
        let trees: Vec<_> = self
            .sources
            .iter()
            .filter(|(_, source)| matches!(source, Source::Tree { .. }))
            .map(|(name, _)| name.clone())
            .collect();
        let below = |name: &str, tree: &str| match tree {
            "" => Some(name.to_owned()),
            _ => name.strip_prefix(tree)?.strip_prefix('/').map(str::to_owned),
        };
        for tree in &trees {
            for (name, file) in &singles {
                let Some(rest) = below(name, tree) else { continue };
                if let Some(Source::Tree { files, .. }) = self.sources.get_mut(tree)
                    && files.contains_key(&rest)
                {
                    files.insert(rest, file.clone());
                    self.sources.remove(name);
                }
            }
            // A tree within another one; the folder of a build is empty, and holds none.
            let has_files =
                |name: &str| matches!(self.sources.get(name), Some(Source::Tree { files, .. }) if !files.is_empty());
            if has_files(tree) && trees.iter().any(|outer| outer != tree && has_files(outer) && below(tree, outer).is_some()) {
                self.sources.remove(tree);
            }
        }
    }
}

/// Returns the innermost directory that contains both paths.
fn above(directory: &Path, path: &Path) -> PathBuf {
    directory.ancestors().find(|above| path.starts_with(above)).unwrap_or(Path::new("/")).to_owned()
}

fn mode_of(path: &Path) -> Option<u32> {
    match here::source(path).ok()? {
        Source::File(file) => Some(file.mode),
        Source::Tree { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> Source {
        let file = |name: &&str| {
            let file = LocalFile { path: (*name).into(), mode: 0o644, size: 1, digests: BTreeMap::new() };
            ((*name).to_owned(), file)
        };
        let files = files.iter().map(file).collect();
        Source::Tree { files, directories: BTreeMap::new(), links: BTreeMap::new(), left_out: BTreeMap::new() }
    }

    #[test]
    fn trees_within_trees_are_sent_once_and_those_in_the_folder_of_a_build_are_sent() {
        let merged = |outer: Source| {
            let sources = BTreeMap::from([(String::new(), outer), ("src".to_owned(), tree(&["a"]))]);
            let mut local = LocalCompose { sources, ..LocalCompose::default() };
            local.merge_sources();
            local.sources.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(merged(tree(&["other", "src/a"])), [""]);
        assert_eq!(merged(tree(&[])), ["", "src"]);
    }
}
