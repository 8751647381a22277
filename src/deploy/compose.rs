//! docker-compose's answer to the compose files: from the cache of this computer, or from the device.

use super::cache::Cache;
use crate::{
    config::Deployment,
    facts::{ComposeTool, compose::LocalCompose},
    failure::Failure,
    plan,
    remote::Remote,
    stage::Stage,
};

/// Sees to it that the project has the answer of `tool`, or of whichever docker-compose the device has where that is not known yet.
/// Returns whether it is another answer than before.
///
/// # Errors
/// The device could not be asked, or a file here that the answer names cannot be read.
pub(super) async fn understand(
    local: &mut LocalCompose,
    wanted: &Deployment,
    tool: Option<&ComposeTool>,
    remote: &impl Remote,
    cache: &Cache,
) -> Result<bool, Failure> {
    let Some(compose) = &wanted.compose else { return Ok(false) };
    let tool = tool.map(ComposeTool::to_string);
    let fits = |known: &str| tool.as_ref().is_none_or(|tool| tool == known);
    // What is on the device may have changed since; what is here has not.
    let is_whole = local.is_whole();
    if local.answer.as_ref().is_some_and(|answer| (is_whole || tool.is_some()) && fits(&answer.tool)) {
        return Ok(false);
    }
    let project = plan::project_name(wanted);
    let key = format!("{} {} {project}", local.digest, wanted.device.user);
    let cached = if is_whole { cache.answer(&key).filter(|answer| fits(&answer.tool)) } else { None };
    let answer = match cached {
        Some(answer) => answer,
        None => {
            let known = cache.compose_line(&wanted.device);
            let asked = local.ask(remote, &project, &known).await;
            let (answer, line) = asked.map_err(|error| Failure::from(error).in_stage(Stage::Compose))?;
            cache.keep_compose_line(&wanted.device, &line);
            if is_whole && answer.project.is_ok() {
                cache.keep_answer(&key, &answer);
            }
            answer
        }
    };
    let is_other = local.answer.as_ref() != Some(&answer);
    if is_other {
        local.take(answer, compose, &project).map_err(|error| Failure::from(error).in_stage(Stage::Compose))?;
    }
    Ok(is_other)
}
