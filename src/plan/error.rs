//! Why a plan cannot be made: what is wanted and what is there contradict each other. Nothing has been touched then.

use crate::{
    compose::UnknownService,
    failure::{Explain, FailureKind},
};

/// A contradiction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The configuration interface is needed and does not answer.
    #[error("the device's configuration interface on port 80 does not answer, and only there its name can be set")]
    NoInterface,
    /// The name does not fit.
    #[error("the name `{name}` has {length} characters, and the device takes at most {limit}")]
    NameTooLong {
        /// The name.
        name: String,
        /// Its length.
        length: usize,
        /// The device's limit.
        limit: usize,
    },
    /// There is no docker, or it does not answer.
    #[error("docker does not answer on the device")]
    NoDocker,
    /// There is no compose.
    #[error("the device has neither `docker-compose` nor `docker compose`")]
    NoCompose,
    /// There is no autostart.
    #[error("the device has no autostart units (`oem-dc@` or `oem-dc-autostart`)")]
    NoAutostart,
    /// Something is there that is not what is wanted.
    #[error("{what} is there already and differs: {how}")]
    Conflict {
        /// The thing, as `volume `share``.
        what: String,
        /// How it differs.
        how: String,
        /// What can be done.
        hint: String,
    },
    /// Something is not there that is needed.
    #[error("`{path}` is not on the device")]
    Missing {
        /// Its path.
        path: String,
    },
    /// What is to be fetched is not there.
    #[error("`{path}` is to be fetched and is not on the device")]
    NothingToFetch {
        /// Its path.
        path: String,
    },
    /// Something is there that cannot be fetched.
    #[error("`{path}` on the device is no file or directory that this user can read")]
    Unreadable {
        /// Its path.
        path: String,
    },
    /// Removing it would remove the device's own.
    #[error("`{path}` is not removed: the device needs it")]
    Precious {
        /// Its path.
        path: String,
    },
    /// An image of another architecture.
    #[error("image `{image}` is for {platform}, and the device is {machine}")]
    Architecture {
        /// The image.
        image: String,
        /// Its platform.
        platform: String,
        /// The device's machine.
        machine: String,
    },
    /// An archive that the device's docker does not load.
    #[error("`{path}` on the device is an OCI archive, which its docker does not load")]
    OciArchive {
        /// Its path.
        path: String,
    },
    /// A service that the compose file does not have.
    #[error(transparent)]
    UnknownService(#[from] UnknownService),
    /// A file that the compose file names is nowhere.
    #[error("`{name}`, which `{file}` names, is neither on this computer nor at `{path}` on the device")]
    Nowhere {
        /// The name.
        name: String,
        /// The compose file.
        file: String,
        /// Where it would have to be.
        path: String,
    },
    /// A container that is not there.
    #[error("there is no container `{container}` on the device{}", if known.is_empty() { ", nor any other".to_owned() } else { format!("; there is {known}") })]
    NoContainer {
        /// The container.
        container: String,
        /// Those there are.
        known: String,
    },
    /// Autostart of a service without a compose file.
    #[error("autostart of `{service}` needs its compose file")]
    NoComposeFile {
        /// The service.
        service: String,
    },
    /// A compose file that is none.
    #[error("`{file}` is no compose file: {reason}")]
    ComposeFile {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A compose file that the device's compose does not read.
    #[error("the device's docker-compose {version} takes no compose file without `version:`")]
    ComposeVersion {
        /// The device's version.
        version: String,
    },
    /// A compose file that needs what is outside its directory.
    #[error("the compose file names `{path}`, which is outside its own directory")]
    Outside {
        /// The path as named.
        path: String,
    },
}

impl Explain for PlanError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoInterface => FailureKind::ConfigurationInterface,
            Self::NameTooLong { .. }
            | Self::Precious { .. }
            | Self::UnknownService(_)
            | Self::NoComposeFile { .. }
            | Self::ComposeFile { .. }
            | Self::Outside { .. } => FailureKind::Usage,
            Self::Nowhere { .. } => FailureKind::LocalFile,
            Self::NoDocker
            | Self::NoContainer { .. }
            | Self::NoCompose
            | Self::NoAutostart
            | Self::Missing { .. }
            | Self::NothingToFetch { .. }
            | Self::Unreadable { .. }
            | Self::Conflict { .. }
            | Self::ComposeVersion { .. } => FailureKind::Conflict,
            Self::Architecture { .. } | Self::OciArchive { .. } => FailureKind::Image,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoInterface => "check that `http://<address>` answers; in recovery mode only port 8080 does".into(),
            Self::NoDocker => "after a reboot docker takes a while to start: run it again in a minute".into(),
            Self::Conflict { hint, .. } => hint.clone(),
            Self::Missing { .. } => {
                "check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`".into()
            }
            Self::NoAutostart => "give the service `restart: unless-stopped` in its compose file: docker then starts it again".into(),
            Self::UnknownService(_) => UnknownService::HINT.into(),
            Self::Nowhere { .. } => {
                "put it beside the compose file; `transfers:`, `compose: secrets:` or `directories:` may bring it, too".into()
            }
            Self::ComposeFile { .. } => crate::compose::HINT.into(),
            Self::Unreadable { .. } => "a container may have made it as root: change its owner or mode from within a container".into(),
            Self::Precious { .. } => "name what is inside it".into(),
            Self::Architecture { .. } => {
                "build it with `docker buildx build --platform linux/arm64`, or pass `--allow-architecture` to try it all the same".into()
            }
            Self::OciArchive { .. } => "send it from this computer with `--image`, which rewrites it on the way".into(),
            Self::ComposeVersion { .. } => "begin the compose file with `version: \"2.4\"`".into(),
            Self::Outside { .. } => "move it beside the compose file".into(),
            Self::NoComposeFile { .. } => "name it: `--enable_autostart FILE:SERVICE`, or `file:` beside `service:` in the YAML".into(),
            Self::NothingToFetch { .. } => "check the path: `~` is /home/oem there".into(),
            Self::NameTooLong { .. } | Self::NoContainer { .. } | Self::NoCompose => return None,
        })
    }
}
