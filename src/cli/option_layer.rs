//! Puts options into the form of the file, so that one check serves both, and remembers which option said what.

use std::{collections::BTreeMap, path::Path};

use super::{
    options::{DeviceOptions, Options},
    pairs::{Form, PairError, file_and_service, one_or_two, pair, split},
};
use crate::config::{
    KeyPath, Layer, Origin, Problem,
    settings::{
        Attach, Autostart, AutostartService, CleanUp, Compose, Device, EnvironmentValue, Image, LogPull, OneOrMore, Settings,
        Transfer, Transfers, Volume,
    },
};

const LOGS: Form = Form { says: "REMOTE>LOCAL", example: "~/share/logs>~/o3r_logs/From_VPUs", separator: '>' };
const FROM: Form = Form { says: "REMOTE,LOCAL", example: "~/share/result.csv,./result.csv", separator: ',' };
const TO: Form = Form { says: "LOCAL,REMOTE", example: "./config,~/share/config", separator: ',' };
const VOLUME: Form = Form { says: "PATH,NAME", example: "~/share,share", separator: ',' };
const IMAGE: Form = Form { says: "SOURCE[,NAME]", example: "./python_app.tar,python_app:1.0", separator: ',' };
const IMPORT: Form = Form { says: "TAR[,NAME]", example: "~/share/python_app.tar,python_app:1.0", separator: ',' };

const SERVICE: Form = Form { says: "[FILE:]SERVICE", example: "~/python_app/docker-compose.yml:python_app", separator: ':' };

/// Returns the settings that the options give, and the problems of their form.
pub(super) fn layer(options: &Options, working_directory: &Path) -> (Layer, Vec<Problem>) {
    let mut told = Told::default();
    let settings = told.settings(options);
    told.layer(settings, working_directory)
}

/// Returns the settings of the options that name a device and the compose file of its application, and the problems of
/// their form.
pub(super) fn part(device: &DeviceOptions, compose: Option<&String>, working_directory: &Path) -> (Layer, Vec<Problem>) {
    let mut told = Told::default();
    let device = Some(told.device(device));
    let settings = Settings { device, compose: told.compose(compose), ..Settings::default() };
    told.layer(settings, working_directory)
}

#[derive(Default)]
struct Told {
    names: Vec<(KeyPath, &'static str)>,
    problems: Vec<Problem>,
}

impl Told {
    /// Notes that `option` gave the value at `path`.
    fn note(&mut self, path: &str, option: &'static str) {
        self.names.push((KeyPath::new(path), option));
    }

    fn text(&mut self, path: &str, option: &'static str, value: Option<&String>) -> Option<String> {
        self.note(path, option);
        value.cloned()
    }

    /// Returns the value of a flag and its opposite: the one that is given last is set.
    fn flag(&mut self, path: &str, option: &'static str, on: bool, off: bool) -> Option<bool> {
        self.note(path, option);
        (on || off).then_some(on)
    }

    /// Returns the parsed words of a list option; empty words turn the list off.
    fn list<T>(
        &mut self,
        path: &str,
        option: &'static str,
        words: Option<&Vec<String>>,
        read: impl Fn(&str) -> Result<Vec<T>, PairError>,
    ) -> Option<Vec<T>> {
        self.note(path, option);
        let mut items = Vec::new();
        for word in words?.iter().filter(|word| !word.is_empty()) {
            match read(word) {
                Ok(some) => items.extend(some),
                Err(error) => {
                    self.problems.push(Problem::new(option, error.to_string()));
                }
            }
        }
        Some(items)
    }

    fn layer(self, settings: Settings, working_directory: &Path) -> (Layer, Vec<Problem>) {
        let base = std::path::absolute(working_directory).unwrap_or_else(|_| working_directory.to_owned());
        (Layer { settings, base, origin: Origin::Options(self.names) }, self.problems)
    }

    fn settings(&mut self, options: &Options) -> Settings {
        Settings {
            application: None,
            log_dir: self.text("log_dir", "--log_dir", options.log_dir.as_ref()),
            device: Some(self.device(&options.device)),
            hold_off: None,
            logs: self.list("logs", "--get_logs_from_vpu", options.get_logs_from_vpu.as_ref(), |word| {
                pair(word, LOGS).map(|(remote, local)| vec![LogPull { remote, local }])
            }),
            rename: self.text("rename", "--set_vpu_name", options.set_vpu_name.as_ref()),
            clean_up: Some(self.clean_up(options)),
            mount_usb: self.flag("mount_usb", "--mount_usb_volumes", options.mount_usb_volumes, options.dont_mount_usb_volumes),
            directories: self
                .list("directories", "--dirs_to_make", options.dirs_to_make.as_ref(), |word| Ok(vec![word.to_owned()])),
            stamp: self.text("stamp", "--append_deployment_timestamp_to", options.append_deployment_timestamp_to.as_ref()),
            transfers: Some(Transfers {
                from_device: self.list(
                    "transfers.from_device",
                    "--transfers_from_vpu",
                    options.transfers_from_vpu.as_ref(),
                    |word| pair(word, FROM).map(|(remote, local)| vec![Transfer { local, remote }]),
                ),
                to_device: self.list("transfers.to_device", "--transfers_to_vpu", options.transfers_to_vpu.as_ref(), |word| {
                    pair(word, TO).map(|(local, remote)| vec![Transfer { local, remote }])
                }),
            }),
            volume: self.list("volume", "--volume_to_setup", options.volume_to_setup.as_ref(), |word| {
                pair(word, VOLUME).map(|(path, name)| vec![Volume { name, path }])
            }),
            image: self.images(options),
            leftovers: self.list("leftovers", "--items_to_cleanup", options.items_to_cleanup.as_ref(), |word| split(word, ',')),
            compose: self.compose_with(options),
            autostart: Some(self.autostart(options)),
            attach: Some(Attach {
                container: self.text("attach.container", "--attach_to", options.attach_to.as_ref()),
                run_duration: {
                    self.note("attach.run_duration", "--run_duration");
                    options.run_duration
                },
                until: None,
                stop_upon_exit: self.flag(
                    "attach.stop_upon_exit",
                    "--stop_upon_exit",
                    options.stop_upon_exit,
                    options.dont_stop_upon_exit,
                ),
            }),
        }
    }

    fn device(&mut self, options: &DeviceOptions) -> Device {
        Device {
            address: self.text("device.address", "--IP", options.ip.as_ref()),
            port: options.port,
            user: self.text("device.user", "--user", options.user.as_ref()),
            identity: self.text("device.identity", "--identity", options.identity.as_ref()),
            password: None,
        }
    }

    fn clean_up(&mut self, options: &Options) -> CleanUp {
        CleanUp {
            containers: self.flag(
                "clean_up.containers",
                "--remove_running_containers",
                options.remove_running_containers,
                options.dont_remove_running_containers,
            ),
            volumes: self.flag("clean_up.volumes", "--remove_volumes", options.remove_volumes, options.dont_remove_volumes),
            images: self.flag("clean_up.images", "--remove_images", options.remove_images, options.dont_remove_images),
            keep: None,
            only_this_application: None,
        }
    }

    fn images(&mut self, options: &Options) -> Option<Vec<Image>> {
        let on_device = self.list("image", "--image_to_import", options.image_to_import.as_ref(), |word| {
            one_or_two(word, IMPORT).map(|(path, name)| vec![Image { on_device: Some(path), name, ..Image::default() }])
        });
        let here = self.list("image", "--image", options.image.as_ref(), |word| {
            one_or_two(word, IMAGE).map(|(source, name)| vec![Image { source: Some(source), name, ..Image::default() }])
        });
        let from = on_device.as_ref().map_or(0, Vec::len);
        self.names.retain(|(path, _)| *path != KeyPath::new("image"));
        let images: Vec<_> = [on_device, here].into_iter().reduce(|some, more| match (some, more) {
            (Some(some), Some(more)) => Some([some, more].concat()),
            (some, more) => some.or(more),
        })??;
        for position in 0..images.len() {
            let option = if position < from { "--image_to_import" } else { "--image" };
            self.names.push((KeyPath::new("image").index(position), option));
        }
        Some(images)
    }

    /// Returns the compose file that options name, and the variables that they set.
    fn compose_with(&mut self, options: &Options) -> Option<Compose> {
        let compose = self.compose(options.docker_compose_to_initialize.as_ref());
        if options.set.is_empty() {
            return compose;
        }
        self.names.push((KeyPath::new("compose").key("set"), "--set"));
        let mut set = BTreeMap::new();
        for word in &options.set {
            match word.split_once('=') {
                Some((name, value)) => {
                    set.insert(name.to_owned(), EnvironmentValue::Text(value.to_owned()));
                }
                None => self.problems.push(Problem::new("--set", format!("expected NAME=VALUE, found `{word}`"))),
            }
        }
        Some(Compose { set: Some(set), ..compose.unwrap_or_default() })
    }

    fn compose(&mut self, said: Option<&String>) -> Option<Compose> {
        self.note("compose", "--docker_compose_to_initialize");
        let (file, service) = file_and_service(said?);
        if let (true, Some(service)) = (file.is_empty(), &service) {
            let text = format!("names the service `{service}` and no file; expected `FILE:SERVICE`");
            self.problems.push(Problem::new("--docker_compose_to_initialize", text));
        }
        let on_device = file.starts_with(['/', '~']);
        Some(Compose {
            file: (!on_device).then(|| OneOrMore::One(file.clone())),
            on_device: on_device.then_some(file),
            // A service of the file's list is not one of another compose file.
            services: Some(service.into_iter().collect()),
            ..Compose::default()
        })
    }

    fn autostart(&mut self, options: &Options) -> Autostart {
        let services = |word: &str| {
            let parts = split(word, ',')?;
            parts.iter().map(|part| autostart_service(part)).collect()
        };
        Autostart {
            enable: self.list("autostart.enable", "--enable_autostart", options.enable_autostart.as_ref(), services),
            disable: self
                .list("autostart.disable", "--disable_autostart", options.disable_autostart.as_ref(), |word| split(word, ',')),
        }
    }
}

fn autostart_service(text: &str) -> Result<AutostartService, PairError> {
    match file_and_service(text) {
        (file, Some(service)) => Ok(AutostartService { service, file: Some(file) }),
        (service, None) if !service.contains(['/', '\\']) => Ok(AutostartService { service, file: None }),
        (file, None) => Err(PairError::Count { text: file.clone(), parts: vec![file], form: SERVICE }),
    }
}

/// Reads seconds, decimals allowed; nothing is 0.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = if text.is_empty() { Ok(0.0) } else { text.parse::<f64>() };
    match number {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("expected seconds, a number from 0 such as `2.5`".into()),
    }
}

/// Reads a text that says something.
pub(super) fn something(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("expected a text that is not empty".into()) } else { Ok(text.into()) }
}

/// Reads seconds that are waited; unlike what turns something off, they are a number.
pub(super) fn wait(text: &str) -> Result<f64, String> {
    if text.is_empty() { Err("expected seconds, a number from 0 such as `2.5`".into()) } else { seconds(text) }
}

/// Parses the number of a port, from 1 to 65535.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "expected a number from 1 to 65535".into())
}

/// Reads how often something is done.
pub(super) fn times(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected how often, a whole number from 0".into())
}

/// Reads a level by its name in Python's logging or ours.
pub(super) fn level(text: &str) -> Result<tracing::Level, String> {
    use tracing::Level;
    match text.to_ascii_uppercase().as_str() {
        "TRACE" => Ok(Level::TRACE),
        "DEBUG" => Ok(Level::DEBUG),
        "INFO" => Ok(Level::INFO),
        "WARNING" | "WARN" => Ok(Level::WARN),
        "ERROR" | "CRITICAL" => Ok(Level::ERROR),
        _ => Err("expected DEBUG, INFO, WARNING, ERROR or CRITICAL".into()),
    }
}
