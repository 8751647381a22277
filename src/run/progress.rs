//! The state of a run that outlives its connection.

use std::{collections::BTreeSet, rc::Rc};

use tokio::sync::Notify;

use super::{attach::Shown, settle::Unsettled};
use crate::{report::Report, stage::Stage};

/// The progress of a run: what the next connection needs if this one is lost, and what the holder of the lock needs.
#[derive(Debug, Default)]
pub struct Progress {
    /// The part of a container's output that was shown.
    pub(super) shown: Option<Shown>,
    /// Files and directories on the device that cannot be read, which is told at the end.
    pub(super) unread: BTreeSet<String>,
    /// The version that runs and has not settled yet, while nothing watches it.
    pub(super) unsettled: Option<Unsettled>,
    /// Whether a version runs that is not confirmed.
    pub(super) is_unconfirmed: bool,
    /// Whether the guard on the device continues the rollback if this run ends.
    pub(super) is_guarded: std::cell::Cell<bool>,
    /// Whether the history is told of this attempt when it fails.
    pub(super) is_noted: bool,
    /// Whether what follows goes on while the version settles.
    pub(super) settles_beside: bool,
    /// The stage from which on the run only looks at the device.
    pub(super) looks_on: Option<Stage>,
    /// Notified when from now on the run only reads the device, and nothing is left to be confirmed.
    pub(super) free: Rc<Notify>,
}

impl Progress {
    /// Returns the signal that other deployments need not wait any longer. It is a new one each time: a signal from an
    /// earlier connection is not valid for this one.
    pub fn free(&mut self) -> Rc<Notify> {
        self.free = Rc::default();
        self.free.clone()
    }

    /// Ends the output when there is no further connection: a last line may have no newline.
    pub fn end(&mut self, report: &mut dyn Report) {
        if let Some(mut shown) = self.shown.take() {
            shown.lines.end(report, None);
        }
    }
}
