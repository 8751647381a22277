//! The errors of planning: the configuration and the facts contradict each other. Nothing has been changed then.

use crate::{
    compose::UnknownService,
    failure::{DOCKER_SILENT_HINT, Explain, FailureKind},
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
        /// The name that is too long.
        name: String,
        /// Length of the name.
        length: usize,
        /// The device's limit.
        limit: usize,
    },
    /// Docker is missing, or does not answer.
    #[error("docker does not answer on the device")]
    NoDocker,
    /// The device has no compose tool.
    #[error("the device has neither `docker-compose` nor `docker compose`")]
    NoCompose,
    /// The device has no autostart.
    #[error("the device has no autostart units (`oem-dc@` or `oem-dc-autostart`)")]
    NoAutostart,
    /// The device has something else in the place of what is wanted.
    #[error("{what} is there already and differs: {how}")]
    Conflict {
        /// The thing, as `volume `share``.
        what: String,
        /// Description of the difference.
        how: String,
        /// Description of what the user can do.
        hint: String,
    },
    /// Something is not there that is needed.
    #[error("`{path}` is not on the device")]
    Missing {
        /// Path that is missing.
        path: String,
    },
    /// The path to fetch does not exist on the device.
    #[error("`{path}` is to be fetched and is not on the device")]
    NothingToFetch {
        /// Path that does not exist.
        path: String,
    },
    /// Something is there that cannot be fetched.
    #[error("`{path}` on the device is no file or directory that this user can read")]
    Unreadable {
        /// Path that cannot be read.
        path: String,
    },
    /// Removing it would remove the device's own.
    #[error("`{path}` is not removed: the device needs it")]
    Precious {
        /// Path that is never removed.
        path: String,
    },
    /// An image of another architecture.
    #[error("image `{image}` is for {platform}, and the device is {machine}")]
    Architecture {
        /// The image that does not run on the device.
        image: String,
        /// The platform of the image.
        platform: String,
        /// The device's machine.
        machine: String,
    },
    /// An image with more layers than docker takes.
    #[error("image `{image}` has {layers} layers, and docker takes at most 125")]
    TooManyLayers {
        /// The image that has too many layers.
        image: String,
        /// Number of its layers.
        layers: usize,
    },
    /// A name that the device's docker does not read.
    #[error("`{reference}` names a registry by its IPv6 address, which the device's docker {version} does not read")]
    Ipv6Registry {
        /// The image reference.
        reference: String,
        /// The device's version.
        version: String,
    },
    /// Images are kept in a way in which they cannot be delivered.
    #[error("the device's docker keeps images in containerd's store, into which images cannot be delivered")]
    ContainerdStore,
    /// An archive that the device's docker does not load.
    #[error("`{path}` on the device is an OCI archive, which its docker does not load")]
    OciArchive {
        /// Path of the archive.
        path: String,
    },
    /// A service that the compose file does not have.
    #[error(transparent)]
    UnknownService(#[from] UnknownService),
    /// A file that the compose file names is nowhere.
    #[error("`{name}`, which `{file}` names, is neither on this computer nor at `{path}` on the device")]
    Nowhere {
        /// Name of the file that is missing.
        name: String,
        /// The compose file.
        file: String,
        /// Path on the device at which the file is missing.
        path: String,
    },
    /// A container that is not there.
    #[error("there is no container `{container}` on the device{}", if known.is_empty() { ", nor any other".to_owned() } else { format!("; there is {known}") })]
    NoContainer {
        /// Name of the missing container.
        container: String,
        /// Names of the containers that exist.
        known: String,
    },
    /// Autostart of a service without a compose file.
    #[error("autostart of `{service}` needs its compose file")]
    NoComposeFile {
        /// Name of the service.
        service: String,
    },
    /// docker-compose on the device refuses the compose files.
    #[error("{} on the device refuses the compose files: {}", tool_name(tool), reason(lines))]
    ComposeRefused {
        /// The compose tool and its version: `hyphen 1.29.2`.
        tool: String,
        /// The lines of its error message.
        lines: Vec<String>,
    },
    /// No service of the project would be brought up.
    #[error("the compose files have no service to bring up")]
    NoServices,
    /// A service that only has a build.
    #[error("service `{service}` has `build:` and no `image:`, and nothing is built on the device")]
    NothingBuilds {
        /// Name of the service.
        service: String,
        /// The name of the image that a build would make.
        image: String,
    },
    /// Autostart would start another project than the one that is brought up.
    #[error(
        "autostart would start `{file}` as the project `{at_boot}`, and the project that is brought up is `{project}`: {how}"
    )]
    OtherProject {
        /// The compose file that autostart would start.
        file: String,
        /// The project that it would be at boot.
        at_boot: String,
        /// The project that is brought up.
        project: String,
        /// Description of the consequence.
        how: String,
    },
}

/// Returns the line that gives the reason: the one after `… is invalid because:`, else the last that is not a place in a
/// file.
fn reason(lines: &[String]) -> &str {
    let because = lines.iter().position(|line| line.ends_with("is invalid because:")).and_then(|at| lines.get(at + 1));
    let says = |line: &&String| !line.starts_with([' ', '\t']);
    because.or_else(|| lines.iter().rev().find(says)).or(lines.last()).map_or("it says nothing", String::as_str)
}

/// Returns the name of the compose tool that is shown to the user, from `hyphen 1.29.2`.
fn tool_name(tool: &str) -> String {
    match tool.split_once(' ') {
        Some(("plugin", version)) => format!("docker compose {version}"),
        Some((_, version)) => format!("docker-compose {version}"),
        None => "docker-compose".into(),
    }
}

/// Returns whether docker-compose is too old for the file; otherwise the file itself is at fault.
fn is_too_old(lines: &[String]) -> bool {
    lines
        .iter()
        .any(|line| line.contains("nsupported") && !line.contains("is unsupported. You might be seeing this error because"))
}

impl Explain for PlanError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoInterface => FailureKind::ConfigurationInterface,
            Self::NameTooLong { .. }
            | Self::Precious { .. }
            | Self::UnknownService(_)
            | Self::NoComposeFile { .. }
            | Self::NoServices
            | Self::NothingBuilds { .. }
            | Self::OtherProject { .. } => FailureKind::Usage,
            Self::ComposeRefused { lines, .. } if !is_too_old(lines) => FailureKind::Usage,
            Self::Nowhere { .. } => FailureKind::LocalFile,
            Self::NoDocker => FailureKind::DockerSilent,
            Self::NoContainer { .. }
            | Self::NoCompose
            | Self::NoAutostart
            | Self::Missing { .. }
            | Self::NothingToFetch { .. }
            | Self::Unreadable { .. }
            | Self::Conflict { .. }
            | Self::ComposeRefused { .. }
            | Self::ContainerdStore => FailureKind::Conflict,
            Self::Architecture { .. } | Self::OciArchive { .. } | Self::TooManyLayers { .. } | Self::Ipv6Registry { .. } => {
                FailureKind::Image
            }
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoInterface => "check that `http://<address>` answers; in recovery mode only port 8080 does".into(),
            Self::NoDocker => DOCKER_SILENT_HINT.into(),
            Self::Conflict { hint, .. } => hint.clone(),
            Self::Missing { .. } => {
                "check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`".into()
            }
            Self::NoAutostart => "give the service `restart: unless-stopped` in its compose file: docker then starts it again".into(),
            Self::UnknownService(_) => UnknownService::HINT.into(),
            Self::Nowhere { .. } => {
                "put it beside the compose file; `transfers:`, `compose: secrets:` or `directories:` may bring it, too".into()
            }
            Self::Unreadable { .. } => "a container may have made it as root: change its owner or mode from within a container".into(),
            Self::Precious { .. } => "name what is inside it".into(),
            Self::Architecture { .. } => {
                "build it with `docker buildx build --platform linux/arm64`, or pass `--allow-architecture` to try it all the same".into()
            }
            Self::TooManyLayers { .. } => {
                "join `RUN` and `COPY` lines, or copy all into a last stage: `FROM scratch` and `COPY --from=build / /`".into()
            }
            Self::Ipv6Registry { .. } => "name the registry by a host name, or docker 25.0 or later is needed there".into(),
            Self::ContainerdStore => crate::facts::STORE_HINT.into(),
            Self::OciArchive { .. } => "send it from this computer with `--image`, which rewrites it on the way".into(),
            Self::ComposeRefused { lines, .. } => return refusal_hint(lines),
            Self::NoServices => "`compose.profiles` enables those that have a profile; `compose.services` names some".into(),
            Self::NothingBuilds { service, image } => {
                format!("build its image on this computer and deliver it as `{image}`, or give `{service}` another name by `image:`")
            }
            Self::OtherProject { .. } => "name the service alone, without FILE: autostart then starts what is brought up".into(),
            Self::NoComposeFile { .. } => "name it: `--enable_autostart FILE:SERVICE`, or `file:` beside `service:` in the YAML".into(),
            Self::NothingToFetch { .. } => "check the path: `~` is /home/oem there".into(),
            Self::NameTooLong { .. } | Self::NoContainer { .. } | Self::NoCompose => return None,
        })
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::ComposeRefused { lines, .. } if lines.len() > 1 => lines.clone(),
            _ => Vec::new(),
        }
    }
}

/// Returns a hint for an error of docker-compose, where its message does not give one.
fn refusal_hint(lines: &[String]) -> Option<String> {
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    if says("for services: ") && says("Unsupported config option") {
        return Some("this docker-compose takes no compose file without `version:`: begin it with `version: \"2.4\"`".into());
    }
    if says("'name'") || says("option: 'name'") {
        return Some("take `name:` out of the compose file: `application:` of o3r-deploy.yaml names the project".into());
    }
    if says("Top level object") || says("no `services`") || says("non-empty mapping") {
        return Some(crate::compose::HINT.into());
    }
    None
}
