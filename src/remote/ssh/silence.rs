//! Limits the time that a command may be silent, also where docker does the work.

use std::{
    cell::Cell,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{Ssh, exec};
use crate::{
    command::{Command, Silence},
    remote::{Input, OnOutput, RemoteError},
};

/// Times of silence after which docker is asked whether it answers: the usual one, and one for a docker that has missed an
/// answer before.
const DOCKER_INTERVAL: Duration = Duration::from_secs(30);
const DOCKER_INTERVAL_SHORT: Duration = Duration::from_secs(5);

/// Maximum time that docker may take to answer, and the number of answers that it may miss: a busy device is slow.
const DOCKER_ANSWER_MAX: Duration = Duration::from_secs(15);
const DOCKER_MISSES_MAX: usize = 2;

/// Maximum time that a command may be silent although docker answers.
const DOCKER_SILENCE_MAX: Duration = Duration::from_secs(3600);

/// Time of the last activity of the device: it gave output or took input.
pub(super) struct Activity {
    last: Cell<Instant>,
    /// Whether this side has nothing to send for now, but will have: then the device is waited for by nobody.
    waits_here: Cell<bool>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { last: Cell::new(Instant::now()), waits_here: Cell::new(false) }
    }
}

impl Activity {
    /// Notes that the device was heard.
    pub(super) fn now(&self) {
        self.last.set(Instant::now());
    }

    /// Waits for something of this side's own, which is no silence of the device.
    pub(super) async fn of_this_side<T>(&self, work: impl Future<Output = T>) -> T {
        self.waits_here.set(true);
        let result = work.await;
        self.waits_here.set(false);
        self.now();
        result
    }

    /// Waits until the device has been silent for so long.
    async fn silent_for(&self, limit: Duration) {
        loop {
            if self.waits_here.get() {
                self.now();
            }
            let silent = self.last.get().elapsed();
            if silent >= limit {
                return;
            }
            tokio::time::sleep(limit - silent).await;
        }
    }
}

/// Waits until a command has been silent for longer than it may be, and says so.
pub(super) async fn exceeded(ssh: &Ssh, command: &Command, activity: &Activity) -> RemoteError {
    let error = |limit: Duration, docker| RemoteError::Silent { command: command.shown(), seconds: limit.as_secs(), docker };
    if let Silence::Limit(limit) = command.silence() {
        activity.silent_for(limit).await;
        return error(limit, false);
    }
    let mut limit = if ssh.docker_missed.load(Ordering::Relaxed) { DOCKER_INTERVAL_SHORT } else { DOCKER_INTERVAL };
    loop {
        activity.silent_for(limit).await;
        if limit >= DOCKER_SILENCE_MAX {
            return error(limit, false);
        }
        match docker_answers(ssh).await {
            Err(error) => return error,
            Ok(false) if activity.last.get().elapsed() < limit => {}
            Ok(false) => {
                ssh.docker_missed.store(true, Ordering::Relaxed);
                return error(activity.last.get().elapsed(), true);
            }
            Ok(true) => ssh.docker_missed.store(false, Ordering::Relaxed),
        }
        limit = activity.last.get().elapsed().min(DOCKER_SILENCE_MAX) + DOCKER_INTERVAL;
    }
}

/// Returns whether docker answers. It counts as answering when it cannot be asked.
async fn docker_answers(ssh: &Ssh) -> Result<bool, RemoteError> {
    let command = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]);
    let tries = if ssh.docker_missed.load(Ordering::Relaxed) { 1 } else { DOCKER_MISSES_MAX };
    for _ in 0..tries {
        if ssh.sessions.available() == 0 {
            return Ok(true);
        }
        let mut ignored = |_, _: &[u8]| ();
        let output: &mut OnOutput<'_> = &mut ignored;
        let mut sent = |_| ();
        let asking = Box::pin(exec::exchange(ssh, &command, Input::Empty, &mut sent, exec::Sink::Call(output)));
        match tokio::time::timeout(DOCKER_ANSWER_MAX, asking).await {
            Ok(Ok(exit)) => return Ok(exit.is_success()),
            Ok(Err(RemoteError::Sessions { .. })) => return Ok(true),
            Ok(Err(lost)) => return Err(lost),
            Err(_) => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_counts_while_the_device_is_waited_for_and_not_while_this_side_is() {
        let activity = Activity::default();
        let begin = Instant::now();
        let here = activity.of_this_side(tokio::time::sleep(Duration::from_millis(300)));
        let (silent, ()) = tokio::join!(
            async {
                activity.silent_for(Duration::from_millis(100)).await;
                begin.elapsed()
            },
            here
        );
        assert!(silent >= Duration::from_millis(400), "{silent:?}");
    }
}
