//! Ctrl-C: the first is a request, which the work at hand answers; the second ends the program.

use std::{rc::Rc, time::Duration};

use tokio::sync::Notify;

use super::RunError;
use crate::failure::{Failure, FailureKind};

/// Maximum delay of a Ctrl-C that a prompt has passed on as a signal.
const PASSED_ON_MAX: Duration = Duration::from_millis(50);

/// Tells whether the user has pressed Ctrl-C. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    state: Rc<State>,
}

#[derive(Debug, Default)]
struct State {
    pressed: std::cell::Cell<bool>,
    deferred: std::cell::Cell<bool>,
    /// Number of tasks that wait for the second Ctrl-C.
    listeners: std::cell::Cell<u32>,
    notify: Notify,
    again: Notify,
}

impl Interrupt {
    /// Listens for Ctrl-C from now on. Needs a running `LocalSet` or current-thread runtime.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let listener = interrupt.clone();
        tokio::task::spawn_local(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if listener.state.pressed.get() && listener.state.listeners.get() > 0 {
                    listener.state.again.notify_waiters();
                } else if listener.state.pressed.get() {
                    std::process::exit(i32::from(FailureKind::Interrupted.exit_code() as u8));
                }
                listener.press();
            }
        });
        interrupt
    }

    /// Asks for the end of the work at hand, as Ctrl-C does.
    pub fn press(&self) {
        self.state.pressed.set(true);
        self.state.notify.notify_waiters();
    }

    /// Waits for Ctrl-C; at once if it was pressed and not yet taken.
    pub async fn wait(&self) {
        loop {
            let notified = self.state.notify.notified();
            if self.state.pressed.get() && !self.state.deferred.get() {
                return;
            }
            notified.await;
        }
    }

    /// Waits for another Ctrl-C after the first. As long as somebody does, it does not end the program.
    pub async fn pressed_again(&self) {
        struct Listener<'a>(&'a State);
        impl Drop for Listener<'_> {
            fn drop(&mut self) {
                self.0.listeners.set(self.0.listeners.get() - 1);
            }
        }
        self.state.listeners.set(self.state.listeners.get() + 1);
        let _listener = Listener(&self.state);
        self.state.again.notified().await;
    }

    /// Does work until the request comes.
    ///
    /// # Errors
    /// [`RunError::Interrupted`], and those of the work.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let result = tokio::select! {
            biased;
            () = self.wait() => return Err(RunError::Interrupted.into()),
            result = work => result,
        };
        match result {
            Err(_) if tokio::time::timeout(PASSED_ON_MAX, self.wait()).await.is_ok() => Err(RunError::Interrupted.into()),
            result => result,
        }
    }

    /// Does work that nobody may stop half-way: the request is answered after it.
    pub async fn after<T>(&self, work: impl Future<Output = T>) -> T {
        self.state.deferred.set(true);
        let result = work.await;
        self.state.deferred.set(false);
        self.state.notify.notify_waiters();
        result
    }

    /// Takes the request: what comes afterwards is not interrupted by it.
    pub fn take(&self) {
        self.state.pressed.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_may_not_be_stopped_half_way_is_done_first() {
        let interrupt = Interrupt::default();
        let done = std::cell::Cell::new(false);
        let work = interrupt.after(async {
            interrupt.press();
            tokio::task::yield_now().await;
            done.set(true);
        });
        // As an action is awaited: the request has precedence.
        tokio::select! {
            biased;
            () = interrupt.wait() => panic!("stopped half-way"),
            () = work => {}
        }
        assert!(done.get());
        interrupt.wait().await;
    }
}
