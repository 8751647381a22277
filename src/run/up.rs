//! Brings a compose project up and waits until it runs and is healthy.

use std::time::{Duration, Instant};

use super::{RunError, Runner, Seen, Verdict, judge};
use crate::{
    commands::docker,
    facts::Container,
    failure::Failure,
    plan::Bringing,
    remote::{Input, Remote},
    report::Event,
    stage::Stage,
};

/// How often the containers are looked at while waiting.
const INTERVAL: Duration = Duration::from_millis(500);

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn up(&mut self, stage: Stage, bringing: &Bringing) -> Result<String, Failure> {
        let command = bringing.command();
        self.report.event(&Event::Step { stage, says: command.shown() });
        let begin = Instant::now();
        self.remote.check(&command).await?;
        let mut seen = Seen::default();
        let mut told = String::new();
        loop {
            let containers = self.containers(bringing).await?;
            let verdict = judge(&containers, &bringing.expected, &bringing.completing, begin.elapsed(), &mut seen);
            let (container, why) = match verdict {
                Verdict::Ready => {
                    let services = bringing.expected.join(", ");
                    return Ok(format!("{services} up and healthy after {:.1} s", begin.elapsed().as_secs_f64()));
                }
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

    async fn containers(&self, bringing: &Bringing) -> Result<Vec<Container>, Failure> {
        let command = docker::inspect_project(&bringing.project.name);
        let json = self.remote.run(&command, Input::Empty).await?.success(&command)?;
        Ok(crate::facts::containers(&json).map_err(RunError::Answer)?)
    }
}
