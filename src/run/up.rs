//! Brings a compose project up and waits until it runs and is healthy.

use std::time::{Duration, Instant};

use super::{
    HealthVerdict, HealthWatch, RunError, Runner,
    health::states,
    look::{containers, last_output, unhealthy},
    settle::Unsettled,
    swap::downtime,
};
use crate::{
    facts::Container, failure::Failure, plan::ComposeUp, release::versions, remote::Remote, report::Event, stage::Stage,
    text::span,
};

/// Interval at which the containers are checked while waiting.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn up(&mut self, stage: Stage, bringing: &ComposeUp) -> Result<String, Failure> {
        let (unsettled, says) = match self.still_settling(bringing).await? {
            Some(unsettled) => (unsettled, format!("{} still up", bringing.expected.join(", "))),
            None => self.bring_up(stage, bringing).await?,
        };
        if self.progress.settles_beside {
            self.progress.is_unconfirmed = true;
            self.progress.unsettled = Some(unsettled);
            return Ok(says);
        }
        if unsettled.watch.has_settled() {
            self.settle_now(stage, unsettled).await?;
            return Ok(says);
        }
        self.report.event(&Event::Step { stage, says: says.clone() });
        let begin = unsettled.begin;
        self.settle_now(stage, unsettled).await?;
        Ok(format!("{says}, settled after {}", span(begin.elapsed())))
    }

    /// Returns the version that this run has brought up over a connection that was lost, if it still runs as it did then.
    async fn still_settling(&mut self, bringing: &ComposeUp) -> Result<Option<Unsettled>, Failure> {
        let Some(unsettled) = self.progress.unsettled.take() else { return Ok(None) };
        let containers = containers(self.remote, &bringing.project.name).await?;
        let is_same = bringing.project == unsettled.bringing.project && unsettled.watch.goes_on_with(&containers);
        Ok(is_same.then(|| Unsettled { bringing: bringing.clone(), ..unsettled }))
    }

    async fn bring_up(&mut self, stage: Stage, bringing: &ComposeUp) -> Result<(Unsettled, String), Failure> {
        let command = bringing.command();
        self.remote.check(&bringing.project.release()).await?;
        let mut since = None;
        if let Some(keeping) = &bringing.keeping {
            let version = versions::pending(&keeping.application);
            since = Some(self.begin_swap(&version, bringing.wait, bringing.settle).await?);
        } else if bringing.fresh {
            self.guard_first(bringing).await?;
        }
        self.report.event(&Event::Step { stage, says: command.shown() });
        let called = Instant::now();
        self.remote.check(&command).await?;
        let watch = HealthWatch::new(&bringing.expected, &bringing.completing, bringing.settle);
        let mut unsettled = Unsettled { watch, begin: Instant::now(), bringing: bringing.clone() };
        let remote = self.remote;
        let down = async {
            match since {
                Some(since) => downtime(remote, bringing, since).await,
                None => None,
            }
        };
        let (ready, down) = tokio::join!(self.see_ready(stage, &mut unsettled), down);
        let states = states(&bringing.expected, &ready?);
        let after = called.elapsed().as_secs_f64();
        let down = down.map(|down| format!(", down for {}", span(down))).unwrap_or_default();
        Ok((unsettled, format!("{states} after {after:.1} s{down}")))
    }

    /// Waits until all is good for the first time; gives the containers of that time.
    async fn see_ready(&mut self, stage: Stage, unsettled: &mut Unsettled) -> Result<Vec<Container>, Failure> {
        let Unsettled { watch, begin, bringing } = unsettled;
        let mut told = String::new();
        loop {
            let containers = containers(self.remote, &bringing.project.name).await?;
            match watch.look(&containers, begin.elapsed()) {
                HealthVerdict::Settling | HealthVerdict::Settled => return Ok(containers),
                HealthVerdict::Failed { container, why, restarted } => {
                    return Err(unhealthy(self.remote, &container, why, restarted).await.into());
                }
                HealthVerdict::Waiting { says, .. } if begin.elapsed() < bringing.wait => {
                    if says != told {
                        self.report.event(&Event::Step { stage, says: says.clone() });
                        told = says;
                    }
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
                HealthVerdict::Waiting { container, says } => {
                    return Err(late(self.remote, container.as_deref(), says, bringing.wait).await.into());
                }
            }
        }
    }
}

/// Makes the failure of what is not ready in time.
pub(super) async fn late(remote: &impl Remote, container: Option<&Container>, says: String, wait: Duration) -> RunError {
    let last_lines = match container {
        Some(container) => last_output(remote, &container.name).await,
        None => Vec::new(),
    };
    let check = container.and_then(|container| container.check.clone());
    RunError::Late { says, wait, container: container.map(|container| container.name.clone()), check, last_lines }
}
