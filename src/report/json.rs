//! The events as data: one JSON object a line on standard output, in the order of [`super`].

use std::time::{Duration, Instant};

use super::{DeviceLabel, Event, Question, Report, display::Clock, schema::Line, sink::Sink};

/// Progress comes this often at most; the end of a step (all of its bytes) always.
const GRAIN: Duration = Duration::from_millis(100);

/// Writes each event as it comes. Nobody is ever asked: a program reads this.
pub(super) struct Json {
    stdout: Sink,
    clock: Clock,
    last_progress: Option<Instant>,
    device: Option<DeviceLabel>,
}

impl Json {
    pub(super) fn new(stdout: Sink, clock: Clock) -> Self {
        Self { stdout, clock, last_progress: None, device: None }
    }

    fn is_due(&mut self, event: &Event) -> bool {
        let Event::Progress { bytes, total, .. } = event else {
            self.last_progress = None;
            return true;
        };
        let now = (self.clock)();
        let due = self.last_progress.is_none_or(|last| now.saturating_duration_since(last) >= GRAIN) || *total == Some(*bytes);
        if due {
            self.last_progress = Some(now);
        }
        due
    }
}

impl Report for Json {
    fn event(&mut self, event: &Event) {
        if self.is_due(event) {
            let line = Line { event, device: self.device.as_ref() };
            let line = serde_json::to_string(&line).expect("events hold nothing that JSON cannot: no maps, no foreign types");
            self.stdout.line(&line);
        }
    }

    fn device(&mut self, device: &DeviceLabel) {
        self.device = Some(device.clone());
    }

    fn ask(&mut self, _question: &Question) -> Option<String> {
        None
    }
}
