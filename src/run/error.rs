//! Why a plan could not be carried out, beyond what the device or this computer said itself.

use std::{path::PathBuf, time::Duration};

use crate::{
    facts::HealthCheck,
    failure::{Explain, FailureKind},
    text::count,
};

/// A failure of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Ctrl-C while the previous version was put back.
    #[error("interrupted while the previous version was put back; {}", if *by_itself {
        "the device goes on with that by itself, within half a minute"
    } else {
        "the containers run on unchanged, and what is left is put back at the next start of the device"
    })]
    GivenUp {
        /// Whether the guard on the device puts it back now.
        by_itself: bool,
    },
    /// Nobody can lock the device.
    #[error("the device cannot be locked: {0}")]
    NoLock(String),
    /// Another deployment has the device.
    #[error("the device is locked by {owner}")]
    Locked {
        /// The owner of the lock.
        owner: Box<super::Owner>,
    },
    /// The application holds updates off.
    #[error("the application holds updates off: `{file}` is locked by {process}")]
    HeldOff {
        /// The file on the device.
        file: String,
        /// The process that has locked the file.
        process: String,
    },
    /// The new version did not run, and the one before it is back.
    #[error("{cause}; the previous version is back and runs, {seconds:.1} s after that")]
    RolledBack {
        /// The failure of the new version.
        cause: Box<dyn Explain>,
        /// Time that the rollback took, in seconds.
        seconds: f64,
    },
    /// The new version did not run, and neither does the one before it.
    #[error("{cause}; and the previous version is not back: {why}")]
    NotBack {
        /// The failure of the new version.
        cause: Box<dyn Explain>,
        /// The failure of the rollback.
        why: Box<dyn Explain>,
    },
    /// The device cannot be reached anew, or its guard was faster.
    #[error("what was changed could not be confirmed over a new connection: {0}")]
    Unconfirmed(Box<dyn Explain>),
    /// The device keeps no version to return to.
    #[error("no version before the one that runs is kept for `{0}` on the device")]
    NothingBefore(String),
    /// Somebody took the lock away.
    #[error("the lock on the device was taken away")]
    LockLost,
    /// The image on the device is another one than the one sent.
    #[error("the image on the device has the ID `{found}`, and the one sent has `{sent}`")]
    OtherImage {
        /// ID that docker reports.
        found: String,
        /// ID of the image that was sent.
        sent: String,
    },
    /// The application does not run.
    #[error("container `{container}` {why}")]
    Unhealthy {
        /// Name of the container.
        container: String,
        /// Description of its fault.
        why: String,
        /// The last result of its health check.
        check: Option<HealthCheck>,
        /// The last lines of its output, oldest first.
        last_lines: Vec<String>,
    },
    /// The application does not run in time.
    #[error("{says}, after {} s", wait.as_secs())]
    Late {
        /// Description of the missing condition, as a sentence.
        says: String,
        /// Time that was waited.
        wait: Duration,
        /// The container, where there is one.
        container: Option<String>,
        /// The last result of its health check.
        check: Option<HealthCheck>,
        /// The last lines of its output, oldest first.
        last_lines: Vec<String>,
    },
    /// The container to attach to does not exist.
    #[error("there is no container `{0}` on the device")]
    NoContainer(String),
    /// The container attached to failed.
    #[error("container `{container}` ended with exit code {code}")]
    ContainerFailed {
        /// Name of the container.
        container: String,
        /// Exit code of the container.
        code: i64,
        /// The last lines of its output, oldest first.
        last_lines: Vec<String>,
    },
    /// The device described its containers in a way that is not understood.
    #[error("docker's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// Not all that was asked for could be fetched.
    #[error("{} on the device could not be read and {} not fetched: {}", count(paths.len(), "path"), if paths.len() == 1 { "was" } else { "were" }, listed(paths))]
    NotAllFetched {
        /// Files and directories there.
        paths: Vec<String>,
    },
    /// A file here could not be written.
    #[error("`{path}` on this computer cannot be written: {source}", path = path.display())]
    Local {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// Lists the first few of these paths.
fn listed(paths: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = paths.iter().take(SHOWN).map(|path| format!("`{path}`")).collect();
    let more = paths.len().saturating_sub(SHOWN);
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

impl Explain for RunError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Interrupted | Self::GivenUp { .. } => FailureKind::Interrupted,
            Self::NoLock(_) => FailureKind::Conflict,
            Self::Locked { .. } | Self::HeldOff { .. } | Self::LockLost => FailureKind::Held,
            // Who ended it knows that it did not run.
            Self::RolledBack { cause, .. } if cause.kind() == FailureKind::Interrupted => FailureKind::Interrupted,
            Self::RolledBack { .. } => FailureKind::RolledBack,
            Self::Unconfirmed(why) => why.kind(),
            Self::NotBack { cause, .. } => cause.kind(),
            Self::OtherImage { .. } => FailureKind::Image,
            Self::Unhealthy { .. } | Self::Late { .. } => FailureKind::Unhealthy,
            Self::ContainerFailed { .. } => FailureKind::ContainerFailed,
            Self::Answer(_) => FailureKind::NotUnderstood,
            Self::NothingBefore(_) => FailureKind::Conflict,
            Self::NoContainer(_) => FailureKind::RemoteCommand,
            Self::NotAllFetched { .. } => FailureKind::Incomplete,
            Self::Local { .. } => FailureKind::LocalFile,
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Unhealthy { check, .. } | Self::Late { check, .. } => check.iter().flat_map(HealthCheck::shown).collect(),
            Self::RolledBack { cause, .. } => cause.details(),
            Self::NotBack { cause, why } => [cause.details(), why.details()].concat(),
            Self::Unconfirmed(cause) => cause.details(),
            _ => Vec::new(),
        }
    }

    fn last_lines(&self) -> &[String] {
        match self {
            Self::Unhealthy { last_lines, .. } | Self::Late { last_lines, .. } | Self::ContainerFailed { last_lines, .. } => {
                last_lines
            }
            Self::RolledBack { cause, .. } | Self::NotBack { cause, .. } => cause.last_lines(),
            _ => &[],
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Interrupted => Some("run the same command again: what is finished is not done twice".into()),
            Self::RolledBack { cause, .. } | Self::Unconfirmed(cause) => cause.hint(),
            Self::NotAllFetched { .. } => Some(
                "they belong to somebody else, most often to root, as which containers write: make them readable from within the \
                 container, as by `docker exec CONTAINER chmod -R a+rX PATH`, or have it write as the device's user with `user:` \
                 in its compose file"
                    .into(),
            ),
            Self::NothingBefore(_) => {
                Some("one is kept from the second deployment on; `application:` of the file names whose it is".into())
            }
            Self::NotBack { .. } => Some("`o3r-deploy rollback` tries again to put it back".into()),
            Self::GivenUp { .. } => Some("`o3r-deploy rollback` puts it back at once".into()),
            Self::NoLock(_) => Some("remove it as that user, or switch the device off and on: it is in RAM".into()),
            Self::Locked { owner } if owner.guard => {
                Some("it ends by itself: run the same command again in some minutes".into())
            }
            Self::Locked { .. } => Some(
                "`--lock-wait SECONDS` waits for it; `o3r-deploy unlock` takes a lock away that nobody needs any more".into(),
            ),
            Self::HeldOff { .. } => Some("`--lock-wait SECONDS` waits for it, `--force` goes on all the same".into()),
            Self::LockLost => Some("somebody ran `o3r-deploy unlock`: ask them, then run the same command again".into()),
            Self::Unhealthy { last_lines, check, .. } | Self::Late { last_lines, check, .. } => {
                let foreign = last_lines.iter().any(|line| line.contains("exec format error"));
                let why = if foreign {
                    "its program is for another processor: build the image with `docker buildx build --platform linux/arm64`"
                } else if matches!(self, Self::Late { .. }) {
                    "a longer `wait` of `compose` gives it more time"
                } else if check.as_ref().is_some_and(|check| check.exit_code != 0) {
                    "correct what its health check and its output tell, and run the same command again"
                } else {
                    "correct what its output tells and run the same command again"
                };
                let has_said = !last_lines.is_empty() || check.as_ref().is_some_and(|check| !check.output.is_empty());
                let silent = !has_said && !matches!(self, Self::Late { container: None, .. });
                Some(match (silent, self) {
                    (true, Self::Late { .. }) => format!("it printed nothing so far; {why}"),
                    (true, _) => "it printed nothing: correct its `command`, its `entrypoint` or the image, and run the same \
                                  command again"
                        .into(),
                    (false, _) => why.into(),
                })
            }
            _ => None,
        }
    }
}
