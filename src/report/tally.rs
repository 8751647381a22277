//! Counts the results of a run from its own events, and makes the summary of them.

use std::{collections::BTreeSet, error::Error, path::PathBuf, time::Instant};

use super::{Event, Outcome, Summary};
use crate::{
    failure::{ExitCode, Failure},
    stage::Stage,
};

/// The counts of a run that is under way.
#[derive(Debug)]
pub(super) struct Tally {
    begun: Instant,
    pub(super) dry_run: bool,
    changed: BTreeSet<Stage>,
    unchanged: BTreeSet<Stage>,
    sent: u64,
    received: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        let (changed, unchanged) = Default::default();
        Self { begun: Instant::now(), dry_run: false, changed, unchanged, sent: 0, received: 0 }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Planned { dry_run, stages } => {
                self.dry_run = *dry_run;
                self.unchanged.extend(stages.iter().filter(|stage| stage.steps.is_empty()).map(|stage| stage.stage));
            }
            Event::Traffic { sent, received } => (self.sent, self.received) = (*sent, *received),
            Event::StageFinished { stage, outcome: Outcome::Done, .. } => {
                self.unchanged.remove(stage);
                self.changed.insert(*stage);
            }
            Event::StageFinished { stage, outcome: Outcome::NothingToDo, .. } => {
                self.unchanged.insert(*stage);
            }
            Event::StageFinished { outcome: Outcome::Read, .. }
            | Event::StageStarted { .. }
            | Event::Step { .. }
            | Event::Progress { .. }
            | Event::Connected(_)
            | Event::Output { .. }
            | Event::Note { .. }
            | Event::Warning { .. }
            | Event::Finished(_) => {}
        }
    }

    /// Returns the summary of a run that has ended now, with `failure` or successfully.
    pub(super) fn summary(&self, failure: Option<&Failure>, log_file: Option<PathBuf>) -> Summary {
        let details = failure.map(|failure| failure.error.details()).unwrap_or_default();
        let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
        let error = failure.map(Failure::to_string).map(|text| if details.is_empty() { text } else { first_line(text) });
        Summary {
            exit_code: failure.map_or(ExitCode::Success, |failure| failure.kind().exit_code()) as u8,
            dry_run: self.dry_run,
            causes: failure.map(|failure| causes(&*failure.error)).unwrap_or_default(),
            hint: failure.and_then(|failure| failure.error.hint()),
            details,
            last_lines: failure.map(|failure| failure.error.last_lines().to_vec()).unwrap_or_default(),
            error,
            changed: self.changed.iter().copied().collect(),
            unchanged: self.unchanged.iter().copied().collect(),
            sent: self.sent,
            received: self.received,
            seconds: self.begun.elapsed().as_secs_f64(),
            log_file,
        }
    }
}

/// Returns the causes of an error, outermost first. A cause whose text the error above it already ends with is not said
/// twice.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let (mut said, mut causes) = (error.to_string(), Vec::new());
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.ends_with(&text) {
            causes.push(text.clone());
        }
        said = text;
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::Command,
        failure::{Explain, FailureKind},
        remote,
    };

    #[derive(Debug, thiserror::Error)]
    #[error("the name could not be given: {source}")]
    struct Outer {
        source: Middle,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the device does not answer")]
    struct Middle {
        source: std::io::Error,
    }

    impl Explain for Outer {
        fn kind(&self) -> FailureKind {
            FailureKind::ConfigurationInterface
        }

        fn hint(&self) -> Option<String> {
            Some("plug it in".into())
        }
    }

    #[test]
    fn causes_are_told_once_each() {
        let outer = Outer { source: Middle { source: std::io::Error::other("cable") } };
        let summary = Tally::new().summary(Some(&Failure::from(outer).in_stage(Stage::Rename)), None);
        assert_eq!(summary.error.as_deref(), Some("rename: the name could not be given: the device does not answer"));
        assert_eq!(summary.causes, ["cable"]);
        assert_eq!((summary.exit_code, summary.hint.as_deref()), (13, Some("plug it in")));
    }

    #[test]
    fn a_failed_command_brings_its_last_lines() {
        let output = remote::Output { exit: remote::Exit::Code(1), stdout: b"one\ntwo\n".to_vec(), stderr: Vec::new() };
        let error = output.success(&Command::new("false")).expect_err("it failed");
        let summary = Tally::new().summary(Some(&Failure::from(error)), None);
        assert_eq!(summary.last_lines, ["one", "two"]);
    }

    #[test]
    fn traffic_is_kept_and_stages_are_counted_once() {
        let mut tally = Tally::new();
        let stage = Stage::Image;
        let finished = |outcome| Event::StageFinished { stage, outcome, says: String::new(), seconds: 0.0 };
        for event in [finished(Outcome::NothingToDo), finished(Outcome::Done), Event::Traffic { sent: 17, received: 4 }] {
            tally.event(&event);
        }
        let summary = tally.summary(None, None);
        assert_eq!((summary.sent, summary.received), (17, 4));
        assert_eq!((summary.changed, summary.unchanged), (vec![Stage::Image], vec![]));
    }
}
