//! Describes containers, images and volumes of docker as JSON: the formats that it is asked with, and how the answers are read.
//!
//! A format asks for what is read and nothing else: whole descriptions hold environments and command lines, and so passwords.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::text::printable;

/// A container, as `docker container inspect` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// ID of the container.
    pub id: String,
    /// Name of the container, without the leading slash.
    pub name: String,
    /// The ID of its image.
    pub image: String,
    /// The reference of its image when it was made.
    pub reference: String,
    /// The compose project it belongs to.
    pub project: Option<String>,
    /// The compose service it is of.
    pub service: Option<String>,
    /// Whether it runs.
    pub state: ContainerState,
    /// Result of its health check; `None` where it has none.
    pub health: Option<Health>,
    /// The last result of its health check, where it has run.
    pub check: Option<HealthCheck>,
    /// The exit code of its last end.
    pub exit_code: i64,
    /// Number of times that docker restarted it.
    pub restarts: u64,
    /// Start time of the container, by the device's clock, as docker writes it.
    pub started_at: String,
    /// Restart policy of the container: `no`, `always`, `unless-stopped`, `on-failure`.
    pub restart_policy: String,
    /// Names of the volumes it mounts.
    pub volumes: Vec<String>,
    /// The compose files it was made of, where compose tells.
    pub project_files: Vec<String>,
}

/// A container's state, as docker names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// The container runs.
    Running,
    /// The container has ended, and docker is restarting it.
    Restarting,
    /// The container was created and never started.
    Created,
    /// The container has ended.
    Exited,
    /// The container is paused.
    Paused,
    /// Any other state.
    #[serde(other)]
    Other,
}

/// The result of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// The result is not known yet.
    Starting,
    /// The last checks succeeded.
    Healthy,
    /// The last checks failed.
    Unhealthy,
    /// The container has no health check.
    #[serde(other)]
    None,
}

/// The last result of a container's health check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// Exit code of the check; -1 when it timed out.
    pub exit_code: i64,
    /// Output of the check, line by line, fit to be shown.
    pub output: Vec<String>,
}

/// An image, as `docker image inspect` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerImage {
    /// ID of the image, `sha256:…`.
    pub id: String,
    /// References of the image, `name:tag`.
    pub tags: Vec<String>,
    /// References of the image by digest, `name@sha256:…`, where it came from a registry.
    pub digests: Vec<String>,
    /// The image it was made from by a build on the device.
    pub parent: Option<String>,
    /// Diff IDs of its layers, the lowest first.
    pub layers: Vec<String>,
    /// Size of the image, in bytes.
    pub size: u64,
    /// SHA-256 of the root file system archive that it was imported from, where this tool imported it.
    pub archive: Option<String>,
}

/// A volume, as `docker volume inspect` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerVolume {
    /// Name of the volume.
    pub name: String,
    /// Name of the volume's driver.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// The compose project that made it.
    pub project: Option<String>,
    /// The application whose deployment made it.
    pub application: Option<String>,
}

/// Format of `docker container inspect`: one JSON object a container.
pub const CONTAINER_FORMAT: &str = include_str!("container.tmpl");

/// Format of `docker image inspect`: one JSON object an image.
pub const IMAGE_FORMAT: &str = include_str!("image.tmpl");

/// Format of `docker volume inspect`: one JSON object a volume.
pub const VOLUME_FORMAT: &str = include_str!("volume.tmpl");

/// The label of volumes that names the application whose deployment made them.
pub const APPLICATION_LABEL: &str = "o3r-deploy.application";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    id: String,
    name: String,
    image: String,
    restart_count: u64,
    state: RawState,
    config: RawConfig,
    host_config: RawHostConfig,
    #[serde(default)]
    mounts: Vec<RawMount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    status: ContainerState,
    exit_code: i64,
    started_at: String,
    health: Option<RawHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealth {
    status: Health,
    log: Option<Vec<RawHealthCheck>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealthCheck {
    exit_code: i64,
    #[serde(default)]
    output: String,
}

/// Docker keeps so many bytes of a health check's output and cuts off the rest.
const CHECK_OUTPUT_MAX: usize = 4096;

impl RawHealth {
    fn last_check(&self) -> Option<HealthCheck> {
        let last = self.log.as_ref()?.last()?;
        let mut output: Vec<_> = last.output.lines().map(printable).filter(|line| !line.trim().is_empty()).collect();
        // A line that was cut may hold half a secret, which no mask knows.
        if last.output.len() >= CHECK_OUTPUT_MAX {
            output.pop();
        }
        Some(HealthCheck { exit_code: last.exit_code, output })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawConfig {
    #[serde(default)]
    image: String,
    labels: Option<Labels>,
}

/// Labels by their names; `None` where there is none of that name.
type Labels = BTreeMap<String, Option<String>>;

/// Takes the value of a label out; docker's formats tell one that is missing as an empty one, too.
fn label(labels: &mut Labels, name: &str) -> Option<String> {
    labels.remove(name).flatten().filter(|value| !value.is_empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHostConfig {
    restart_policy: RawPolicy,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPolicy {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawMount {
    #[serde(rename = "Type")]
    kind: String,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawImage {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    parent: Option<String>,
    #[serde(rename = "RootFS")]
    root_fs: RawRootFs,
    #[serde(default)]
    size: u64,
    config: Option<RawConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRootFs {
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawVolume {
    name: String,
    driver: String,
    options: Option<BTreeMap<String, String>>,
    labels: Option<Labels>,
}

/// Reads the answer to [`CONTAINER_FORMAT`]; empty text is no container.
///
/// # Errors
/// The error of the JSON parser.
pub fn containers(bytes: &[u8]) -> serde_json::Result<Vec<Container>> {
    Ok(objects::<RawContainer>(bytes)?
        .into_iter()
        .map(|raw| {
            let mut labels = raw.config.labels.unwrap_or_default();
            let policy = raw.host_config.restart_policy.name;
            Container {
                id: raw.id,
                name: raw.name.trim_start_matches('/').to_owned(),
                image: raw.image,
                reference: raw.config.image,
                project_files: label(&mut labels, "com.docker.compose.project.config_files")
                    .map(|files| files.split(',').map(str::to_owned).collect())
                    .unwrap_or_default(),
                project: label(&mut labels, "com.docker.compose.project"),
                service: label(&mut labels, "com.docker.compose.service"),
                state: raw.state.status,
                check: raw.state.health.as_ref().and_then(RawHealth::last_check),
                health: raw.state.health.map(|health| health.status).filter(|health| *health != Health::None),
                exit_code: raw.state.exit_code,
                restarts: raw.restart_count,
                started_at: raw.state.started_at,
                restart_policy: if policy.is_empty() { "no".into() } else { policy },
                volumes: raw.mounts.into_iter().filter(|mount| mount.kind == "volume").filter_map(|mount| mount.name).collect(),
            }
        })
        .collect())
}

/// Reads the answer to [`IMAGE_FORMAT`]; empty text is no image.
///
/// # Errors
/// The error of the JSON parser.
pub fn images(bytes: &[u8]) -> serde_json::Result<Vec<DockerImage>> {
    Ok(objects::<RawImage>(bytes)?
        .into_iter()
        .map(|raw| DockerImage {
            id: raw.id,
            tags: raw.repo_tags.unwrap_or_default().into_iter().filter(|tag| tag != "<none>:<none>").collect(),
            digests: raw.repo_digests.unwrap_or_default(),
            parent: raw.parent.filter(|parent| !parent.is_empty()),
            layers: raw.root_fs.layers.unwrap_or_default(),
            size: raw.size,
            archive: raw
                .config
                .and_then(|config| config.labels)
                .and_then(|mut labels| label(&mut labels, "o3r-deploy.archive")),
        })
        .collect())
}

/// Reads the answer to [`VOLUME_FORMAT`]; empty text is no volume.
///
/// # Errors
/// The error of the JSON parser.
pub fn volumes(bytes: &[u8]) -> serde_json::Result<Vec<DockerVolume>> {
    Ok(objects::<RawVolume>(bytes)?
        .into_iter()
        .map(|raw| {
            let mut labels = raw.labels.unwrap_or_default();
            DockerVolume {
                name: raw.name,
                driver: raw.driver,
                options: raw.options.unwrap_or_default(),
                project: label(&mut labels, "com.docker.compose.project"),
                application: label(&mut labels, APPLICATION_LABEL),
            }
        })
        .collect())
}

/// Reads one object after the other.
fn objects<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> serde_json::Result<Vec<T>> {
    serde_json::Deserializer::from_slice(bytes).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_read_with_project_health_and_policy() {
        let json = br#"{"Id":"c1","Name":"/app","Image":"sha256:1","RestartCount":2,
            "State":{"Status":"running","ExitCode":0,"StartedAt":"2026-11-21T07:00:00Z","Health":{"Status":"healthy",
            "Log":[{"ExitCode":0,"Output":"well\n\u001b[1mdone\n"}]}},
            "Config":{"Labels":{"com.docker.compose.project":"p","com.docker.compose.service":"s"}},
            "HostConfig":{"RestartPolicy":{"Name":"unless-stopped"}},
            "Mounts":[{"Type":"volume","Name":"v"},{"Type":"bind","Name":null}]}
            {"Id":"c2","Name":"/b","Image":"sha256:1","RestartCount":0,
            "State":{"Status":"created","ExitCode":0,"StartedAt":"","Health":null},"Config":{"Image":"b","Labels":null},
            "HostConfig":{"RestartPolicy":{"Name":""}},"Mounts":[]}"#;
        let read = containers(json).expect("valid");
        let container = read.first().expect("one");
        assert_eq!(container.name, "app");
        assert_eq!(container.project.as_deref(), Some("p"));
        assert_eq!(container.health, Some(Health::Healthy));
        assert_eq!(container.check, Some(HealthCheck { exit_code: 0, output: vec!["well".into(), "[1mdone".into()] }));
        assert_eq!(container.restart_policy, "unless-stopped");
        assert_eq!(container.volumes, ["v"]);
        let other = read.last().expect("two");
        assert_eq!((other.name.as_str(), other.project.clone(), other.health), ("b", None, None));
    }

    #[test]
    fn health_check_output_that_docker_cut_loses_its_torn_line() {
        let check = |output: String| {
            let log = Some(vec![RawHealthCheck { exit_code: 1, output }]);
            RawHealth { status: Health::Unhealthy, log }.last_check().expect("one").output
        };
        assert_eq!(check(format!("whole\n{}", "x".repeat(CHECK_OUTPUT_MAX))), ["whole"]);
        assert_eq!(check("whole\nxxx".into()), ["whole", "xxx"]);
    }

    #[test]
    fn an_untagged_image_has_no_references() {
        let json = br#"{"Id":"sha256:1","RepoTags":["<none>:<none>"],"RootFS":{"Layers":["sha256:2"]},"Size":5,"Config":{"Labels":{"o3r-deploy.archive":null}}}"#;
        let read = images(json).expect("valid");
        assert_eq!(read.first().map(|image| (image.tags.len(), image.layers.len(), image.size)), Some((0, 1, 5)));
    }

    #[test]
    fn nothing_is_an_empty_list() {
        assert_eq!(volumes(b"\n").expect("valid"), []);
    }
}
