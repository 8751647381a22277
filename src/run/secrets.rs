//! Secrets: compared with what is there and written, by way of standard input alone, so that no word of a command holds them.

use std::collections::BTreeMap;

use super::Runner;
use crate::{
    commands::files,
    config::RemotePath,
    facts::{Facts, SecretThere},
    failure::Failure,
    plan::WritingSecret,
    remote::{Exit, Input, Remote, RemoteError},
    report::Event,
    stage::Stage,
};

/// Looks what there is of each secret that is wanted on this computer, where `paths` says.
///
/// # Errors
/// The device cannot be asked.
pub async fn look_for_secrets(
    remote: &impl Remote,
    paths: &BTreeMap<&String, RemotePath>,
    facts: &mut Facts,
) -> Result<(), RemoteError> {
    for (name, content) in &facts.here.secrets {
        let Some(path) = paths.get(name) else { continue };
        let answer = remote.run(&files::compare_secret(path.as_str()), Input::Bytes(content.expose().into())).await?;
        let there = match answer.exit {
            Exit::Code(0) => SecretThere::Same,
            Exit::Code(4) => SecretThere::None,
            _ => SecretThere::Other,
        };
        facts.secrets.insert(path.to_string(), there);
    }
    Ok(())
}

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn write_secret(&mut self, stage: Stage, writing: &WritingSecret) -> Result<(), Failure> {
        let command = files::write_secret(&writing.path, writing.content.expose().len());
        self.report.event(&Event::Step { stage, says: command.shown() });
        self.remote.run(&command, Input::Bytes(writing.content.expose().into())).await?.success(&command)?;
        Ok(())
    }
}
