//! Volumes and images: what is there already is left, what is missing comes.

use super::{Action, LoadImage, PlanError, Planner, Upload, count};
use crate::{
    commands::docker,
    config::{Image, ImageSource, Volume},
    delivery::{self, Delivery, Forecast},
    facts::{Archive, Docker, DockerImage, DockerVolume, here::LocalImage},
    reference::Reference,
    stage::Stage,
    text,
};

/// Returns a reference as docker lists it: in its short form, with the tag.
pub fn with_tag(reference: &str) -> String {
    Reference::normalised(reference)
}

/// Describes the difference between a volume on the device and the wanted one; `None` when there is none.
pub fn difference(there: &DockerVolume, wanted: &Volume) -> Option<String> {
    let option = |name: &str| there.options.get(name).map(String::as_str);
    let device = option("device").unwrap_or("nothing");
    if there.driver != "local" {
        return Some(format!("its driver is `{}`", there.driver));
    }
    if option("o").is_none_or(|o| !o.split(',').any(|word| word == "bind" || word == "rbind")) {
        return Some("it is no bind volume".into());
    }
    (device != wanted.path.as_str()).then(|| format!("it binds `{device}` and not `{}`", wanted.path))
}

impl Planner<'_> {
    /// Returns the facts about docker; empty ones where there is none, for stages that have reported that already.
    pub(super) fn docker(&self) -> &Docker {
        static NONE: Docker = Docker {
            version: String::new(),
            root: None,
            containerd_store: false,
            containers: Vec::new(),
            images: Vec::new(),
            volumes: Vec::new(),
        };
        self.facts.docker.as_ref().unwrap_or(&NONE)
    }

    pub(super) fn volume(&mut self) -> Result<(), PlanError> {
        if self.wanted.volume.is_empty() {
            return Ok(());
        }
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        let mut actions = Vec::new();
        let (mut created, mut own, mut directories) = (Vec::new(), Vec::new(), Vec::new());
        for volume in &self.wanted.volume {
            // One that was cut off or taken back leaves the volume without the directory that it binds.
            let mut making = Upload::default();
            making.make(&volume.path, 0o755, &self.facts)?;
            if !making.is_empty() {
                directories.push(volume.path.as_str());
                actions.push(Action::Send(making));
            }
            match self.docker().volumes.iter().find(|there| there.name == volume.name) {
                Some(there) => {
                    if let Some(how) = difference(there, volume) {
                        return Err(PlanError::Conflict {
                            what: format!("volume `{}`", volume.name),
                            how,
                            hint: "choose another name, or remove it and what uses it with `--remove_running_containers --remove_volumes`".into(),
                        });
                    }
                    // One that was cut off may have made it and not have noted it.
                    own.extend(
                        there.application.as_ref().filter(|name| **name == self.application).map(|_| volume.name.clone()),
                    );
                }
                None => {
                    actions.push(Action::Make {
                        make: docker::create_bind_volume(&volume.name, volume.path.as_str(), &self.application),
                        undo: docker::remove_volumes(std::slice::from_ref(&volume.name)),
                    });
                    created.push(volume.name.clone());
                }
            }
        }
        let says = match (created.is_empty(), directories.is_empty()) {
            (false, _) => format!("create {}", created.join(", ")),
            (true, false) => format!("make {}", directories.join(", ")),
            (true, true) => "there already".to_owned(),
        };
        self.wanted.volume.iter().for_each(|volume| self.expect_directory(&volume.path));
        own.extend(created);
        actions.extend(self.remember(|record| record.volumes.extend(own)));
        self.add(Stage::Volume, says, actions);
        Ok(())
    }

    pub(super) fn image(&mut self) -> Result<(), PlanError> {
        if self.wanted.image.is_empty() {
            return Ok(());
        }
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        self.check_store()?;
        let (mut actions, mut ids, mut says) = (Vec::new(), Vec::new(), Vec::new());
        for source in 0..self.wanted.image.len() {
            let images: Vec<_> = self.facts.here.images.iter().filter(|image| image.source == source).cloned().collect();
            self.add_local_images(source, &images, &mut actions, &mut says)?;
            ids.extend(images.into_iter().map(|image| image.id));
        }
        for image in &self.wanted.image {
            if let ImageSource::OnDevice(path) = &image.source {
                image.name.iter().try_for_each(|name| self.check_reference(name))?;
                self.add_archive(image, path.as_str(), &mut actions, &mut says)?;
            }
        }
        let left = self.docker().images.iter().any(delivery::is_partial)
            || self.docker().containers.iter().any(|container| container.name.starts_with(docker::BASE));
        if left && !actions.iter().any(|action| matches!(action, Action::Load(_))) {
            says.push("remove what an interrupted delivery left".into());
            actions.push(Action::Run(docker::remove_partial()));
        }
        if says.is_empty() {
            says.push(format!("{} there already", count(self.wanted.image.len(), "image")));
        }
        actions.extend(self.remember(|record| record.images.extend(ids)));
        self.add(Stage::Image, says.join(", "), actions);
        Ok(())
    }

    /// Adds what it takes to have the images of one source.
    fn add_local_images(
        &mut self,
        source: usize,
        images: &[LocalImage],
        actions: &mut Vec<Action>,
        says: &mut Vec<String>,
    ) -> Result<(), PlanError> {
        for image in images {
            self.check_image(image)?;
            let tags: Vec<_> = image.references.iter().map(|reference| with_tag(reference)).collect();
            match self.docker().images.iter().find(|there| there.id == image.id) {
                None => {
                    let circumstances = self.circumstances;
                    let offer = circumstances.offers.get(&image.id).cloned().unwrap_or_default();
                    let delivery = Delivery::of(&image.layers, &self.docker().images);
                    let (delivery, forecast) =
                        delivery::choose(&delivery, &offer, &circumstances.speeds, circumstances.strategy);
                    says.push(sent(image, &delivery, &forecast));
                    let (id, references, shown) = (image.id.clone(), tags.clone(), image.shown());
                    actions.push(Action::Load(LoadImage { source, id, references, shown, delivery, forecast }));
                }
                Some(there) => {
                    for tag in tags.iter().filter(|tag| !there.tags.contains(tag)) {
                        says.push(format!("tag {tag}, which is there"));
                        actions.push(Action::Run(docker::tag(&image.id, tag)));
                    }
                }
            }
            let layers = image.layers.iter().map(|(diff_id, _)| diff_id.clone()).collect();
            self.expect_image(DockerImage { id: image.id.clone(), tags, layers, ..DockerImage::default() });
        }
        Ok(())
    }

    /// Adds what it takes to have the images of an archive on the device.
    fn add_archive(
        &mut self,
        image: &Image,
        path: &str,
        actions: &mut Vec<Action>,
        says: &mut Vec<String>,
    ) -> Result<(), PlanError> {
        let archive = self.facts.archives.get(path).cloned();
        if archive == Some(Archive::Oci) {
            return Err(PlanError::OciArchive { path: path.into() });
        }
        // One that is sent by this deployment is known by its path alone.
        if archive.is_none() && !self.facts.paths.contains_key(path) {
            return Err(PlanError::Missing { path: path.into() });
        }
        let ids = archive.as_ref().map(|archive| archive_ids(archive, self.docker())).unwrap_or_default();
        let tag = image.name.as_deref().map(with_tag);
        let there = |id: &String| self.docker().image(id).is_some();
        let tagged =
            tag.as_ref().is_none_or(|tag| self.docker().image(tag).is_some_and(|image| ids.first() == Some(&image.id)));
        if ids.is_empty() || !ids.iter().all(there) || !tagged {
            let name = image.name.clone().unwrap_or_default();
            let size = |facts: &crate::facts::Facts| Some(*facts.archive_sizes.get(path)?);
            let sent = self.facts.paths.get(path).map(|fact| fact.size);
            self.imported += sent.or_else(|| size(&self.facts)).unwrap_or(0);
            actions.push(Action::Run(docker::load_on_device(path, &name, &changes(image))));
            says.push(format!("load {path}"));
        }
        let id = ids.into_iter().next().unwrap_or_else(|| path.to_owned());
        self.expect_image(DockerImage { id, tags: tag.into_iter().collect(), ..DockerImage::default() });
        Ok(())
    }
}

/// Returns the IDs of the images that an archive on the device holds, as far as they are known. A root file system has one
/// when it was imported before.
pub(super) fn archive_ids(archive: &Archive, docker: &Docker) -> Vec<String> {
    match archive {
        Archive::Images(ids) => ids.clone(),
        Archive::Oci => Vec::new(),
        Archive::RootFileSystem(digest) => {
            let imported = docker.images.iter().filter(|image| image.archive.as_ref() == Some(digest));
            imported.map(|image| image.id.clone()).take(1).collect()
        }
    }
}

/// Describes which part of an image is sent, how much that saves, and how much it will cost.
fn sent(image: &LocalImage, delivery: &Delivery, forecast: &Forecast) -> String {
    let whole = text::bytes(delivery.whole());
    let layers = image.layers.len();
    let what = match delivery.present {
        0 if !delivery.rebuilds() => format!("{whole} in {}", count(layers, "layer")),
        present => {
            let travels = text::bytes(delivery.travels());
            let rest = if delivery.rebuilds() { ", the rest is put together from what is there" } else { "" };
            format!("{present} of {layers} layers are there; {travels} instead of {whole}{rest}")
        }
    };
    format!("send {}: {what}; about {}", image.shown(), forecast.duration())
}

/// Returns the `--change` words of `docker import`: the metadata that a bare root file system does not contain.
fn changes(image: &Image) -> Vec<String> {
    let json = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
    let metadata = &image.metadata;
    let mut changes: Vec<_> = metadata.environment.iter().map(|entry| env_change(entry)).collect();
    if !metadata.entrypoint.is_empty() {
        changes.push(format!("ENTRYPOINT {}", json(&metadata.entrypoint)));
    }
    if !metadata.command.is_empty() {
        changes.push(format!("CMD {}", json(&metadata.command)));
    }
    changes.extend(metadata.working_directory.iter().map(|directory| format!("WORKDIR {directory}")));
    changes
}

/// Returns `ENV NAME="value"` in a Dockerfile's own quoting.
fn env_change(entry: &str) -> String {
    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
    let quoted = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    format!("ENV {name}=\"{quoted}\"")
}
