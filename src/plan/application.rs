//! The application itself: the compose project, what it needs on the device, and whose output is shown.

use std::collections::BTreeMap;

use super::{Action, Attaching, Bringing, PlanError, Planner, Sending, Settling, WritingSecret, transfers::sending};
use crate::{
    commands::compose::Project,
    compose::{ComposeFile, project_name},
    config::{Compose, ComposeFiles, Deployment, ImageSource, RemotePath},
    facts::{
        ComposeTool, Container, ContainerState, Health, SecretThere,
        gather::name_on_device,
        here::{Here, Source},
    },
    secret::Secret,
    stage::Stage,
};

/// The application's name: as given, or that of its compose project.
pub fn name(wanted: &Deployment) -> String {
    let project = || wanted.compose.as_ref().map(|compose| project_name(directory(&compose.files).name()));
    wanted.application.clone().or_else(project).filter(|name| !name.is_empty()).unwrap_or_else(|| "deployment".into())
}

/// The directory of the compose project on the device.
fn directory(files: &ComposeFiles) -> RemotePath {
    match files {
        ComposeFiles::Here { directory, .. } => directory.clone(),
        ComposeFiles::OnDevice(path) => path.parent(),
    }
}

/// The compose files' paths on the device.
fn paths(files: &ComposeFiles) -> Vec<RemotePath> {
    match files {
        ComposeFiles::Here { files, directory } => {
            (0..files.len()).map(|index| directory.join(&name_on_device(index))).collect()
        }
        ComposeFiles::OnDevice(path) => vec![path.clone()],
    }
}

/// What docker-compose reads by itself in a project's directory.
fn paths_below(directory: &RemotePath) -> Vec<RemotePath> {
    [".env", "docker-compose.yml", "docker-compose.override.yml"].iter().map(|name| directory.join(name)).collect()
}

/// What the compose stage sends.
pub struct Sent<'a> {
    /// Where it goes.
    pub directory: &'a RemotePath,
    /// Each file or tree, by its path below that.
    pub sources: &'a BTreeMap<String, Source>,
}

/// What the compose stage sends, if it sends anything.
pub fn sent<'a>(wanted: &'a Deployment, here: &'a Here) -> Option<Sent<'a>> {
    match wanted.compose.as_ref().map(|compose| &compose.files) {
        Some(ComposeFiles::Here { directory, .. }) => {
            here.compose.as_ref().map(|compose| Sent { directory, sources: &compose.sources })
        }
        _ => None,
    }
}

/// Where each secret goes, by its name.
pub fn secret_paths(wanted: &Deployment) -> BTreeMap<&String, RemotePath> {
    let directory = wanted.compose.as_ref().map(|compose| directory(&compose.files).join("secrets"));
    wanted.secrets.keys().filter_map(|name| Some((name, directory.as_ref()?.join(name)))).collect()
}

/// The first version of docker-compose that takes a file without `version:`.
const VERSION_OPTIONAL: (u32, u32) = (1, 27);

impl Planner<'_> {
    pub(super) fn compose(&mut self) -> Result<(), PlanError> {
        let Some(compose) = self.wanted.compose.as_ref() else { return Ok(()) };
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        let tool = self.facts.compose.clone().ok_or(PlanError::NoCompose)?;
        let (file, digest) = self.compose_file(compose)?;
        check_version(&tool, &file)?;
        let services = expected_services(compose, &file)?;
        self.check_named()?;
        let mut sending = self.compose_sending()?;
        sending.clear(&self.facts);
        let project = project_name(directory(&compose.files).name());
        self.check_container_names(&project, &file, &services)?;
        let digest = format!("{digest} {}", services.join(" "));
        let containers: Vec<_> = self.docker().project(&project).cloned().collect();
        let secrets = self.secrets_to_write();
        // An update that was cut off: it is carried on to its end, or its guard puts the version before back. Whether its
        // containers have what it had sent, nobody knows.
        let pending = self.is_pending();
        let recreate = !containers.is_empty()
            && (pending || !secrets.is_empty() || self.replaces_bound_files(&sending, &file, &directory(&compose.files)));
        let settled = services.iter().all(|service| self.runs(&containers, service, &file, completes(compose, &file, service)));
        let up = self.facts.records.get(&self.application).and_then(|record| record.up.as_ref());
        let (recorded, another) = (up == Some(&digest), up.is_some_and(|up| *up != digest));
        if sending.is_empty() && secrets.is_empty() && !recreate && !pending && settled && recorded {
            self.add(Stage::Compose, format!("{} up as wanted", services.join(", ")), Vec::new());
            return Ok(());
        }
        self.warn_of_missing_images(&file, &services);
        let mut actions = Vec::new();
        if !sending.is_empty() {
            self.expect_sent(&sending);
            actions.push(Action::Send(sending));
        }
        actions.extend(secrets);
        let files = paths(&compose.files).iter().map(ToString::to_string).collect();
        let bringing = Project { tool, name: project.clone(), files };
        let keeping = (!containers.is_empty()).then(|| self.keeping(&bringing, recreate, another, &containers));
        let entry = self.entry(&services);
        self.remember(|record| {
            record.projects.insert(project.clone());
            record.up = Some(digest);
        });
        let record = self.facts.records.get(&self.application).cloned().unwrap_or_default();
        let record = serde_json::to_string(&record).unwrap_or_default();
        let settling = Settling { application: self.application.clone(), record, entry };
        actions.push(Action::Up(Bringing {
            project: bringing,
            services: compose.services.clone(),
            completing: services.iter().filter(|name| completes(compose, &file, name)).cloned().collect(),
            expected: services.clone(),
            wait: compose.wait,
            settle: compose.settle,
            recreate,
            fresh: containers.is_empty(),
            keeping,
            settling,
        }));
        self.add(Stage::Compose, format!("bring {} up", services.join(", ")), actions);
        Ok(())
    }

    pub(super) fn compose_file(&self, compose: &Compose) -> Result<(ComposeFile, String), PlanError> {
        let (file, digest) = match (&self.facts.here.compose, &compose.files) {
            (Some(local), _) => (local.file.clone(), local.digest.clone()),
            (None, ComposeFiles::OnDevice(path)) => {
                let text = self.facts.texts.get(path.as_str()).ok_or_else(|| PlanError::Missing { path: path.to_string() })?;
                let file = ComposeFile::parse(text)
                    .map_err(|error| PlanError::ComposeFile { file: path.to_string(), reason: error.to_string() })?;
                (file, text_digest(text))
            }
            (None, ComposeFiles::Here { .. }) => (ComposeFile::default(), String::new()),
        };
        if let (ComposeFiles::Here { .. }, Some(path)) =
            (&compose.files, file.references.iter().find(|path| path.split('/').any(|part| part == "..")))
        {
            return Err(PlanError::Outside { path: path.clone() });
        }
        Ok((file, digest))
    }

    /// The secrets of which the device has others, or none.
    fn secrets_to_write(&self) -> Vec<Action> {
        let paths = secret_paths(self.wanted);
        let wanted = self.facts.here.secrets.iter().filter_map(|(name, content)| Some((paths.get(name)?.to_string(), content)));
        let there = |path: &String| self.facts.secrets.get(path).copied().unwrap_or(SecretThere::None);
        let missing = wanted.filter(|(path, _)| there(path) != SecretThere::Same);
        let write = |(path, content): (String, &Secret)| {
            let new = there(&path) == SecretThere::None;
            Action::WriteSecret(WritingSecret { path, content: content.clone(), new })
        };
        missing.map(write).collect()
    }

    fn compose_sending(&self) -> Result<Sending, PlanError> {
        let mut all = Sending::default();
        if let Some(sent) = sent(self.wanted, &self.facts.here) {
            for (name, source) in sent.sources {
                all.merge(sending(source, &sent.directory.join(name), &self.facts)?);
            }
        }
        Ok(all)
    }

    /// Whether this plan sends files that containers have bound: they go on seeing the old ones until they are made anew, and
    /// docker-compose does not look at them. What changes in the compose files themselves it sees by itself.
    fn replaces_bound_files(&self, sending: &Sending, file: &ComposeFile, directory: &RemotePath) -> bool {
        let parts: Vec<_> = file.references.difference(&file.extends).map(|name| directory.join(name)).collect();
        let binds: Vec<_> = file.binds.iter().filter_map(|path| RemotePath::new(path).ok()).collect();
        let own = paths_below(directory);
        let is_bound =
            |path: &RemotePath| (parts.iter().any(|part| path.is_within(part)) && !own.contains(path)) || binds.contains(path);
        let earlier = self.plan.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| match action {
            Action::Send(sending) => Some(sending),
            _ => None,
        });
        earlier.chain([sending]).flat_map(|sending| &sending.files).any(|file| is_bound(&file.remote))
    }

    /// A container's name can be had once: another's container of that name would make docker-compose fail half-way.
    fn check_container_names(&self, project: &str, file: &ComposeFile, services: &[String]) -> Result<(), PlanError> {
        let names = services.iter().filter_map(|service| file.services.get(service)?.container_name.as_ref());
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

    fn runs(&self, containers: &[Container], service: &str, file: &ComposeFile, completes: bool) -> bool {
        let wanted = file.services.get(service);
        let image = wanted.and_then(|wanted| wanted.image.as_deref()).map(super::engine::with_tag);
        let mut of_service = containers.iter().filter(|container| container.service.as_deref() == Some(service)).peekable();
        of_service.peek().is_some()
            && of_service.all(|container| {
                let completed = completes && container.exit_code == 0;
                let state = match container.state {
                    ContainerState::Running => matches!(container.health, None | Some(Health::Healthy)),
                    ContainerState::Exited => completed,
                    _ => false,
                };
                let id = image.as_ref().and_then(|image| self.docker().image(image)).map(|image| &image.id);
                state && id.is_none_or(|id| *id == container.image)
            })
    }

    fn warn_of_missing_images(&mut self, file: &ComposeFile, services: &[String]) {
        // What an archive on the device is called is only known once it is loaded.
        if self.wanted.image.iter().any(|image| image.name.is_none() && matches!(image.source, ImageSource::OnDevice(_))) {
            return;
        }
        let images = services.iter().filter_map(|service| file.services.get(service)?.image.as_deref());
        let missing = images.map(super::engine::with_tag).filter(|image| self.docker().image(image).is_none());
        let warnings: Vec<_> =
            missing.map(|image| format!("image `{image}` is not on the device: its docker will try to pull it")).collect();
        self.plan.warnings.extend(warnings);
    }

    /// The compose file on the device that belongs to this deployment.
    pub(super) fn compose_path(&self) -> Option<RemotePath> {
        self.wanted.compose.as_ref().and_then(|compose| paths(&compose.files).into_iter().next())
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
        self.add(Stage::Attach, says, vec![Action::Attach(Attaching { wanted, clock: self.facts.clock })]);
        Ok(())
    }
}

fn text_digest(text: &str) -> String {
    use sha2::Digest;
    crate::facts::here::hexadecimal(&sha2::Sha256::digest(text))
}

fn check_version(tool: &ComposeTool, file: &ComposeFile) -> Result<(), PlanError> {
    let ComposeTool::Hyphen(version) = tool else { return Ok(()) };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let version_pair = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if file.version.is_none() && version_pair < VERSION_OPTIONAL {
        return Err(PlanError::ComposeVersion { version: version.clone() });
    }
    Ok(())
}

/// Whether a service may end with exit code 0: the file of the deployment says so, or another service waits for that.
fn completes(compose: &Compose, file: &ComposeFile, service: &str) -> bool {
    compose.completes.iter().any(|name| name == service) || file.services.get(service).is_some_and(|known| known.completes)
}

/// The services that have to run: those named, or all.
fn expected_services(compose: &Compose, file: &ComposeFile) -> Result<Vec<String>, PlanError> {
    file.has(&compose.services)?;
    file.has(&compose.completes)?;
    if !compose.services.is_empty() {
        return Ok(compose.services.clone());
    }
    let running = file.services.iter().filter(|(_, service)| !service.has_profiles);
    Ok(running.map(|(name, _)| name.clone()).collect())
}
