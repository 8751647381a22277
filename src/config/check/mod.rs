//! Turns what was said into the one checked [`Deployment`], or lists everything that is wrong with it.

use std::{
    collections::HashSet,
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

mod application;
mod names;
mod stages;

use super::{
    ConfigError, Deployment, Device, LocalPath, RemotePath,
    layer::{Layer, Origin, Place, find},
    locate::Target,
    paths::REMOTE_HOME,
    problem::{MOST, Problem, ProblemKind},
    settings::Settings,
};

/// The device's address when nothing names one: that of every new device.
pub const DEFAULT_ADDRESS: &str = "192.168.0.69";

/// Checks what the layers say, the uppermost first, and fills in the defaults. `problems` are those known already.
///
/// # Errors
/// [`ConfigError::Wrong`] with all that is wrong.
pub fn check(layers: &[Layer], problems: Vec<Problem>) -> Result<Deployment, ConfigError> {
    Check { layers, incomplete: !problems.is_empty(), problems, sources: Sources::Needed }.deployment()
}

/// Checks the layers like [`check`], for commands that deploy nothing: the local files of a deployment need not exist.
///
/// # Errors
/// As [`check`].
pub fn check_without_sources(layers: &[Layer], problems: Vec<Problem>) -> Result<Deployment, ConfigError> {
    Check { layers, incomplete: !problems.is_empty(), problems, sources: Sources::NotLookedAt }.deployment()
}

/// Whether the local files to send must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sources {
    Needed,
    NotLookedAt,
}

struct Check<'a> {
    layers: &'a [Layer],
    problems: Vec<Problem>,
    /// Whether invalid settings are missing from the layers: a setting that seems to be missing may be among them.
    incomplete: bool,
    sources: Sources,
}

impl<'a> Check<'a> {
    fn deployment(mut self) -> Result<Deployment, ConfigError> {
        let application = self.application();
        let deployment = Deployment {
            log_dir: self.log_dir(),
            device: self.device(),
            password: self.password(),
            secrets: self.secrets(),
            hold_off: self.hold_off(),
            logs: self.logs(),
            rename: self.rename(),
            clean_up: self.clean_up(),
            mount_usb: self.flag("mount_usb", |said| said.mount_usb.as_ref()),
            directories: self.directories(),
            stamp: self.stamp(),
            transfers: self.transfers(),
            volume: self.volumes(),
            image: self.images(),
            leftovers: self.leftovers(),
            compose: self.compose(application.as_deref()),
            autostart: self.autostart(),
            attach: self.attach(),
            application,
        };
        if self.problems.is_empty() { Ok(deployment) } else { Err(ConfigError::wrong(self.problems)) }
    }

    fn said<T>(&self, path: &str, field: impl Fn(&'a Settings) -> Option<&'a T>) -> Option<(&'a T, Place<'a>)> {
        find(self.layers, path, field)
    }

    fn flag(&self, path: &str, field: impl Fn(&'a Settings) -> Option<&'a bool>) -> bool {
        self.said(path, field).is_some_and(|(value, _)| *value)
    }

    fn wrong(&mut self, at: &Place<'_>, text: impl Into<String>) {
        self.report(at, text.into(), ProblemKind::Said);
    }

    fn report(&mut self, at: &Place<'_>, text: String, kind: ProblemKind) {
        if self.problems.len() < MOST {
            self.problems.push(Problem { kind, ..at.layer.origin.problem(&at.path, Target::Value, text) });
        }
    }

    fn named(&mut self, at: &Place<'_>, text: &str, rule: fn(&str) -> names::Expected) -> String {
        if let Err(expected) = rule(text) {
            self.wrong(at, format!("expected {expected}, found `{}`", text.escape_debug()));
        }
        text.to_owned()
    }

    fn remote(&mut self, at: &Place<'_>, text: &str) -> Option<RemotePath> {
        if matches!(at.layer.origin, Origin::Options(_))
            && let Some(rest) = below_local_home(text)
        {
            self.wrong(at, format!("`{text}` is below this computer's home: the shell made it of a `~`; quote it: '~/{rest}'"));
        }
        let path = RemotePath::new(text);
        path.map_err(|error| self.wrong(at, format!("{error}; expected a path on the device, such as `~/share`"))).ok()
    }

    fn local(&mut self, at: &Place<'_>, text: &str) -> Option<PathBuf> {
        // "./" adds nothing but noise to every message that names the file.
        let bare = text.strip_prefix("./").filter(|rest| !rest.is_empty()).unwrap_or(text);
        let path = LocalPath::resolve(bare, &at.layer.base);
        path.map_err(|error| self.wrong(at, format!("{error}; expected a path on this computer, such as `./config`"))).ok()
    }

    /// Returns a local path, at which something readable must exist.
    fn local_source(&mut self, at: &Place<'_>, text: &str) -> Option<PathBuf> {
        let path = self.local(at, text)?;
        if self.sources == Sources::Needed
            && let Err(error) = readable(&path)
        {
            let reason =
                if error.kind() == io::ErrorKind::NotFound { "there is no such file".into() } else { error.to_string() };
            self.report(at, format!("`{}` on this computer: {reason}", path.display()), ProblemKind::LocalFile);
        }
        Some(path)
    }

    fn seconds(&mut self, at: &Place<'_>, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds).unwrap_or_else(|_| {
            self.wrong(at, format!("expected seconds, a number from 0, found {seconds}"));
            Duration::ZERO
        })
    }

    /// Checks each item of a list by itself, and that none of them is there twice.
    fn each<T, U: PartialEq + ToString>(
        &mut self,
        (items, at): (&'a [T], Place<'a>),
        item: impl Fn(&mut Self, &Place<'a>, &'a T) -> Option<U>,
    ) -> Vec<U> {
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (position, said) in items.iter().enumerate() {
            let at = at.index(position);
            let Some(value) = item(self, &at, said) else { continue };
            if !seen.insert(value.to_string()) {
                self.wrong(&at, format!("`{}` is there twice", value.to_string()));
            }
            checked.push(value);
        }
        checked
    }

    /// Says of a value that it must not meet another of its kind.
    fn once(&mut self, seen: &mut HashSet<String>, at: &Place<'_>, value: impl Display, problem: impl Display) {
        if !seen.insert(value.to_string()) {
            self.wrong(at, format!("{problem} `{value}` twice"));
        }
    }

    /// Returns the name of the application: the given one, else that of the folder of the file, else that of the first
    /// local compose file.
    fn application(&mut self) -> Option<String> {
        if let Some((name, at)) = self.said("application", |said| said.application.as_ref()) {
            if let Err(expected) = names::application(name) {
                let nearest = names::nearest_application(name);
                let nearest = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                self.wrong(&at, format!("expected {expected}, found `{}`{nearest}", name.escape_debug()));
            }
            return Some(name.clone());
        }
        let file = self.layers.iter().find(|layer| matches!(layer.origin, Origin::File { .. }));
        let folder = match file {
            Some(layer) => Some(layer.base.clone()),
            None => self.first_compose_file().and_then(|path| Some(path.parent()?.to_owned())),
        }?;
        let folder = fs::canonicalize(&folder).unwrap_or(folder);
        Some(names::nearest_application(&folder.file_name()?.to_string_lossy()).unwrap_or_else(|| "application".into()))
    }

    fn log_dir(&mut self) -> Option<PathBuf> {
        match self.said("log_dir", |said| said.log_dir.as_ref()) {
            Some((text, _)) if text.is_empty() => None,
            Some((text, at)) => self.local(&at, text),
            None => self.default_local("~/o3r_logs"),
        }
    }

    /// Returns a default path below the home directory; `None` when that is unknown.
    fn default_local(&self, text: &str) -> Option<PathBuf> {
        LocalPath::resolve(text, self.layers.first().map_or(Path::new("."), |layer| &layer.base)).ok()
    }

    /// Returns an address without its port, and without the brackets around an IPv6 address.
    fn address(&mut self, at: &Place<'_>, text: &str) -> String {
        let host_and_port = text.rsplit_once(':').filter(|(host, _)| host.ends_with(']') || !host.contains(':'));
        if let Some((host, port)) = host_and_port.filter(|(host, _)| !host.is_empty()) {
            let place = if matches!(at.layer.origin, Origin::Options(_)) { "`--port`" } else { "`port:` beside it" };
            self.wrong(at, format!("`{text}` is the address `{host}` and the port `{port}`: the port goes into {place}"));
            return text.to_owned();
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        self.named(at, bare, names::address)
    }

    fn device(&mut self) -> Device {
        let address = match self.said("device.address", |said| said.device.as_ref()?.address.as_ref()) {
            Some((text, at)) => self.address(&at, text),
            None => DEFAULT_ADDRESS.into(),
        };
        let port = match self.said("device.port", |said| said.device.as_ref()?.port.as_ref()) {
            Some((0, at)) => {
                self.wrong(&at, "expected a port from 1 to 65535, found 0");
                22
            }
            Some((port, _)) => *port,
            None => 22,
        };
        let user = match self.said("device.user", |said| said.device.as_ref()?.user.as_ref()) {
            Some((text, at)) => self.named(&at, text, names::user),
            None => "oem".into(),
        };
        let identity = match self.said("device.identity", |said| said.device.as_ref()?.identity.as_ref()) {
            Some((text, at)) if !text.is_empty() => self.local(&at, text),
            _ => None,
        };
        Device { address, port, user, identity }
    }
}

/// Returns the path below this computer's home of a path that is meant for the device: only a shell can have expanded `~`
/// there.
fn below_local_home(text: &str) -> Option<String> {
    let home = std::env::home_dir().filter(|home| home.components().count() > 1 && home != Path::new(REMOTE_HOME))?;
    Some(Path::new(text).strip_prefix(home).ok()?.display().to_string())
}

fn readable(path: &Path) -> io::Result<()> {
    crate::small_file::check(path)?;
    if path.is_dir() { fs::read_dir(path).map(drop) } else { fs::File::open(path).map(drop) }
}

#[cfg(test)]
mod tests;
