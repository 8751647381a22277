//! Commands to the user's systemd: what starts by itself.

use crate::command::Command;

/// The directory in which the template model looks for the application of each service.
pub const COMPOSE_HOME: &str = "/usr/share/oem/docker/compose";

/// Link by which `oem-dc@<service>` finds its application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceLink {
    /// The directory of the service is a link to that of the project.
    Directory,
    /// The `docker-compose.yml` in its directory is a link to the compose file.
    File,
}

/// Lets `oem-dc@<service>` find its compose file, enables it, and reads both back.
pub fn enable_service(service: &str, file: &str, link: ServiceLink) -> Command {
    let link = match link {
        ServiceLink::Directory => "directory",
        ServiceLink::File => "file",
    };
    let command = Command::script(include_str!("scripts/enable_service.sh")).waits_for_docker();
    command.arg(service).arg(file).arg(COMPOSE_HOME).arg(link)
}

/// Disables `oem-dc@<service>`, keeps the containers of its project from coming back by their restart policy, and reads both
/// back.
pub fn disable_service(service: &str, project: &str) -> Command {
    Command::script(include_str!("scripts/disable_service.sh")).waits_for_docker().arg(service).arg(project)
}

/// Enables the one unit that starts docker, and has the project's containers come back with it.
pub fn enable_single(project: &str) -> Command {
    Command::script(include_str!("scripts/enable_single.sh")).waits_for_docker().arg(project)
}

/// Keeps the containers of a project, or a container of that name, from coming back.
pub fn disable_single(project: &str) -> Command {
    Command::script(include_str!("scripts/disable_single.sh")).waits_for_docker().arg(project)
}

/// Ends the unit that follows the containers of a project, without ending them: when the containers are replaced, it would stop the
/// new ones.
pub fn release(project: &str, file: &str) -> Command {
    Command::script(concat!(include_str!("scripts/release.sh"), include_str!("../release/scripts/stop_competing_writers.sh")))
        .waits_for_docker()
        .arg(project)
        .arg(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_shown_by_what_they_do() {
        assert_eq!(
            enable_service("app", "/home/oem/app/docker-compose.yml", ServiceLink::Directory).shown(),
            "sh -c '# enables a service and links its compose file…' sh app /home/oem/app/docker-compose.yml \
             /usr/share/oem/docker/compose directory"
        );
        assert_eq!(disable_service("app", "my_app").shown(), "sh -c '# disables a service…' sh app my_app");
        assert_eq!(enable_single("app").shown(), "sh -c '# has containers come back with docker…' sh app");
        assert_eq!(disable_single("app").shown(), "sh -c '# keeps containers from coming back…' sh app");
    }
}
