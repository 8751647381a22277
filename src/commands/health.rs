//! Commands that ask docker's events how containers were.

use crate::command::Command;

/// Prints the exit code of a container's last end, as far as docker remembers.
pub fn last_exit_code(container: &str) -> Command {
    Command::script(include_str!("scripts/last_exit_code.sh")).waits_for_docker().arg(container)
}

/// Prints the IDs of a project's containers that became unhealthy within the last `seconds`, a line each.
pub fn unhealthy_since(project: &str, seconds: u64) -> Command {
    Command::script(include_str!("scripts/unhealthy_since.sh")).waits_for_docker().arg(project).arg(seconds.to_string())
}
