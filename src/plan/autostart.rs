//! What starts by itself, in both models.

use super::{Action, PlanError, Planner};
use crate::{
    commands::systemd,
    compose::project_name,
    config::{AutostartService, RemotePath},
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
            let file = entry.file.clone().or_else(|| self.compose_path());
            let action = match self.facts.autostart {
                AutostartModel::None => return Err(PlanError::NoAutostart),
                AutostartModel::Template => self.enable_template(entry, file)?,
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

    fn enable_template(&self, entry: &AutostartService, file: Option<RemotePath>) -> Result<Option<Action>, PlanError> {
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
        let right = fact.enabled && links_to(&fact, &file);
        Ok((!right).then(|| Action::Run(systemd::enable_service(&entry.service, file.as_str()))))
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
        let project = file.map_or_else(|| entry.service.clone(), |file| project_name(file.parent().name()));
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

/// Whether a service's directory or file link leads to its compose file.
fn links_to(fact: &ServiceFact, file: &RemotePath) -> bool {
    match file.name() {
        "docker-compose.yml" | "docker-compose.yaml" => fact.directory_link.as_deref() == Some(file.parent().as_str()),
        _ => fact.file_link.as_deref() == Some(file.as_str()),
    }
}
