//! Clean-up: what goes is exactly what was asked for, less what this deployment itself wants and what is in use.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, PlanError, Planner, count,
    engine::{archive_ids, difference, with_tag},
};
use crate::{
    commands::docker,
    config::Volume,
    delivery,
    facts::{Container, Docker, DockerImage, DockerVolume, Facts, Record},
    release::versions,
    stage::Stage,
    text::fits,
};

impl Planner<'_> {
    pub(super) fn clean_up(&mut self) -> Result<(), PlanError> {
        let wanted = &self.wanted.clean_up;
        if !wanted.containers && !wanted.volumes && !wanted.images {
            return Ok(());
        }
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        let containers = if wanted.containers { self.containers_to_go() } else { Vec::new() };
        if let Some(docker) = &mut self.facts.docker {
            docker.containers.retain(|container| !containers.contains(&container.name));
        }
        let volumes = if wanted.volumes { self.volumes_to_go() } else { Vec::new() };
        let images = if wanted.images { self.images_to_go() } else { Vec::new() };
        if let Some(docker) = &mut self.facts.docker {
            docker.volumes.retain(|volume| !volumes.contains(&volume.name));
            let with_them = pruned(&images, docker);
            docker.images.retain(|image| !images.contains(&image.id) && !with_them.contains(&image.id));
        }
        let parts = [(containers.len(), "container"), (volumes.len(), "volume"), (images.len(), "image")];
        let says: Vec<_> =
            parts.iter().filter(|(number, _)| *number > 0).map(|(number, thing)| count(*number, thing)).collect();
        let says = if says.is_empty() { "nothing to remove".to_owned() } else { format!("remove {}", says.join(", ")) };
        let mut actions = Vec::new();
        if !containers.is_empty() {
            actions.push(Action::Run(docker::remove_containers(&containers)));
        }
        if !volumes.is_empty() {
            actions.push(Action::Run(docker::remove_volumes(&volumes)));
        }
        if !images.is_empty() {
            actions.push(Action::Run(docker::remove_images(&images)));
        }
        self.add(Stage::CleanUp, says, actions);
        Ok(())
    }

    /// Returns the facts as they will be after the clean-up, and the maximum number of bytes that it frees: the size of a
    /// volume is not known.
    pub(super) fn after_clean_up(&self, before: &Facts) -> (Facts, u64) {
        let mut there = before.clone();
        let Some(docker) = &mut there.docker else { return (there, 0) };
        let volumes = docker.volumes.len();
        docker.containers.retain(|container| self.docker().containers.iter().any(|left| left.id == container.id));
        docker.volumes.retain(|volume| self.docker().volumes.iter().any(|left| left.name == volume.name));
        let freed = if docker.volumes.len() < volumes { u64::MAX } else { 0 };
        let (left, gone): (Vec<_>, Vec<_>) =
            docker.images.drain(..).partition(|image| self.docker().images.iter().any(|left| left.id == image.id));
        docker.images = left;
        (there, gone.iter().fold(freed, |freed, image| freed.saturating_add(image.size)))
    }

    fn is_kept(&self, name: &str) -> bool {
        self.wanted.clean_up.keep.iter().any(|pattern| fits(pattern, name))
    }

    /// Decides whether something goes, and notes what goes although no deployment by this tool put it there.
    fn may_remove(&mut self, what: String, in_record: impl Fn(&Record) -> bool) -> bool {
        let of_this_application = self.facts.records.get(&self.application).is_some_and(&in_record);
        if self.wanted.clean_up.only_this_application && !of_this_application {
            return false;
        }
        if !self.facts.is_ours(in_record) {
            self.plan.foreign.push(what);
        }
        true
    }

    fn containers_to_go(&mut self) -> Vec<String> {
        let own = self.project();
        let changing = self.volumes_to_change();
        let containers: Vec<Container> = self.docker().containers.clone();
        let mut names = Vec::new();
        for container in containers {
            let project = container.project.clone();
            // Containers of this very project are replaced by the compose stage, which keeps the time without them short.
            let is_own = own.is_some() && project == own && !container.volumes.iter().any(|name| changing.contains(name));
            if is_own || self.is_kept(&container.name) {
                continue;
            }
            let in_record = |record: &Record| project.as_ref().is_some_and(|name| record.projects.contains(name));
            if self.may_remove(format!("container {}", container.name), in_record) {
                names.push(container.name);
            }
        }
        names
    }

    /// Volumes that are wanted otherwise than they are, and may go.
    fn volumes_to_change(&self) -> Vec<String> {
        let differs = |wanted: &&Volume| {
            self.docker().volumes.iter().any(|volume| volume.name == wanted.name && difference(volume, wanted).is_some())
        };
        let names = self.wanted.volume.iter().filter(differs).map(|volume| volume.name.clone());
        names.filter(|name| self.wanted.clean_up.volumes && !self.is_kept(name)).collect()
    }

    fn volumes_to_go(&mut self) -> Vec<String> {
        let volumes: Vec<DockerVolume> = self.docker().volumes.clone();
        let mut names = Vec::new();
        for volume in volumes {
            let as_wanted =
                self.wanted.volume.iter().any(|wanted| wanted.name == volume.name && difference(&volume, wanted).is_none());
            if self.is_kept(&volume.name) || as_wanted {
                continue;
            }
            if let Some(user) = self.docker().containers.iter().find(|container| container.volumes.contains(&volume.name)) {
                self.plan.warnings.push(format!("volume `{}` stays: container `{}` uses it", volume.name, user.name));
                continue;
            }
            let of_project = |record: &Record| volume.project.as_ref().is_some_and(|name| record.projects.contains(name));
            let in_record = |record: &Record| record.volumes.contains(&volume.name) || of_project(record);
            if self.may_remove(format!("volume {}", volume.name), in_record) {
                names.push(volume.name);
            }
        }
        names
    }

    /// Returns the images to remove, each before the one that it was built on.
    fn images_to_go(&mut self) -> Vec<String> {
        let mut images: Vec<DockerImage> = self.docker().images.clone();
        let parents: BTreeMap<_, _> = images.iter().map(|image| (image.id.clone(), image.parent.clone())).collect();
        images.sort_by_key(|image| std::cmp::Reverse(generation(&image.id, &parents)));
        let wanted = self.images_wanted();
        let mut going = Vec::new();
        // The parent of each image that stays, and how that image is called.
        let mut staying: Vec<(Option<String>, String)> = Vec::new();
        for image in images {
            let shown = image.tags.first().unwrap_or(&image.id).clone();
            let is_parent = parents.values().any(|parent| parent.as_ref() == Some(&image.id));
            let user = self.docker().containers.iter().find(|container| container.image == image.id);
            let child = staying.iter().find(|(parent, _)| parent.as_ref() == Some(&image.id)).map(|(_, child)| child.clone());
            let base = nameless_bases(&image.id, self.docker()).find(|base| wanted.contains(*base)).cloned();
            // What an interrupted delivery left is of use to the next one, which removes it.
            // The version that can be gone back to is nobody's to remove.
            let kept = image.tags.iter().any(|tag| tag.starts_with(delivery::PARTIAL) || tag.starts_with(versions::PREVIOUS));
            let stays = if kept || wanted.contains(&image.id) || image.tags.iter().any(|tag| self.keeps_image(tag)) {
                true
            } else if is_nameless(&image) && is_parent && user.is_none() {
                // Not listed by docker either; it goes with the last image that was built on it.
                child.is_some()
            } else if let Some(user) = user {
                self.plan.warnings.push(format!("image `{shown}` stays: container `{}` uses it", user.name));
                true
            } else if let Some(child) = &child {
                self.plan.warnings.push(format!("image `{shown}` stays: image `{child}` was built on it"));
                true
            } else if let Some(base) = &base {
                self.plan.warnings.push(format!("image `{shown}` stays: docker would remove image `{base}` with it"));
                true
            } else if self.may_remove(format!("image {shown}"), |record| record.images.contains(&image.id)) {
                going.push(image.id.clone());
                false
            } else {
                true
            };
            if stays {
                let name = child.filter(|_| is_nameless(&image)).unwrap_or(shown);
                staying.push((image.parent, name));
            }
        }
        going
    }

    /// Returns the IDs of the images that this deployment itself wants.
    pub(super) fn images_wanted(&self) -> BTreeSet<String> {
        let delivered = self.facts.here.images.iter();
        let archives = self.facts.archives.values().flat_map(|archive| archive_ids(archive, self.docker()));
        // What nothing delivers would have to be pulled again.
        let replaced: BTreeSet<_> = delivered.clone().flat_map(|image| &image.references).map(|name| with_tag(name)).collect();
        let named = self.model().into_iter().flat_map(|model| model.services.values());
        let named = named.filter_map(|service| service.image.as_deref());
        let named = named.map(with_tag).filter(|tag| !replaced.contains(tag));
        let named = named.filter_map(|tag| self.docker().image(&tag).map(|image| image.id.clone()));
        delivered.map(|image| image.id.clone()).chain(archives).chain(named).collect()
    }

    pub(super) fn keeps_image(&self, tag: &str) -> bool {
        // The last colon: a registry may have a port.
        self.is_kept(tag) || tag.rsplit_once(':').is_some_and(|(name, _)| self.is_kept(name))
    }
}

/// Returns whether an image has no name: docker lists it only because another image was built on it.
fn is_nameless(image: &DockerImage) -> bool {
    image.tags.is_empty() && image.digests.is_empty()
}

/// Returns the images without a name that an image was built on, the nearest first: docker removes them with it, unless
/// something else needs them.
pub(super) fn nameless_bases<'a>(id: &str, docker: &'a Docker) -> impl Iterator<Item = &'a String> {
    let base = |id: &str| {
        let parent = docker.images.iter().find(|image| image.id == id)?.parent.as_ref()?;
        let parent = docker.images.iter().find(|image| image.id == *parent)?;
        is_nameless(parent).then_some(&parent.id)
    };
    // Each image once, whatever docker tells.
    std::iter::successors(base(id), move |id| base(id)).take(docker.images.len())
}

/// Returns the images that docker removes together with others: those without a name that nothing else was built on.
fn pruned(removed: &[String], docker: &Docker) -> BTreeSet<String> {
    let mut gone: BTreeSet<String> = removed.iter().cloned().collect();
    for base in removed.iter().flat_map(|id| nameless_bases(id, docker)) {
        let is_base = docker.images.iter().any(|image| image.parent.as_ref() == Some(base) && !gone.contains(&image.id));
        let is_used = docker.containers.iter().any(|container| container.image == *base);
        if !is_base && !is_used {
            gone.insert(base.clone());
        }
    }
    gone.into_iter().filter(|id| !removed.contains(id)).collect()
}

/// Returns the length of the chain of parents of an image, the image itself included.
fn generation(id: &String, parents: &BTreeMap<String, Option<String>>) -> usize {
    let above = std::iter::successors(Some(id), |id| parents.get(*id)?.as_ref());
    above.take(parents.len() + 1).count()
}
