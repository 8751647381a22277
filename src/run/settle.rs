//! Settles a version that runs: it is watched on, with the way back open, and confirmed only then.

use std::time::{Duration, Instant};

use super::{
    HealthVerdict, HealthWatch, Interrupt, OnNewConnection, RunError, Runner,
    look::{containers, unhealthy},
    swap::confirm,
    up::LOOK_INTERVAL,
};
use crate::{
    commands::health,
    failure::{Failure, FailureKind},
    plan::ComposeUp,
    remote::{Input, Remote},
    report::Event,
    stage::Stage,
};

/// A version that runs and has not settled yet.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) watch: HealthWatch,
    /// Time at which the watch began.
    pub(super) begin: Instant,
    pub(super) bringing: ComposeUp,
}

impl Unsettled {
    /// Words for the wait that is left.
    pub(super) fn says(&self) -> String {
        let left = self.watch.remaining(self.begin.elapsed()).as_secs_f64().ceil();
        format!("watch {} for {left:.0} s more", self.bringing.expected.join(", "))
    }
}

/// Watches a version until it has settled, and confirms it.
pub(super) async fn settle<R: Remote>(
    remote: &R,
    on_new_connection: Option<&OnNewConnection<'_>>,
    interrupt: &Interrupt,
    unsettled: &mut Unsettled,
) -> Result<(), Failure> {
    let Unsettled { watch, begin, bringing } = unsettled;
    watch_on(remote, &bringing.project.name, watch, *begin).await?;
    interrupt.after(confirm(remote, on_new_connection, bringing.confirm())).await
}

/// Watches containers that run until they have settled.
pub(super) async fn watch_on<R: Remote>(
    remote: &R,
    project: &str,
    watch: &mut HealthWatch,
    begin: Instant,
) -> Result<(), Failure> {
    if watch.has_settled() {
        return Ok(());
    }
    let containers = loop {
        tokio::time::sleep(watch.remaining(begin.elapsed()).min(LOOK_INTERVAL)).await;
        let containers = containers(remote, project).await?;
        match watch.look(&containers, begin.elapsed()) {
            HealthVerdict::Settled => break containers,
            HealthVerdict::Failed { container, why, restarted } => {
                return Err(unhealthy(remote, &container, why, restarted).await.into());
            }
            HealthVerdict::Settling | HealthVerdict::Waiting { .. } => {}
        }
    };
    // What was unhealthy between two looks only docker's events tell.
    let settled_for = begin.elapsed().saturating_sub(watch.ready_at().unwrap_or_default());
    if settled_for >= Duration::from_secs(1) && containers.iter().any(|container| container.health.is_some()) {
        let output = remote.run(&health::unhealthy_since(project, settled_for.as_secs()), Input::Empty).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(container) = containers.iter().find(|container| said.lines().any(|id| id == container.id)) {
            return Err(unhealthy(remote, container, "was unhealthy in between".into(), false).await.into());
        }
    }
    Ok(())
}

/// The state of the settling when the work beside it ends.
enum Beside {
    Commit,
    Settled,
    Failed,
}

impl<'a, R: Remote> Runner<'a, R> {
    /// Settles the version that was brought up, and does nothing else meanwhile.
    pub(super) async fn settle_now(&mut self, stage: Stage, mut unsettled: Unsettled) -> Result<(), Failure> {
        if !unsettled.watch.has_settled() {
            self.report.event(&Event::Step { stage, says: unsettled.says() });
        }
        let settled = tokio::select! {
            biased;
            () = self.interrupt.wait() => Err(RunError::Interrupted.into()),
            settled = settle(self.remote, self.on_new_connection, &self.interrupt, &mut unsettled) => settled,
        };
        if is_lost(&settled) {
            self.progress.unsettled = Some(unsettled);
        }
        self.progress.is_unconfirmed &= settled.is_err();
        settled
    }

    /// Settles the version that was brought up beside other work, which the failure of that version ends. A failure of the work
    /// itself is given once the version has settled: that stays.
    pub(super) async fn settle_beside<T>(
        &mut self,
        stage: Stage,
        mut unsettled: Unsettled,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (remote, on_new_connection, interrupt): (&'a R, _, _) =
            (self.remote, self.on_new_connection, self.interrupt.clone());
        let free = (Some(stage) >= self.progress.looks_on).then(|| self.progress.free.clone());
        let (result, beside) = {
            let settling = settle(remote, on_new_connection, &interrupt, &mut unsettled);
            let working = work(self);
            tokio::pin!(settling, working);
            tokio::select! {
                biased;
                result = &mut working => (result, Beside::Commit),
                settled = &mut settling => match settled {
                    Ok(()) => {
                        free.inspect(|free| free.notify_one());
                        (working.await, Beside::Settled)
                    }
                    // The work notices that too, and keeps how far it came.
                    Err(lost) if lost.kind() == FailureKind::ConnectionLost => {
                        (working.await.and(Err(lost)), Beside::Failed)
                    }
                    Err(failure) => (Err(failure), Beside::Failed),
                },
            }
        };
        let is_interrupted = result.as_ref().is_err_and(|failure| failure.kind() == FailureKind::Interrupted);
        match beside {
            Beside::Settled => self.progress.is_unconfirmed = false,
            Beside::Commit | Beside::Failed if is_lost(&result) => self.progress.unsettled = Some(unsettled),
            Beside::Commit if !is_interrupted => self.settle_now(stage, unsettled).await?,
            Beside::Commit | Beside::Failed => {}
        }
        result
    }
}

fn is_lost<T>(result: &Result<T, Failure>) -> bool {
    result.as_ref().is_err_and(|failure| failure.kind() == FailureKind::ConnectionLost)
}
