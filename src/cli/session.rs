//! The beginning and the end of every command that talks to a device: a display and a log file.

use crate::{
    config::{self, Deployment},
    failure::{ExitCode, Failure},
    report::{self, Event, EventLog, LogDir, LogFile, LogGuard, Report, Stem, Style, Tee},
};

/// A run's display and log.
pub(super) struct Session {
    /// Takes the events.
    pub(super) report: Tee,
    /// This run's log file, where there is one.
    pub(super) log: Option<LogFile>,
    /// This run's stem.
    pub(super) stem: Stem,
    _guard: LogGuard,
}

impl Session {
    /// Opens display and log. A dry run writes no log.
    pub(super) fn begin(style: Style, log_dir: LogDir<'_>) -> Result<Self, Failure> {
        let display = report::display(style);
        let stem = Stem::now();
        let log = LogFile::open(log_dir, &stem, |text| (display.lines)(&format!("warning: {text}")))?;
        let level = match style {
            Style::People(level) => level,
            Style::Json => report::Level::Warning,
        };
        let guard = LogFile::start(log.as_ref(), display.lines.clone(), level);
        let mut tee = Tee::new(vec![display.report]);
        if log.is_some() {
            tee.push(EventLog);
        }
        let stem = log.as_ref().map_or(stem, |log| log.stem().clone());
        Ok(Self { report: tee, log, stem, _guard: guard })
    }

    /// Reports the configuration file that is in use, if any; returns whether there is one.
    pub(super) fn name_file(&mut self, named: Option<&str>) -> bool {
        let file = config::file::find(named, &std::env::current_dir().unwrap_or_default()).ok().flatten();
        if let Some(file) = &file {
            self.report.event(&Event::Note { text: format!("using `{}`", file.display()) });
        }
        file.is_some()
    }

    /// Ends the run and gives its exit code.
    pub(super) fn end(mut self, result: Result<(), Failure>) -> ExitCode {
        let path = self.log.as_ref().map(|log| log.path().to_owned());
        self.report.finish(result.err().as_ref(), path)
    }
}

/// Shows why a run could not even begin, and gives its exit code.
pub(super) fn refuse(style: Style, failure: Failure) -> ExitCode {
    refuse_run(style, false, failure)
}

/// Shows why a run that may be a dry one could not begin, and returns its exit code.
pub(super) fn refuse_run(style: Style, dry_run: bool, failure: Failure) -> ExitCode {
    let mut report = Tee::new(vec![report::display(style).report]);
    report.set_dry_run(dry_run);
    report.finish(Some(&failure), None)
}

/// Returns the log directory of a deployment: it is an error if the one named by the user cannot be written, and a warning
/// for the default one.
pub(super) fn log_dir(deployment: &Deployment) -> LogDir<'_> {
    let default = std::env::home_dir().map(|home| home.join("o3r_logs"));
    match deployment.log_dir.as_deref() {
        None => LogDir::None,
        Some(path) if Some(path) == default.as_deref() => LogDir::Default(path),
        Some(path) => LogDir::AskedFor(path),
    }
}

/// Keeps no log file.
pub(super) fn no_log<W>(_: &W) -> LogDir<'_> {
    LogDir::None
}

/// Runs the work of a command between the beginning and the end that all commands have. `wanted` is what its options and the
/// configuration file say.
pub(super) async fn run<W>(
    style: Style,
    dry_run: bool,
    wanted: Result<W, impl Into<Failure>>,
    log_dir: fn(&W) -> LogDir<'_>,
    work: impl AsyncFnOnce(&mut Session, &W) -> Result<(), Failure>,
) -> ExitCode {
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return refuse_run(style, dry_run, error.into()),
    };
    let mut session = match Session::begin(style, log_dir(&wanted)) {
        Ok(session) => session,
        Err(failure) => return refuse_run(style, dry_run, failure),
    };
    session.report.set_dry_run(dry_run);
    let result = work(&mut session, &wanted).await;
    session.end(result)
}
