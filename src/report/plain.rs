//! The display without a terminal: plain lines that a log or a mail can hold.

use std::time::{Duration, Instant};

use super::{
    Event, Question, Report,
    display::{Clock, Level},
    pace::Pace,
    sink::Sink,
    words,
};
use crate::stage::Stage;

/// A line of progress comes at least this often while bytes go, to show that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// And not more often than this, however fast the quarters go by.
const GRAIN: Duration = Duration::from_secs(1);

/// Writes plain lines to standard error and attached output to standard output. It never asks questions.
pub(super) struct Plain {
    stderr: Sink,
    stdout: Sink,
    level: Level,
    clock: Clock,
    pace: Pace,
    said: Option<(Instant, u64)>,
    /// The stage at work.
    stage: Option<Stage>,
}

impl Plain {
    pub(super) fn new(stderr: Sink, stdout: Sink, level: Level, clock: Clock) -> Self {
        Self { stderr, stdout, level, clock, pace: Pace::default(), said: None, stage: None }
    }

    fn progress(&mut self, bytes: u64, total: Option<u64>) {
        let now = (self.clock)();
        self.pace.add(now, bytes);
        let quarter = total.filter(|total| *total > 0).map_or(0, |total| bytes.saturating_mul(4) / total);
        let (last, last_quarter) = *self.said.get_or_insert((now, quarter));
        let since = now.saturating_duration_since(last);
        if since >= HEARTBEAT || (quarter > last_quarter && since >= GRAIN) {
            self.said = Some((now, quarter));
            self.stderr.line(&format!("  {}", self.pace.shown(total)));
        }
    }

    /// Reports that the present stage has failed when another one follows without its end; after a lost connection it
    /// continues.
    fn follow(&mut self, event: &Event) {
        let next = match event {
            Event::StageStarted { stage, .. } => Some(*stage),
            Event::StageFinished { .. } | Event::Connected(_) => None,
            _ => return,
        };
        let before = std::mem::replace(&mut self.stage, next);
        if let (Some(before), Some(next)) = (before, next)
            && before != next
            && before != Stage::Connect
            && next != Stage::Connect
            && self.level >= Level::Info
        {
            self.stderr.line(&format!("{before}: failed"));
        }
    }

    fn lines(&mut self, event: &Event) {
        for line in words::lines(event) {
            self.stderr.line(&line);
        }
    }
}

impl Report for Plain {
    fn event(&mut self, event: &Event) {
        self.follow(event);
        match event {
            Event::Output { line } if self.level >= Level::Info => self.stdout.line(&crate::text::printable(line)),
            Event::Output { .. } => {}
            // A plan that was asked for is data.
            Event::Planned { dry_run: true, .. } => words::lines(event).iter().for_each(|line| self.stdout.line(line)),
            Event::Progress { bytes, total, .. } if self.level >= Level::Info => self.progress(*bytes, *total),
            Event::Progress { .. } => {}
            Event::Finished(summary) if summary.error.is_some() => self.lines(event),
            Event::Warning { .. } if self.level >= Level::Warning => self.lines(event),
            _ if self.level >= Level::Info => self.lines(event),
            _ => {}
        }
        if !matches!(event, Event::Progress { .. }) {
            (self.pace, self.said) = (Pace::default(), None);
        }
    }

    fn ask(&mut self, _question: &Question) -> Option<String> {
        None
    }
}
