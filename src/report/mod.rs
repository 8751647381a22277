//! The events of a run: the only interface between running and showing. Only displays print.
//!
//! Order: `stage_started` of `connect`, which `connected` ends; then `planned`; then for each stage that has work
//! `stage_started`, any of `step`, `progress`, `output`, `warning`, and `stage_finished`; at last `finished`. `warning` may also
//! come before the first stage. A `note` is what a command without stages has to say, before its `finished`. A failure inside a
//! stage leaves out its `stage_finished` (after one of `compose` or `attach` the stage `logs_again` may follow, whose end is then
//! left out too if it fails), one before the device is known also `connected` and `planned`. A version that does not settle is a
//! failure of `compose`, although that has finished, and ends a later stage that is at work. A dry run ends after `planned` with
//! `finished`; otherwise `traffic` comes before it once connected.

use schemars::JsonSchema;
use serde::Serialize;

use crate::stage::Stage;

mod display;
mod json;
mod log_file;
mod masked;
mod output_file;
mod pace;
mod plain;
mod prompt;
mod schema;
mod sink;
mod stem;
mod tally;
mod tee;
mod terminal;
mod words;

pub use display::{Display, Level, Lines, Style, data, display};
pub use log_file::{EventLog, LogDir, LogError, LogFile, LogGuard};
pub use output_file::OutputFile;
pub use schema::schema;
pub use stem::Stem;
pub use tee::Tee;

/// One thing that happened. With `--json` each is one line, its kind under the key `event`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The device answered and its facts are known.
    Connected(DeviceSummary),
    /// The plan is made, stage by stage.
    Planned {
        /// Whether this is all: nothing will be carried out.
        dry_run: bool,
        /// The stages in the order of the work; those not asked for are left out.
        stages: Vec<PlannedStage>,
    },
    /// The work of a stage began.
    StageStarted {
        /// The stage that began.
        stage: Stage,
        /// Description of what the stage will do, in a few words.
        title: String,
    },
    /// One step of a stage began: a command, or a group of transfers.
    Step {
        /// The stage of the step.
        stage: Stage,
        /// Description of the step, in a few words.
        says: String,
    },
    /// The connection ends: bytes that went over its socket, everything counted.
    Traffic {
        /// Bytes that were sent to the device.
        sent: u64,
        /// Bytes that came from the device.
        received: u64,
    },
    /// Payload got on: what of it the device has taken.
    Progress {
        /// The stage of the step.
        stage: Stage,
        /// Bytes so far in this step.
        bytes: u64,
        /// Bytes of the whole step, where it is known.
        total: Option<u64>,
    },
    /// Output of an attached container, a line without its newline.
    Output {
        /// The line, control characters removed.
        line: String,
    },
    /// Something that the user asked to know.
    Note {
        /// Text of the note.
        text: String,
    },
    /// Something the user should know that does not stop the run.
    Warning {
        /// Text of the warning.
        text: String,
    },
    /// A stage ended well.
    StageFinished {
        /// The stage that ended.
        stage: Stage,
        /// Whether it changed anything.
        outcome: Outcome,
        /// Description of what the stage did, in a few words.
        says: String,
        /// Duration of the stage, in seconds.
        seconds: f64,
    },
    /// The run ended, well or with a failure.
    Finished(Summary),
}

/// The device as its facts tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeviceSummary {
    /// Address and port.
    pub address: String,
    /// Serial number, where the configuration interface answers.
    pub serial: Option<String>,
    /// The device's name, where it has one.
    pub name: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// Version of its docker.
    pub docker: Option<String>,
}

/// Which device events are about: with `--json` it stands in each, under the key `device`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeviceLabel {
    /// Address and port.
    pub address: String,
    /// Serial number, once it is known.
    pub serial: Option<String>,
    /// The device's name, once it is known to have one.
    pub name: Option<String>,
}

impl DeviceLabel {
    /// Labels a device of which only address and port are known.
    pub fn at(address: &str, port: u16) -> Self {
        Self { address: format!("{address}:{port}"), ..Self::default() }
    }
}

impl From<&DeviceSummary> for DeviceLabel {
    fn from(device: &DeviceSummary) -> Self {
        Self { address: device.address.clone(), serial: device.serial.clone(), name: device.name.clone() }
    }
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedStage {
    /// The stage that is planned.
    pub stage: Stage,
    /// Description of what the stage will do, or why it has nothing to do, in a few words.
    pub says: String,
    /// Each command and transfer; empty when there is nothing to do.
    pub steps: Vec<String>,
}

/// The outcome of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It changed something on the device.
    Done,
    /// It only read the device: pulled, fetched or showed something.
    Read,
    /// All was as wanted already.
    NothingToDo,
}

/// The summary of a run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// Exit code of the run.
    pub exit_code: u8,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// The failure, where it failed: one line, as `error:` shows it.
    pub error: Option<String>,
    /// The single things that are wrong, where the error only counts them.
    pub details: Vec<String>,
    /// The causes of the error, outermost first.
    pub causes: Vec<String>,
    /// The way out, where one is known.
    pub hint: Option<String>,
    /// The last lines of the command or container that failed.
    pub last_lines: Vec<String>,
    /// Stages that changed something.
    pub changed: Vec<Stage>,
    /// Stages in which all was as wanted.
    pub unchanged: Vec<Stage>,
    /// Bytes sent to the device, on the socket.
    pub sent: u64,
    /// Bytes received from the device, on the socket.
    pub received: u64,
    /// Duration of the run, in seconds.
    pub seconds: f64,
    /// The full log of this run.
    pub log_file: Option<std::path::PathBuf>,
}

/// Takes events: a display, a file, a test.
pub trait Report {
    /// Takes one event. Must not block for long.
    fn event(&mut self, event: &Event);

    /// Takes which device the events from now on are about.
    fn device(&mut self, _device: &DeviceLabel) {}

    /// Asks a question that needs an answer; `None` when nobody can be asked.
    fn ask(&mut self, question: &Question) -> Option<String>;
}

/// A question to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Yes or no; the answer is `yes` or anything else.
    Confirm(String),
    /// A password or pass phrase, not shown while typed.
    Secret(String),
}

#[cfg(test)]
mod tests;
