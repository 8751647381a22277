//! What outlives the connection of a run.

use std::{collections::BTreeSet, rc::Rc};

use tokio::sync::Notify;

use super::{attach::Shown, settle::Unsettled};
use crate::{report::Report, stage::Stage};

/// How far a run is: what the next connection has to know should this one be lost, and what whoever holds the lock has to know.
#[derive(Debug, Default)]
pub struct Progress {
    /// What was shown of a container's output.
    pub(super) shown: Option<Shown>,
    /// Files and directories on the device that cannot be read, which is told at the end.
    pub(super) unread: BTreeSet<String>,
    /// The version that runs and has not settled yet, while nothing watches it.
    pub(super) unsettled: Option<Unsettled>,
    /// Whether a version runs that is not confirmed.
    pub(super) is_unconfirmed: bool,
    /// Whether the guard on the device goes on with the way back should this run end.
    pub(super) is_guarded: std::cell::Cell<bool>,
    /// Whether the history is told of this attempt when it fails.
    pub(super) is_noted: bool,
    /// Whether what follows goes on while the version settles.
    pub(super) settles_beside: bool,
    /// The stage from which on the run only looks at the device.
    pub(super) looks_on: Option<Stage>,
    /// Told when the run only looks at the device from now on, and nothing is left to be confirmed.
    pub(super) free: Rc<Notify>,
}

impl Progress {
    /// Returns what is told when nobody needs to be kept from the device any more. It is a new one each time: what was told over
    /// an earlier connection says nothing about this one.
    pub fn free(&mut self) -> Rc<Notify> {
        self.free = Rc::default();
        self.free.clone()
    }

    /// There is no further connection: a last line may have no newline.
    pub fn end(&mut self, report: &mut dyn Report) {
        if let Some(mut shown) = self.shown.take() {
            shown.lines.end(report, None);
        }
    }
}
