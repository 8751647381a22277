//! Checks the stages that run the application: images, compose, autostart, attach.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use super::{Check, Place, names};
use crate::{
    compose::{self, DotEnv},
    config::{
        Attach, Autostart, AutostartService, Compose, ComposeFiles, Image, ImageMetadata, ImageSource, KeyPath, SecretSource,
        WantedSecret,
        locate::Target,
        settings::{self, Environment, EnvironmentValue, OneOrMore},
    },
    reference::Reference,
    small_file,
};

fn wanted_secret(at: &Place<'_>, source: &SecretSource) -> WantedSecret {
    let place = at.layer.origin.problem(&at.path, Target::Value, "").place;
    WantedSecret { source: source.clone(), place, base: at.layer.base.clone() }
}

impl<'a> Check<'a> {
    pub(super) fn images(&mut self) -> Vec<Image> {
        let Some((images, at)) = self.said("image", |said| said.image.as_ref()) else { return Vec::new() };
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (position, image) in images.iter().enumerate() {
            let at = at.index(position);
            if let Some(name) = &image.name {
                self.named(&at.key("name"), name, names::image);
                self.once(&mut seen, &at.key("name"), Reference::normalised(name), "there is the image");
            }
            let source = self.image_source(&at, image);
            let metadata = self.metadata(&at, image);
            checked.extend(source.map(|source| Image { source, name: image.name.clone(), metadata }));
        }
        checked
    }

    fn image_source(&mut self, at: &Place<'_>, image: &settings::Image) -> Option<ImageSource> {
        match (&image.source, &image.on_device) {
            (Some(source), None) => {
                let path = self.local(&at.key("source"), source)?;
                // What is no file and does not look like one is an image in this computer's docker.
                let is_path = path.exists() || looks_like_a_path(source);
                Some(ImageSource::Here(if is_path { path.to_string_lossy().into_owned() } else { source.clone() }))
            }
            (None, Some(path)) => self.remote(&at.key("on_device"), path).map(ImageSource::OnDevice),
            (None, None) => {
                self.wrong(at, "says neither `source` (on this computer) nor `on_device`");
                None
            }
            (Some(_), Some(_)) => {
                self.wrong(at, "says both `source` and `on_device`; an image comes from one of them");
                None
            }
        }
    }

    fn metadata(&mut self, at: &Place<'_>, image: &settings::Image) -> ImageMetadata {
        let environment: Vec<String> = match &image.environment {
            Some(Environment::Map(variables)) => {
                variables.iter().map(|(name, value)| format!("{name}={}", text(value))).collect()
            }
            Some(Environment::List(variables)) => variables.clone(),
            None => Vec::new(),
        };
        for variable in &environment {
            self.named(&at.key("environment"), variable, names::variable);
        }
        let directory = image.working_directory.as_ref();
        if directory.is_some_and(|directory| !directory.starts_with('/')) {
            self.wrong(&at.key("working_directory"), "expected an absolute path in the container, such as `/app`");
        }
        for (key, words) in [("command", &image.command), ("entrypoint", &image.entrypoint)] {
            if words.iter().flatten().any(|word| word.contains('\0')) {
                self.wrong(&at.key(key), "a word holds a NUL character");
            }
        }
        ImageMetadata {
            command: image.command.clone().unwrap_or_default(),
            environment,
            entrypoint: image.entrypoint.clone().unwrap_or_default(),
            working_directory: directory.cloned(),
        }
    }

    /// Returns the values that the application needs and nobody else sees.
    pub(super) fn secrets(&mut self) -> BTreeMap<String, WantedSecret> {
        let Some((secrets, at)) = self.said("compose.secrets", |said| said.compose.as_ref()?.secrets.as_ref()) else {
            return BTreeMap::new();
        };
        if self.said("compose.on_device", |said| said.compose.as_ref()?.on_device.as_ref()).is_some() {
            self.wrong(&at, "goes with `file`: what is on the device already is not sent");
        }
        let mut wanted = BTreeMap::new();
        for (name, source) in secrets {
            let at = at.key(name);
            self.named(&at, name, names::secret);
            wanted.insert(name.clone(), wanted_secret(&at, source));
        }
        wanted
    }

    /// Returns the password to log in with.
    pub(super) fn password(&self) -> Option<WantedSecret> {
        let (source, at) = self.said("device.password", |said| said.device.as_ref()?.password.as_ref())?;
        Some(wanted_secret(&at, source))
    }

    fn compose_source(&self) -> Option<(&'a settings::Compose, Place<'a>)> {
        let said = self.said("compose", |said| {
            said.compose.as_ref().filter(|compose| compose.file.is_some() || compose.on_device.is_some())
        });
        said.filter(|(compose, _)| !is_off(compose))
    }

    /// Returns the first compose file on this computer, unchecked.
    pub(super) fn first_compose_file(&self) -> Option<PathBuf> {
        let (compose, at) = self.compose_source()?;
        let first = files(compose).into_iter().next()?;
        crate::config::LocalPath::resolve(&first, &at.layer.base).ok()
    }

    pub(super) fn compose(&mut self, application: Option<&str>) -> Option<Compose> {
        let Some((compose, at)) = self.compose_source() else {
            self.compose_without_file();
            return None;
        };
        let files = match (&compose.file, &compose.on_device) {
            (Some(_), Some(_)) => {
                self.wrong(&at, "says both `file` and `on_device`; the application comes from one of them");
                None
            }
            (_, Some(path)) => self.remote(&at.key("on_device"), path).map(ComposeFiles::OnDevice),
            _ => self.compose_files(compose, &at, application),
        };
        let services = match self.said("compose.services", |said| said.compose.as_ref()?.services.as_ref()) {
            Some((services, at)) => {
                self.each((services, at), |check, at, service| Some(check.named(at, service, names::service)))
            }
            None => Vec::new(),
        };
        let profiles = self.profiles();
        let set = self.compose_variables();
        let wait = match self.said("compose.wait", |said| said.compose.as_ref()?.wait.as_ref()) {
            Some((seconds, at)) => self.seconds(&at, *seconds),
            None => Compose::DEFAULT_WAIT,
        };
        let settle = match self.said("compose.settle", |said| said.compose.as_ref()?.settle.as_ref()) {
            Some((seconds, at)) => self.seconds(&at, *seconds),
            None => Compose::DEFAULT_SETTLE,
        };
        let completes = match self.said("compose.completes", |said| said.compose.as_ref()?.completes.as_ref()) {
            Some((services, at)) => {
                self.each((services, at), |check, at, service| Some(check.named(at, service, names::service)))
            }
            None => Vec::new(),
        };
        files.map(|files| Compose { files, services, profiles, set, wait, settle, completes })
    }

    fn profiles(&mut self) -> Option<Vec<String>> {
        let (profiles, at) = self.said("compose.profiles", |said| said.compose.as_ref()?.profiles.as_ref())?;
        self.goes_with_file(&at);
        Some(self.each((profiles, at), |check, at, name| Some(check.named(at, name, names::service))))
    }

    /// Variables of all layers: an option adds to the file's.
    fn compose_variables(&mut self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for layer in self.layers.iter().rev() {
            let Some(set) = layer.settings.compose.as_ref().and_then(|compose| compose.set.as_ref()) else { continue };
            let at = Place { layer, path: KeyPath::new("compose").key("set") };
            self.goes_with_file(&at);
            for (name, value) in set {
                let (at, value) = (at.key(name), text(value));
                self.named(&at, name, names::compose_variable);
                match compose::quoted(&value) {
                    Some(value) => {
                        variables.insert(name.clone(), value);
                    }
                    None => self.wrong(
                        &at,
                        "the value has a line break or a `'` among characters that need quotes: no `.env` can hold it",
                    ),
                }
            }
        }
        variables
    }

    fn goes_with_file(&mut self, at: &Place<'_>) {
        if self.said("compose.on_device", |said| said.compose.as_ref()?.on_device.as_ref()).is_some() {
            self.wrong(at, "goes with `file`: beside a compose file that is on the device already no `.env` is written");
        }
    }

    fn compose_files(
        &mut self,
        compose: &settings::Compose,
        at: &Place<'_>,
        application: Option<&str>,
    ) -> Option<ComposeFiles> {
        let at = at.key("file");
        if files(compose).is_empty() {
            self.wrong(&at, "names no file; `''` turns `compose` off");
        }
        let mut seen = HashSet::new();
        let mut paths = Vec::new();
        for (position, file) in files(compose).iter().enumerate() {
            let at = if matches!(compose.file, Some(OneOrMore::More(_))) { at.index(position) } else { at.clone() };
            let Some(path) = self.local_source(&at, file) else { continue };
            if path.is_dir() {
                match compose_files_of(&path) {
                    Ok(found) => paths.extend(found),
                    Err(why) => self.wrong(&at, format!("`{}` {why}", path.display())),
                }
                continue;
            }
            self.once(&mut seen, &at, path.display(), "there is the compose file");
            paths.push(path);
        }
        let directory = match self.said("compose.directory", |said| said.compose.as_ref()?.directory.as_ref()) {
            Some((directory, at)) => self.remote(&at, directory),
            None => crate::config::RemotePath::new(&format!("~/{}", application.unwrap_or("application"))).ok(),
        };
        directory.map(|directory| ComposeFiles::Here { files: paths, directory })
    }

    /// Settings of a stage that nothing starts are a mistake, unless the stage was turned off or lost to another mistake.
    fn compose_without_file(&mut self) {
        let off = self.said("compose", |said| said.compose.as_ref().filter(|compose| is_off(compose))).is_some();
        if !off
            && !self.incomplete
            && let Some((_, at)) = self.said("compose", |said| said.compose.as_ref())
        {
            self.wrong(&at, "says neither `file` (on this computer) nor `on_device`");
        }
    }

    pub(super) fn autostart(&mut self) -> Autostart {
        let disable = match self.said("autostart.disable", |said| said.autostart.as_ref()?.disable.as_ref()) {
            Some((names, at)) => self.each((names, at), |check, at, name| Some(check.named(at, name, names::unit))),
            None => Vec::new(),
        };
        let mut enable = Vec::new();
        let mut seen = HashSet::new();
        if let Some((services, at)) = self.said("autostart.enable", |said| said.autostart.as_ref()?.enable.as_ref()) {
            for (position, said) in services.iter().enumerate() {
                let at = at.index(position);
                let service = self.named(&at.key("service"), &said.service, names::unit);
                self.once(&mut seen, &at.key("service"), &service, "enables");
                if disable.contains(&service) {
                    self.wrong(&at.key("service"), format!("`{service}` is both enabled and disabled"));
                }
                let file = said.file.as_ref().and_then(|file| self.remote(&at.key("file"), file));
                enable.push(AutostartService { service, file });
            }
        }
        Autostart { enable, disable }
    }

    pub(super) fn attach(&mut self) -> Option<Attach> {
        let duration = self.said("attach.run_duration", |said| said.attach.as_ref()?.run_duration.as_ref());
        let until = self.said("attach.until", |said| said.attach.as_ref()?.until.as_ref());
        let until = until.filter(|(pattern, _)| !pattern.is_empty());
        let stop = self.said("attach.stop_upon_exit", |said| said.attach.as_ref()?.stop_upon_exit.as_ref());
        let Some((container, at)) = self.said("attach.container", |said| said.attach.as_ref()?.container.as_ref()) else {
            let duration = duration.filter(|(seconds, _)| **seconds != 0.0).map(|(_, at)| at);
            let idle = duration.or(until.map(|(_, at)| at)).or(stop.filter(|(stop, _)| **stop).map(|(_, at)| at));
            if let Some(at) = idle.filter(|_| !self.incomplete) {
                self.wrong(&at, "nothing says which container to attach to: `container` of `attach`, or `--attach_to`");
            }
            return None;
        };
        if container.is_empty() {
            return None;
        }
        let container = self.named(&at, container, names::docker);
        let run_duration = duration.map(|(seconds, at)| self.seconds(&at, *seconds)).filter(|duration| !duration.is_zero());
        if let Some((pattern, at)) = &until
            && let Err(error) = regex_lite::Regex::new(pattern)
        {
            self.wrong(at, format!("`{pattern}` is no regular expression: {error}"));
        }
        let until = until.map(|(pattern, _)| pattern.clone());
        Some(Attach { container, run_duration, until, stop_upon_exit: stop.is_some_and(|(stop, _)| *stop) })
    }
}

/// Returns the compose files of a folder: those that the `.env` in it names, or the default ones of docker-compose.
fn compose_files_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let env = small_file::read(&folder.join(".env")).map(|text| DotEnv::parse(&text)).unwrap_or_default();
    if let Some(named) = env.get("COMPOSE_FILE") {
        let separator = env.get("COMPOSE_PATH_SEPARATOR").filter(|separator| !separator.is_empty()).unwrap_or(":".into());
        let files: Vec<_> = named.split(&separator).map(|name| compose::clean(&folder.join(name))).collect();
        return match files.iter().find(|file| !file.is_file()) {
            Some(file) => Err(format!("names `{}` in its `.env`, and there is no such file", file.display())),
            None => Ok(files),
        };
    }
    for (base, layer) in [
        ("compose.yaml", "compose.override.yaml"),
        ("compose.yml", "compose.override.yml"),
        ("docker-compose.yml", "docker-compose.override.yml"),
        ("docker-compose.yaml", "docker-compose.override.yaml"),
    ] {
        if folder.join(base).is_file() {
            let files = [base, layer].map(|name| folder.join(name));
            return Ok(files.into_iter().filter(|file| file.is_file()).collect());
        }
    }
    Err("is a directory without a compose file".into())
}

/// Returns the compose files on this computer; an empty name stands for none.
fn files(compose: &settings::Compose) -> Vec<String> {
    match &compose.file {
        Some(OneOrMore::One(file)) if file.is_empty() => Vec::new(),
        Some(OneOrMore::One(file)) => vec![file.clone()],
        Some(OneOrMore::More(files)) => files.clone(),
        None => Vec::new(),
    }
}

/// Returns whether the stage was turned off by naming an empty compose file.
fn is_off(compose: &settings::Compose) -> bool {
    matches!(&compose.file, Some(OneOrMore::One(file)) if file.is_empty()) && compose.on_device.is_none()
}

fn looks_like_a_path(source: &str) -> bool {
    let archive = [".tar", ".tar.gz", ".tgz"].iter().any(|end| source.ends_with(end));
    archive || source.starts_with(['.', '/', '~']) || source.contains('\\')
}

fn text(value: &EnvironmentValue) -> String {
    match value {
        EnvironmentValue::Text(text) => text.clone(),
        EnvironmentValue::Number(number) => number.to_string(),
    }
}
