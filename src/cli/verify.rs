//! `o3r-deploy verify`: whether the application runs; with `--reboot`, whether it comes back by itself.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    ask::AskReport,
    cache::Cache,
    lock,
    options::{self, ApplicationOptions, LockOptions},
    session::{self, Asked, Session},
};
use crate::{
    command::Command,
    config::Deployment,
    device::ConfigurationInterface,
    facts::{Container, ContainerState, Facts, Health, Probe, Section},
    failure::{ExitCode, Explain, Failure, FailureKind},
    plan::{application_name, count},
    remote::{
        Remote,
        ssh::{self, Ssh},
    },
    report::{Event, LogDir, Report},
    run::{Hold, Interrupt, RunError},
};

/// How long a device may take to be back: the slowest boot takes 200 s.
const BOOT: Duration = Duration::from_secs(300);
/// How long its application may take after that.
const APPLICATION: Duration = Duration::from_secs(180);
/// So many soft reboots without a power cycle can leave a device off the network.
const TOO_MANY: u32 = 5;

/// What `verify` takes.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyOptions {
    /// Reboot the device, and see that the application comes back by itself
    #[arg(long)]
    reboot: bool,
    #[command(flatten)]
    application: ApplicationOptions,
    #[command(flatten)]
    lock: LockOptions,
}

/// Why the application is not proven.
#[derive(Debug, thiserror::Error)]
enum VerifyError {
    #[error("nothing of `{0}` was deployed that could be verified")]
    Nothing(String),
    #[error("{0}")]
    Not(String),
    #[error("the device is not back {} s after its reboot", BOOT.as_secs())]
    Gone,
}

impl Explain for VerifyError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Nothing(_) | Self::Not(_) => FailureKind::Unhealthy,
            Self::Gone => FailureKind::Unreachable,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nothing(_) => "run it where the deployment is told, or name the file with `--config`".into(),
            Self::Not(_) => "a service comes back by `autostart:`, or by a restart policy and `oem-dc-autostart`".into(),
            Self::Gone => "switch it off and on: after five soft reboots a device may not find the network".into(),
        })
    }
}

/// Verifies.
pub(super) async fn verify(options: &VerifyOptions) -> ExitCode {
    let style = options.application.display.style();
    let wanted = match options::application(&options.application, &std::env::current_dir().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(error) => return session::refuse(style, error.into()),
    };
    let log_dir = if options.reboot { session::log_dir(&wanted) } else { LogDir::None };
    let mut session = match Session::begin(style, log_dir) {
        Ok(session) => session,
        Err(failure) => return session::refuse(style, failure),
    };
    let result = verify_in(&mut session, &wanted, options).await;
    session.end(result)
}

async fn verify_in(session: &mut Session, wanted: &Deployment, options: &VerifyOptions) -> Result<(), Failure> {
    let interface = session::interface(&wanted.device);
    let remote = connect(session, wanted, options, &interface).await?;
    let before = containers(&remote, wanted).await?;
    if before.is_empty() {
        return Err(VerifyError::Nothing(application_name(wanted)).into());
    }
    if let Some(ill) = before.iter().find_map(ill) {
        return Err(VerifyError::Not(ill).into());
    }
    if !options.reboot {
        note(session, format!("`{}` runs and is healthy: {}", application_name(wanted), count(before.len(), "container")));
        remote.disconnect().await;
        return Ok(());
    }
    let interrupt = Interrupt::listen();
    let proven = tokio::select! {
        proven = reboot(session, wanted, options, (&interface, &remote), (&before, &interrupt)) => proven?,
        () = interrupt.wait() => return Err(RunError::Interrupted.into()),
    };
    note(session, proven);
    Ok(())
}

/// Reboots the device under its lock, and says how its containers came back.
async fn reboot(
    session: &mut Session,
    wanted: &Deployment,
    options: &VerifyOptions,
    (interface, remote): (&ConfigurationInterface, &Ssh),
    (before, interrupt): (&[Container], &Interrupt),
) -> Result<String, Failure> {
    let owner = lock::owner(wanted, "reboots the device of");
    let wish = lock::wish(wanted, &options.lock, &owner);
    let mut hold = Hold::take(remote, &wish, &mut session.report, interrupt).await?;
    let begin = Instant::now();
    let boot = match hold.during(begin_reboot(session, interface, remote)).await {
        Ok(boot) => boot,
        Err(failure) => {
            hold.release().await;
            return Err(failure);
        }
    };
    // The lock goes with the device's RAM: until then nobody begins what the reboot would cut.
    let remote = back(session, wanted, options, interface, &boot).await?;
    let ready = begin.elapsed();
    let started = Instant::now();
    loop {
        let after = containers(&remote, wanted).await?;
        let missing = before.iter().find_map(|was| match after.iter().find(|is| is.name == was.name) {
            Some(is) if is.started_at == was.started_at => Some(format!("container `{}` did not start again", was.name)),
            Some(is) => ill(is),
            None => Some(format!("container `{}` is not there after the reboot", was.name)),
        });
        let Some(missing) = missing else { break };
        if started.elapsed() > APPLICATION {
            return Err(VerifyError::Not(missing).into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    remote.disconnect().await;
    let (ready, all) = (ready.as_secs(), begin.elapsed().as_secs());
    let names = count(before.len(), "container");
    Ok(format!("{names} came back without help: the device was ready after {ready} s, all was well after {all} s"))
}

/// Has the device reboot; gives the ID of the boot that ends with it.
async fn begin_reboot(session: &mut Session, interface: &ConfigurationInterface, remote: &Ssh) -> Result<String, Failure> {
    let identity = interface.identity().await?;
    let boot = boot_of(remote).await?;
    let reboots = counted(&identity.serial);
    if reboots >= TOO_MANY {
        let text = format!(
            "this is soft reboot {reboots} of device {} from this computer: five without a power cycle can leave it off the network",
            identity.serial
        );
        session.report.event(&Event::Warning { text });
    }
    note(session, format!("rebooting device {}", identity.serial));
    interface.reboot().await?;
    Ok(boot)
}

fn note(session: &mut Session, text: String) {
    session.report.event(&Event::Note { text });
}

async fn connect(
    session: &mut Session,
    wanted: &Deployment,
    options: &VerifyOptions,
    interface: &ConfigurationInterface,
) -> Result<Ssh, Failure> {
    let asked = Asked::begin(interface);
    let target = session::target_of(wanted, options.application.device.accept_new, asked.claim.clone())?;
    Ok(ssh::connect(&target, &mut AskReport(&mut session.report)).await?)
}

/// Waits until the device is ready after another boot than `boot`.
async fn back(
    session: &mut Session,
    wanted: &Deployment,
    options: &VerifyOptions,
    interface: &ConfigurationInterface,
    boot: &str,
) -> Result<Ssh, Failure> {
    let deadline = Instant::now() + BOOT;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ready = interface.identity().await.is_ok_and(|identity| identity.status == "OPERATE");
        if ready
            && let Ok(remote) = connect(session, wanted, options, interface).await
            && boot_of(&remote).await.is_ok_and(|now| now != boot)
        {
            return Ok(remote);
        }
    }
    Err(VerifyError::Gone.into())
}

async fn boot_of(remote: &Ssh) -> Result<String, Failure> {
    let answer = remote.check(&Command::new("cat").arg("/proc/sys/kernel/random/boot_id")).await?;
    Ok(String::from_utf8_lossy(&answer).trim().to_owned())
}

/// The containers of this application.
async fn containers(remote: &Ssh, wanted: &Deployment) -> Result<Vec<Container>, Failure> {
    let sections = [Section::Docker, Section::Containers, Section::Records].into();
    let facts: Facts = Probe { sections, ..Probe::default() }.ask(remote).await?;
    let record = facts.records.get(&application_name(wanted)).cloned().unwrap_or_default();
    let ours = |container: &Container| container.project.as_ref().is_some_and(|project| record.projects.contains(project));
    let mut containers = facts.docker.map(|docker| docker.containers).unwrap_or_default();
    // One that has done its work and ended need not come back.
    containers.retain(|container| ours(container) && !(container.state == ContainerState::Exited && container.exit_code == 0));
    Ok(containers)
}

/// What is wrong with a container.
fn ill(container: &Container) -> Option<String> {
    let well =
        container.state == ContainerState::Running && matches!(container.health, None | Some(Health::Healthy | Health::None));
    (!well).then(|| format!("container `{}` does not run, or is not healthy", container.name))
}

/// Counts a soft reboot of a device, as far as this computer asked for it.
fn counted(serial: &str) -> u32 {
    let folder = Cache::of(false).reboots().unwrap_or_default();
    let file: PathBuf = folder.join(crate::facts::here::safe_name(serial));
    let count =
        std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u32).saturating_add(1);
    // A count that cannot be kept only costs the warning.
    let _ = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, count.to_string()));
    count
}
