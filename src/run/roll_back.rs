//! `o3r-deploy rollback`: the version before the one that runs, put back by hand. It is a swap like any other: what runs now is
//! kept, guarded, and can be gone back to in turn.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{HealthWatch, RunError, Runner, look::containers, settle::watch_on, swap::confirm};
use crate::{
    commands::{compose::Project, swap},
    config::Compose,
    facts::ComposeTool,
    failure::Failure,
    plan::{Entry, Keeping},
    remote::{Input, Remote, RemoteError},
    report::Event,
    stage::Stage,
    text::printable,
};

/// What the device tells of a version that is kept.
#[derive(Default)]
struct Kept {
    is_pending: bool,
    project: String,
    plugin: bool,
    files: Vec<String>,
    running: Vec<String>,
    /// Its images, as people know them.
    images: BTreeSet<String>,
    now: Vec<String>,
}

fn read(said: &str) -> Option<Kept> {
    let mut lines = said.lines();
    let mut kept = Kept { is_pending: lines.next()? == "swap", ..Kept::default() };
    for line in lines {
        match line.split_once(' ') {
            Some(("project", name)) => kept.project = name.into(),
            Some(("compose", tool)) => kept.plugin = tool == "docker compose",
            Some(("file", path)) => kept.files.push(path.replace("\\n", "\n").replace(r"\\", r"\")),
            Some(("service", rest)) => {
                let mut words = rest.split(' ');
                if let (Some(service), Some("running")) = (words.next(), words.next()) {
                    kept.running.push(service.into());
                }
                if let (Some(id), Some(reference)) = (words.nth(1), words.next()) {
                    let id = id.trim_start_matches("sha256:");
                    kept.images.insert(format!("{reference} ({})", id.get(..12).unwrap_or(id)));
                }
            }
            Some(("now", line)) => kept.now.push(line.into()),
            _ => {}
        }
    }
    Some(kept)
}

impl<R: Remote> Runner<'_, R> {
    /// Goes back; gives what is to be said of it.
    ///
    /// # Errors
    /// [`RunError::NothingBefore`]; [`RunError::RolledBack`] when the version before does not run and the one that ran is back.
    pub async fn roll_back(&mut self, entry: &Entry, wait: Duration, settle: Duration) -> Result<String, Failure> {
        let application = &entry.application;
        let command = swap::look(application);
        let said = self.remote.check(&command).await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        if !["swap", "previous", ""].contains(&said.lines().next().unwrap_or_default()) {
            return Err(RemoteError::NotUnderstood { command: command.shown(), answer: said }.into());
        }
        let kept = read(&said);
        let kept = kept.ok_or_else(|| RunError::NothingBefore(application.clone()))?;
        let begin = Instant::now();
        let images = kept.images.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let title = if images.is_empty() { String::new() } else { format!(": {}", printable(&images)) };
        let title = format!("go back to the previous version of `{application}`{title}");
        self.report.event(&Event::StageStarted { stage: Stage::Compose, title });
        if kept.is_pending {
            // An update that was cut off: the version that ran is put back, and that is all.
            self.remote.check(&swap::put_back(&swap::pending(application), "")).await?;
            let seconds = self.see_running(&kept.project, &kept.running, wait, begin).await?;
            return Ok(format!("the version before the update that was cut off is back and runs, after {seconds:.1} s"));
        }
        let containers = containers(self.remote, &kept.project).await?;
        let tool = if kept.plugin { ComposeTool::Plugin(String::new()) } else { ComposeTool::Hyphen(String::new()) };
        let files = containers.iter().map(|container| container.project_files.clone()).find(|files| !files.is_empty());
        let files = files.unwrap_or(kept.files);
        let directory = files.first().and_then(|file| Some(file.rsplit_once('/')?.0)).unwrap_or_default().to_owned();
        let project = Project { tool, name: kept.project.clone(), directory, files };
        let mut keeping = Keeping::of(application, &project, true, &containers);
        keeping.lines.extend(kept.now);
        keeping.attempt = entry.line();
        self.keep(Stage::Compose, &keeping).await?;
        let says = "put the previous version back, and wait until it runs".to_owned();
        self.report.event(&Event::Step { stage: Stage::Compose, says });
        self.begin_swap(&swap::pending(application), wait.max(Compose::DEFAULT_WAIT), settle).await?;
        let result = self.go_back_to(application, &kept.project, &kept.running, wait, begin).await;
        let result = match result {
            Ok(seconds) => {
                let mut watch = HealthWatch::new(&kept.running, &[], settle);
                match watch_on(self.remote, &kept.project, &mut watch, Instant::now()).await {
                    Ok(()) => self.confirm_rollback(entry, &kept.running).await.map(|()| seconds),
                    Err(failure) => Err(failure),
                }
            }
            failed => failed,
        };
        match result {
            Ok(seconds) => Ok(format!("the previous version of `{application}` is back and runs, after {seconds:.1} s")),
            Err(Failure { stage, error: cause }) => {
                let begin = Instant::now();
                let back = self.remote.check(&swap::put_back(&swap::pending(application), "")).await;
                let error = match back {
                    Ok(_) => match self.see_running(&kept.project, &keeping.running, wait, begin).await {
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
        let command = swap::put_back(&swap::previous(application), "");
        self.remote.run(&command, Input::Empty).await?.success(&command)?;
        self.see_running(project, running, wait, begin).await
    }

    async fn confirm_rollback(&mut self, entry: &Entry, running: &[String]) -> Result<(), Failure> {
        let record = self.remote.check(&swap::record(&entry.application)).await?;
        let entry = Entry { services: running.to_vec(), result: Entry::DONE.into(), ..entry.clone() };
        let settle = swap::settle(&entry.application, &String::from_utf8_lossy(&record), &entry.line());
        self.interrupt.after(confirm(self.remote, self.aside, settle)).await
    }
}
