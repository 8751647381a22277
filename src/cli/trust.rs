//! `o3r-deploy trust`: gives this computer a key to the device and pins the host key that the device then shows.

use std::path::{Path, PathBuf};

use super::{
    option_layer,
    options::{self, DeviceOptions},
    session::{self, Session},
};
use crate::{
    config::{ConfigError, Device, LocalPath},
    deploy::{Access, Refusal, access, ask::AskReport},
    device::{ConfigurationInterface, FaultCode, InterfaceError},
    failure::{ExitCode, Failure},
    remote::ssh::{self, Ask, Changed},
    report::{Event, Level, Report, Style},
    run::Interrupt,
    secret::{Secret, keep_from_sight},
};

/// The variable with the password that a device of firmware 1.21.6 and later may want before it takes a key.
const PASSWORD: &str = "O3R_DEPLOY_DEVICE_PASSWORD";

/// What `trust` takes.
#[derive(Debug, clap::Args)]
pub(super) struct TrustOptions {
    /// The configuration file whose `device:` is meant, or a folder with an `o3r-deploy.yaml` in it; '' uses none
    ///
    /// Without this option the `o3r-deploy.yaml` (or `.yml`) of the working directory is used, or else that of the nearest folder
    /// above it that has one. Options override it.
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// The device's address [default: 192.168.0.69]
    #[arg(long = "IP", alias = "ip", env = "IFM3D_IP", hide_env_values = true, value_name = "ADDRESS", value_parser = option_layer::something)]
    ip: Option<String>,
    /// The port of the device's sshd [default: 22]
    #[arg(long, value_name = "PORT", value_parser = option_layer::port, allow_negative_numbers = true)]
    port: Option<u16>,
    /// The user to log in as [default: oem]
    #[arg(long, value_name = "USER", value_parser = option_layer::something)]
    user: Option<String>,
    /// The private key to give to the device; made if it is not there [default: ~/.ssh/id_o3r]
    #[arg(long, value_name = "FILE", value_parser = option_layer::something)]
    identity: Option<String>,
    /// Pin the host key of a device that is not known yet, without asking
    ///
    /// Right only where nobody else is on the wire: whoever says on port 80 that he is a device with a number that nobody knows counts
    /// as a new one.
    #[arg(long = "accept-new", alias = "accept_new")]
    accept_new: bool,
    /// Pin another host key than before to the device without asking, as after a firmware update
    #[arg(long = "accept-changed", alias = "accept_changed")]
    accept_changed: bool,
    /// Only say what is wrong
    #[arg(long)]
    quiet: bool,
    /// One JSON object a line on standard output
    #[arg(long)]
    json: bool,
}

/// The key that is given where nothing names another.
const KEY: &str = "~/.ssh/id_o3r";

impl TrustOptions {
    /// Returns the device that is meant, and the path of the key that it gets.
    fn device(&self, working_directory: &Path) -> Result<(Device, PathBuf), ConfigError> {
        let options = DeviceOptions {
            config: self.config.clone(),
            ip: self.ip.clone(),
            port: self.port,
            user: self.user.clone(),
            identity: self.identity.clone(),
            accept_new: self.accept_new,
        };
        let device = options::device(&options, working_directory)?.device;
        let usual = || LocalPath::resolve(KEY, working_directory).unwrap_or_else(|_| working_directory.join(KEY));
        let key = device.identity.clone().unwrap_or_else(usual);
        Ok((device, key))
    }
}

/// Adds this computer's key to the device's.
pub(super) async fn trust(options: &TrustOptions) -> ExitCode {
    let style = Style::of(options.json, options.quiet, Level::Info);
    let wanted = options.device(&std::env::current_dir().unwrap_or_default());
    session::run(style, false, wanted, session::no_log, async |session, (device, key)| {
        Interrupt::listen().or(trust_in(session, options, (device.clone(), key))).await
    })
    .await
}

async fn trust_in(session: &mut Session, options: &TrustOptions, (device, path): (Device, &Path)) -> Result<(), Failure> {
    let key = ssh::ensure_key(path)?;
    let device = Device { identity: Some(key.path.clone()), ..device };
    let access = Access::to(&device).await?;
    let interface = &access.interface;
    let identity = interface.identity().await?;
    let known = interface.authorized_keys().await?;
    let mut says = Vec::new();
    if key.created {
        says.push(format!("made the key {}", key.path.display()));
    }
    match ssh::merge_authorized_keys(&known, &key.public_key) {
        Some(merged) => {
            set_keys(session, interface, &merged).await?;
            says.push(format!("device {} now lets {} in", identity.serial, key.path.display()));
        }
        None => says.push(format!("device {} lets {} in already", identity.serial, key.path.display())),
    }
    let changed = if options.accept_changed { Changed::Accept } else { Changed::Ask };
    let claim = access::claim_of(&identity).now();
    let target = ssh::Target { changed, ..access.target(&device, options.accept_new, claim).await? };
    let remote = ssh::connect(&target, &mut AskReport(&mut session.report)).await?;
    let inside = access::identity_inside(&remote, interface).await;
    access::pin_identity(&remote, &device.address, (Some(&identity), inside.as_ref()), &mut session.report)?;
    says.push(format!("its host key {} is pinned to its serial number", remote.host_key_fingerprint()));
    remote.disconnect().await;
    for text in says {
        session.report.event(&Event::Note { text });
    }
    Ok(())
}

/// Number of times that the device's password is asked for.
const PROMPTS: usize = 3;

/// Replaces the device's keys, with its password where it has one.
async fn set_keys(session: &mut Session, interface: &ConfigurationInterface, keys: &str) -> Result<(), Failure> {
    if !interface.has_password().await? {
        return Ok(interface.set_authorized_keys(keys, None).await?);
    }
    if let Some(password) = std::env::var(PASSWORD).ok().filter(|password| !password.is_empty()) {
        return Ok(interface.set_authorized_keys(keys, Some(&keep_from_sight(Secret::new(password)))).await?);
    }
    for left in (0..PROMPTS).rev() {
        let question = "password of the device's configuration interface".to_owned();
        let password = AskReport(&mut session.report).secret(&question).ok_or(Refusal::Password)?;
        match interface.set_authorized_keys(keys, Some(&password)).await {
            Err(InterfaceError::Fault { code: FaultCode::PASSWORD, .. }) if left > 0 => {}
            result => return Ok(result?),
        }
    }
    Err(Refusal::Password.into())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: TrustOptions,
    }

    fn meant(words: &[&str], folder: &Path) -> String {
        let command = Line::command().mut_arg("ip", |argument| argument.env("NAMED_BY_NOBODY"));
        let matches = command.try_get_matches_from(["trust"].iter().chain(words)).expect("options");
        let line = Line::from_arg_matches(&matches).expect("options");
        let (Device { address, port, user, .. }, key) = line.options.device(folder).unwrap_or_else(|error| panic!("{error}"));
        let key = key.strip_prefix(folder).map_or("usual".into(), |key| key.display().to_string());
        format!("{user}@{address}:{port} {key}")
    }

    #[test]
    fn the_device_that_is_meant_is_told_by_options_and_else_by_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(meant(&[], folder.path()), "oem@192.168.0.69:22 usual");
        assert_eq!(meant(&["--ip", "10.0.0.1", "--identity", "key"], folder.path()), "oem@10.0.0.1:22 key");
        // What cannot be deployed from here can be trusted all the same.
        let text = "device: {address: a, port: 2222, user: me, identity: ./mine}\nimage: [{source: ./gone.tar}]\n\
                    transfers: {to_device: [{local: gone, remote: a}]}\ncompose: {file: gone.yml}\n";
        std::fs::write(folder.path().join("o3r-deploy.yaml"), text).expect("written");
        assert_eq!(meant(&[], folder.path()), "me@a:2222 mine");
        assert_eq!(meant(&["--IP", "b", "--port", "22", "--user", "oem"], folder.path()), "oem@b:22 mine");
        assert_eq!(meant(&["--config", ""], folder.path()), "oem@192.168.0.69:22 usual");
    }
}
