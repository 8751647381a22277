//! `o3r-deploy rollback`: restores the previous version on request. It is an update like any other: the running version is
//! kept and guarded, and can be restored in turn.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{HealthWatch, RunError, Runner, look::containers, settle::watch_on, swap::confirm};
use crate::{
    commands::compose::Project,
    config::Compose,
    facts::ComposeTool,
    failure::Failure,
    plan::KeepVersion,
    release::{Entry, KeptService, Snapshot, SnapshotError, versions},
    remote::{Input, Remote, RemoteError},
    report::Event,
    stage::Stage,
    text::printable,
};

/// A kept version, as the device describes it.
struct Kept {
    /// Whether it is that of an update that was cut off.
    is_pending: bool,
    version: Snapshot,
    /// The present state of everything that the rollback replaces.
    now: Snapshot,
}

fn read(said: &str) -> Result<Option<Kept>, SnapshotError> {
    let mut lines = said.lines();
    let Some(first) = lines.next() else { return Ok(None) };
    let (now, version): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("now "));
    let now = Snapshot::parse(now.into_iter().filter_map(|line| line.strip_prefix("now ")))?;
    Ok(Some(Kept { is_pending: first == "swap", version: Snapshot::parse(version)?, now }))
}

/// Names the images of a version as people know them.
fn images(version: &Snapshot) -> String {
    let shown = |service: &KeptService| {
        let id = service.image.trim_start_matches("sha256:");
        format!("{} ({})", service.reference, id.get(..12).unwrap_or(id))
    };
    version.services.iter().map(shown).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

impl<R: Remote> Runner<'_, R> {
    /// Rolls back to the previous version; returns a description for the user.
    ///
    /// # Errors
    /// [`RunError::NothingBefore`]; [`RunError::RolledBack`] when the version before does not run and the one that ran is back.
    pub async fn roll_back(&mut self, entry: &Entry, wait: Duration, settle: Duration) -> Result<String, Failure> {
        let application = &entry.application;
        let command = versions::look(application);
        let said = self.remote.check(&command).await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        if !["swap", "previous", ""].contains(&said.lines().next().unwrap_or_default()) {
            return Err(RemoteError::NotUnderstood { command: command.shown(), answer: said }.into());
        }
        let kept = read(&said)?;
        let kept = kept.ok_or_else(|| RunError::NothingBefore(application.clone()))?;
        let begin = Instant::now();
        let (project, running, images) = (kept.version.project.clone(), kept.version.running(), images(&kept.version));
        let title = if images.is_empty() { String::new() } else { format!(": {}", printable(&images)) };
        let title = format!("go back to the previous version of `{application}`{title}");
        self.report.event(&Event::StageStarted { stage: Stage::Compose, title });
        if kept.is_pending {
            // An update that was cut off: the version that ran is put back, and that is all.
            self.remote.check(&versions::put_back(&versions::pending(application), "")).await?;
            let seconds = self.see_running(&project, &running, wait, begin).await?;
            return Ok(format!("the version before the update that was cut off is back and runs, after {seconds:.1} s"));
        }
        let containers = containers(self.remote, &project).await?;
        let tool = if kept.version.is_plugin { ComposeTool::Plugin(String::new()) } else { ComposeTool::Hyphen(String::new()) };
        let files = containers.iter().map(|container| container.project_files.clone()).find(|files| !files.is_empty());
        let files = files.unwrap_or(kept.version.files);
        let directory = files.first().and_then(|file| Some(file.rsplit_once('/')?.0)).unwrap_or_default().to_owned();
        let now = Project { tool, name: project.clone(), directory, files };
        let mut keeping = KeepVersion::of(application, &now, true, &containers);
        keeping.snapshot.extend(kept.now);
        keeping.attempt = entry.line();
        self.keep(Stage::Compose, &keeping).await?;
        let says = "put the previous version back, and wait until it runs".to_owned();
        self.report.event(&Event::Step { stage: Stage::Compose, says });
        self.begin_swap(&versions::pending(application), wait.max(Compose::DEFAULT_WAIT), settle).await?;
        let result = self.go_back_to(application, &project, &running, wait, begin).await;
        let result = match result {
            Ok(seconds) => {
                let mut watch = HealthWatch::new(&running, &[], settle);
                match watch_on(self.remote, &project, &mut watch, Instant::now()).await {
                    Ok(()) => self.confirm_rollback(entry, &running).await.map(|()| seconds),
                    Err(failure) => Err(failure),
                }
            }
            failed => failed,
        };
        match result {
            Ok(seconds) => Ok(format!("the previous version of `{application}` is back and runs, after {seconds:.1} s")),
            Err(Failure { stage, error: cause }) => {
                let begin = Instant::now();
                let back = self.remote.check(&versions::put_back(&versions::pending(application), "")).await;
                let error = match back {
                    Ok(_) => match self.see_running(&project, &keeping.snapshot.running(), wait, begin).await {
                        Ok(seconds) => RunError::RolledBack { cause, seconds },
                        Err(why) => RunError::NotBack { cause, why: why.error },
                    },
                    Err(why) => RunError::NotBack { cause, why: Box::new(why) },
                };
                Err(Failure { stage, ..error.into() })
            }
        }
    }

    async fn go_back_to(
        &mut self,
        application: &str,
        project: &str,
        running: &[String],
        wait: Duration,
        begin: Instant,
    ) -> Result<f64, Failure> {
        let command = versions::put_back(&versions::previous(application), "");
        self.remote.run(&command, Input::Empty).await?.success(&command)?;
        self.see_running(project, running, wait, begin).await
    }

    async fn confirm_rollback(&mut self, entry: &Entry, running: &[String]) -> Result<(), Failure> {
        let record = self.remote.check(&versions::record(&entry.application)).await?;
        let entry = Entry { services: running.to_vec(), result: Entry::DONE.into(), ..entry.clone() };
        let settle = versions::settle(&entry.application, &String::from_utf8_lossy(&record), &entry.line());
        self.interrupt.after(confirm(self.remote, self.on_new_connection, settle)).await
    }
}
