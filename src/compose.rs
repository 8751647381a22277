//! What a compose file says that a deployer must know: its services, and the files that it names.
//!
//! Only a subset is read, over a plain YAML value: the file belongs to its user, and docker-compose judges the rest of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

/// What a compose file begins with, for whoever named something else.
pub const HINT: &str = "a compose file has `services:` at its top, and below that each service by its name";

/// A compose file, or several laid over each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComposeFile {
    /// Its `version:`, where it has one.
    pub version: Option<String>,
    /// Its services.
    pub services: BTreeMap<String, Service>,
    /// Relative paths it names: environment files, bind mounts, secrets, configs and files it extends.
    pub references: BTreeSet<String>,
    /// Environment files that need not be there (`required: false`), also among the references.
    pub optional: BTreeSet<String>,
    /// Binds in the short form, of which docker makes a directory of root's where there is nothing; also among the references.
    pub made: BTreeSet<String>,
    /// Compose files it extends or includes, also among the references.
    pub extends: BTreeSet<String>,
    /// Absolute paths that it binds.
    pub binds: BTreeSet<String>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its image, where that is named without variables.
    pub image: Option<String>,
    /// The name of its container, where it is given and without variables.
    pub container_name: Option<String>,
    /// Whether others wait for it to complete: it is not expected to go on running.
    pub completes: bool,
    /// Whether it only starts with a profile: it does not run unless it is named.
    pub has_profiles: bool,
}

/// Why a text is no compose file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// It is no YAML.
    #[error("{0}")]
    Yaml(String),
    /// It has no services.
    #[error("it has no `services`")]
    NoServices,
}

/// A service that a compose file does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("service `{service}` is not in the compose file; it has {known}")]
pub struct UnknownService {
    /// The service.
    pub service: String,
    /// Those it has.
    pub known: String,
}

impl UnknownService {
    /// The way out.
    pub const HINT: &str = "name one that it has, or none to bring up all";
}

impl ComposeFile {
    /// Sees that all of these services are in it.
    ///
    /// # Errors
    /// The first that is not.
    pub fn has(&self, services: &[String]) -> Result<(), UnknownService> {
        match services.iter().find(|service| !self.services.contains_key(*service)) {
            Some(service) => {
                let known = self.services.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Err(UnknownService { service: service.clone(), known })
            }
            None => Ok(()),
        }
    }

    /// Reads one file's text.
    ///
    /// # Errors
    /// When it is no YAML mapping or has no services.
    pub fn parse(text: &str) -> Result<Self, ComposeError> {
        let mut value: Value = serde_yaml::from_str(text).map_err(|error| ComposeError::Yaml(error.to_string()))?;
        value.apply_merge().map_err(|error| ComposeError::Yaml(error.to_string()))?;
        let services = value.get("services").and_then(Value::as_mapping).ok_or(ComposeError::NoServices)?;
        let mut file = Self { version: value.get("version").map(scalar), ..Self::default() };
        for (name, service) in services {
            file.add_service(&scalar(name), service);
        }
        for top in ["secrets", "configs"] {
            for (_, entry) in value.get(top).and_then(Value::as_mapping).into_iter().flatten() {
                file.refer(entry.get("file"));
            }
        }
        for include in list(value.get("include")) {
            file.extend(include.get("path").unwrap_or(include));
        }
        Ok(file)
    }

    /// Lays another file over this one, as `-f a -f b` does.
    pub fn merge(&mut self, other: Self) {
        for (name, service) in other.services {
            let base = self.services.entry(name).or_default();
            base.image = service.image.or(base.image.take());
            base.container_name = service.container_name.or(base.container_name.take());
            base.completes |= service.completes;
            base.has_profiles |= service.has_profiles;
        }
        self.references.extend(other.references);
        self.optional.extend(other.optional);
        self.made.extend(other.made);
        self.extends.extend(other.extends);
        self.binds.extend(other.binds);
    }

    fn add_service(&mut self, name: &str, service: &Value) {
        let plain = |key: &str| service.get(key).map(scalar).filter(|text| !text.is_empty() && !text.contains('$'));
        let read = self.services.entry(name.to_owned()).or_default();
        read.image = plain("image");
        read.container_name = plain("container_name");
        read.has_profiles = !list(service.get("profiles")).is_empty();
        for entry in list(service.get("env_file")) {
            let path = entry.get("path").unwrap_or(entry);
            self.refer(Some(path));
            if entry.get("required").and_then(Value::as_bool) == Some(false) {
                self.optional.insert(clean(&scalar(path)));
            }
        }
        for entry in list(service.get("volumes")) {
            match entry.get("type").and_then(Value::as_str) {
                Some("bind") => self.refer(entry.get("source")),
                Some(_) => {}
                None => self.refer_bind(&scalar(entry)),
            }
        }
        if let Some(file) = service.get("extends").and_then(|extends| extends.get("file")) {
            self.extend(file);
        }
        for (other, condition) in service.get("depends_on").and_then(Value::as_mapping).into_iter().flatten() {
            if condition.get("condition").and_then(Value::as_str) == Some("service_completed_successfully") {
                self.services.entry(scalar(other)).or_default().completes = true;
            }
        }
    }

    fn extend(&mut self, file: &Value) {
        self.extends.insert(clean(&scalar(file)));
        self.refer(Some(file));
    }

    fn refer(&mut self, path: Option<&Value>) {
        let path = path.map(scalar).unwrap_or_default();
        if path.is_empty() || path.contains('$') {
            return;
        }
        if path.starts_with(['/', '~']) {
            self.binds.insert(path);
        } else {
            self.references.insert(clean(&path));
        }
    }

    /// `./source:/target[:mode]`: only a source that begins with `.`, `/` or `~` is a path, anything else names a volume.
    fn refer_bind(&mut self, entry: &str) {
        if entry.starts_with(['.', '/', '~'])
            && let Some((source, _)) = entry.split_once(':')
        {
            if source.starts_with('.') {
                self.made.insert(clean(source));
            }
            self.refer(Some(&Value::String(source.into())));
        }
    }
}

/// The path without `./` and doubled slashes; `..` stays.
fn clean(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// A list, or one thing that stands for a list of one.
fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Sequence(entries)) => entries.iter().collect(),
        Some(entry) => vec![entry],
    }
}

/// The name that docker-compose gives a project by the base name of its directory: lower case, of `a-z0-9_-` only.
pub fn project_name(directory: &str) -> String {
    directory.to_lowercase().chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_what_the_file_names_are_found() {
        let text = "
version: '2.4'
x-base: &base { image: 'app:1', env_file: app.env }
services:
  app:
    <<: *base
    volumes: ['./config:/app/config:ro', 'data:/data', '/home/oem/share:/share', {type: bind, source: ./more, target: /m}]
    extends: { file: ./common.yml, service: x }
    depends_on: { init: { condition: service_completed_successfully } }
  init: { image: 'init:${TAG}', env_file: [a.env, {path: ./b.env, required: false}] }
secrets: { key: { file: ./key.pem } }
";
        let file = ComposeFile::parse(text).expect("valid");
        assert_eq!(file.version.as_deref(), Some("2.4"));
        assert_eq!(file.services["app"], Service { image: Some("app:1".into()), ..Service::default() });
        assert_eq!(file.services["init"], Service { completes: true, ..Service::default() });
        assert_eq!(file.binds.iter().collect::<Vec<_>>(), ["/home/oem/share"]);
        let references: Vec<_> = file.references.iter().map(String::as_str).collect();
        assert_eq!(references, ["a.env", "app.env", "b.env", "common.yml", "config", "key.pem", "more"]);
        assert_eq!(file.optional.iter().collect::<Vec<_>>(), ["b.env"]);
        assert_eq!(file.made.iter().collect::<Vec<_>>(), ["config"], "the long form is an error of docker's");
        assert_eq!(file.extends.iter().collect::<Vec<_>>(), ["common.yml"]);
    }

    #[test]
    fn names_of_containers_and_profiles_are_found_also_in_files_laid_over() {
        let mut file =
            ComposeFile::parse("services: { a: { container_name: one }, b: { container_name: 'x-${N}' } }").expect("valid");
        file.merge(ComposeFile::parse("services: { b: { container_name: two, profiles: [debug] } }").expect("valid"));
        let named = |container_name: &str, has_profiles| Service {
            container_name: Some(container_name.into()),
            has_profiles,
            ..Service::default()
        };
        assert_eq!(file.services["a"], named("one", false));
        assert_eq!(file.services["b"], named("two", true));
    }

    #[test]
    fn a_text_without_services_is_no_compose_file() {
        assert_eq!(ComposeFile::parse("a: b"), Err(ComposeError::NoServices));
        assert_eq!(ComposeFile::parse("just text"), Err(ComposeError::NoServices));
        assert!(matches!(ComposeFile::parse("a: [b"), Err(ComposeError::Yaml(_))));
    }

    #[test]
    fn a_project_is_named_as_docker_compose_names_it() {
        assert_eq!(project_name("My App.v2"), "myappv2");
        assert_eq!(project_name("python_app"), "python_app");
    }
}
