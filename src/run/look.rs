//! Reads the state of a device's containers: their condition, their last output, and their exit codes.

use super::RunError;
use crate::{
    commands::{docker, health},
    facts::{Container, ContainerState},
    failure::Failure,
    remote::{Input, Remote, last_lines},
};

/// Number of the last lines of a container that are shown.
const LAST_LINES: u32 = 20;

/// Returns the containers of a project.
pub(super) async fn containers(remote: &impl Remote, project: &str) -> Result<Vec<Container>, Failure> {
    let command = docker::inspect_project(project);
    let json = remote.run(&command, Input::Empty).await?.success(&command)?;
    Ok(crate::facts::containers(&json).map_err(RunError::Answer)?)
}

/// Returns the last lines of a container's output; none when they cannot be had.
pub(super) async fn last_output(remote: &impl Remote, container: &str) -> Vec<String> {
    let output = remote.run(&docker::last_output(container, LAST_LINES), Input::Empty).await;
    output.map(|output| last_lines(&output.stdout, LAST_LINES as usize)).unwrap_or_default()
}

/// Makes the failure of a container that does not run or is not healthy. Of one that was `restarted`, docker's events tell the
/// exit code: its state has that of the run that goes on.
pub(super) async fn unhealthy(remote: &impl Remote, container: &Container, why: String, restarted: bool) -> RunError {
    let why = match restarted {
        true => match exit_code(remote, container).await {
            Some(code) => format!("{why} (last exit code {code})"),
            None => why,
        },
        false => why,
    };
    let last_lines = last_output(remote, &container.name).await;
    RunError::Unhealthy { container: container.name.clone(), why, check: container.check.clone(), last_lines }
}

async fn exit_code(remote: &impl Remote, container: &Container) -> Option<i64> {
    if container.state != ContainerState::Running {
        return Some(container.exit_code);
    }
    let output = remote.run(&health::last_exit_code(&container.id), Input::Empty).await.ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
