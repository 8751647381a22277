//! The lock of the device: taken before anything is changed, held while the work goes on, given back at its end.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::future::{Fuse, FusedFuture, FutureExt, LocalBoxFuture};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Interrupt, RunError};
use crate::{
    failure::Failure,
    release::lock::{self, Claim},
    remote::{Exit, Input, Remote, RemoteError, Stream},
    report::{Event, Report},
    text::printable,
};

/// Interval of the heartbeat that tells the device that its deployer is alive; a small part of [`lock::LEASE_SECONDS`].
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// Interval at which a lock that is held by another owner is tried again.
const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum time that the device may take to answer a claim.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Maximum time to wait for the device's own guard: its own waiting is limited, and one rollback takes no longer.
const GUARD_WAIT: Duration = Duration::from_secs(300);

/// Maximum time to wait for the end of the command that holds the lock.
const GOODBYE: Duration = Duration::from_secs(5);

/// The owner of the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// The user's name.
    pub user: String,
    /// The computer's name.
    pub host: String,
    /// The number of the process there.
    pub process: u32,
    /// Start time and place of that process, in a form that only the same computer understands.
    pub life: String,
    /// Time since which it has the lock, by the clock of its computer.
    pub since: String,
    /// Description of what the owner does.
    pub what: String,
    /// Whether it is the guard on the device itself, which puts a previous version back.
    pub guard: bool,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, host, process, since, what, .. } = self;
        if self.guard {
            return write!(formatter, "its own guard, which {what}: {since}");
        }
        write!(formatter, "{user}@{host} (process {process}) since {since}: {what}")
    }
}

impl Owner {
    /// Reads what the device says of an owner, made fit to be shown.
    pub fn read(json: &str) -> Self {
        let owner: Self = serde_json::from_str(json).unwrap_or_default();
        let shown = |text: &str| if text.is_empty() { "?".to_owned() } else { printable(text) };
        Self {
            user: shown(&owner.user),
            host: shown(&owner.host),
            since: shown(&owner.since),
            what: shown(&owner.what),
            life: owner.life,
            process: owner.process,
            guard: owner.guard,
        }
    }
}

/// A request for the lock.
pub struct LockRequest<'a> {
    /// The owner who requests it.
    pub owner: &'a Owner,
    /// A word that no other claim has.
    pub token: String,
    /// The file by which the application holds updates off; none goes on all the same.
    pub hold_off: Option<String>,
    /// Maximum time to wait for the lock.
    pub wait: Duration,
    /// Returns whether an owner on this same computer is known to be dead.
    pub is_dead: fn(&Owner) -> bool,
}

/// The lock, held.
pub struct LockGuard<'a, R> {
    remote: &'a R,
    token: String,
    who: String,
    before: String,
    grip: LockHolder<'a>,
}

/// The command that holds the lock on the device.
struct LockHolder<'a> {
    ends: Fuse<LocalBoxFuture<'a, Result<Exit, RemoteError>>>,
    beats: mpsc::Sender<std::io::Result<Vec<u8>>>,
}

/// The answer of the device to a claim.
enum Answer {
    Taken { before: String },
    Held { token: String, owner: Box<Owner> },
    Off { process: String, name: String },
    Refused { why: String },
}

impl<'a, R: Remote> LockGuard<'a, R> {
    /// Takes the lock; waits for it as long as is wished.
    ///
    /// # Errors
    /// [`RunError::Locked`] and [`RunError::HeldOff`] when others hold the device, and whatever the connection says.
    pub async fn take(
        remote: &'a R,
        wish: &LockRequest<'_>,
        report: &mut dyn Report,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let who = serde_json::to_string(wish.owner).unwrap_or_default();
        let hold_off = wish.hold_off.as_deref().unwrap_or_default();
        let (deadline, guarded) = (Instant::now() + wish.wait, Instant::now() + GUARD_WAIT);
        let (mut told, mut over) = (String::new(), String::new());
        loop {
            let claim = Claim { token: &wish.token, over: &over, who: &who, hold_off };
            let (grip, answer) = try_acquire(remote, &claim).await?;
            let mut until = deadline;
            let error = match answer {
                Answer::Taken { before } => {
                    return Ok(Self { remote, token: wish.token.clone(), who, before, grip });
                }
                Answer::Held { token, owner } if token != over && (wish.is_dead)(&owner) => {
                    let text = format!("the lock of {owner} is taken over: that process has ended");
                    report.event(&Event::Warning { text });
                    over = token;
                    continue;
                }
                Answer::Held { owner, .. } => {
                    if owner.guard {
                        until = until.max(guarded);
                    }
                    RunError::Locked { owner }
                }
                Answer::Refused { why } => return Err(RunError::NoLock(why).into()),
                Answer::Off { process, name } => {
                    RunError::HeldOff { file: hold_off.to_owned(), process: format!("process {process}, `{name}`") }
                }
            };
            if Instant::now() >= until {
                return Err(error.into());
            }
            let says = error.to_string();
            if says != told {
                let left = until.saturating_duration_since(Instant::now()).as_secs();
                report.event(&Event::Warning { text: format!("{says}: waiting for at most {left} s") });
                told = says;
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = interrupt.wait() => return Err(RunError::Interrupted.into()),
            }
        }
    }

    /// Returns the token of the previous owner of the lock.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// Does `work` while the lock is held.
    ///
    /// # Errors
    /// Those of the work, and [`RunError::LockLost`] when the lock was taken away.
    pub async fn during<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::pin!(work);
        let mut beat = tokio::time::interval(HEARTBEAT_INTERVAL);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                _ = beat.tick() => {
                    // One that is still on its way will do.
                    let _ = self.grip.beats.try_send(Ok(b"\n".to_vec()));
                }
                ended = &mut self.grip.ends, if !self.grip.ends.is_terminated() => match ended {
                    Ok(_) => return Err(RunError::LockLost.into()),
                    // The connection is gone: the work says so itself, unless it goes on over another one.
                    Err(_) => match self.take_again().await {
                        Ok(grip) => self.grip = grip,
                        Err(_) => return work.await,
                    },
                }
            }
        }
    }

    /// Does `work`, and releases the lock at its end, or as soon as `free` signals that other deployments need not wait any
    /// longer: from then on the work only reads.
    ///
    /// # Errors
    /// Those of [`Self::during`].
    pub async fn until_free<T>(mut self, free: &Notify, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::pin!(work);
        let first = async {
            tokio::select! {
                biased;
                result = &mut work => result.map(Some),
                () = free.notified() => Ok(None),
            }
        };
        match self.during(first).await {
            Ok(None) => tokio::join!(self.release(), work).1,
            ended => {
                self.release().await;
                ended.map(|value| value.expect("work that goes on is another case"))
            }
        }
    }

    async fn take_again(&self) -> Result<LockHolder<'a>, Failure> {
        let claim = Claim { token: &self.token, who: &self.who, ..Claim::default() };
        match try_acquire(self.remote, &claim).await? {
            (grip, Answer::Taken { .. }) => Ok(grip),
            _ => Err(RunError::LockLost.into()),
        }
    }

    /// Gives the lock back.
    pub async fn release(self) {
        let LockHolder { ends, beats } = self.grip;
        drop(beats);
        if ends.is_terminated() {
            return;
        }
        // On a connection that is gone the device sees to it by itself.
        let _ = tokio::time::timeout(GOODBYE, ends).await;
    }
}

/// Claims the lock once.
async fn try_acquire<'a, R: Remote>(remote: &'a R, claim: &Claim<'_>) -> Result<(LockHolder<'a>, Answer), Failure> {
    let command = lock::take(claim);
    let shown = command.shown();
    let (beats, pieces) = mpsc::channel(1);
    let (tell, mut told) = oneshot::channel();
    let ends: LocalBoxFuture<'a, Result<Exit, RemoteError>> = Box::pin(async move {
        let (mut said, mut tell) = (Vec::new(), Some(tell));
        let mut hear = |stream, bytes: &[u8]| {
            if stream == Stream::Stdout {
                said.extend_from_slice(bytes);
            }
            if said.iter().filter(|byte| **byte == b'\n').count() >= 3
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(String::from_utf8_lossy(&said).into_owned());
            }
        };
        remote.exec(&command, Input::Pieces(pieces), &mut hear).await
    });
    let mut ends = ends.fuse();
    let said = tokio::select! {
        biased;
        Ok(said) = &mut told => said,
        ended = &mut ends => {
            let exit = ended?;
            // One who does not get the lock says so and ends.
            let nothing = || vec!["it said nothing of the lock".into()];
            told.try_recv().map_err(|_| RemoteError::Failed { command: shown.clone(), exit, last_lines: nothing() })?
        }
        () = tokio::time::sleep(ANSWER_MAX) => {
            return Err(RemoteError::Silent { command: shown, seconds: ANSWER_MAX.as_secs(), docker: false }.into());
        }
    };
    let mut lines = said.lines().map(printable);
    let mut next = || lines.next().unwrap_or_default();
    let (kind, first, second) = (next(), next(), next());
    let answer = match kind.as_str() {
        "taken" => Answer::Taken { before: first },
        "refused" => Answer::Refused { why: first },
        "held" => Answer::Held { token: first, owner: Box::new(Owner::read(&second)) },
        "off" => Answer::Off { process: first, name: second },
        _ => return Err(RemoteError::NotUnderstood { command: shown, answer: said }.into()),
    };
    Ok((LockHolder { ends, beats }, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_as_it_was_written_and_made_fit_to_be_shown() {
        let owner = Owner {
            user: "anna".into(),
            host: "bench\u{1b}[2J".into(),
            process: 7,
            life: "x".into(),
            since: "2026-11-21 08:00:00+01:00".into(),
            what: "deploys app".into(),
            guard: false,
        };
        let read = Owner::read(&serde_json::to_string(&owner).expect("JSON"));
        assert_eq!(read.to_string(), "anna@bench[2J (process 7) since 2026-11-21 08:00:00+01:00: deploys app");
        assert_eq!(Owner::read("nonsense").to_string(), "?@? (process 0) since ?: ?");
    }
}
