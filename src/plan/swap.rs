//! The change from the version that runs to the one that is wanted: what has to be kept for the way back, and what the history
//! is told. `docs/swap.md` is the picture.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Action, Bringing, Planner, count};
use crate::{
    command::path_lines,
    commands::{compose::Project, swap, systemd::COMPOSE_HOME},
    config::ImageSource,
    facts::{AutostartModel, ComposeTool, Container, ContainerState, Facts},
    stage::Stage,
};

/// What is kept of the version that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Whose.
    pub application: String,
    /// What it consists of, a line each, as the device's scripts read it.
    pub lines: Vec<String>,
    /// The services that run, and have to run again should it come back.
    pub running: Vec<String>,
    /// What the history is told should this version come back.
    pub attempt: String,
    /// Whether the wanted version is another one, whatever files are replaced: not so where an earlier run had begun it.
    pub differs: bool,
}

/// What makes a version that runs the one that is deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settling {
    /// Whose.
    pub application: String,
    /// The record, as it is then.
    pub record: String,
    /// What the history is told.
    pub entry: String,
}

/// One deployment in the history of an application, a line of `history.jsonl` on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When, by the clock of the computer that did it: the stem of its log file.
    pub at: String,
    /// By whom, as `user@host`.
    pub by: String,
    /// Which application.
    pub application: String,
    /// `deployment` or `rollback`.
    pub kind: String,
    /// The services that were brought up.
    pub services: Vec<String>,
    /// The images.
    pub images: Vec<EntryImage>,
    /// How it ended: [`Entry::DONE`], `rolled back`, `failed`, or `interrupted`; not told in entries of earlier releases.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
}

impl Entry {
    /// The result of what was confirmed.
    pub const DONE: &str = "done";

    /// Returns its line in the history.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An image of an [`Entry`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryImage {
    /// Its ID.
    pub id: String,
    /// Its references.
    pub references: Vec<String>,
    /// The archive it came from, or the name it had in that computer's docker.
    pub archive: String,
}

impl Keeping {
    /// What there is to keep of a project, beside its files.
    pub fn of(application: &str, project: &Project, recreate: bool, containers: &[Container]) -> Self {
        let mut lines = vec![format!("project {}", project.name)];
        lines.push(match project.tool {
            ComposeTool::Hyphen(_) => "compose docker-compose".into(),
            ComposeTool::Plugin(_) => "compose docker compose".into(),
        });
        lines.push(format!("recreate {}", if recreate { "yes" } else { "no" }));
        lines.extend(project.files.iter().map(|file| line("file", file)));
        let mut running = BTreeSet::new();
        for container in containers {
            let Some(service) = &container.service else { continue };
            let runs = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
            if runs {
                running.insert(service.clone());
            }
            let runs = if runs { "running" } else { "stopped" };
            let Container { restart_policy, image, reference, .. } = container;
            lines.push(format!("service {service} {runs} {restart_policy} {image} {reference}"));
        }
        Self {
            application: application.into(),
            lines,
            running: running.into_iter().collect(),
            attempt: String::new(),
            differs: true,
        }
    }

    /// Adds the files that are replaced, and those that are new and go on the way back.
    pub fn add_files<'a>(&mut self, replaced: impl IntoIterator<Item = &'a str>, new: impl IntoIterator<Item = &'a str>) {
        self.lines.extend(replaced.into_iter().map(|path| line("keep", path)));
        self.lines.extend(new.into_iter().map(|path| line("new", path)));
    }

    fn has_files(&self) -> bool {
        self.lines.iter().any(|line| ["keep ", "new ", "made ", "mode "].iter().any(|key| line.starts_with(key)))
    }

    /// What it is, in a few words.
    pub fn says(&self) -> String {
        let files = self.lines.iter().filter(|line| line.starts_with("keep ")).count();
        let services = self.lines.iter().filter(|line| line.starts_with("service ")).count();
        format!("keep the version that runs, for the way back: {}, {}", count(services, "container"), count(files, "file"))
    }

    /// The lines as the device reads them, and the one that ends them.
    pub fn input(&self) -> Vec<u8> {
        (self.lines.join("\n") + "\nend\n").into_bytes()
    }
}

/// A key and a path, escaped as the scripts read it.
fn line(key: &str, path: &str) -> String {
    let escaped = path_lines([&path.to_owned()]);
    format!("{key} {}", String::from_utf8_lossy(&escaped).trim_end_matches('\n'))
}

impl Planner<'_> {
    /// What there is to keep when a project is brought up that is there already.
    /// `another` tells that other services or another compose file were brought up before.
    pub(super) fn keeping(&self, project: &Project, recreate: bool, another: bool, containers: &[Container]) -> Keeping {
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
        Keeping { differs, ..Keeping::of(&self.application, &project, recreate, containers) }
    }

    /// Whether the device has an update that was cut off.
    pub(super) fn is_pending(&self) -> bool {
        self.facts.paths.contains_key(&swap::state(&swap::pending(&self.application)))
    }

    /// Whether the device has a first deployment that was cut off: what runs of it is no version to go back to.
    pub(super) fn is_first_pending(&self) -> bool {
        self.facts.paths.contains_key(&swap::state(&swap::first(&self.application)))
    }

    /// Has the version that runs kept before anything of it is replaced. `before` is what is there now.
    pub(super) fn add_keeping(&mut self, before: &Facts) {
        let ups = self.plan.stages.iter().flat_map(|stage| &stage.actions);
        let Some(mut keeping) = ups.into_iter().find_map(|action| match action {
            Action::Up(Bringing { keeping: Some(keeping), .. }) => Some(keeping.clone()),
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
            keeping.lines.extend(made.map(|(path, _)| line("made", path)));
            let changed = sending.modes.iter().filter_map(|(path, mode)| Some((path, before.paths.get(path)?.mode, *mode)));
            let changed = changed.filter(|(_, before, mode)| before != mode);
            keeping.lines.extend(changed.map(|(path, before, _)| line(&format!("mode {before:o}"), path)));
        }
        for action in self.plan.stages.iter().flat_map(|stage| &stage.actions) {
            match action {
                Action::WriteSecret(writing) => {
                    keeping.lines.push(line(if writing.new { "new" } else { "keep" }, &writing.path));
                    let directory = writing.path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    let made = line("made", directory);
                    if !before.paths.contains_key(directory) && !keeping.lines.contains(&made) {
                        keeping.lines.push(made);
                    }
                }
                Action::RemoveFile(path) => keeping.lines.push(line("keep", path)),
                _ => {}
            }
        }
        if !keeping.differs && !keeping.has_files() {
            // It would be the way back to the same.
            for action in self.plan.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
                if let Action::Up(bringing) = action {
                    bringing.keeping = None;
                }
            }
            return;
        }
        keeping.lines.extend(self.autostart_lines(before));
        let at = self
            .plan
            .stages
            .iter_mut()
            .find(|stage| stage.stage > Stage::MountUsb && stage.actions.iter().any(Action::changes_device));
        if let Some(stage) = at {
            stage.actions.insert(0, Action::Keep(keeping));
        }
    }

    /// How what this deployment enables and disables starts now.
    fn autostart_lines(&self, before: &Facts) -> Vec<String> {
        let wanted = &self.wanted.autostart;
        let services: Vec<_> = wanted.enable.iter().map(|entry| &entry.service).chain(&wanted.disable).collect();
        let state = |enabled: bool| if enabled { "enabled" } else { "disabled" };
        let mut lines = Vec::new();
        match before.autostart {
            AutostartModel::Single { enabled } if !services.is_empty() => {
                lines.push(format!("unit oem-dc-autostart.service {}", state(enabled)));
            }
            AutostartModel::Template => {
                for service in services {
                    let fact = before.services.get(service).cloned().unwrap_or_default();
                    lines.push(format!("unit oem-dc@{service}.service {}", state(fact.enabled)));
                    let (place, file) =
                        (format!("{COMPOSE_HOME}/{service}"), format!("{COMPOSE_HOME}/{service}/docker-compose.yml"));
                    match (&fact.directory_link, &fact.file_link) {
                        (Some(target), _) => lines.extend([line("link", &place), line("link", &format!("to {target}"))]),
                        (None, Some(target)) => lines.extend([line("link", &file), line("link", &format!("to {target}"))]),
                        (None, None) if !fact.own_file => lines.extend([line("nolink", &file), line("nolink", &place)]),
                        (None, None) => {}
                    }
                }
            }
            AutostartModel::Single { .. } | AutostartModel::None => {}
        }
        lines
    }

    /// What the history is told of this deployment.
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
        let command = swap::note(&self.application, &Entry { result: Entry::DONE.into(), ..self.entry(&[]) }.line());
        let images = self.plan.stages.iter_mut().find(|stage| stage.stage == Stage::Image && !stage.actions.is_empty());
        if let Some(stage) = images {
            stage.actions.push(Action::Run(command));
        }
    }
}
