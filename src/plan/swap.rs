//! The update from the running version to the wanted one: the parts that are kept for a rollback, and the history entries.
//! `docs/swap.md` describes it.

use super::{Action, ComposeUp, Planner, count};
use crate::{
    commands::{compose::Project, systemd::COMPOSE_HOME},
    config::ImageSource,
    facts::{AutostartModel, ComposeTool, Container, ContainerState, Facts},
    release::{Entry, EntryImage, KeptLink, KeptService, Snapshot, versions},
    stage::Stage,
};

/// The running version, as it is kept for a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepVersion {
    /// Name of the application.
    pub application: String,
    /// The parts of the version.
    pub snapshot: Box<Snapshot>,
    /// The history entry to write should this version be restored.
    pub attempt: String,
    /// Whether the wanted version is another one, whatever files are replaced: not so where an earlier run had begun it.
    pub differs: bool,
}

/// The changes that make a running version the deployed one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Name of the application.
    pub application: String,
    /// The record, as it is then.
    pub record: String,
    /// The history entry of the deployment.
    pub entry: String,
    /// The history entry to write should the attempt fail, to which its result is added.
    pub attempt: String,
    /// The file that records deployments, and the line that goes from it should the attempt fail.
    pub stamp: Option<(String, String)>,
}

impl KeepVersion {
    /// Returns the version of a project that is to be kept, without its files.
    pub fn of(application: &str, project: &Project, recreate: bool, containers: &[Container]) -> Self {
        let kept = |container: &Container| {
            let Container { state, restart_policy, image, reference, service, .. } = container;
            Some(KeptService {
                name: service.clone()?,
                runs: matches!(state, ContainerState::Running | ContainerState::Restarting),
                restart_policy: restart_policy.clone(),
                image: image.clone(),
                reference: reference.clone(),
            })
        };
        let snapshot = Snapshot {
            project: project.name.clone(),
            is_plugin: matches!(project.tool, ComposeTool::Plugin(_)),
            recreate,
            files: project.files.clone(),
            services: containers.iter().filter_map(kept).collect(),
            ..Snapshot::default()
        };
        Self { application: application.into(), snapshot: Box::new(snapshot), attempt: String::new(), differs: true }
    }

    /// Returns the version to keep where no version was before: it holds only what a rollback has to know.
    pub fn nothing(project: &Project, settling: &Commit) -> Self {
        let mut nothing = Self::of(&settling.application, project, false, &[]);
        nothing.snapshot.stamp.clone_from(&settling.stamp);
        Self { attempt: settling.attempt.clone(), ..nothing }
    }

    /// Adds the files that are replaced, and the new ones, which a rollback removes.
    pub fn add_files<'a>(&mut self, replaced: impl IntoIterator<Item = &'a str>, new: impl IntoIterator<Item = &'a str>) {
        self.snapshot.replaced.extend(replaced.into_iter().map(str::to_owned));
        self.snapshot.new.extend(new.into_iter().map(str::to_owned));
    }

    /// Describes in a few words what is kept.
    pub fn says(&self) -> String {
        let (services, files) = (self.snapshot.services.len(), self.snapshot.replaced.len());
        format!("keep the version that runs, for the way back: {}, {}", count(services, "container"), count(files, "file"))
    }

    /// Returns the snapshot as the device reads it, with the line that ends it.
    pub fn input(&self) -> Vec<u8> {
        (self.snapshot.text() + "end\n").into_bytes()
    }
}

impl Planner<'_> {
    /// Returns the version to keep when a project is brought up that exists already. `another` tells that other services or
    /// another compose file were brought up before.
    pub(super) fn keeping(&self, project: &Project, recreate: bool, another: bool, containers: &[Container]) -> KeepVersion {
        // The files of the version that runs are those that its containers were made of; where they do not tell, those that are
        // there.
        let mut files: Vec<_> = containers.iter().map(|container| container.project_files.clone()).max().unwrap_or_default();
        if files.is_empty() || files.iter().any(|file| !file.starts_with('/')) {
            files = project.files.clone();
        }
        let project = Project { files, ..project.clone() };
        let is_newest = |container: &Container| {
            let image = self.docker().image(&super::engine::with_tag(&container.reference));
            image.is_some_and(|image| image.id == container.image)
        };
        let differs = recreate || another || !containers.iter().all(is_newest);
        KeepVersion { differs, ..KeepVersion::of(&self.application, &project, recreate, containers) }
    }

    /// Returns whether the device has an update that was interrupted.
    pub(super) fn is_pending(&self) -> bool {
        self.facts.paths.contains_key(&versions::state(&versions::pending(&self.application)))
    }

    /// Returns whether the device has a first deployment that was interrupted: what runs of it is not a version for a
    /// rollback.
    pub(super) fn is_first_pending(&self) -> bool {
        self.facts.paths.contains_key(&versions::state(&versions::first(&self.application)))
    }

    /// Has the version that runs kept before anything of it is replaced. `before` is what is there now.
    pub(super) fn add_keeping(&mut self, before: &Facts) {
        let ups = self.plan.stages.iter().flat_map(|stage| &stage.actions);
        let Some((mut keeping, stamp)) = ups.into_iter().find_map(|action| match action {
            Action::Up(ComposeUp { keeping: Some(keeping), settling, .. }) => Some((keeping.clone(), settling.stamp.clone())),
            _ => None,
        }) else {
            return;
        };
        let sent = self.plan.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| match action {
            Action::Send(sending) => Some(sending),
            _ => None,
        });
        for sending in sent {
            let (new, replaced): (Vec<_>, Vec<_>) = sending.files.iter().partition(|file| file.new);
            keeping.add_files(replaced.iter().map(|file| file.remote.as_str()), new.iter().map(|file| file.remote.as_str()));
            let (new, replaced): (Vec<_>, Vec<_>) = sending.links.iter().partition(|link| link.new);
            keeping.add_files(replaced.iter().map(|link| link.remote.as_str()), new.iter().map(|link| link.remote.as_str()));
            let made = sending.directories.iter().filter(|(path, _)| !before.paths.contains_key(path));
            keeping.snapshot.made.extend(made.map(|(path, _)| path.clone()));
            let changed = sending.modes.iter().filter_map(|(path, mode)| Some((path, before.paths.get(path)?.mode, *mode)));
            let changed = changed.filter(|(_, before, mode)| before != mode);
            keeping.snapshot.modes.extend(changed.map(|(path, before, _)| (before, path.clone())));
        }
        for action in self.plan.stages.iter().flat_map(|stage| &stage.actions) {
            let snapshot = &mut keeping.snapshot;
            match action {
                Action::WriteSecret(writing) => {
                    if writing.new { &mut snapshot.new } else { &mut snapshot.replaced }.push(writing.path.clone());
                    let directory = writing.path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
                    if !before.paths.contains_key(&directory) && !snapshot.made.contains(&directory) {
                        snapshot.made.push(directory);
                    }
                }
                Action::RemoveFile(path) => snapshot.replaced.push(path.clone()),
                _ => {}
            }
        }
        if !keeping.differs && !keeping.snapshot.has_files() {
            // It would be the way back to the same.
            for action in self.plan.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
                if let Action::Up(bringing) = action {
                    bringing.keeping = None;
                }
            }
            return;
        }
        self.add_autostart(&mut keeping.snapshot, before);
        keeping.snapshot.stamp = stamp;
        let at = self
            .plan
            .stages
            .iter_mut()
            .find(|stage| stage.stage > Stage::MountUsb && stage.actions.iter().any(Action::changes_device));
        if let Some(stage) = at {
            stage.actions.insert(0, Action::Keep(keeping));
        }
    }

    /// Adds how what this deployment enables and disables starts now.
    fn add_autostart(&self, snapshot: &mut Snapshot, before: &Facts) {
        let wanted = &self.wanted.autostart;
        let services: Vec<_> = wanted.enable.iter().map(|entry| &entry.service).chain(&wanted.disable).collect();
        match before.autostart {
            AutostartModel::Single { enabled } if !services.is_empty() => {
                snapshot.units.push(("oem-dc-autostart.service".into(), enabled));
            }
            AutostartModel::Template => {
                for service in services {
                    let fact = before.services.get(service).cloned().unwrap_or_default();
                    snapshot.units.push((format!("oem-dc@{service}.service"), fact.enabled));
                    let place = format!("{COMPOSE_HOME}/{service}");
                    let file = format!("{place}/docker-compose.yml");
                    let link = |place, target| KeptLink { place, target };
                    match (fact.directory_link, fact.file_link) {
                        (Some(target), _) => snapshot.links.push(link(place, Some(target))),
                        (None, Some(target)) => snapshot.links.push(link(file, Some(target))),
                        (None, None) if !fact.own_file => snapshot.links.extend([link(file, None), link(place, None)]),
                        (None, None) => {}
                    }
                }
            }
            AutostartModel::Single { .. } | AutostartModel::None => {}
        }
    }

    /// Returns the history entry of this deployment.
    pub(super) fn entry(&self, services: &[String]) -> Entry {
        let archive = |source: usize| match self.wanted.image.get(source).map(|image| &image.source) {
            Some(ImageSource::Here(path)) => path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
            Some(ImageSource::OnDevice(path)) => path.name().to_owned(),
            None => String::new(),
        };
        let images = self.facts.here.images.iter().map(|image| EntryImage {
            id: image.id.clone(),
            references: image.references.clone(),
            archive: archive(image.source),
        });
        let on_device = self.wanted.image.iter().enumerate().filter_map(|(source, image)| match &image.source {
            ImageSource::OnDevice(_) => Some(EntryImage {
                id: String::new(),
                references: image.name.iter().cloned().collect(),
                archive: archive(source),
            }),
            ImageSource::Here(_) => None,
        });
        Entry {
            at: self.circumstances.stem.clone(),
            by: self.circumstances.by.clone(),
            application: self.application.clone(),
            kind: "deployment".into(),
            services: services.to_vec(),
            images: images.chain(on_device).collect(),
            result: String::new(),
        }
    }

    /// Images that arrive stand in the history too where nothing is brought up.
    pub(super) fn add_note(&mut self) {
        let mut actions = self.plan.stages.iter().flat_map(|stage| &stage.actions);
        if actions.any(|action| matches!(action, Action::Up(_))) {
            return;
        }
        let command = versions::note(&self.application, &Entry { result: Entry::DONE.into(), ..self.entry(&[]) }.line());
        let images = self.plan.stages.iter_mut().find(|stage| stage.stage == Stage::Image && !stage.actions.is_empty());
        if let Some(stage) = images {
            stage.actions.push(Action::Run(command));
        }
    }
}
