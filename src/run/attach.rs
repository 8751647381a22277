//! Shows a container's output until it ends, a time is over, a line matches or Ctrl-C. The container is only read, so nothing
//! that happens to the connection can reach it.

use std::{cell::Cell, time::Duration};

use tokio::sync::{Notify, mpsc};

use super::{RunError, Runner, lines::Lines, look::last_output};
use crate::{
    command::Command,
    commands::docker,
    facts::{Container, ContainerState},
    failure::{Failure, FailureKind},
    plan::FollowContainer,
    remote::{Exit, Input, Remote, RemoteError, Stream},
    report::Event,
    stage::Stage,
};

/// Interval at which a container that is about to be restarted is checked.
const INTERVAL: Duration = Duration::from_millis(200);

/// Exit code of the script that reads output when the container's log driver keeps none, so that only new output will come.
const UNREADABLE: u32 = 3;

/// Why the showing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Container,
    Duration,
    Pattern,
    Detached,
}

/// The state that follows the end of a container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// The run that began at this time, by the device's clock: a new one, or the same that goes on.
    Run(String),
    /// Nothing: it ended.
    None,
    /// The showing ends before that is known.
    Limit(End),
}

/// The conditions that end the display of output before the container ends.
struct Limits {
    until: Option<regex_lite::Regex>,
    deadline: Option<tokio::time::Instant>,
}

/// The position up to which a container's output was shown when the connection was lost: a new connection continues there,
/// so that no line is shown twice and none is left out.
#[derive(Debug)]
pub(super) struct Shown {
    /// Start time of the run that is shown, by the device's clock.
    run: String,
    /// Time from which on output is read, by the device's clock.
    since: String,
    pub(super) lines: Lines,
    /// Time at which the display ends, however often it is started again.
    deadline: Option<tokio::time::Instant>,
}

impl<R: Remote> Runner<'_, R> {
    pub(super) async fn attach(&mut self, attaching: &FollowContainer) -> Result<String, Failure> {
        let name = &attaching.wanted.container;
        let end = match self.progress.unsettled.take() {
            Some(unsettled) => self.settle_beside(Stage::Attach, unsettled, async |runner| runner.show(attaching).await).await,
            None => self.show(attaching).await,
        }?;
        let result = self.close(name, end).await;
        let removed = if attaching.wanted.stop_upon_exit { self.remove(name).await } else { Ok(()) };
        result.and_then(|says| removed.map(|()| says))
    }

    /// Shows the output until something ends that.
    async fn show(&mut self, attaching: &FollowContainer) -> Result<End, Failure> {
        let wanted = &attaching.wanted;
        let name = wanted.container.clone();
        let until = wanted.until.as_deref().and_then(|pattern| regex_lite::Regex::new(pattern).ok());
        let before = self.progress.shown.take();
        let is_again = before.is_some();
        let mut shown = match before {
            Some(shown) => shown,
            None => {
                let container = self.container(&name).await?.ok_or_else(|| RunError::NoContainer(name.clone()))?;
                // What was said before this run is not new.
                let is_old = is_before(&container.started_at, attaching.clock);
                let since = match until {
                    Some(_) if !is_old => shortly_before(&container.started_at),
                    _ => attaching.clock.to_string(),
                };
                let deadline = wanted.run_duration.map(|duration| tokio::time::Instant::now() + duration);
                let mut shown = Shown { run: container.started_at, since, lines: Lines::default(), deadline };
                if is_old
                    && until.is_some()
                    && let Some(end) = self.look_back(&name, &mut shown, &Limits { until: until.clone(), deadline }).await?
                {
                    return Ok(end);
                }
                shown
            }
        };
        let limits = Limits { until, deadline: shown.deadline };
        let end = match is_again {
            true => self.catch_up(&name, &mut shown, &limits).await,
            false => Ok(None),
        };
        let end = match end {
            Ok(None) => self.follow(&name, &mut shown, &limits).await,
            Ok(Some(end)) => Ok(end),
            Err(failure) => Err(failure),
        };
        if end.as_ref().is_err_and(|failure| failure.kind() == FailureKind::ConnectionLost) {
            self.progress.shown = Some(shown);
        }
        end
    }

    /// Looks for the awaited line in what the container said before this run, of which no other line is shown.
    async fn look_back(&mut self, name: &str, shown: &mut Shown, limits: &Limits) -> Result<Option<End>, Failure> {
        let mut past = Lines::only_matches();
        let began = shortly_before(&shown.run);
        let (end, exit) =
            self.read((&docker::output(name, &began, Some(&shown.since)), Input::Empty), &mut past, limits).await?;
        // What cannot be read back now is read with what follows.
        if exit == Some(Exit::Code(UNREADABLE)) {
            shown.since = began;
        }
        let matched = end == End::Container && past.end(&mut *self.report, limits.until.as_ref());
        Ok(if matched { Some(End::Pattern) } else { (end != End::Container).then_some(end) })
    }

    /// Shows the output that came while there was no connection.
    async fn catch_up(&mut self, name: &str, shown: &mut Shown, limits: &Limits) -> Result<Option<End>, Failure> {
        shown.lines.read_again();
        let (end, exit) =
            self.read((&docker::output(name, &shown.since, None), Input::Empty), &mut shown.lines, limits).await?;
        match exit {
            Some(Exit::Code(UNREADABLE)) => shown.lines.go_on(),
            _ => shown.lines.read_again(),
        }
        Ok((end != End::Container).then_some(end))
    }

    /// Follows the output, also of a container that docker starts again.
    async fn follow(&mut self, name: &str, shown: &mut Shown, limits: &Limits) -> Result<End, Failure> {
        let Shown { run, since, lines, .. } = shown;
        loop {
            // Standard input stays open as long as this end lives: the script on the device watches it.
            let (alive, input) = mpsc::channel(1);
            let (end, _) = self.read((&docker::follow(name, since), Input::Pieces(input)), lines, limits).await?;
            drop(alive);
            if end != End::Container {
                lines.end(&mut *self.report, None);
                return Ok(end);
            }
            let next = match self.next_run(name, run, limits).await? {
                Next::Run(next) => Some(next),
                Next::None => None,
                Next::Limit(end) => {
                    lines.end(&mut *self.report, None);
                    return Ok(end);
                }
            };
            // A follower may miss the last that was said: docker ends it as soon as the container ends.
            let until = next.as_deref().filter(|next| *next != run);
            lines.read_again();
            let (end, exit) = self.read((&docker::output(name, since, until), Input::Empty), lines, limits).await?;
            if exit == Some(Exit::Code(UNREADABLE)) {
                lines.go_on();
            }
            let over = until.is_some() || next.is_none();
            let matched = over && lines.end(&mut *self.report, limits.until.as_ref());
            match next {
                _ if end != End::Container => return Ok(end),
                _ if matched => return Ok(End::Pattern),
                None => return Ok(End::Container),
                Some(next) if next != *run => (*run, *since) = (next.clone(), next),
                Some(_) => {
                    if exit != Some(Exit::Code(UNREADABLE)) {
                        lines.read_again();
                    }
                    tokio::time::sleep(INTERVAL).await;
                }
            }
        }
    }

    /// Returns the last start time of the container that was started at `run`, if it runs.
    async fn next_run(&mut self, name: &str, run: &str, limits: &Limits) -> Result<Next, Failure> {
        loop {
            match self.container(name).await? {
                Some(again) if again.state == ContainerState::Restarting && again.started_at == run => {}
                Some(again) if matches!(again.state, ContainerState::Running | ContainerState::Restarting) => {
                    return Ok(Next::Run(again.started_at));
                }
                _ => return Ok(Next::None),
            }
            // Docker waits up to a minute before it starts one again.
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.interrupt.wait() => { self.interrupt.take(); return Ok(Next::Limit(End::Detached)) }
                () = until_deadline(limits.deadline) => return Ok(Next::Limit(End::Duration)),
            }
        }
    }

    /// Shows what a command reads of the container's output. Gives its exit, if it came to that.
    async fn read(
        &mut self,
        (command, input): (&Command, Input),
        lines: &mut Lines,
        limits: &Limits,
    ) -> Result<(End, Option<Exit>), Failure> {
        let (found, notify) = (Cell::new(false), Notify::new());
        let interrupt = self.interrupt.clone();
        let report = &mut *self.report;
        let mut take = |stream: Stream, bytes: &[u8]| {
            if lines.take(report, limits.until.as_ref(), stream, bytes) {
                found.set(true);
                notify.notify_one();
            }
        };
        let read = tokio::select! {
            exit = self.remote.exec(command, input, &mut take) => exit.map(|exit| (End::Container, Some(exit))),
            () = notify.notified() => Ok((End::Pattern, None)),
            () = interrupt.wait() => { interrupt.take(); Ok((End::Detached, None)) }
            () = until_deadline(limits.deadline) => Ok((End::Duration, None)),
        };
        if read.as_ref().is_err_and(|error| !matches!(error, RemoteError::Lost { .. })) {
            lines.end(&mut *self.report, None);
        }
        Ok(if found.get() { (End::Pattern, None) } else { read? })
    }

    /// Turns the end of the display into its result: a container that failed is a failure.
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
                let last_lines = last_output(self.remote, name).await;
                Err(RunError::ContainerFailed { container: name.into(), code, last_lines }.into())
            }
        }
    }

    /// Returns the container of this name, as docker describes it; `None` when there is none.
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

async fn until_deadline(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Returns a time shortly before a container was started: its first output may have an earlier time than docker gives its
/// start.
fn shortly_before(started_at: &str) -> String {
    let started = started_at.parse::<jiff::Timestamp>();
    started.map_or_else(|_| started_at.to_owned(), |started| (started - jiff::SignedDuration::from_secs(1)).to_string())
}

/// Returns whether a container was started before a time, in seconds since 1970; one whose start is not understood counts
/// as new.
fn is_before(started_at: &str, clock: u64) -> bool {
    let started = started_at.parse::<jiff::Timestamp>();
    started.is_ok_and(|started| i64::try_from(clock).is_ok_and(|clock| started.as_second() < clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_says_as_it_starts_is_not_missed() {
        assert_eq!(shortly_before("2020-02-01T00:00:00.25Z"), "2020-01-31T23:59:59.25Z");
        assert_eq!(shortly_before("never"), "never");
    }
}
