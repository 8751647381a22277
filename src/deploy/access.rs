//! The access to a device: the connection, and the identity to which its host key is pinned.

use tokio::sync::watch;

use super::ask::AskReport;
use crate::{
    command::Command,
    config::{Deployment, Device},
    device::{self, ConfigurationInterface, DeviceIdentity, InterfaceError},
    failure::{Explain, Failure},
    remote::{
        Remote,
        ssh::{self, Claim, ConnectError, HostConfig, Password, Ssh, Target},
    },
    report::{DeviceLabel, DeviceSummary, Event, Report},
    secret::{Secret, keep_from_sight},
    stage::Stage,
};

/// Reaches a device, by what `~/.ssh/config` says of it: asked once, for it takes a program that may run others.
pub(crate) struct Access {
    said: HostConfig,
    /// The device's configuration interface.
    pub(crate) interface: ConfigurationInterface,
}

impl Access {
    /// Asks `ssh` what its configuration says of a device.
    ///
    /// # Errors
    /// `ssh` refuses its configuration.
    pub(crate) async fn to(device: &Device) -> Result<Self, ConnectError> {
        let said = HostConfig::of(&device.address).await?;
        // Behind a jump host port 80 cannot be reached, and the address may be that of another device here: nobody is asked.
        let interface = match &said.jump {
            Some(_) => ConfigurationInterface::new("127.0.0.1", 0),
            None => ConfigurationInterface::new(said.host_name.clone().unwrap_or_else(|| device.address.clone()), device::PORT),
        };
        Ok(Self { said, interface })
    }

    /// Returns what is connected to; the device says on another way who it is.
    pub(crate) async fn target(
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

    /// Returns the same of the device of a deployment, with its password, which is fetched when no key is accepted.
    pub(crate) async fn deployment_target(
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

    /// Connects and logs in to a device that is asked meanwhile who it is.
    pub(crate) async fn connect(
        &self,
        wanted: &Deployment,
        accept_new: bool,
        request: &IdentityRequest,
        report: &mut dyn Report,
    ) -> Result<Ssh, Failure> {
        let target = self.deployment_target(wanted, accept_new, request.claim.clone()).await?;
        Ok(ssh::connect(&target, &mut AskReport(report)).await?)
    }
}

/// Connects and logs in.
pub(crate) async fn connect(wanted: &Deployment, accept_new: bool, report: &mut dyn Report) -> Result<Ssh, Failure> {
    report.device(&DeviceLabel::at(&wanted.device.address, wanted.device.port));
    let access = Access::to(&wanted.device).await?;
    let remote = access.connect(wanted, accept_new, &IdentityRequest::start(&access.interface), report).await?;
    pin_identity(&remote, &wanted.device.address, (None, None), report)?;
    Ok(remote)
}

/// Connects and logs in, and reports which device it is.
pub(crate) async fn connect_and_report(wanted: &Deployment, accept_new: bool, report: &mut dyn Report) -> Result<Ssh, Failure> {
    report.device(&DeviceLabel::at(&wanted.device.address, wanted.device.port));
    let title = format!("connect to {}", wanted.device.address);
    report.event(&Event::StageStarted { stage: Stage::Connect, title });
    let access = Access::to(&wanted.device).await.map_err(|error| Failure::from(error).in_stage(Stage::Connect))?;
    let request = IdentityRequest::start(&access.interface);
    let remote = access.connect(wanted, accept_new, &request, report).await;
    let remote = remote.map_err(|failure| failure.in_stage(Stage::Connect))?;
    let identity = request.finish().await.ok();
    pin_identity(&remote, &wanted.device.address, (identity.as_ref(), None), report)?;
    let (serial, name) = identity.as_ref().map(|identity| (identity.serial.clone(), identity.name.clone())).unzip();
    let device = DeviceSummary {
        address: format!("{}:{}", wanted.device.address, wanted.device.port),
        serial: serial.or_else(|| remote.device_of_key()),
        name: name.filter(|name| !name.is_empty()),
        firmware: identity.and_then(|identity| identity.firmware).map(|firmware| firmware.to_string()),
        docker: None,
    };
    report.device(&DeviceLabel::from(&device));
    report.event(&Event::Connected(device));
    Ok(remote)
}

/// Runs a command over a connection of its own, for which nobody is asked anything.
pub(crate) async fn on_new_connection(wanted: &Deployment, accept_new: bool, command: &Command) -> Result<(), Failure> {
    let access = Access::to(&wanted.device).await?;
    let request = IdentityRequest::start(&access.interface);
    let remote = ssh::connect(&access.deployment_target(wanted, accept_new, request.claim).await?, &mut Nobody).await?;
    let result = remote.check(command).await;
    remote.disconnect().await;
    result?;
    Ok(())
}

/// Answers no question: nobody can be asked.
pub(crate) struct Nobody;

impl ssh::Ask for Nobody {
    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn secret(&mut self, _: &str) -> Option<Secret> {
        None
    }
}

/// Asks a device who it is while the connection is made.
pub(crate) struct IdentityRequest {
    /// The identity of the device, as far as it is known.
    pub(crate) claim: watch::Receiver<Option<Claim>>,
    answer: tokio::task::JoinHandle<Result<DeviceIdentity, InterfaceError>>,
}

impl IdentityRequest {
    /// Starts the request in the background.
    pub(crate) fn start(interface: &ConfigurationInterface) -> Self {
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

    /// Waits for the answer.
    pub(crate) async fn finish(self) -> Result<DeviceIdentity, InterfaceError> {
        self.answer.await.expect("asking does not panic and is not aborted")
    }
}

/// Asks the device over the connection itself who it is; `None` where it allows no way to its own port 80.
pub(crate) async fn identity_inside(remote: &Ssh, interface: &ConfigurationInterface) -> Option<DeviceIdentity> {
    let request = interface.identity_request().ok()?;
    interface.identity_in(&remote.ask_inside(device::PORT, &request).await?).ok()
}

/// Pins the host key to the serial number: the one reported over the connection, else the one reported without proof.
/// Reports when another device answered at the address before.
pub(crate) fn pin_identity(
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

/// Returns what an identity claims before anybody is logged in.
pub(crate) fn claim_of(identity: &DeviceIdentity) -> Claim {
    let old_firmware = identity.firmware.as_ref().is_some_and(device::Firmware::may_have_password_login);
    Claim { serial: Some(identity.serial.clone()), old_firmware }
}
