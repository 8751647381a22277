//! Shows a container's output until it ends, a time is over, a line matches or Ctrl-C. The container is only read, so nothing
//! that happens to the connection can reach it.

use std::{rc::Rc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

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

/// What comes after the end of a container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// Docker started it again, at this time by the device's clock.
    Started(String),
    /// It runs as before: its output was lost on the way.
    BrokeOff,
    /// Nothing.
    Over(End),
}

/// How often a container that docker may start again is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// So many looks at a container that runs although its output ended: docker tells of an end a moment late.
const LOOKS: u32 = 10;

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn attach(&mut self, attaching: &Attaching) -> Result<String, Failure> {
        let name = &attaching.wanted.container;
        let container = self.container(name).await?.ok_or_else(|| RunError::NoContainer(name.clone()))?;
        let end = self.follow(attaching, container.started_at).await?;
        let result = self.close(name, end).await;
        let removed = if attaching.wanted.stop_upon_exit { self.remove(name).await } else { Ok(()) };
        result.and_then(|says| removed.map(|()| says))
    }

    /// Follows the output, also of a container that docker starts again.
    async fn follow(&mut self, attaching: &Attaching, mut started: String) -> Result<End, Failure> {
        let wanted = &attaching.wanted;
        let deadline = wanted.run_duration.map(|duration| tokio::time::Instant::now() + duration);
        // With a pattern the line may be past already; otherwise what was said before this run is not new.
        let mut since = if wanted.until.is_some() { started.clone() } else { attaching.clock.to_string() };
        loop {
            let end = self.follow_once(attaching, &since, deadline).await?;
            if end != End::Container {
                return Ok(end);
            }
            match self.next_start(&wanted.container, &started, deadline).await? {
                Next::Over(end) => return Ok(end),
                Next::Started(at) => (started, since) = (at.clone(), at),
                Next::BrokeOff => {
                    let text = format!("the output of `{}` broke off; some of it may be missing here", wanted.container);
                    self.report.event(&Event::Warning { text });
                    since = "0s".into();
                }
            }
        }
    }

    /// What comes after the end of a container's output.
    async fn next_start(&self, name: &str, started: &str, deadline: Option<Instant>) -> Result<Next, Failure> {
        let mut looks = 0;
        loop {
            match self.container(name).await? {
                Some(container) if container.state == ContainerState::Restarting => {}
                Some(container) if container.state == ContainerState::Running => {
                    if container.started_at != started {
                        return Ok(Next::Started(container.started_at));
                    }
                    looks += 1;
                    if looks >= LOOKS {
                        return Ok(Next::BrokeOff);
                    }
                }
                _ => return Ok(Next::Over(End::Container)),
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.interrupt.wait() => { self.interrupt.take(); return Ok(Next::Over(End::Detached)) }
                () = until_deadline(deadline) => return Ok(Next::Over(End::Duration)),
            }
        }
    }

    async fn follow_once(&mut self, attaching: &Attaching, since: &str, deadline: Option<Instant>) -> Result<End, Failure> {
        let until = attaching.wanted.until.as_deref().and_then(|pattern| regex_lite::Regex::new(pattern).ok());
        let found = Rc::new(Notify::new());
        let interrupt = self.interrupt.clone();
        let mut lines = Lines { report: &mut *self.report, until, found: found.clone(), out: Vec::new(), err: Vec::new() };
        // Standard input stays open as long as this end lives: the script on the device watches it.
        let (_alive, input) = mpsc::channel(1);
        let command = docker::follow(&attaching.wanted.container, since);
        let mut take = |stream: Stream, bytes: &[u8]| lines.take(stream, bytes);
        let end = tokio::select! {
            exit = self.remote.exec(&command, Input::Pieces(input), &mut take) => exit.map(|_| End::Container),
            () = found.notified() => Ok(End::Pattern),
            () = interrupt.wait() => { interrupt.take(); Ok(End::Detached) }
            () = until_deadline(deadline) => Ok(End::Duration),
        };
        lines.flush();
        Ok(end?)
    }

    /// What the end means: a container that failed is a failure.
    async fn close(&self, name: &str, end: End) -> Result<String, Failure> {
        match end {
            End::Pattern => Ok("the awaited line came".into()),
            End::Duration => Ok("the time is over; the container lives on".into()),
            End::Detached => Ok("detached; the container lives on".into()),
            End::Container => {
                let Some(container) = self.container(name).await? else { return Ok("the container is gone".into()) };
                let code = container.exit_code;
                if code == 0 {
                    return Ok(format!("`{name}` ended with exit code 0"));
                }
                let last_lines = self.last_output(name).await;
                Err(RunError::ContainerFailed { container: name.into(), code, last_lines }.into())
            }
        }
    }

    /// What docker says of a container; `None` when there is none of that name.
    async fn container(&self, name: &str) -> Result<Option<Container>, Failure> {
        let command = docker::inspect_container(name);
        let output = self.remote.run(&command, Input::Empty).await?;
        if !output.exit.is_success() && String::from_utf8_lossy(&output.stderr).to_lowercase().contains("no such container") {
            return Ok(None);
        }
        let json = output.success(&command)?;
        Ok(crate::facts::containers(&json).map_err(RunError::Answer)?.pop())
    }

    async fn remove(&mut self, name: &str) -> Result<(), Failure> {
        if self.container(name).await?.is_some() {
            self.report.event(&Event::Step { stage: Stage::Attach, says: format!("remove `{name}`") });
            self.remote.check(&docker::stop(name)).await?;
            self.remote.check(&docker::remove_containers(&[name.to_owned()])).await?;
        }
        Ok(())
    }
}

async fn until_deadline(deadline: Option<Instant>) {
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

/// How many of the bytes are whole characters, or none that could become one.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

impl Lines<'_> {
    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        for byte in bytes {
            let line = if stream == Stream::Stdout { &mut self.out } else { &mut self.err };
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() >= LONGEST_LINE {
                // A character that the cut would tear stays for what follows.
                let whole = if *byte == b'\n' { line.len() } else { whole_characters(line) };
                let rest = line.split_off(whole);
                let line = std::mem::replace(line, rest);
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
