//! Predicts the state after each stage: each stage updates the facts with its changes, and the next stage decides from
//! them.

use super::{Action, Planner, Upload, room::Removable};
use crate::{
    config::RemotePath,
    facts::{DockerImage, PathFact, PathKind},
};

impl Planner<'_> {
    /// Expects this directory and all directories above it to exist.
    pub(super) fn expect_directory(&mut self, directory: &RemotePath) {
        for path in directory.above().into_iter().chain([directory.clone()]) {
            self.facts.paths.entry(path.as_str().into()).or_insert_with(|| there(PathKind::Directory));
        }
    }

    /// Expects the sent files to exist; the content that an archive had before is no longer known.
    pub(super) fn expect_sent(&mut self, sending: &Upload) {
        for (directory, mode) in &sending.directories {
            self.facts.paths.insert(directory.clone(), PathFact { mode: *mode, own: true, ..there(PathKind::Directory) });
        }
        for (directory, mode) in &sending.modes {
            if let Some(fact) = self.facts.paths.get_mut(directory) {
                fact.mode = *mode;
            }
        }
        self.facts.links.extend(sending.links.iter().map(|link| (link.remote.to_string(), link.target.clone())));
        for path in &sending.stale {
            self.facts.paths.remove(path);
        }
        for file in &sending.files {
            let path = file.remote.as_str();
            self.facts.archives.remove(path);
            let sha256 = file.sha256.clone();
            let fact = PathFact { mode: file.mode, size: file.size, readable: true, sha256, ..there(PathKind::File) };
            self.facts.paths.insert(path.into(), fact);
            self.facts.paths.remove(&file.arrival());
        }
    }

    /// Expects this path and everything below it to be removed.
    pub(super) fn expect_gone(&mut self, gone: &RemotePath) {
        let stays = |path: &String| RemotePath::new(path).is_ok_and(|path| !path.is_within(gone));
        self.facts.paths.retain(|path, _| stays(path));
        self.facts.archives.retain(|path, _| stays(path));
    }

    /// Expects the image to exist with its tags, and no other image to have them.
    pub(super) fn expect_image(&mut self, expected: DockerImage) {
        let Some(docker) = &mut self.facts.docker else { return };
        for image in &mut docker.images {
            image.tags.retain(|tag| !expected.tags.contains(tag));
        }
        match docker.images.iter_mut().find(|image| image.id == expected.id) {
            Some(image) => image.tags.extend(expected.tags),
            None => docker.images.push(expected),
        }
    }

    /// Expects these images to be removed.
    pub(super) fn expect_images_gone(&mut self, gone: &[Removable]) {
        if let Some(docker) = &mut self.facts.docker {
            docker.images.retain(|image| gone.iter().all(|gone| gone.id != image.id));
        }
    }

    /// Returns whether this plan brings up a compose project, so that the present state of its containers says little.
    pub(super) fn brings_up(&self, project: &str) -> bool {
        let mut actions = self.plan.stages.iter().flat_map(|stage| &stage.actions);
        actions.any(|action| matches!(action, Action::Up(bringing) if bringing.project.name == project))
    }
}

fn there(kind: PathKind) -> PathFact {
    PathFact { kind, mode: 0o755, size: 0, readable: false, own: false, sha256: None }
}
