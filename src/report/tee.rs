//! Several reports as one, and the end that all of them are told.

use std::path::PathBuf;

use super::{DeviceLabel, Event, Question, Report, masked, tally::Tally};
use crate::failure::{ExitCode, Failure};

/// Passes each event to all of its reports, in their order, without the secrets that are in it.
pub struct Tee {
    reports: Vec<Box<dyn Report>>,
    tally: Tally,
}

impl Tee {
    /// Takes the reports; the time of the run counts from here.
    pub fn new(reports: Vec<Box<dyn Report>>) -> Self {
        Self { reports, tally: Tally::new() }
    }

    /// Sets whether this is a dry run, so that its summary says so.
    pub fn set_dry_run(&mut self, dry_run: bool) {
        self.tally.dry_run = dry_run;
    }

    /// Adds a report that takes all later events.
    pub fn push(&mut self, report: impl Report + 'static) {
        self.reports.push(Box::new(report));
    }

    /// Ends the run: tells every report how it went, and gives the exit code. `log_file` is shown as the place to read more.
    pub fn finish(&mut self, failure: Option<&Failure>, log_file: Option<PathBuf>) -> ExitCode {
        let summary = self.tally.summary(failure, log_file);
        self.event(&Event::Finished(summary));
        failure.map_or(ExitCode::Success, |failure| failure.kind().exit_code())
    }
}

impl Report for Tee {
    fn event(&mut self, event: &Event) {
        self.tally.event(event);
        let event = &masked::event(event);
        for report in &mut self.reports {
            report.event(event);
        }
    }

    fn device(&mut self, device: &DeviceLabel) {
        let device = &masked::label(device);
        for report in &mut self.reports {
            report.device(device);
        }
    }

    /// Returns the answer of the first report that has one.
    fn ask(&mut self, question: &Question) -> Option<String> {
        let question = &masked::question(question);
        let answer = self.reports.iter_mut().find_map(|report| report.ask(question));
        super::log_file::asked(question, answer.as_deref());
        answer
    }
}
