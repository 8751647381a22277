//! The sessions of one connection: how many the device allows at once (`MaxSessions` of its sshd) is found out where it matters.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use russh::{Channel, ChannelOpenFailure, client::Msg};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::Ssh;
use crate::{command::Command, remote::RemoteError};

/// Commands that run at once over one connection: sshd allows ten sessions where nothing else is said, two are spare.
const SESSIONS_MAX: usize = 8;

/// Maximum time that the device may take to open a session.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// Maximum time for which a refused session is requested again, the pause between requests, and the maximum time while
/// other sessions are open: then there may be no room for another one.
const REFUSED_MAX: Duration = Duration::from_secs(10);
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
const CROWDED_MAX: Duration = Duration::from_secs(2);

/// Hands out the right to open a session.
pub(super) struct Sessions {
    permits: Semaphore,
    /// Maximum number of sessions at the same time.
    limit: AtomicUsize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { permits: Semaphore::new(SESSIONS_MAX), limit: AtomicUsize::new(SESSIONS_MAX) }
    }
}

impl Sessions {
    /// Returns how many more commands can run now.
    pub(super) fn available(&self) -> usize {
        self.permits.available_permits()
    }

    fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    async fn acquire(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// Returns how many commands run, the one that asks included.
    fn running(&self) -> usize {
        self.limit().saturating_sub(self.available())
    }

    /// Learns that no more run at once than those beside the one that asks.
    fn learn(&self, permit: SemaphorePermit<'_>) {
        let others = self.running() - 1;
        self.permits.forget_permits(self.available());
        permit.forget();
        self.limit.store(others, Ordering::Relaxed);
    }
}

/// Opens a session for a command.
pub(super) async fn open<'a>(ssh: &'a Ssh, command: &Command) -> Result<(Channel<Msg>, SemaphorePermit<'a>), RemoteError> {
    let sessions = &ssh.sessions;
    loop {
        // Where the device allows one session, what has it may have it for long: a lock is held by one.
        let permit = match sessions.limit() {
            1 => timeout(REFUSED_MAX, sessions.acquire()).await.map_err(|_| too_few(ssh, command))?,
            _ => sessions.acquire().await,
        };
        let begin = Instant::now();
        loop {
            match timeout(OPEN_MAX, ssh.handle.channel_open_session()).await {
                Ok(Ok(channel)) => return Ok((channel, permit)),
                // A session counts on the device until sshd has cleaned up behind it, a moment after its end was seen here.
                Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) => {
                    let crowded = sessions.running() > 1;
                    if begin.elapsed() >= if crowded { CROWDED_MAX } else { REFUSED_MAX } {
                        if crowded {
                            break;
                        }
                        return Err(too_few(ssh, command));
                    }
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                    return Err(refused(command, format!("it opens no session: {reason:?}")));
                }
                Ok(Err(_)) => return Err(ssh.lost().await),
                Err(_) => {
                    let reason = format!("it did not open a session within {} s", OPEN_MAX.as_secs());
                    return Err(refused(command, reason));
                }
            }
        }
        sessions.learn(permit);
    }
}

fn too_few(ssh: &Ssh, command: &Command) -> RemoteError {
    let reason = match ssh.sessions.limit() {
        1 => "it allows one session a connection, and two are needed".into(),
        _ => "it opens no session".into(),
    };
    refused(command, reason)
}

/// Returns the error for a command that was not run at all.
pub(super) fn refused(command: &Command, reason: String) -> RemoteError {
    RemoteError::Sessions { command: command.shown(), reason }
}
