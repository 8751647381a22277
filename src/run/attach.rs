//! Shows a container's output until it ends, a time is over, a line matches or Ctrl-C. The container is only read, so nothing
//! that happens to the connection can reach it.

use std::{rc::Rc, time::Duration};

use tokio::sync::{Notify, mpsc};

use super::{RunError, Runner};
use crate::{
    commands::docker,
    facts::{Container, ContainerState},
    failure::Failure,
    plan::Attaching,
    remote::{Input, Remote, Stream},
    report::{Event, Report},
    stage::Stage,
    text::printable,
};

/// Why the showing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Container,
    Duration,
    Pattern,
    Detached,
}

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn attach(&mut self, attaching: &Attaching) -> Result<String, Failure> {
        let name = attaching.wanted.container.clone();
        let container = self.container(&name).await?;
        // With a pattern the line may be past already; otherwise what was said before this run is not new.
        let since = if attaching.wanted.until.is_some() { container.started_at } else { attaching.clock.to_string() };
        let deadline = attaching.wanted.run_duration.map(|duration| tokio::time::Instant::now() + duration);
        let end = self.follow(attaching, since, deadline).await?;
        let result = self.close(&name, end).await;
        if attaching.wanted.stop_upon_exit {
            self.report.event(&Event::Step { stage: Stage::Attach, says: format!("remove `{name}`") });
            self.remote.check(&docker::stop(&name)).await?;
            self.remote.check(&docker::remove_containers(&[name])).await?;
        }
        result
    }

    /// Follows the output, also of a container that docker starts again.
    async fn follow(
        &mut self,
        attaching: &Attaching,
        mut since: String,
        deadline: Option<tokio::time::Instant>,
    ) -> Result<End, Failure> {
        loop {
            let end = self.follow_once(attaching, &since, deadline).await?;
            if end != End::Container {
                return Ok(end);
            }
            match self.container(&attaching.wanted.container).await {
                Ok(again) if matches!(again.state, ContainerState::Running | ContainerState::Restarting) => {
                    if again.started_at == since || again.state == ContainerState::Restarting {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    since = again.started_at;
                }
                _ => return Ok(End::Container),
            }
        }
    }

    async fn follow_once(
        &mut self,
        attaching: &Attaching,
        since: &str,
        deadline: Option<tokio::time::Instant>,
    ) -> Result<End, Failure> {
        let until = attaching.wanted.until.as_deref().and_then(|pattern| regex_lite::Regex::new(pattern).ok());
        let found = Rc::new(Notify::new());
        let interrupt = self.interrupt.clone();
        let mut lines = Lines { report: &mut *self.report, until, found: found.clone(), out: Vec::new(), err: Vec::new() };
        // Standard input stays open as long as this end lives: the script on the device watches it.
        let (_alive, input) = mpsc::channel(1);
        let command = docker::follow(&attaching.wanted.container, since);
        let mut take = |stream: Stream, bytes: &[u8]| lines.take(stream, bytes);
        let end = tokio::select! {
            exit = self.remote.exec(&command, Input::Pieces(input), &mut take) => exit.map(|_| End::Container)?,
            () = found.notified() => End::Pattern,
            () = interrupt.wait() => { interrupt.take(); End::Detached }
            () = until_deadline(deadline) => End::Duration,
        };
        lines.flush();
        Ok(end)
    }

    /// What the end means: a container that failed is a failure.
    async fn close(&self, name: &str, end: End) -> Result<String, Failure> {
        match end {
            End::Pattern => Ok("the awaited line came".into()),
            End::Duration => Ok("the time is over; the container lives on".into()),
            End::Detached => Ok("detached; the container lives on".into()),
            End::Container => {
                let Ok(container) = self.container(name).await else { return Ok("the container is gone".into()) };
                let code = container.exit_code;
                if code == 0 {
                    return Ok(format!("`{name}` ended with exit code 0"));
                }
                let last_lines = self.last_output(name).await;
                Err(RunError::ContainerFailed { container: name.into(), code, last_lines }.into())
            }
        }
    }

    async fn container(&self, name: &str) -> Result<Container, Failure> {
        let json = self.remote.check(&docker::inspect_container(name)).await?;
        let mut containers = crate::facts::containers(&json).map_err(RunError::Answer)?;
        containers.pop().ok_or_else(|| {
            let why = "is not there".to_owned();
            RunError::Unhealthy { container: name.into(), why, last_lines: Vec::new() }.into()
        })
    }
}

async fn until_deadline(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Makes whole lines of pieces of output, each stream on its own, so that no character is torn.
struct Lines<'a> {
    report: &'a mut dyn Report,
    until: Option<regex_lite::Regex>,
    found: Rc<Notify>,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// A line longer than this is cut: a container must not fill this computer's memory.
const LONGEST_LINE: usize = 64 << 10;

impl Lines<'_> {
    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        for byte in bytes {
            let line = if stream == Stream::Stdout { &mut self.out } else { &mut self.err };
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() >= LONGEST_LINE {
                let line = std::mem::take(line);
                self.show(&line);
            }
        }
    }

    /// A last line may have no newline.
    fn flush(&mut self) {
        for line in [std::mem::take(&mut self.out), std::mem::take(&mut self.err)] {
            if !line.is_empty() {
                self.show(&line);
            }
        }
    }

    fn show(&mut self, line: &[u8]) {
        let line = printable(&String::from_utf8_lossy(line));
        if self.until.as_ref().is_some_and(|until| until.is_match(&line)) {
            self.found.notify_one();
        }
        self.report.event(&Event::Output { line });
    }
}
