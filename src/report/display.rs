//! Selects the display: bars on a terminal, plain lines elsewhere, JSON for programs.

use std::{io::IsTerminal, sync::Arc, time::Instant};

use super::{
    Report,
    json::Json,
    plain::Plain,
    sink::Sink,
    terminal::{Looks, Terminal},
};

/// The amount of output; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only why it failed.
    Error,
    /// Warnings as well: `--quiet`.
    Warning,
    /// The stages and their progress.
    #[default]
    Info,
    /// Each step and each command.
    Debug,
}

/// The form of the display that the user has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The display is for people, at this level.
    People(Level),
    /// The display is for programs: `--json`.
    Json,
}

impl Style {
    /// Returns the style that `--json`, `--quiet` and `--log_level` select.
    pub fn of(json: bool, quiet: bool, level: Level) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json,
            (false, true) => Self::People(level.min(Level::Warning)),
            (false, false) => Self::People(level),
        }
    }
}

/// Prints data for programs and pipes to standard output; a reader that went away is no failure.
pub fn data(text: &str) {
    Sink::new(std::io::stdout()).line(text);
}

/// Tells the time; tests bring their own.
pub(super) type Clock = Box<dyn FnMut() -> Instant>;

/// Shows one line for people without disturbing what is on the screen.
pub type Lines = Arc<dyn Fn(&str) + Send + Sync>;

/// A display and the way past it.
pub struct Display {
    /// Takes the events.
    pub report: Box<dyn Report>,
    /// The output for the lines of `tracing`: see [`super::LogFile::start`].
    pub lines: Lines,
}

/// Returns the display for this process's standard streams. A terminal that cannot move its cursor (`TERM=dumb`) gets plain
/// lines.
pub fn display(style: Style) -> Display {
    let clock: Clock = Box::new(Instant::now);
    let (stdout, stderr) = (|| Sink::new(std::io::stdout()), || Sink::new(std::io::stderr()));
    match style {
        Style::Json => Display { report: Box::new(Json::new(stdout(), clock)), lines: to_stderr() },
        Style::People(level) if level >= Level::Info && is_capable_terminal() => {
            let bars = indicatif::MultiProgress::new();
            let shared = bars.clone();
            let terminal = Terminal::new(bars, stdout(), level, Looks::of_this_terminal(), clock);
            Display { report: Box::new(terminal), lines: Arc::new(move |line| drop(shared.println(line))) }
        }
        Style::People(level) => Display { report: Box::new(Plain::new(stderr(), stdout(), level, clock)), lines: to_stderr() },
    }
}

fn to_stderr() -> Lines {
    Arc::new(|line| Sink::new(std::io::stderr()).line(line))
}

fn is_capable_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
