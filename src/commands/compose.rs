//! Commands to docker-compose, however it is called there.

use super::systemd;
use crate::{command::Command, facts::ComposeTool};

/// A compose project on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The compose tool of the device.
    pub tool: ComposeTool,
    /// The project's name.
    pub name: String,
    /// The directory of the project: it contains the `.env`, and relative paths start there.
    pub directory: String,
    /// Paths of the compose files, the first the base of the others.
    pub files: Vec<String>,
}

impl Project {
    fn command(&self) -> Command {
        let base = match self.tool {
            ComposeTool::Hyphen(_) => Command::new("docker-compose"),
            ComposeTool::Plugin(_) => Command::new("docker").arg("compose"),
        };
        let base = base.waits_for_docker().arg("--project-name").arg(&self.name);
        let base = base.arg("--project-directory").arg(&self.directory);
        self.files.iter().fold(base, |command, file| command.arg("--file").arg(file))
    }

    /// Brings services up, all when none is named, and removes containers of services that are gone. With `recreate` also
    /// those that docker-compose takes for up to date: a changed file in a bind mount is not seen by it.
    pub fn up(&self, services: &[String], recreate: bool) -> Command {
        let command = self.command().args(["up", "--detach", "--no-build"]);
        let command = if recreate { command.arg("--force-recreate") } else { command };
        let command = if services.is_empty() { command.arg("--remove-orphans") } else { command };
        command.args(services)
    }

    /// Has systemd let go of its containers, before they change.
    pub fn release(&self) -> Command {
        systemd::release(&self.name, self.files.first().map_or("", String::as_str))
    }

    /// Removes the project's containers and networks.
    pub fn down(&self) -> Command {
        self.command().args(["down", "--remove-orphans"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_bring_the_same_project_up() {
        let mut project = Project {
            tool: ComposeTool::Hyphen("1.29.2".into()),
            name: "app".into(),
            directory: "/home/oem/app".into(),
            files: vec!["/home/oem/app/docker-compose.yml".into(), "/home/oem/app/my gpu.yml".into()],
        };
        assert_eq!(
            project.up(&[], false).line(),
            "docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml --file '/home/oem/app/my gpu.yml' \
             up --detach --no-build --remove-orphans"
        );
        project.tool = ComposeTool::Plugin("2.20.0".into());
        project.files.truncate(1);
        assert_eq!(
            project.up(&["web".into()], true).line(),
            "docker compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build \
             --force-recreate web"
        );
        assert_eq!(
            project.down().line(),
            "docker compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml down --remove-orphans"
        );
    }
}
