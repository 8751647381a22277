//! What every command that talks to a device begins with: a display, a log file, and the way to the device.

use tokio::sync::watch;

use super::ask::AskReport;
use crate::{
    command::Command,
    config::{self, Deployment, Device},
    device::{self, ConfigurationInterface, DeviceIdentity, InterfaceError},
    failure::{ExitCode, Explain, Failure, FailureKind},
    remote::{
        Remote,
        ssh::{self, Claim, ConnectError, HostConfig, Password, Ssh, Target},
    },
    report::{self, DeviceSummary, Event, EventLog, LogDir, LogFile, LogGuard, Report, Stem, Style, Tee},
    secret::{Secret, keep_from_sight},
    stage::Stage,
};

/// A run's display and log.
pub(super) struct Session {
    /// Takes the events.
    pub(super) report: Tee,
    /// This run's log file, where there is one.
    pub(super) log: Option<LogFile>,
    /// This run's stem.
    pub(super) stem: Stem,
    _guard: LogGuard,
}

impl Session {
    /// Opens display and log. A dry run writes no log.
    pub(super) fn begin(style: Style, log_dir: LogDir<'_>) -> Result<Self, Failure> {
        let display = report::display(style);
        let stem = Stem::now();
        let log = LogFile::open(log_dir, &stem, |text| (display.lines)(&format!("warning: {text}")))?;
        let level = match style {
            Style::People(level) => level,
            Style::Json => report::Level::Warning,
        };
        let guard = LogFile::start(log.as_ref(), display.lines.clone(), level);
        let mut tee = Tee::new(vec![display.report]);
        if log.is_some() {
            tee.push(EventLog);
        }
        let stem = log.as_ref().map_or(stem, |log| log.stem().clone());
        Ok(Self { report: tee, log, stem, _guard: guard })
    }

    /// Names the configuration file that is in use, where there is one; tells whether there is.
    pub(super) fn name_file(&mut self, named: Option<&str>) -> bool {
        let file = config::file::find(named, &std::env::current_dir().unwrap_or_default()).ok().flatten();
        if let Some(file) = &file {
            self.report.event(&Event::Note { text: format!("using `{}`", file.display()) });
        }
        file.is_some()
    }

    /// Connects and logs in.
    pub(super) async fn connect(&mut self, wanted: &Deployment, accept_new: bool) -> Result<Ssh, Failure> {
        let way = Way::to(&wanted.device).await?;
        let remote = self.connect_asked(wanted, accept_new, &way, &Asked::begin(&way.interface)).await?;
        recognise(&remote, &wanted.device.address, (None, None), &mut self.report)?;
        Ok(remote)
    }

    /// Connects and logs in, and tells which device it is.
    pub(super) async fn connect_and_tell(&mut self, wanted: &Deployment, accept_new: bool) -> Result<Ssh, Failure> {
        let title = format!("connect to {}", wanted.device.address);
        self.report.event(&Event::StageStarted { stage: Stage::Connect, title });
        let way = Way::to(&wanted.device).await.map_err(|error| Failure::from(error).in_stage(Stage::Connect))?;
        let asked = Asked::begin(&way.interface);
        let remote = self.connect_asked(wanted, accept_new, &way, &asked).await;
        let remote = remote.map_err(|failure| failure.in_stage(Stage::Connect))?;
        let identity = asked.end().await.ok();
        recognise(&remote, &wanted.device.address, (identity.as_ref(), None), &mut self.report)?;
        let (serial, name) = identity.as_ref().map(|identity| (identity.serial.clone(), identity.name.clone())).unzip();
        self.report.event(&Event::Connected(DeviceSummary {
            address: format!("{}:{}", wanted.device.address, wanted.device.port),
            serial: serial.or_else(|| remote.device_of_key()),
            name: name.filter(|name| !name.is_empty()),
            firmware: identity.and_then(|identity| identity.firmware).map(|firmware| firmware.to_string()),
            docker: None,
        }));
        Ok(remote)
    }

    /// Connects and logs in to a device that is asked meanwhile who it is.
    pub(super) async fn connect_asked(
        &mut self,
        wanted: &Deployment,
        accept_new: bool,
        way: &Way,
        asked: &Asked,
    ) -> Result<Ssh, Failure> {
        let target = way.target_of(wanted, accept_new, asked.claim.clone()).await?;
        Ok(ssh::connect(&target, &mut AskReport(&mut self.report)).await?)
    }

    /// Ends the run and gives its exit code.
    pub(super) fn end(mut self, result: Result<(), Failure>) -> ExitCode {
        let path = self.log.as_ref().map(|log| log.path().to_owned());
        self.report.finish(result.err().as_ref(), path)
    }
}

/// Shows why a run could not even begin, and gives its exit code.
pub(super) fn refuse(style: Style, failure: Failure) -> ExitCode {
    refuse_run(style, false, failure)
}

/// The same of a run that may be a dry one.
pub(super) fn refuse_run(style: Style, dry_run: bool, failure: Failure) -> ExitCode {
    let mut report = Tee::new(vec![report::display(style).report]);
    report.set_dry_run(dry_run);
    report.finish(Some(&failure), None)
}

/// The log directory of a deployment: a default one may fail to be written, one that the user named may not.
pub(super) fn log_dir(deployment: &Deployment) -> LogDir<'_> {
    let default = std::env::home_dir().map(|home| home.join("o3r_logs"));
    match deployment.log_dir.as_deref() {
        None => LogDir::None,
        Some(path) if Some(path) == default.as_deref() => LogDir::Default(path),
        Some(path) => LogDir::AskedFor(path),
    }
}

/// The way to a device, with what `~/.ssh/config` says of it: asked once, for it takes a program that may run others.
pub(super) struct Way {
    said: HostConfig,
    /// The device's configuration interface.
    pub(super) interface: ConfigurationInterface,
}

impl Way {
    /// Asks.
    pub(super) async fn to(device: &Device) -> Result<Self, ConnectError> {
        let said = HostConfig::of(&device.address).await?;
        // Behind a jump host port 80 cannot be reached, and the address may be that of another device here: nobody is asked.
        let interface = match &said.jump {
            Some(_) => ConfigurationInterface::new("127.0.0.1", 0),
            None => ConfigurationInterface::new(said.host_name.clone().unwrap_or_else(|| device.address.clone()), device::PORT),
        };
        Ok(Self { said, interface })
    }

    /// The device, which says who it is on another way.
    pub(super) async fn target(
        &self,
        device: &Device,
        accept_new: bool,
        claim: watch::Receiver<Option<Claim>>,
    ) -> Result<Target, ConnectError> {
        let password = std::env::var("O3R_DEPLOY_PASSWORD").ok().filter(|password| !password.is_empty());
        let target = Target {
            port: device.port,
            user: device.user.clone(),
            identity: device.identity.clone(),
            accept_new,
            password: password.map(|password| Password::new(keep_from_sight(Secret::new(password)))),
            claim,
            ..Target::new(device.address.clone())
        };
        target.with_config(self.said.clone()).await
    }

    /// The same of the device of a deployment, with the password that stands there, which is fetched when no key is accepted.
    pub(super) async fn target_of(
        &self,
        wanted: &Deployment,
        accept_new: bool,
        claim: watch::Receiver<Option<Claim>>,
    ) -> Result<Target, Failure> {
        let mut target = self.target(&wanted.device, accept_new, claim).await?;
        if let (None, Some(password)) = (&target.password, &wanted.password) {
            let password = password.clone();
            target.password =
                Some(Password::fetched(move || password.value().map_err(|error| Box::new(error) as Box<dyn Explain>)));
        }
        Ok(target)
    }
}

/// Runs a command over a connection of its own, for which nobody is asked anything.
pub(super) async fn aside(wanted: &Deployment, accept_new: bool, command: &Command) -> Result<(), Failure> {
    let way = Way::to(&wanted.device).await?;
    let asked = Asked::begin(&way.interface);
    let remote = ssh::connect(&way.target_of(wanted, accept_new, asked.claim).await?, &mut Nobody).await?;
    let result = remote.check(command).await;
    remote.disconnect().await;
    result?;
    Ok(())
}

/// Nobody to be asked.
struct Nobody;

impl ssh::Ask for Nobody {
    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn secret(&mut self, _: &str) -> Option<Secret> {
        None
    }
}

/// What the device says of itself, asked while the connection is made.
pub(super) struct Asked {
    /// What is known of it so far.
    pub(super) claim: watch::Receiver<Option<Claim>>,
    answer: tokio::task::JoinHandle<Result<DeviceIdentity, InterfaceError>>,
}

impl Asked {
    /// Asks.
    pub(super) fn begin(interface: &ConfigurationInterface) -> Self {
        let (sender, claim) = watch::channel(None);
        let interface = interface.clone();
        let answer = tokio::spawn(async move {
            let identity = interface.identity().await;
            // Nobody may wait for it any more.
            let _ = sender.send(Some(identity.as_ref().map(claim_of).unwrap_or_default()));
            identity
        });
        Self { claim, answer }
    }

    /// The answer.
    pub(super) async fn end(self) -> Result<DeviceIdentity, InterfaceError> {
        self.answer.await.expect("asking does not panic and is not aborted")
    }
}

/// Who the device is, asked over the connection itself; nothing where it allows no way to its own port 80.
pub(super) async fn inside(remote: &Ssh, interface: &ConfigurationInterface) -> Option<DeviceIdentity> {
    let request = interface.identity_request().ok()?;
    interface.identity_in(&remote.ask_inside(device::PORT, &request).await?).ok()
}

/// Pins the host key to the serial number: that which came over the connection, else what was said without proof. Says when
/// another device answered at the address before.
pub(super) fn recognise(
    remote: &Ssh,
    address: &str,
    (outside, inside): (Option<&DeviceIdentity>, Option<&DeviceIdentity>),
    report: &mut dyn Report,
) -> Result<(), ConnectError> {
    if let (Some(outside), Some(inside)) = (outside, inside)
        && outside.serial != inside.serial
    {
        let (outside, inside) = (outside.serial.clone(), inside.serial.clone());
        return Err(ConnectError::TwoDevices { address: address.into(), outside, inside });
    }
    // A device that says nothing of itself is known by its key.
    let known = remote.device_of_key();
    let Some(serial) = inside.or(outside).map(|identity| identity.serial.clone()).or(known) else { return Ok(()) };
    let before = remote.device_before(&serial);
    remote.pin(&serial)?;
    if let Some(before) = before {
        let text = format!("this is device {serial}, as its host key shows; device {before} answered at {address} last time");
        report.event(&Event::Warning { text });
    }
    Ok(())
}

/// What an identity claims before anybody is logged in.
pub(super) fn claim_of(identity: &DeviceIdentity) -> Claim {
    let old_firmware = identity.firmware.as_ref().is_some_and(device::Firmware::may_have_password_login);
    Claim { serial: Some(identity.serial.clone()), old_firmware }
}

/// Nobody agreed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody could be asked.
    #[error("{0}, and nobody can be asked")]
    Unasked(String),
    /// Nobody could be asked whether the lock is to be taken away.
    #[error("{0}, and nobody can be asked")]
    UnaskedLock(String),
    /// The answer was that it stays.
    #[error("{0}, and the answer was no")]
    NoLock(String),
    /// The answer was no.
    #[error("{0}, and the answer was no")]
    No(String),
    /// Nobody gave the device's password.
    #[error("the device takes a key only with its password, and nobody can be asked for it")]
    Password,
}

impl Explain for Refusal {
    fn kind(&self) -> FailureKind {
        FailureKind::NotConfirmed
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Password => "run it in a terminal, or set O3R_DEPLOY_DEVICE_PASSWORD".into(),
            Self::UnaskedLock(_) | Self::NoLock(_) => {
                "`--yes` takes it away without a question; a deployment that ends by itself lets go".into()
            }
            Self::Unasked(_) | Self::No(_) => "`--dry-run` shows what would go; `--yes` agrees".into(),
        })
    }
}
