//! Secrets: compared with what is there and written, by way of standard input alone, so that no word of a command holds them.

use super::Runner;
use crate::{
    commands::files,
    facts::{Facts, SecretThere},
    failure::Failure,
    plan::WritingSecret,
    remote::{Exit, Input, Remote, RemoteError},
    report::Event,
    secret::Secret,
    stage::Stage,
};

/// Looks what there is of each secret that is wanted.
///
/// # Errors
/// The device cannot be asked.
pub async fn look_for_secrets(
    remote: &impl Remote,
    wanted: impl Iterator<Item = (String, Secret)>,
    facts: &mut Facts,
) -> Result<(), RemoteError> {
    for (path, content) in wanted {
        let answer = remote.run(&files::compare_secret(&path), Input::Bytes(content.expose().into())).await?;
        let there = match answer.exit {
            Exit::Code(0) => SecretThere::Same,
            Exit::Code(4) => SecretThere::None,
            _ => SecretThere::Other,
        };
        facts.secrets.insert(path, there);
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
