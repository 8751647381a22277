//! The project as docker-compose on the device understands it: what is kept of the answer of `docker-compose config`.
//!
//! Environments stand in that answer too. They are passed over as it is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{UnknownService, inputs::relative, node::Node};

/// Answer of docker-compose to a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The compose tool that answered, with its version: `hyphen 1.29.2` or `plugin 2.26.1`.
    pub tool: String,
    /// The project, or the lines with which it is refused.
    pub project: Result<Model, Vec<String>>,
    /// The warnings of docker-compose, each once.
    pub warnings: Vec<String>,
}

/// A project as docker-compose understands it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// All services, those that only start with a profile too.
    pub services: BTreeMap<String, Service>,
    /// Files of its `secrets` and `configs`, and directories that its volumes bind.
    pub files: BTreeSet<Bind>,
}

/// A service of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The reference of its image.
    pub image: Option<String>,
    /// Whether the image is named after its build, which no deployment runs.
    pub builds: bool,
    /// The name of its container, where it is given.
    pub container_name: Option<String>,
    /// The profiles it needs one of, if any.
    pub profiles: Vec<String>,
    /// The files and directories that it binds.
    pub binds: BTreeSet<Bind>,
    /// Number of its containers; 1 where nothing is given.
    pub replicas: Option<usize>,
    /// Whether another service waits for it to complete: it is not expected to go on running.
    pub completes: bool,
}

/// The source of a bind, of a secret, of a config or of a volume that is a bind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bind {
    /// Path of the source: below the project's directory where it belongs to the project, else an absolute one on the
    /// device.
    pub source: String,
    /// Whether it is a file or directory of the deployment, and no path on the device.
    pub of_project: bool,
    /// Whether docker makes a directory of root's where there is nothing.
    pub made: bool,
}

impl Model {
    /// Reads the answer of `docker-compose config` to a project that was staged below the directory `stage`.
    ///
    /// # Errors
    /// A description of what is not understood in the answer.
    pub fn parse(text: &str, stage: &str) -> Result<Self, String> {
        let node = Node::parse(text)?;
        let services = node.get("services").ok_or("it has no `services`")?;
        let mut model = Self::default();
        for (name, service) in services.entries() {
            model.services.insert(name.clone(), Service::of(service, stage));
        }
        let waited = services.entries().iter().filter_map(|(_, service)| service.get("depends_on")).flat_map(Node::entries);
        let completing =
            waited.filter(|(_, how)| how.get("condition").and_then(Node::text) == Some("service_completed_successfully"));
        let completing: Vec<_> = completing.map(|(name, _)| name.clone()).collect();
        for name in completing {
            if let Some(service) = model.services.get_mut(&name) {
                service.completes = true;
            }
        }
        for top in ["secrets", "configs"] {
            let entries = node.get(top).map(Node::entries).unwrap_or_default();
            let files = entries.iter().filter_map(|(_, entry)| entry.get("file")?.text());
            model.files.extend(files.map(|file| Bind::of(file, false, stage)));
        }
        let volumes = node.get("volumes").map(Node::entries).unwrap_or_default();
        model.files.extend(volumes.iter().filter_map(|(_, volume)| Bind::of_driver(volume.get("driver_opts")?, stage)));
        Ok(model)
    }

    /// Sees that it has these services.
    ///
    /// # Errors
    /// The first that it does not have.
    pub fn knows(&self, services: &[String]) -> Result<(), UnknownService> {
        match services.iter().find(|service| !self.services.contains_key(*service)) {
            Some(service) => {
                let known = self.services.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Err(UnknownService { service: service.clone(), known })
            }
            None => Ok(()),
        }
    }

    /// Returns the services that run when these are brought up: those named, or all whose profile is enabled.
    ///
    /// # Errors
    /// The first that the project does not have.
    pub fn expected(&self, named: &[String], profiles: &BTreeSet<String>) -> Result<Vec<String>, UnknownService> {
        self.knows(named)?;
        let enabled = |service: &Service| {
            let needs = &service.profiles;
            needs.is_empty() || profiles.contains("*") || needs.iter().any(|profile| profiles.contains(profile))
        };
        let chosen = |(name, service): &(&String, &Service)| {
            service.replicas != Some(0) && if named.is_empty() { enabled(service) } else { named.contains(name) }
        };
        Ok(self.services.iter().filter(chosen).map(|(name, _)| name.clone()).collect())
    }

    /// Makes the paths of the project's own files relative to its directory: the same project is the same wherever it is kept.
    pub fn make_relative(&mut self, directory: &Path) {
        let related = |bind: &Bind| {
            let source = if bind.of_project { relative(directory, Path::new(&bind.source)) } else { bind.source.clone() };
            Bind { source, ..bind.clone() }
        };
        for service in self.services.values_mut() {
            service.binds = service.binds.iter().map(related).collect();
        }
        self.files = self.files.iter().map(related).collect();
    }

    /// Names the images that only have a build as docker-compose does: `<project>_<service>`, with a `-` from version 2 on.
    pub fn name_builds(&mut self, project: &str, is_plugin: bool) {
        let separator = if is_plugin { '-' } else { '_' };
        for (name, service) in self.services.iter_mut().filter(|(_, service)| service.builds) {
            service.image = Some(format!("{project}{separator}{name}"));
        }
    }

    /// Returns all that it binds, with the files of its secrets and configs and what its volumes bind.
    pub fn binds(&self) -> impl Iterator<Item = &Bind> {
        self.services.values().flat_map(|service| &service.binds).chain(&self.files)
    }
}

impl Service {
    fn of(node: &Node, stage: &str) -> Self {
        let text = |key: &str| node.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned);
        let elements = |key: &str| node.get(key).map(Node::elements).unwrap_or_default();
        let replicas = node.get("deploy").and_then(|deploy| deploy.get("replicas")).or_else(|| node.get("scale"));
        Self {
            image: text("image"),
            builds: node.get("build").is_some() && text("image").is_none(),
            container_name: text("container_name"),
            profiles: elements("profiles").iter().filter_map(Node::text).map(str::to_owned).collect(),
            binds: elements("volumes").iter().filter_map(|volume| Bind::of_volume(volume, stage)).collect(),
            replicas: replicas.and_then(Node::text).and_then(|number| number.parse().ok()),
            completes: false,
        }
    }
}

impl Bind {
    fn of(source: &str, made: bool, stage: &str) -> Self {
        let below = source.strip_prefix(stage).filter(|rest| rest.starts_with('/'));
        Self { source: below.unwrap_or(source).to_owned(), of_project: below.is_some(), made }
    }

    /// Reads a volume as `source:target[:mode]` or in the long form; an absolute source is a path, any other names a
    /// volume.
    fn of_volume(volume: &Node, stage: &str) -> Option<Self> {
        if let Some(text) = volume.text() {
            let (source, _) = text.split_once(':').filter(|(source, _)| source.starts_with('/'))?;
            return Some(Self::of(source, true, stage));
        }
        let made = volume.get("bind").and_then(|bind| bind.get("create_host_path")).and_then(Node::text) == Some("true");
        let is_bind = volume.get("type").and_then(Node::text) == Some("bind");
        Some(Self::of(volume.get("source").filter(|_| is_bind)?.text()?, made, stage))
    }

    /// Returns the directory that a volume of the local driver binds, which must exist for docker.
    fn of_driver(options: &Node, stage: &str) -> Option<Self> {
        let is_bind = options.get("o").and_then(Node::text)?.split(',').any(|option| matches!(option.trim(), "bind" | "rbind"));
        let device = options.get("device").filter(|_| is_bind)?.text()?;
        device.starts_with('/').then(|| Self::of(device, false, stage))
    }
}

/// Returns the lines that docker-compose wrote to its standard error, each once, without the marks of its loggers. `stage`
/// is the directory in which the project was staged; it is replaced with `here`, the one that users know.
pub fn diagnostics(stderr: &str, stage: &str, here: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in stderr.lines() {
        let mut line = crate::text::printable(&line.replace(stage, here));
        for mark in ["WARNING: ", "ERROR: ", "WARN[0000] "] {
            if let Some(rest) = line.strip_prefix(mark) {
                line = rest.to_owned();
            }
        }
        // logrus without a terminal: `time="…" level=warning msg="…"`, the message as Go quotes it.
        if line.starts_with("time=")
            && let Some((_, message)) = line.split_once(" msg=")
        {
            line = serde_json::from_str(message).unwrap_or_else(|_| message.trim_matches('"').to_owned());
        }
        if !line.trim().is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER_OF_1_29: &str = "
services:
  init: {image: 'init:1', scale: 0}
  once: {image: 'once:1', profiles: [jobs]}
  web:
    build: {context: /tmp/stage/p/app/src}
    container_name: web
    depends_on: {init: {condition: service_completed_successfully}}
    environment: {PASSWORD: secret}
    image: docker.io/acme/web:1
    volumes: ['/tmp/stage/p/app/conf:/conf:ro', '/home/oem/share:/share:rw', 'data:/data:rw', /anonymous,
      {type: bind, source: /tmp/stage/p/src, target: /src}]
secrets: {key: {file: /tmp/stage/p/app/key.pem}}
volumes:
  bound: {driver_opts: {type: none, o: 'ro,bind', device: /tmp/stage/p/app/volume}}
  memory: {driver_opts: {type: tmpfs, o: size=1m, device: tmpfs}}
  remote: {driver_opts: {type: nfs, o: addr=10.0.0.1, device: ':/share'}}
version: '2.4'
";

    #[test]
    fn answer_is_read_without_its_environments() {
        let mut model = Model::parse(ANSWER_OF_1_29, "/tmp/stage").expect("it is read");
        model.make_relative(Path::new("/p/app"));
        assert!(!format!("{model:?}").contains("secret"));
        let web = &model.services["web"];
        assert_eq!((web.image.as_deref(), web.container_name.as_deref()), (Some("docker.io/acme/web:1"), Some("web")));
        assert!(!web.builds && model.services["init"].completes);
        let shown: Vec<_> = model.binds().map(|bind| format!("{} {} {}", bind.source, bind.of_project, bind.made)).collect();
        let of_services = ["../src true false", "/home/oem/share false true", "conf true true"];
        assert_eq!(shown, [&of_services[..], &["key.pem true false", "volume true false"]].concat());
    }

    #[test]
    fn services_are_expected_by_name_and_profile() {
        let model = Model::parse(ANSWER_OF_1_29, "/tmp/stage").expect("it is read");
        let expected = |named: &[&str], profiles: &[&str]| {
            let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
            let profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
            model.expected(&named, &profiles).map_err(|error| error.to_string())
        };
        assert_eq!(expected(&[], &[]).expect("known"), ["web"], "one of no containers is not expected");
        assert_eq!(expected(&[], &["jobs"]).expect("known"), ["once", "web"]);
        assert_eq!(expected(&["once"], &[]).expect("known"), ["once"]);
        let said = expected(&["nobody"], &[]).expect_err("unknown");
        assert_eq!(said, "service `nobody` is not in the compose file; it has `init`, `once`, `web`");
    }

    #[test]
    fn diagnostics_are_told_once_and_without_marks() {
        let stderr = "WARNING: The MODE variable is not set.\nWARNING: The MODE variable is not set.\n\
                      time=\"2026\" level=warning msg=\"/tmp/stage/p/c.yml: `version` is \\\"obsolete\\\"\"\n\n\
                      ERROR: The Compose file '/tmp/stage/p/c.yml' is invalid because:\n";
        assert_eq!(
            diagnostics(stderr, "/tmp/stage", ""),
            [
                "The MODE variable is not set.",
                "/p/c.yml: `version` is \"obsolete\"",
                "The Compose file '/p/c.yml' is invalid because:"
            ]
        );
    }
}
