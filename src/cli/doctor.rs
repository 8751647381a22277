//! `o3r-deploy doctor`: looks at everything on the way to an application that works, and says what to do.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    options::{self, DeviceOptions, DisplayOptions},
    session::{self, Session},
};
use crate::{
    commands::docker,
    deploy::{Access, IdentityRequest, access::Nobody},
    doctor::{self, Check, DeviceView, Examined, Finding, Missing, State},
    facts::{Probe, Section},
    failure::{ExitCode, Explain, Failure, FailureKind},
    release::lock,
    remote::{
        Input, Remote,
        ssh::{self, ConnectError, Ssh},
    },
    report::{LogDir, Style},
    run::{Interrupt, Owner},
    text::printable,
};

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorOptions {
    #[command(flatten)]
    device: DeviceOptions,
    #[command(flatten)]
    display: DisplayOptions,
}

/// Runs the checks and returns 0 when nothing is wrong, else the exit code of the failed connection, or the code for a
/// device on which something is wrong.
pub(super) async fn doctor(options: &DoctorOptions) -> ExitCode {
    let style = Style::of(options.display.json, true, options.display.level());
    let wanted = match options::device(&options.device, &std::env::current_dir().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(error) => return session::refuse(style, error.into()),
    };
    let session = match Session::begin(style, LogDir::None) {
        Ok(session) => session,
        Err(failure) => return session::refuse(style, failure),
    };
    let access = match Access::to(&wanted.device).await {
        Ok(access) => access,
        Err(error) => return session::refuse(style, error.into()),
    };
    let interface = &access.interface;
    let request = IdentityRequest::start(interface);
    let target = match access.deployment_target(&wanted, options.device.accept_new, request.claim.clone()).await {
        Ok(target) => target,
        Err(error) => return session::refuse(style, error),
    };
    let mut seen = DeviceView {
        now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        ..DeviceView::default()
    };
    let connecting = async {
        let mut nobody = Nobody;
        let firewall = interface.get(&["/device/network/firewall/active"]);
        Ok(tokio::join!(ssh::connect(&target, &mut nobody), request.finish(), firewall))
    };
    let interrupt = Interrupt::listen();
    let (connection, identity, firewall) = match interrupt.or(connecting).await {
        Ok(said) => said,
        Err(failure) => return session.end(Err(failure)),
    };
    seen.identity = identity.ok();
    seen.firewall = firewall.ok().and_then(|value| value.pointer("/device/network/firewall/active")?.as_bool());
    match connection {
        Err(error) => {
            let (check, tried) = fails(&error);
            seen.connection = Some(Missing::of(&error, check, tried));
        }
        Ok(remote) => {
            let hold_off = wanted.hold_off.as_ref().map_or("", |path| path.as_str());
            if let Err(failure) = interrupt.or(look_inside(&remote, hold_off, &mut seen)).await {
                return session.end(Err(failure));
            }
            remote.disconnect().await;
        }
    }
    let findings = doctor::examine(&seen);
    for finding in &findings {
        crate::report::data(&if options.display.json {
            serde_json::to_string(finding).unwrap_or_default()
        } else {
            line(finding)
        });
    }
    let wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    match &seen.connection {
        Some(missing) => missing.kind.exit_code(),
        None if wrong => ExitCode::Conflict,
        None => ExitCode::Success,
    }
}

/// Looks at what is inside a device that lets this computer in.
async fn look_inside(remote: &Ssh, hold_off: &str, seen: &mut DeviceView) -> Result<(), Failure> {
    use Section::{Autostart, Compose, Containers, Docker, DockerRoot, Images, Volumes};
    let rest = [Docker, DockerRoot, Compose, Autostart];
    let probe = |sections: &[Section]| Probe {
        rooms: [crate::config::REMOTE_HOME.to_owned()].into(),
        sections: sections.iter().copied().collect(),
        ..Probe::default()
    };
    let asked = match probe(&[&rest[..], &[Containers, Images, Volumes]].concat()).ask(remote).await {
        // Docker answered at first, and then did not: what is left is asked without it.
        Err(error) if error.kind() == FailureKind::DockerSilent => probe(&[Compose, Autostart]).ask(remote).await,
        asked => asked,
    };
    match asked {
        Ok(facts) => seen.facts = Some(facts),
        // Who is let in and not served has come as far as his key.
        Err(error) => {
            seen.connection = Some(Missing::of(&error, Check::Key, true));
            return Ok(());
        }
    }
    if let Ok(said) = remote.run(&docker::examine(hold_off), Input::Empty).await {
        seen.examined = Examined::parse(&String::from_utf8_lossy(&said.stdout));
    }
    if let Ok(said) = remote.run(&lock::look(), Input::Empty).await {
        let said = String::from_utf8_lossy(&said.stdout);
        let owner = said.strip_prefix("alive\n").and_then(|rest| rest.lines().nth(1)).map(Owner::read);
        seen.guard = owner.as_ref().is_some_and(|owner| owner.guard);
        seen.lock = owner.map(|owner| printable(&owner.to_string()));
    }
    Ok(())
}

/// Returns the check to which an error belongs, and whether those before it were passed.
fn fails(error: &ConnectError) -> (Check, bool) {
    match error {
        ConnectError::Config { .. } | ConnectError::Jump { .. } => (Check::Address, false),
        ConnectError::Name { .. } => (Check::Address, true),
        ConnectError::NoWay { .. } | ConnectError::Refused { .. } | ConnectError::NoAnswer { .. } => (Check::Port, true),
        ConnectError::NotSsh { .. } | ConnectError::Handshake { .. } => (Check::Ssh, true),
        ConnectError::KnownHosts { .. } => (Check::HostKey, false),
        ConnectError::HostKeyUnknown { .. }
        | ConnectError::HostKeyChanged { .. }
        | ConnectError::HostKeyReplaced { .. }
        | ConnectError::HostKeyOfAnother { .. }
        | ConnectError::HostKeyRevoked { .. }
        | ConnectError::TwoDevices { .. } => (Check::HostKey, true),
        ConnectError::Identity { .. } | ConnectError::NotMade { .. } => (Check::Key, false),
        ConnectError::NotAccepted { .. } | ConnectError::Password(_) => (Check::Key, true),
    }
}

fn line(finding: &Finding) -> String {
    let state = match finding.state {
        State::Fine => "ok     ",
        State::Unknown => "?      ",
        State::Attention => "look at",
        State::Wrong => "WRONG  ",
    };
    let advice = if finding.advice.is_empty() { String::new() } else { format!("\n{:25}-> {}", "", finding.advice) };
    format!("{state}  {:14}  {}{advice}", finding.check.name(), finding.found)
}
