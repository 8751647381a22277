//! Secrets: compared with what is there and written, by way of standard input alone, so that no word of a command holds them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Runner;
use crate::{
    command::path_line,
    commands::files,
    config::RemotePath,
    facts::{Facts, SecretThere, here::hexadecimal},
    failure::Failure,
    plan::WriteSecretFile,
    remote::{Input, Remote, RemoteError},
    report::Event,
    stage::Stage,
};

/// Compares each secret of the deployment with the file at its path in `paths` on the device, all in one round trip: only
/// digests are sent.
///
/// # Errors
/// The device cannot be asked, or its answer is none.
pub async fn look_for_secrets(
    remote: &impl Remote,
    paths: &BTreeMap<&String, RemotePath>,
    facts: &mut Facts,
) -> Result<(), RemoteError> {
    let wanted = facts.here.secrets.iter().filter_map(|(name, content)| Some((paths.get(name)?, content)));
    let wanted: Vec<_> = wanted.map(|(path, content)| (path.to_string(), Sha256::digest(content.expose()))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let command = files::compare_secrets();
    let question: String =
        wanted.iter().map(|(path, digest)| format!("{} {}\n", hexadecimal(digest), path_line(path))).collect();
    let answer = remote.run(&command, Input::Bytes(question.into_bytes())).await?.success(&command)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let said: Vec<_> = answer.lines().collect();
    for (index, (path, _)) in wanted.into_iter().enumerate() {
        let there = match said.get(index) {
            Some(&"same") => SecretThere::Same,
            Some(&"none") => SecretThere::None,
            Some(&"other") => SecretThere::Other,
            _ => return Err(RemoteError::NotUnderstood { command: command.shown(), answer }),
        };
        facts.secrets.insert(path, there);
    }
    Ok(())
}

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn write_secret(&mut self, stage: Stage, writing: &WriteSecretFile) -> Result<(), Failure> {
        let command = files::write_secret(&writing.path, writing.content.expose().len());
        self.report.event(&Event::Step { stage, says: command.shown() });
        self.remote.run(&command, Input::Bytes(writing.content.expose().into())).await?.success(&command)?;
        Ok(())
    }
}
