//! The kind, the hint and the exit code of an error, which every error gives in addition to its text.

use std::{error::Error, fmt};

use crate::stage::Stage;

/// The exit codes of the program. Each kind of failure has its own code; `--help` and the README list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// All that was asked for is true on the device.
    Success = 0,
    /// A fault of `o3r-deploy` itself.
    Internal = 1,
    /// The options or the configuration file are wrong; nothing was touched.
    Usage = 2,
    /// A file on this computer is missing or cannot be read or written.
    LocalFile = 3,
    /// The device does not answer.
    Unreachable = 4,
    /// The device's host key is unknown or has changed.
    HostKey = 5,
    /// The device accepts none of the keys or passwords offered.
    Authentication = 6,
    /// A command failed on the device.
    RemoteCommand = 7,
    /// The image is none, or not for this device.
    Image = 8,
    /// The device has not enough room.
    NoSpace = 9,
    /// The application does not run or is not healthy.
    Unhealthy = 10,
    /// Something would be removed, and nobody agreed.
    NotConfirmed = 11,
    /// The connection was lost on the way.
    ConnectionLost = 12,
    /// The device's configuration interface refused or did not answer.
    ConfigurationInterface = 13,
    /// The container attached to ended with an exit code other than 0.
    ContainerFailed = 14,
    /// The state of the device contradicts the wanted one, and replacing it was not asked for; or something that is needed
    /// is missing.
    Conflict = 15,
    /// Another deployment is under way, or the application holds updates off.
    Held = 16,
    /// The new version did not run; the previous one is back.
    RolledBack = 17,
    /// Some files on the device could not be read and were not fetched; all else is done.
    Incomplete = 18,
    /// Interrupted with Ctrl-C.
    Interrupted = 130,
}

impl ExitCode {
    /// Every code with its meaning, for `--help` and the documents.
    pub const MEANINGS: [(Self, &'static str); 20] = [
        (Self::Success, "all that was asked for is true on the device"),
        (Self::Internal, "a fault of o3r-deploy itself"),
        (Self::Usage, "the options or the configuration file are wrong; nothing was touched"),
        (Self::LocalFile, "a file on this computer is missing or cannot be read or written"),
        (Self::Unreachable, "the device does not answer"),
        (Self::HostKey, "the device's host key is unknown or has changed"),
        (Self::Authentication, "the device accepts none of the keys or passwords offered"),
        (Self::RemoteCommand, "a command failed on the device"),
        (Self::Image, "the image is none, or not for this device"),
        (Self::NoSpace, "the device has not enough room"),
        (Self::Unhealthy, "the application does not run or is not healthy"),
        (Self::NotConfirmed, "something would be removed, and nobody agreed (see --yes)"),
        (Self::ConnectionLost, "the connection was lost on the way"),
        (Self::ConfigurationInterface, "the device's configuration interface refused or did not answer"),
        (Self::ContainerFailed, "the container attached to ended with an exit code other than 0"),
        (
            Self::Conflict,
            "what is on the device contradicts what is asked for, or lacks what that needs; doctor: something there is wrong",
        ),
        (Self::Held, "another deployment is under way on the device, or its application holds updates off"),
        (Self::RolledBack, "the new version did not run, or was not confirmed; the previous one is back and runs"),
        (Self::Incomplete, "all else is done, but some files on the device could not be read and were not fetched"),
        (Self::Interrupted, "interrupted with Ctrl-C"),
    ];
}

/// Kind of a failure: that by which the program decides how it reacts. Several kinds may lead to one exit code; nothing is decided
/// by the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The options or the configuration file are wrong.
    Usage,
    /// A file on this computer is missing or cannot be read or written.
    LocalFile,
    /// No connection to the device came about.
    Unreachable,
    /// The device's host key is unknown or has changed.
    HostKey,
    /// The device accepts none of the keys or passwords offered.
    Authentication,
    /// A command failed on the device.
    RemoteCommand,
    /// A command on the device was silent for longer than it may be, and was given up.
    Silent,
    /// The answer of a command on the device is not understood.
    NotUnderstood,
    /// Docker on the device does not answer, or is not there.
    DockerSilent,
    /// The device's login shell does not run commands.
    LoginShell,
    /// The device's sshd does not run a command beside those that run.
    Sessions,
    /// The image is none, or not for this device.
    Image,
    /// The device has not enough room.
    NoSpace,
    /// The application does not run or is not healthy.
    Unhealthy,
    /// Something would be removed, and nobody agreed.
    NotConfirmed,
    /// The connection was lost on the way.
    ConnectionLost,
    /// The device's configuration interface refused or did not answer.
    ConfigurationInterface,
    /// The container attached to ended with an exit code other than 0.
    ContainerFailed,
    /// The device contradicts what is asked for, or lacks what that needs.
    Conflict,
    /// Another deployment is under way, or the application holds updates off.
    Held,
    /// The new version did not run; the previous one is back.
    RolledBack,
    /// Some files on the device could not be read and were not fetched.
    Incomplete,
    /// Interrupted with Ctrl-C.
    Interrupted,
}

impl FailureKind {
    /// Returns the exit code that failures of this kind lead to.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Usage => ExitCode::Usage,
            Self::LocalFile => ExitCode::LocalFile,
            Self::Unreachable => ExitCode::Unreachable,
            Self::HostKey => ExitCode::HostKey,
            Self::Authentication => ExitCode::Authentication,
            Self::RemoteCommand | Self::Silent | Self::NotUnderstood => ExitCode::RemoteCommand,
            Self::Image => ExitCode::Image,
            Self::NoSpace => ExitCode::NoSpace,
            Self::Unhealthy => ExitCode::Unhealthy,
            Self::NotConfirmed => ExitCode::NotConfirmed,
            Self::ConnectionLost => ExitCode::ConnectionLost,
            Self::ConfigurationInterface => ExitCode::ConfigurationInterface,
            Self::ContainerFailed => ExitCode::ContainerFailed,
            Self::Conflict | Self::DockerSilent | Self::LoginShell | Self::Sessions => ExitCode::Conflict,
            Self::Held => ExitCode::Held,
            Self::RolledBack => ExitCode::RolledBack,
            Self::Incomplete => ExitCode::Incomplete,
            Self::Interrupted => ExitCode::Interrupted,
        }
    }
}

/// Way out where docker on the device does not answer.
pub const DOCKER_SILENT_HINT: &str = "after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device \
                                      tells more, and a reboot starts it anew";

/// An error that knows its kind and the way out.
pub trait Explain: Error + Send + Sync + 'static {
    /// Returns the kind of failure that it is.
    fn kind(&self) -> FailureKind;

    /// Returns what the user can do about it, in one sentence: lower case, no full stop, backticks round what can be typed.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Returns the individual problems, where the error's first line only counts them.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the last lines of the command or container that failed, oldest first, fit to be shown.
    fn last_lines(&self) -> &[String] {
        &[]
    }
}

/// A failed run: the stage in which it failed, where one had begun, and why.
pub struct Failure {
    /// The stage in which it happened.
    pub stage: Option<Stage>,
    /// The error that occurred.
    pub error: Box<dyn Explain>,
}

impl Failure {
    /// Names the stage if none is named yet.
    #[must_use]
    pub fn in_stage(mut self, stage: Stage) -> Self {
        self.stage.get_or_insert(stage);
        self
    }

    /// Returns the kind of failure that it is.
    pub fn kind(&self) -> FailureKind {
        self.error.kind()
    }
}

/// Shows what people need, for a program whose `main` returns it: the failure, its causes and the way out.
impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(formatter, "\n  cause: {error}")?;
            cause = error.source();
        }
        self.error.hint().map_or(Ok(()), |hint| write!(formatter, "\n  hint: {hint}"))
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.error.as_ref())
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { stage: None, error: Box::new(error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage {
            Some(stage) => write!(formatter, "{stage}: {}", self.error),
            None => write!(formatter, "{}", self.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_told_apart() {
        let mut codes: Vec<u8> = ExitCode::MEANINGS.iter().map(|(code, _)| *code as u8).collect();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
