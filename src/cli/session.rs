//! What every command that talks to a device begins with: a display, a log file, and the way to the device.

use crate::{
    config::{Deployment, Device},
    device::{self, ConfigurationInterface},
    failure::{ExitCode, Explain, Failure},
    remote::ssh::Target,
    report::{self, EventLog, LogDir, LogFile, LogGuard, Stem, Style, Tee},
    secret::Secret,
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

    /// Ends the run and gives its exit code.
    pub(super) fn end(mut self, result: Result<(), Failure>) -> ExitCode {
        let path = self.log.as_ref().map(|log| log.path().to_owned());
        self.report.finish(result.err().as_ref(), path)
    }
}

/// Shows why a run could not even begin, and gives its exit code.
pub(super) fn refuse(style: Style, failure: Failure) -> ExitCode {
    Tee::new(vec![report::display(style).report]).finish(Some(&failure), None)
}

/// The log directory of a deployment: a default one may fail to be written, one that the user named may not.
pub(super) fn log_dir(deployment: &Deployment) -> LogDir<'_> {
    let default = std::env::home_dir().map(|home| home.join("o3r_logs"));
    match deployment.log_dir.as_deref() {
        None => LogDir::None,
        Some(path) if Some(path) == default.as_deref() => LogDir::Default(path),
        Some(path) => LogDir::AskedFor(path),
    }
}

/// The way to a device.
pub(super) fn target(device: &Device, accept_new: bool, old_firmware: bool) -> Target {
    let password = std::env::var("O3R_DEPLOY_PASSWORD").ok().filter(|password| !password.is_empty());
    Target {
        port: device.port,
        user: device.user.clone(),
        identity: device.identity.clone(),
        accept_new,
        password: password.map(Secret::new),
        old_firmware,
        ..Target::new(device.address.clone())
    }
}

/// The device's configuration interface.
pub(super) fn interface(device: &Device) -> ConfigurationInterface {
    ConfigurationInterface::new(device.address.clone(), device::PORT)
}

/// Nobody agreed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody could be asked.
    #[error("{0}, and nobody can be asked")]
    Unasked(String),
    /// The answer was no.
    #[error("{0}, and the answer was no")]
    No(String),
}

impl Explain for Refusal {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotConfirmed
    }

    fn hint(&self) -> Option<String> {
        Some("`--dry-run` shows what would go; `--yes` agrees".into())
    }
}
