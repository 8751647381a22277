//! Brings a compose project up and waits until it runs and is healthy.

use std::time::{Duration, Instant};

use super::{RunError, Runner, Seen, Verdict, judge, swap::downtime};
use crate::{failure::Failure, plan::Bringing, remote::Remote, report::Event, stage::Stage, text::span};

/// How often the containers are looked at while waiting.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn up(&mut self, stage: Stage, bringing: &Bringing) -> Result<String, Failure> {
        let command = bringing.command();
        self.remote.check(&bringing.project.release()).await?;
        let mut since = None;
        if let Some(keeping) = &bringing.keeping {
            since = Some(self.begin_swap(&keeping.application, bringing.wait).await?);
        }
        self.report.event(&Event::Step { stage, says: command.shown() });
        let begin = Instant::now();
        self.remote.check(&command).await?;
        let remote = self.remote;
        let down = async {
            match since {
                Some(since) => downtime(remote, bringing, since).await,
                None => None,
            }
        };
        let (ready, down) = tokio::join!(self.see_ready(stage, bringing, begin), down);
        ready?;
        let healthy = begin.elapsed().as_secs_f64();
        self.interrupt.after(self.confirm(bringing.settle())).await?;
        let down = down.map(|down| format!(", down for {}", span(down))).unwrap_or_default();
        Ok(format!("{} up and healthy after {healthy:.1} s{down}", bringing.expected.join(", ")))
    }

    async fn see_ready(&mut self, stage: Stage, bringing: &Bringing, begin: Instant) -> Result<(), Failure> {
        let mut seen = Seen::default();
        let mut told = String::new();
        loop {
            let containers = self.containers(&bringing.project.name).await?;
            let verdict = judge(&containers, &bringing.expected, &bringing.completing, begin.elapsed(), &mut seen);
            let (container, why) = match verdict {
                Verdict::Ready => return Ok(()),
                Verdict::Waiting { says, .. } if begin.elapsed() < bringing.wait => {
                    if says != told {
                        self.report.event(&Event::Step { stage, says: says.clone() });
                        told = says;
                    }
                    tokio::time::sleep(INTERVAL).await;
                    continue;
                }
                Verdict::Waiting { container, says } => {
                    let last_lines = match &container {
                        Some(container) => self.last_output(container).await,
                        None => Vec::new(),
                    };
                    return Err(RunError::Late { says, wait: bringing.wait, container, last_lines }.into());
                }
                Verdict::Failed { container, why } => (container, why),
            };
            let last_lines = self.last_output(&container).await;
            return Err(RunError::Unhealthy { container, why, last_lines }.into());
        }
    }
}
