//! `o3r-deploy trust`: gives this computer a key to the device and pins the host key that the device then shows.

use super::{
    ask::AskReport,
    session::{self, Refusal, Session},
};
use crate::{
    config::{DEFAULT_ADDRESS, Device, LocalPath},
    device::{ConfigurationInterface, FaultCode, InterfaceError},
    failure::{ExitCode, Failure},
    remote::ssh::{self, Ask, Changed},
    report::{Event, Level, LogDir, Report, Style},
    secret::Secret,
};

/// The variable with the password that a device of firmware 1.21.6 and later may want before it takes a key.
const PASSWORD: &str = "O3R_DEPLOY_DEVICE_PASSWORD";

/// What `trust` takes.
#[derive(Debug, clap::Args)]
pub(super) struct TrustOptions {
    /// The device's address [default: 192.168.0.69]
    #[arg(long = "IP", alias = "ip", env = "IFM3D_IP", hide_env_values = true, value_name = "ADDRESS")]
    ip: Option<String>,
    /// The port of the device's sshd
    #[arg(long, default_value_t = 22, value_name = "PORT")]
    port: u16,
    /// The user to log in as
    #[arg(long, default_value = "oem", value_name = "USER")]
    user: String,
    /// The private key to give to the device; made if it is not there
    #[arg(long, default_value = "~/.ssh/id_o3r", value_name = "FILE")]
    identity: String,
    /// Pin the host key without asking
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

impl TrustOptions {
    /// The device's address. An IFM3D_IP that is set to nothing says nothing.
    fn address(&self) -> String {
        self.ip.clone().filter(|address| !address.is_empty()).unwrap_or_else(|| DEFAULT_ADDRESS.into())
    }
}

/// Adds this computer's key to the device's.
pub(super) async fn trust(options: &TrustOptions) -> ExitCode {
    let style = Style::of(options.json, options.quiet, Level::Info);
    let mut session = match Session::begin(style, LogDir::None) {
        Ok(session) => session,
        Err(failure) => return session::refuse(style, failure),
    };
    let result = trust_in(&mut session, options).await;
    session.end(result)
}

async fn trust_in(session: &mut Session, options: &TrustOptions) -> Result<(), Failure> {
    let here = std::env::current_dir().unwrap_or_default();
    let path = LocalPath::resolve(&options.identity, &here).unwrap_or_else(|_| here.join(&options.identity));
    let key = ssh::ensure_key(&path)?;
    let device =
        Device { address: options.address(), port: options.port, user: options.user.clone(), identity: Some(key.path.clone()) };
    let interface = session::interface(&device);
    let identity = interface.identity().await?;
    let known = interface.authorized_keys().await?;
    let mut says = Vec::new();
    if key.created {
        says.push(format!("made the key {}", key.path.display()));
    }
    match ssh::merge_authorized_keys(&known, &key.public_key) {
        Some(merged) => {
            set_keys(session, &interface, &merged).await?;
            says.push(format!("device {} now lets {} in", identity.serial, key.path.display()));
        }
        None => says.push(format!("device {} lets {} in already", identity.serial, key.path.display())),
    }
    let changed = if options.accept_changed { Changed::Accept } else { Changed::Ask };
    let claim = session::claim_of(&identity).now();
    let target = ssh::Target { changed, ..session::target(&device, options.accept_new, claim)? };
    let mut remote = ssh::connect(&target, &mut AskReport(&mut session.report)).await?;
    let inside = session::inside(&remote, &interface).await;
    session::recognise(&mut remote, &device.address, (Some(&identity), inside.as_ref()), &mut session.report)?;
    says.push(format!("its host key {} is pinned to its serial number", remote.host_key_fingerprint()));
    remote.disconnect().await;
    for text in says {
        session.report.event(&Event::Note { text });
    }
    Ok(())
}

/// How often the device's password is asked for.
const PROMPTS: usize = 3;

/// Replaces the device's keys, with its password where it has one.
async fn set_keys(session: &mut Session, interface: &ConfigurationInterface, keys: &str) -> Result<(), Failure> {
    if !interface.has_password().await? {
        return Ok(interface.set_authorized_keys(keys, None).await?);
    }
    if let Some(password) = std::env::var(PASSWORD).ok().filter(|password| !password.is_empty()) {
        return Ok(interface.set_authorized_keys(keys, Some(&Secret::new(password))).await?);
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
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: TrustOptions,
    }

    #[test]
    fn an_address_that_is_empty_is_that_of_a_new_device() {
        let address = |words: &[&str]| Line::parse_from(["trust"].iter().chain(words)).options.address();
        assert_eq!(address(&["--IP", ""]), "192.168.0.69");
        assert_eq!(address(&["--ip", "192.168.0.70"]), "192.168.0.70");
    }
}
