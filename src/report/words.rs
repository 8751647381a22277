//! The sentences of the events: what displays and the log file say, without colour and layout.

use std::time::Duration;

use super::{DeviceSummary, Event, Outcome, PlannedStage, Summary};
use crate::text::{bytes, printable, span};

/// Returns the text of an event as whole lines; none for progress and attached output, which each display treats in its own
/// way.
pub(super) fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Connected(device) => vec![connected(device)],
        Event::Planned { dry_run: true, stages } => stages.iter().flat_map(plan).collect(),
        Event::Planned { dry_run: false, stages } => {
            stages.iter().filter(|stage| stage.steps.is_empty()).flat_map(plan).collect()
        }
        Event::StageStarted { stage, title } => vec![format!("{stage}: {}", printable(title))],
        Event::Step { says, .. } => vec![format!("  {}", printable(says))],
        Event::Progress { .. } | Event::Traffic { .. } | Event::Output { .. } => Vec::new(),
        Event::Note { text } => vec![printable(text)],
        Event::Warning { text } => vec![warning(text)],
        Event::StageFinished { stage, outcome, says, seconds } => {
            vec![format!("{stage}: {}: {} ({})", outcome_word(*outcome), printable(says), seconds_span(*seconds))]
        }
        Event::Finished(summary) => closing(summary),
    }
}

/// Describes the device that is connected.
pub(super) fn connected(device: &DeviceSummary) -> String {
    let part = |label: &str, value: &Option<String>| value.as_ref().map(|value| format!("{label}{}", printable(value)));
    let name = device.name.as_ref().filter(|name| !name.is_empty()).map(|name| format!("named `{}`", printable(name)));
    let parts = [part("serial ", &device.serial), name, part("firmware ", &device.firmware), part("docker ", &device.docker)];
    let known = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let separator = if known.is_empty() { "" } else { ": " };
    format!("connected to {}{separator}{known}", printable(&device.address))
}

/// Returns a warning as a line of text.
pub(super) fn warning(text: &str) -> String {
    format!("warning: {}", printable(text))
}

/// Returns the text of a planned stage with each command and transfer.
pub(super) fn plan(planned: &PlannedStage) -> Vec<String> {
    let PlannedStage { stage, says, steps } = planned;
    let idle = if steps.is_empty() { "nothing to do: " } else { "" };
    let head = format!("{stage}: {idle}{}", printable(says));
    // A step may be a whole command of several lines: what would be done must be seen as it is.
    std::iter::once(head)
        .chain(steps.iter().flat_map(|step| step.lines()).map(|line| format!("  {}", printable(line))))
        .collect()
}

/// Returns the outcome of a stage in one to three words.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Read => "read",
        Outcome::NothingToDo => "nothing to do",
    }
}

/// Returns the text for the end of a run: the result first, then the hint and where to read more.
pub(super) fn closing(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    match &summary.error {
        None => lines.push(success(summary)),
        Some(error) => {
            lines.push(format!("error: {}", printable(error)));
            lines.extend(summary.details.iter().map(|detail| format!("  {}", printable(detail))));
            lines.extend(summary.causes.iter().map(|cause| format!("  caused by: {}", printable(cause))));
            if !summary.last_lines.is_empty() {
                lines.push("  last lines:".to_owned());
                lines.extend(summary.last_lines.iter().map(|line| format!("  | {}", printable(line))));
            }
            if !summary.changed.is_empty() {
                lines.push(format!("  changed before that: {}", names(summary)));
            }
            lines.extend(summary.hint.iter().map(|hint| format!("hint: {}", printable(hint))));
        }
    }
    lines.extend(summary.log_file.iter().map(|path| format!("log: {}", printable(&path.display().to_string()))));
    lines
}

fn success(summary: &Summary) -> String {
    let time = seconds_span(summary.seconds);
    if summary.dry_run {
        return "dry run: nothing was changed".to_owned();
    }
    let wanted = match summary.unchanged.len() {
        0 => String::new(),
        1 => "; 1 stage was up to date".to_owned(),
        count => format!("; {count} stages were up to date"),
    };
    if summary.changed.is_empty() {
        let what = if summary.unchanged.is_empty() { "done" } else { "nothing to change on the device" };
        return format!("{what}{wanted}{} (took {time})", moved(summary));
    }
    format!("done in {time}, changed: {}{wanted}{}", names(summary), moved(summary))
}

fn moved(summary: &Summary) -> String {
    match (summary.sent, summary.received) {
        (0, 0) => String::new(),
        (sent, received) => format!("; {} sent, {} received", bytes(sent), bytes(received)),
    }
}

fn names(summary: &Summary) -> String {
    summary.changed.iter().map(|stage| stage.name()).collect::<Vec<_>>().join(", ")
}

/// Seconds of an event; nonsense counts as none.
pub(super) fn seconds_span(seconds: f64) -> String {
    span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
