//! Plans which applications start automatically, in both models of autostart.

use super::{Action, PlanError, Planner};
use crate::{
    commands::systemd::{self, ServiceLink},
    compose::project_name,
    config::{AutostartService, ComposeFiles, RemotePath},
    facts::{AutostartModel, ServiceFact},
    stage::Stage,
};

impl Planner<'_> {
    pub(super) fn autostart(&mut self) -> Result<(), PlanError> {
        let wanted = &self.wanted.autostart;
        if wanted.enable.is_empty() && wanted.disable.is_empty() {
            return Ok(());
        }
        let (mut actions, mut says) = (Vec::new(), Vec::new());
        for service in &wanted.disable {
            let action = match self.facts.autostart {
                AutostartModel::None => return Err(PlanError::NoAutostart),
                AutostartModel::Template => self.disable_template(service),
                AutostartModel::Single { .. } => self.disable_single(service),
            };
            if let Some(action) = action {
                says.push(format!("disable {service}"));
                actions.push(action);
            }
        }
        for entry in &wanted.enable {
            let (file, link) = self.started_file(entry)?;
            let action = match self.facts.autostart {
                AutostartModel::None => return Err(PlanError::NoAutostart),
                AutostartModel::Template => self.enable_template(entry, file, link)?,
                AutostartModel::Single { enabled } => self.enable_single(entry, file, enabled),
            };
            if let Some(action) = action {
                says.push(format!("enable {}", entry.service));
                actions.push(action);
            }
        }
        let says = if says.is_empty() { "set already".to_owned() } else { says.join(", ") };
        self.add(Stage::Autostart, says, actions);
        Ok(())
    }

    /// Returns the compose file that a service of autostart starts, and the link by which it is found. What starts at boot
    /// has to be the project that is brought up: else there would be two, and the names of their containers would clash.
    fn started_file(&self, entry: &AutostartService) -> Result<(Option<RemotePath>, ServiceLink), PlanError> {
        let own = self.compose_path();
        let named = entry.file.clone().or_else(|| own.clone());
        let Some(file) = named else { return Ok((None, ServiceLink::Directory)) };
        let usual = matches!(file.name(), "docker-compose.yml" | "docker-compose.yaml");
        let link = if usual { ServiceLink::Directory } else { ServiceLink::File };
        let (Some(own), Some(compose), Some(project)) = (own, &self.wanted.compose, self.project()) else {
            return Ok((Some(file), link));
        };
        let is_own = file == own;
        let digest = |path: &RemotePath| self.facts.paths.get(path.as_str()).and_then(|fact| fact.sha256.as_ref());
        let is_copy = !is_own && digest(&file).is_some() && digest(&file) == digest(&own);
        let at_boot = match link {
            ServiceLink::Directory => project_name(file.parent().name()),
            ServiceLink::File => project_name(&entry.service),
        };
        match &compose.files {
            // Its `.env` names the files and the project.
            ComposeFiles::Here { .. } if is_own || is_copy => return Ok((Some(own), ServiceLink::Directory)),
            ComposeFiles::OnDevice(_) if is_own && at_boot == project => return Ok((Some(file), link)),
            ComposeFiles::OnDevice(_) if is_copy => {
                return self.started_file(&AutostartService { file: None, ..entry.clone() });
            }
            _ => {}
        }
        // Another application may start by itself, too: one that is not this one.
        let services = self.model().map(|model| model.services.contains_key(&entry.service)).unwrap_or_default();
        let is_another = !is_own && !services && entry.service != self.application && project_name(&entry.service) != project;
        if is_another && at_boot != project {
            return Ok((Some(file), link));
        }
        let how = "at the next boot both would want the same containers".to_owned();
        Err(PlanError::OtherProject { file: file.to_string(), at_boot, project, how })
    }

    fn enable_template(
        &self,
        entry: &AutostartService,
        file: Option<RemotePath>,
        link: ServiceLink,
    ) -> Result<Option<Action>, PlanError> {
        let file = file.ok_or_else(|| PlanError::NoComposeFile { service: entry.service.clone() })?;
        let fact = self.facts.services.get(&entry.service).cloned().unwrap_or_default();
        if fact.own_file {
            return Err(PlanError::Conflict {
                what: format!("`{}/{}/docker-compose.yml`", systemd::COMPOSE_HOME, entry.service),
                how: "it is a file of its own and no link".into(),
                hint: "remove it first with `--items_to_cleanup`, or choose another service name".into(),
            });
        }
        if !self.facts.paths.contains_key(file.as_str()) {
            return Err(PlanError::Missing { path: file.to_string() });
        }
        let right = fact.enabled && links_to(&fact, &file, link);
        Ok((!right).then(|| Action::Run(systemd::enable_service(&entry.service, file.as_str(), link))))
    }

    fn disable_template(&self, service: &str) -> Option<Action> {
        let fact = self.facts.services.get(service);
        let directory = fact.and_then(|fact| fact.directory_link.as_deref()).unwrap_or(service);
        let project = project_name(directory.rsplit('/').next().unwrap_or(directory));
        let comes_back = self.docker().project(&project).any(|container| container.restart_policy != "no");
        let right = fact.is_none_or(|fact| !fact.enabled) && !comes_back && !self.brings_up(&project);
        (!right).then(|| Action::Run(systemd::disable_service(service, &project)))
    }

    fn enable_single(&self, entry: &AutostartService, file: Option<RemotePath>, enabled: bool) -> Option<Action> {
        let is_own = file.is_some() && file == self.compose_path();
        let own = self.project().filter(|_| is_own);
        let named = || file.map_or_else(|| entry.service.clone(), |file| project_name(file.parent().name()));
        let project = own.unwrap_or_else(named);
        let mut containers = self.docker().project(&project).peekable();
        let comes_back = |policy: &str| matches!(policy, "always" | "unless-stopped");
        let right = enabled && containers.peek().is_some() && containers.all(|container| comes_back(&container.restart_policy));
        (!right || self.brings_up(&project)).then(|| Action::Run(systemd::enable_single(&project)))
    }

    fn disable_single(&self, service: &str) -> Option<Action> {
        let of_service =
            |container: &&crate::facts::Container| container.name == service || container.project.as_deref() == Some(service);
        let comes_back = self.docker().containers.iter().filter(of_service).any(|container| container.restart_policy != "no");
        (comes_back || self.brings_up(service)).then(|| Action::Run(systemd::disable_single(service)))
    }
}

/// Returns whether a service's directory link or file link leads to its compose file.
fn links_to(fact: &ServiceFact, file: &RemotePath, link: ServiceLink) -> bool {
    match link {
        ServiceLink::Directory => fact.directory_link.as_deref() == Some(file.parent().as_str()),
        ServiceLink::File => fact.file_link.as_deref() == Some(file.as_str()),
    }
}
