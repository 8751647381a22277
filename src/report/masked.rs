//! Events without secrets: what every display and the log get to see.

use super::{DeviceLabel, DeviceSummary, Event, PlannedStage, Question, Summary};

/// Returns the event with the mask in the place of each secret.
pub(super) fn event(event: &Event) -> Event {
    match event.clone() {
        Event::Connected(device) => Event::Connected(self::device(device)),
        Event::Planned { dry_run, stages } => {
            let stages = stages.into_iter().map(|PlannedStage { stage, says, steps }| PlannedStage {
                stage,
                says: text(says),
                steps: steps.into_iter().map(text).collect(),
            });
            Event::Planned { dry_run, stages: stages.collect() }
        }
        Event::StageStarted { stage, title } => Event::StageStarted { stage, title: text(title) },
        Event::Step { stage, says } => Event::Step { stage, says: text(says) },
        Event::Output { line } => Event::Output { line: text(line) },
        Event::Note { text: said } => Event::Note { text: text(said) },
        Event::Warning { text: said } => Event::Warning { text: text(said) },
        Event::StageFinished { stage, outcome, says, seconds } => {
            Event::StageFinished { stage, outcome, says: text(says), seconds }
        }
        Event::Finished(summary) => Event::Finished(self::summary(summary)),
        shows_no_text @ (Event::Progress { .. } | Event::Traffic { .. }) => shows_no_text,
    }
}

/// Returns the question with its secrets masked.
pub(super) fn question(question: &Question) -> Question {
    match question.clone() {
        Question::Confirm(asked) => Question::Confirm(text(asked)),
        Question::Secret(asked) => Question::Secret(text(asked)),
    }
}

/// Returns the label of a device with its secrets masked.
pub(super) fn label(device: &DeviceLabel) -> DeviceLabel {
    let DeviceLabel { address, serial, name } = device.clone();
    DeviceLabel { address: text(address), serial: serial.map(text), name: name.map(text) }
}

fn device(device: DeviceSummary) -> DeviceSummary {
    DeviceSummary {
        address: text(device.address),
        serial: device.serial.map(text),
        name: device.name.map(text),
        firmware: device.firmware.map(text),
        docker: device.docker.map(text),
    }
}

fn summary(summary: Summary) -> Summary {
    let texts = |texts: Vec<String>| texts.into_iter().map(text).collect();
    Summary {
        error: summary.error.map(text),
        details: texts(summary.details),
        causes: texts(summary.causes),
        hint: summary.hint.map(text),
        last_lines: texts(summary.last_lines),
        ..summary
    }
}

fn text(text: String) -> String {
    match crate::secret::masked(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(masked) => masked,
    }
}
