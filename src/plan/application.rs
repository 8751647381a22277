//! The application itself: the compose project, what it needs on the device, and whose output is shown.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Commit, ComposeUp, FollowContainer, KeepVersion, PlanError, Planner, Upload, WriteSecretFile, transfers::sending,
};
use crate::{
    commands::compose::Project,
    compose::{Model, project_name},
    config::{Compose, ComposeFiles, Deployment, ImageSource, RemotePath},
    facts::{
        Container, ContainerState, Health, SecretThere,
        compose::LocalCompose,
        here::{LocalState, Source},
    },
    release::Entry,
    secret::Secret,
    stage::Stage,
};

/// Returns the name of the application: the given one, or that of its compose project.
pub fn name(wanted: &Deployment) -> String {
    let project = || wanted.compose.as_ref().map(|compose| project_name(directory(&compose.files).name()));
    wanted.application.clone().or_else(project).filter(|name| !name.is_empty()).unwrap_or_else(|| "deployment".into())
}

/// Returns the name of the compose project; empty where there is none.
pub fn project(wanted: &Deployment) -> String {
    wanted.compose.as_ref().map(|compose| project_name(directory(&compose.files).name())).unwrap_or_default()
}

/// Returns the directory of the compose project on the device.
fn directory(files: &ComposeFiles) -> RemotePath {
    match files {
        ComposeFiles::Here { directory, .. } => directory.clone(),
        ComposeFiles::OnDevice(path) => path.parent(),
    }
}

/// Returns the directory of the project itself on the device: that of its first compose file.
fn project_directory(files: &ComposeFiles, here: &LocalState) -> RemotePath {
    let below = here.compose.as_ref().map(|compose| compose.below.as_str()).unwrap_or_default();
    directory(files).join(below)
}

/// Returns the compose files' paths on the device.
fn paths(files: &ComposeFiles, here: &LocalState) -> Vec<String> {
    match files {
        ComposeFiles::Here { .. } => {
            let directory = project_directory(files, here).as_str().to_owned();
            let names = here.compose.iter().flat_map(LocalCompose::file_names);
            names.map(|name| resolve(&directory, &name)).collect()
        }
        ComposeFiles::OnDevice(path) => vec![path.as_str().to_owned()],
    }
}

/// Returns a path below a directory, with leading `..` resolved.
fn resolve(directory: &str, name: &str) -> String {
    let (mut directory, mut name) = (directory, name);
    while let Some(rest) = name.strip_prefix("../") {
        directory = directory.rsplit_once('/').map_or("", |(above, _)| above);
        name = rest;
    }
    format!("{directory}/{name}")
}

/// Files that docker-compose reads automatically in a project's directory, whoever put them there.
const READ_BY_ITSELF: [&str; 2] = [".env", "docker-compose.override.yml"];

/// Returns the files on the device that docker-compose would read automatically, if they are not part of the deployment.
pub fn read_by_itself(wanted: &Deployment, here: &LocalState) -> Vec<RemotePath> {
    match wanted.compose.as_ref().map(|compose| &compose.files) {
        Some(files @ ComposeFiles::Here { .. }) => {
            READ_BY_ITSELF.iter().map(|name| project_directory(files, here).join(name)).collect()
        }
        _ => Vec::new(),
    }
}

/// The files that the compose stage sends.
pub struct Sent<'a> {
    /// The directory on the device into which they are sent.
    pub directory: &'a RemotePath,
    /// Each file or tree, by its path below that.
    pub sources: &'a BTreeMap<String, Source>,
}

/// Returns the files that the compose stage sends; `None` when it sends nothing.
pub fn sent<'a>(wanted: &'a Deployment, here: &'a LocalState) -> Option<Sent<'a>> {
    match wanted.compose.as_ref().map(|compose| &compose.files) {
        Some(ComposeFiles::Here { directory, .. }) => {
            here.compose.as_ref().map(|compose| Sent { directory, sources: &compose.sources })
        }
        _ => None,
    }
}

/// Returns the path of each secret on the device, by its name.
pub fn secret_paths(wanted: &Deployment) -> BTreeMap<&String, RemotePath> {
    let directory = wanted.compose.as_ref().map(|compose| directory(&compose.files).join("secrets"));
    wanted.secrets.keys().filter_map(|name| Some((name, directory.as_ref()?.join(name)))).collect()
}

impl Planner<'_> {
    pub(super) fn compose(&mut self) -> Result<(), PlanError> {
        let Some(compose) = self.wanted.compose.as_ref() else { return Ok(()) };
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        let tool = self.facts.compose.clone().ok_or(PlanError::NoCompose)?;
        let (model, services) = self.understood(compose)?;
        self.check_named()?;
        let mut sending = self.compose_sending()?;
        sending.keep_modes();
        self.plan.warnings.append(&mut sending.warnings);
        sending.clear(&self.facts);
        let project = self.project().unwrap_or_default();
        self.check_container_names(&project, &model, &services)?;
        self.check_builds(&model, &services)?;
        let digest = self.digest(&model, &services);
        let containers: Vec<_> = self.docker().project(&project).cloned().collect();
        let secrets = self.secrets_to_write();
        let removed = self.files_to_remove();
        // An update that was cut off: it is carried on to its end, or its guard puts the version before back. Whether its
        // containers have what it had sent, nobody knows.
        let is_first = containers.is_empty() || self.is_first_pending();
        let pending = self.is_pending() || self.is_first_pending();
        let project_directory = project_directory(&compose.files, &self.facts.here);
        let recreate =
            !containers.is_empty() && (pending || !secrets.is_empty() || self.replaces_bound_files(&sending, &model));
        let settled =
            services.iter().all(|service| self.runs(&containers, service, &model, completes(compose, &model, service)));
        let up = self.facts.records.get(&self.application).and_then(|record| record.up.as_ref());
        let (recorded, another) = (up == Some(&digest), up.is_some_and(|up| *up != digest));
        let warnings = self.facts.here.compose.iter().filter_map(|compose| compose.answer.as_ref());
        let warnings: Vec<_> =
            warnings.flat_map(|answer| &answer.warnings).map(|line| format!("docker-compose: {line}")).collect();
        self.plan.warnings.extend(warnings);
        if sending.is_empty() && secrets.is_empty() && removed.is_empty() && !recreate && !pending && settled && recorded {
            self.add(Stage::Compose, format!("{} up to date", services.join(", ")), Vec::new());
            return Ok(());
        }
        self.warn_of_missing_images(&model, &services);
        let mut actions = Vec::new();
        if !sending.is_empty() {
            self.expect_sent(&sending);
            actions.push(Action::Send(sending));
        }
        actions.extend(removed.into_iter().map(Action::RemoveFile));
        actions.extend(secrets);
        let files = paths(&compose.files, &self.facts.here);
        let bringing = Project { tool, name: project.clone(), directory: project_directory.as_str().into(), files };
        let entry = self.entry(&services);
        let attempt = entry.line();
        let keeping = (!is_first)
            .then(|| KeepVersion { attempt: attempt.clone(), ..self.keeping(&bringing, recreate, another, &containers) });
        let entry = Entry { result: Entry::DONE.into(), ..entry }.line();
        self.remember(|record| {
            record.projects.insert(project.clone());
            record.up = Some(digest);
        });
        let record = self.facts.records.get(&self.application).cloned().unwrap_or_default();
        let record = serde_json::to_string(&record).unwrap_or_default();
        let stamp = self.wanted.stamp.as_ref().map(|file| (file.as_str().to_owned(), self.circumstances.stem.clone()));
        let settling = Commit { application: self.application.clone(), record, entry, attempt, stamp };
        actions.push(Action::Up(ComposeUp {
            project: bringing,
            services: compose.services.clone(),
            completing: services.iter().filter(|name| completes(compose, &model, name)).cloned().collect(),
            expected: services.clone(),
            wait: compose.wait,
            settle: compose.settle,
            recreate,
            fresh: is_first,
            keeping,
            settling: Box::new(settling),
        }));
        self.add(Stage::Compose, format!("bring {} up", services.join(", ")), actions);
        Ok(())
    }

    /// Returns the project as docker-compose on the device understands it, and the services that have to run.
    fn understood(&self, compose: &Compose) -> Result<(Model, Vec<String>), PlanError> {
        if let ComposeFiles::OnDevice(path) = &compose.files
            && !self.facts.paths.contains_key(path.as_str())
        {
            return Err(PlanError::Missing { path: path.to_string() });
        }
        let local = self.facts.here.compose.as_ref().ok_or(PlanError::NoCompose)?;
        let answer = local.answer.as_ref().ok_or(PlanError::NoCompose)?;
        let model = answer.project.clone().map_err(|lines| PlanError::ComposeRefused { tool: answer.tool.clone(), lines })?;
        let services = model.expected(&compose.services, &local.profiles())?;
        model.knows(&compose.completes)?;
        if services.is_empty() {
            return Err(PlanError::NoServices);
        }
        Ok((model, services))
    }

    /// Returns the name of the project that is brought up.
    pub(super) fn project(&self) -> Option<String> {
        self.wanted.compose.as_ref().map(|_| project(self.wanted))
    }

    /// Returns the project as far as it is known, for stages before this one.
    pub(super) fn model(&self) -> Option<&Model> {
        self.facts.here.compose.as_ref().and_then(LocalCompose::model)
    }

    /// Returns the digest of the project that is brought up.
    fn digest(&self, model: &Model, services: &[String]) -> String {
        let local = self.facts.here.compose.as_ref().map(|compose| compose.digest.as_str()).unwrap_or_default();
        let there = match self.wanted.compose.as_ref().map(|compose| &compose.files) {
            Some(ComposeFiles::OnDevice(path)) => self.facts.paths.get(path.as_str()).and_then(|fact| fact.sha256.clone()),
            _ => None,
        };
        let model = serde_json::to_string(model).unwrap_or_default();
        let digest = text_digest(&format!("{local} {} {model}", there.unwrap_or_default()));
        format!("{digest} {}", services.join(" "))
    }

    /// Refuses a build that nobody runs: docker-compose would fail late. An image under the name of the build will do.
    fn check_builds(&self, model: &Model, services: &[String]) -> Result<(), PlanError> {
        for service in services {
            let Some(known) = model.services.get(service).filter(|known| known.builds) else { continue };
            let image = known.image.clone().unwrap_or_default();
            if self.docker().image(&image).is_none() {
                return Err(PlanError::NothingBuilds { service: service.clone(), image });
            }
        }
        Ok(())
    }

    /// Returns the files beside the compose file that docker-compose would read and that are not part of the deployment.
    fn files_to_remove(&self) -> Vec<String> {
        let Some(sent) = sent(self.wanted, &self.facts.here) else { return Vec::new() };
        let sent: Vec<_> = sent.sources.keys().map(|name| sent.directory.join(name)).collect();
        let by_transfer = |path: &RemotePath| {
            let transfers = self.wanted.transfers.to_device.iter();
            transfers
                .filter_map(|transfer| {
                    let source = self.facts.here.sources.get(&transfer.local)?;
                    Some((source, super::transfers::destination(transfer, source, &self.facts)))
                })
                .any(|(source, destination)| match source {
                    Source::File(_) => destination == *path,
                    Source::Tree { files, .. } => files.keys().any(|name| destination.join(name) == *path),
                })
        };
        let in_tree = |path: &RemotePath| {
            self.facts.here.compose.iter().flat_map(|compose| &compose.sources).any(|(name, source)| match source {
                Source::Tree { files, .. } => {
                    let root = directory(&self.wanted.compose.as_ref().expect("the project is there").files).join(name);
                    files.keys().any(|name| root.join(name) == *path)
                }
                Source::File(_) => false,
            })
        };
        let there = read_by_itself(self.wanted, &self.facts.here).into_iter();
        there
            .filter(|path| self.facts.paths.contains_key(path.as_str()))
            .filter(|path| !sent.contains(path) && !by_transfer(path) && !in_tree(path))
            .map(|path| path.as_str().to_owned())
            .collect()
    }

    /// Returns the actions that write the secrets that the device does not have in their present value.
    fn secrets_to_write(&self) -> Vec<Action> {
        let paths = secret_paths(self.wanted);
        let wanted = self.facts.here.secrets.iter().filter_map(|(name, content)| Some((paths.get(name)?.to_string(), content)));
        let there = |path: &String| self.facts.secrets.get(path).copied().unwrap_or(SecretThere::None);
        let missing = wanted.filter(|(path, _)| there(path) != SecretThere::Same);
        let write = |(path, content): (String, &Secret)| {
            let new = there(&path) == SecretThere::None;
            Action::WriteSecret(WriteSecretFile { path, content: content.clone(), new })
        };
        missing.map(write).collect()
    }

    fn compose_sending(&self) -> Result<Upload, PlanError> {
        let mut all = Upload::default();
        if let Some(sent) = sent(self.wanted, &self.facts.here) {
            for (name, source) in sent.sources {
                all.merge(sending(source, &sent.directory.join(name), &self.facts)?);
            }
        }
        Ok(all)
    }

    /// Returns whether this plan sends files that containers have bound: containers see the old ones until they are
    /// recreated, and docker-compose does not look at them. Changes in compose and environment files are seen by
    /// docker-compose itself.
    fn replaces_bound_files(&self, sending: &Upload, model: &Model) -> bool {
        let (Some(compose), Some(local)) = (&self.wanted.compose, &self.facts.here.compose) else { return false };
        let top = directory(&compose.files);
        let binds: Vec<_> = model
            .binds()
            .filter_map(|bind| match (bind.of_project, &compose.files) {
                (true, ComposeFiles::Here { .. }) => Some(top.join(&local.name_of(bind))),
                (true, ComposeFiles::OnDevice(path)) => RemotePath::new(&resolve(path.parent().as_str(), &bind.source)).ok(),
                (false, _) => RemotePath::new(&bind.source).ok(),
            })
            .collect();
        let own: Vec<_> = paths(&compose.files, &self.facts.here)
            .into_iter()
            .chain(read_by_itself(self.wanted, &self.facts.here).iter().map(|path| path.as_str().to_owned()))
            .collect();
        let is_bound =
            |path: &RemotePath| binds.iter().any(|bind| path.is_within(bind)) && !own.iter().any(|own| own == path.as_str());
        let earlier = self.plan.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| match action {
            Action::Send(sending) => Some(sending),
            _ => None,
        });
        earlier.chain([sending]).flat_map(|sending| &sending.files).any(|file| is_bound(&file.remote))
    }

    /// Checks that no container of another project has the name of a wanted one, because docker-compose would fail
    /// half-way.
    fn check_container_names(&self, project: &str, model: &Model, services: &[String]) -> Result<(), PlanError> {
        let names = services.iter().filter_map(|service| model.services.get(service)?.container_name.as_ref());
        for name in names {
            let taken = self.docker().containers.iter().find(|container| container.name == *name);
            if let Some(other) = taken.filter(|container| container.project.as_deref() != Some(project)) {
                let whose = other.project.as_ref().map_or("no compose project".into(), |other| format!("project `{other}`"));
                return Err(PlanError::Conflict {
                    what: format!("container `{name}`"),
                    how: format!("it belongs to {whose} and not to `{project}`"),
                    hint: "remove it with `--remove_running_containers`, or give the service another `container_name`".into(),
                });
            }
        }
        Ok(())
    }

    /// Returns whether the containers of a service are known to match the wanted ones. A service about which something is
    /// unknown is brought up.
    fn runs(&self, containers: &[Container], service: &str, model: &Model, completes: bool) -> bool {
        let Some(wanted) = model.services.get(service) else { return false };
        let image = wanted.image.as_deref().and_then(|image| self.docker().image(image)).map(|image| &image.id);
        let of_service: Vec<_> = containers.iter().filter(|container| container.service.as_deref() == Some(service)).collect();
        let Some(image) = image else { return false };
        of_service.len() == wanted.replicas.unwrap_or(1)
            && of_service.iter().all(|container| {
                let completed = completes && container.exit_code == 0;
                let state = match container.state {
                    ContainerState::Running => matches!(container.health, None | Some(Health::Healthy)),
                    ContainerState::Exited => completed,
                    _ => false,
                };
                state && *image == container.image
            })
    }

    fn warn_of_missing_images(&mut self, model: &Model, services: &[String]) {
        // What an archive on the device is called is only known once it is loaded.
        if self.wanted.image.iter().any(|image| image.name.is_none() && matches!(image.source, ImageSource::OnDevice(_))) {
            return;
        }
        let images: BTreeSet<_> = services.iter().filter_map(|service| model.services.get(service)?.image.as_deref()).collect();
        let missing = images.into_iter().filter(|image| self.docker().image(image).is_none());
        let warnings: Vec<_> =
            missing.map(|image| format!("image `{image}` is not on the device: its docker will try to pull it")).collect();
        self.plan.warnings.extend(warnings);
    }

    /// Returns the compose file on the device that belongs to this deployment.
    pub(super) fn compose_path(&self) -> Option<RemotePath> {
        let first = self.wanted.compose.as_ref().and_then(|compose| paths(&compose.files, &self.facts.here).into_iter().next());
        first.and_then(|path| RemotePath::new(&path).ok())
    }

    pub(super) fn attach(&mut self) -> Result<(), PlanError> {
        let Some(wanted) = self.wanted.attach.clone() else { return Ok(()) };
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        let known: Vec<_> = self.docker().containers.iter().map(|container| container.name.clone()).collect();
        if self.wanted.compose.is_none() && !known.contains(&wanted.container) {
            return Err(PlanError::NoContainer { container: wanted.container, known: known.join(", ") });
        }
        let says = format!("show the output of `{}`", wanted.container);
        self.add(Stage::Attach, says, vec![Action::Attach(FollowContainer { wanted, clock: self.facts.clock })]);
        Ok(())
    }
}

fn text_digest(text: &str) -> String {
    use sha2::Digest;
    crate::facts::here::hexadecimal(&sha2::Sha256::digest(text))
}

/// Returns whether a service may end with exit code 0: the deployment's configuration allows it, or another service waits
/// for that.
fn completes(compose: &Compose, model: &Model, service: &str) -> bool {
    compose.completes.iter().any(|name| name == service) || model.services.get(service).is_some_and(|known| known.completes)
}
