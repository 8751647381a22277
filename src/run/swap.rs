//! The update of an application from one version to the next, and the rollback when the new one does not run.
//! `docs/swap.md` describes it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    HealthVerdict, HealthWatch, OnNewConnection, RunError, Runner,
    look::{containers, unhealthy},
    up::{LOOK_INTERVAL, late},
};
use crate::{
    command::Command,
    config::Compose,
    failure::{Failure, FailureKind},
    plan::{Action, Commit, ComposeUp, KeepVersion, Plan},
    release::{Entry, versions},
    remote::{Input, Remote, RemoteError},
    report::Event,
    stage::Stage,
};

/// Time in seconds that the guard waits for a live deployer, in addition to the time that the application may take:
/// `docker-compose up` is part of it.
const GUARD_MARGIN: u64 = 300;

/// Number of attempts to connect for the confirmation.
const TRIES: u32 = 3;

/// Exit code of the rollback when there is no version to return to.
const NOTHING_KEPT: u32 = 4;

impl<R: Remote> Runner<'_, R> {
    /// Keeps the version that runs.
    pub(super) async fn keep(&mut self, stage: Stage, keeping: &KeepVersion) -> Result<(), Failure> {
        self.report.event(&Event::Step { stage, says: keeping.says() });
        let KeepVersion { application, attempt, .. } = keeping;
        let command = versions::keep(&versions::pending(application), application, attempt);
        self.remote.run(&command, Input::Bytes(keeping.input())).await?.success(&command)?;
        self.progress.is_noted = true;
        Ok(())
    }

    /// Leaves the guard of a first version, which removes its containers: half an application is not to start with the device.
    pub(super) async fn guard_first(&mut self, bringing: &ComposeUp) -> Result<(), Failure> {
        let nothing = KeepVersion::nothing(&bringing.project, &bringing.settling);
        let version = versions::first(&nothing.application);
        let command = versions::keep(&version, &nothing.application, &nothing.attempt);
        self.remote.run(&command, Input::Bytes(nothing.input())).await?.success(&command)?;
        self.progress.is_noted = true;
        self.begin_swap(&version, bringing.wait, bringing.settle).await?;
        Ok(())
    }

    /// Leaves the guard of the version that is kept in a directory; from here on containers change. Gives the device's clock.
    pub(super) async fn begin_swap(&self, version: &str, wait: Duration, settle: Duration) -> Result<u64, Failure> {
        // Who ended once has to run for longer than before, and settle.
        let limit = wait.saturating_mul(3).saturating_add(settle.saturating_mul(2)).as_secs().saturating_add(GUARD_MARGIN);
        let command = versions::begin(version, limit);
        let clock = String::from_utf8_lossy(&self.remote.check(&command).await?).into_owned();
        self.progress.is_guarded.set(true);
        Ok(clock.trim().parse().map_err(|_| RemoteError::NotUnderstood { command: command.shown(), answer: clock })?)
    }

    /// Restores everything that a failed update has replaced, and starts the previous version if the update has changed it.
    /// Without a connection the guard on the device sees to that.
    pub(super) async fn go_back(&mut self, plan: &Plan, failed: usize, failure: Failure) -> Failure {
        let until = plan.stages.get(..=failed).unwrap_or_default();
        let kept = until.iter().flat_map(|stage| &stage.actions).find_map(|action| match action {
            Action::Keep(keeping) => Some(keeping),
            _ => None,
        });
        let bringing = plan.stages.iter().flat_map(|stage| &stage.actions).find_map(|action| match action {
            Action::Up(bringing) => Some(bringing),
            _ => None,
        });
        let (Some(kept), Some(bringing)) = (kept, bringing) else { return failure };
        let is_later = until.last().is_some_and(|stage| stage.stage > Stage::Compose);
        if is_later || failure.kind() == FailureKind::ConnectionLost {
            return failure;
        }
        let begin = Instant::now();
        let Failure { stage, error: cause } = failure;
        let why = if cause.kind() == FailureKind::Interrupted { "interrupted" } else { "the update failed" };
        let text = format!("{why}: what the update has replaced is put back");
        self.report.event(&Event::Warning { text });
        let interrupt = self.interrupt.clone();
        let put_back = tokio::select! {
            put_back = self.put_back(kept, bringing, begin) => put_back,
            () = interrupt.pressed_again() => {
                // The guard waits for no more than the lock.
                return Failure { stage, ..RunError::GivenUp { by_itself: self.progress.is_guarded.get() }.into() };
            }
        };
        let error = match put_back {
            Ok(None) => return Failure { stage, error: cause },
            Ok(Some(seconds)) => RunError::RolledBack { cause, seconds },
            Err(why) => RunError::NotBack { cause, why: why.error },
        };
        Failure { stage, ..error.into() }
    }

    /// Notes in the history an attempt that failed before anything was kept: afterwards the way back notes it.
    pub(super) async fn note_attempt(&mut self, plan: &Plan, failure: &Failure) {
        let mut actions = plan.stages.iter().flat_map(|stage| &stage.actions);
        let settling = actions.find_map(|action| match action {
            Action::Up(bringing) => Some(&*bringing.settling),
            _ => None,
        });
        let Some(Commit { application, attempt, .. }) = settling else { return };
        let kind = failure.kind();
        if self.progress.is_noted || kind == FailureKind::ConnectionLost {
            return;
        }
        let result = if kind == FailureKind::Interrupted { Entry::INTERRUPTED } else { Entry::FAILED };
        if let Ok(entry) = serde_json::from_str::<Entry>(attempt) {
            let entry = Entry { result: result.into(), ..entry };
            let _ = self.remote.run(&versions::note(application, &entry.line()), Input::Empty).await;
        }
    }

    /// Puts back what was kept; gives how long it took until it ran, in seconds, or nothing when its containers were never
    /// touched.
    async fn put_back(&mut self, kept: &KeepVersion, bringing: &ComposeUp, begin: Instant) -> Result<Option<f64>, Failure> {
        let command = versions::put_back(&versions::pending(&kept.application), "");
        let output = self.remote.run(&command, Input::Empty).await?;
        if output.exit == crate::remote::Exit::Code(NOTHING_KEPT) {
            return Ok(None);
        }
        let said = output.success(&command)?;
        if !String::from_utf8_lossy(&said).lines().any(|line| line == "containers") {
            return Ok(None);
        }
        self.see_running(&bringing.project.name, &kept.snapshot.running(), bringing.wait, begin).await.map(Some)
    }

    /// Waits until services run and are healthy; returns the time at which all of them ran first, in seconds since `begin`.
    /// The rollback has its own time limit, which begins now: a time that was too short for the new version may suffice for
    /// the previous one.
    pub(super) async fn see_running(
        &self,
        project: &str,
        services: &[String],
        wait: Duration,
        begin: Instant,
    ) -> Result<f64, Failure> {
        let (wait, now) = (wait.max(Compose::DEFAULT_WAIT), Instant::now());
        let (mut watch, mut ran) = (HealthWatch::new(services, &[], Duration::ZERO), None);
        loop {
            let containers = containers(self.remote, project).await?;
            let runs = |service: &String| {
                containers.iter().any(|container| {
                    container.service.as_ref() == Some(service) && container.state == crate::facts::ContainerState::Running
                })
            };
            if ran.is_none() && services.iter().all(runs) {
                ran = Some(begin.elapsed().as_secs_f64());
            }
            match watch.look(&containers, now.elapsed()) {
                HealthVerdict::Settled | HealthVerdict::Settling => {
                    return Ok(ran.unwrap_or_else(|| begin.elapsed().as_secs_f64()));
                }
                HealthVerdict::Waiting { .. } if now.elapsed() < wait => tokio::time::sleep(LOOK_INTERVAL).await,
                HealthVerdict::Waiting { container, says } => {
                    return Err(late(self.remote, container.as_deref(), says, wait).await.into());
                }
                HealthVerdict::Failed { container, why, restarted } => {
                    return Err(unhealthy(self.remote, &container, why, restarted).await.into());
                }
            }
        }
    }
}

/// Confirms the update over a connection of its own, because an existing connection does not prove that a new one is
/// possible.
pub(super) async fn confirm(
    remote: &impl Remote,
    on_new_connection: Option<&OnNewConnection<'_>>,
    command: Command,
) -> Result<(), Failure> {
    let Some(on_new_connection) = on_new_connection else {
        remote.check(&command).await?;
        return Ok(());
    };
    let mut tries = 1;
    loop {
        match on_new_connection(command.clone()).await {
            Ok(()) => return Ok(()),
            // Nobody is asked for a password once more: the device answers, and that is what had to be seen.
            Err(failure) if failure.kind() == FailureKind::Authentication => {
                remote.check(&command).await?;
                return Ok(());
            }
            Err(failure) if failure.kind() == FailureKind::Unreachable && tries < TRIES => tries += 1,
            Err(failure) => return Err(RunError::Unconfirmed(failure.error).into()),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Returns the longest downtime of a service: from the end of a container to the next start of one.
pub(super) fn longest_downtime(events: &str) -> Option<Duration> {
    let mut died: BTreeMap<&str, u64> = BTreeMap::new();
    let mut longest: BTreeMap<&str, u64> = BTreeMap::new();
    for line in events.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(time), Some(action), Some(service)) = (words.next(), words.next(), words.next()) else { continue };
        let Ok(time) = time.parse::<u64>() else { continue };
        match action {
            "die" => {
                died.insert(service, time);
            }
            _ => {
                // The first start only: what a container that fails does afterwards is another matter.
                if let Some(died) = died.get(service) {
                    longest.entry(service).or_insert(time.saturating_sub(*died));
                }
            }
        }
    }
    longest.values().max().map(|nanoseconds| Duration::from_nanos(*nanoseconds))
}

/// Returns the time in which an application did not run during the update, as far as the device remembers it.
pub(super) async fn downtime(remote: &impl Remote, bringing: &ComposeUp, since: u64) -> Option<Duration> {
    let output = remote.run(&versions::downtime(&bringing.project.name, since), Input::Empty).await.ok()?;
    longest_downtime(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downtime_is_from_the_end_of_one_container_to_the_start_of_the_next() {
        let events = "1000 start db\n2000000000 die web\n2100000000 die db\n2500000000 start db\n2700000000 start web\n9000000000 die web\n99000000000 start web\n";
        assert_eq!(longest_downtime(events), Some(Duration::from_millis(700)));
        assert_eq!(longest_downtime("5 start web\nnonsense\n"), None);
    }
}
