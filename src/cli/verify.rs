//! `o3r-deploy verify`: whether the application runs; with `--reboot`, whether it comes back by itself.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    options::{self, ApplicationOptions, LockOptions},
    session::{self, Session},
};
use crate::{
    command::Command,
    config::{Compose, Deployment},
    deploy::{Access, Cache, IdentityRequest, requester},
    device::ConfigurationInterface,
    facts::{Container, ContainerState, Facts, Health, HealthCheck, Probe, Section},
    failure::{ExitCode, Explain, Failure, FailureKind},
    plan::{application_name, count},
    remote::{Remote, ssh::Ssh},
    report::{Event, Outcome, Report},
    run::{Interrupt, LockGuard, RunError},
    small_file,
    stage::Stage,
};

/// Maximum time for a device to restart: the slowest boot takes 200 s.
const BOOT: Duration = Duration::from_secs(300);
/// Maximum time for its application to start after that.
const APPLICATION: Duration = Duration::from_secs(180);
/// Number of soft reboots without a power cycle after which a device may not find the network.
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
    #[error("container `{container}` {why}")]
    Not { container: String, why: String, check: Option<HealthCheck> },
    #[error("{0}")]
    NotBack(String),
    #[error("the device is not back {} s after its reboot", BOOT.as_secs())]
    Gone,
}

impl Explain for VerifyError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Nothing(_) | Self::Not { .. } | Self::NotBack(_) => FailureKind::Unhealthy,
            Self::Gone => FailureKind::Unreachable,
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Not { check, .. } => check.iter().flat_map(HealthCheck::shown).collect(),
            _ => Vec::new(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nothing(_) => "run it where the deployment is told, or name the file with `--config`".into(),
            Self::Not { .. } => {
                "`o3r-deploy` deploys it again, `o3r-deploy rollback` goes back to the version before; `docker logs NAME` on the device shows its output".into()
            }
            Self::NotBack(_) => "a service comes back by `autostart:`, or by a restart policy and `oem-dc-autostart`".into(),
            Self::Gone => "switch it off and on: after five soft reboots a device may not find the network".into(),
        })
    }
}

/// Runs the subcommand `verify`.
pub(super) async fn verify(options: &VerifyOptions) -> ExitCode {
    let wanted = options::application(&options.application, &std::env::current_dir().unwrap_or_default());
    let log_dir = if options.reboot { session::log_dir } else { session::no_log };
    session::run(options.application.display.style(), false, wanted, log_dir, async |session, wanted| {
        verify_in(session, wanted, options).await
    })
    .await
}

async fn verify_in(session: &mut Session, wanted: &Deployment, options: &VerifyOptions) -> Result<(), Failure> {
    session.name_file(options.application.device.config.as_deref());
    let interrupt = Interrupt::listen();
    let connecting = async {
        let access = Access::to(&wanted.device).await?;
        let remote = connect(session, wanted, options, &access).await?;
        let (before, clock) = containers(&remote, wanted).await?;
        Ok((access, remote, before, clock))
    };
    let (access, remote, before, clock) = interrupt.or(connecting).await?;
    if before.is_empty() {
        return Err(VerifyError::Nothing(application_name(wanted)).into());
    }
    if let Some(fault) = before.iter().find_map(|container| fault(container, clock)) {
        return Err(fault.into());
    }
    // What has done its work and ended need not come back.
    let before: Vec<_> = before.into_iter().filter(|container| !container.has_completed()).collect();
    if !options.reboot || before.is_empty() {
        note(session, format!("`{}` {}", application_name(wanted), states(&before)));
        remote.disconnect().await;
        return Ok(());
    }
    let begin = Instant::now();
    let proven = tokio::select! {
        proven = reboot(session, wanted, options, (&access, &remote), (&before, &interrupt)) => proven?,
        () = interrupt.wait() => return Err(RunError::Interrupted.into()),
    };
    let (stage, outcome, seconds) = (Stage::Compose, Outcome::Done, begin.elapsed().as_secs_f64());
    session.report.event(&Event::StageFinished { stage, outcome, says: proven, seconds });
    Ok(())
}

/// Reboots the device under its lock, and says how its containers came back.
async fn reboot(
    session: &mut Session,
    wanted: &Deployment,
    options: &VerifyOptions,
    (access, remote): (&Access, &Ssh),
    (before, interrupt): (&[Container], &Interrupt),
) -> Result<String, Failure> {
    let owner = requester::owner(wanted, "reboots the device of");
    let wish = requester::wish(wanted, &options.lock.settings(), &owner);
    let mut hold = LockGuard::take(remote, &wish, &mut session.report, interrupt).await?;
    let begin = Instant::now();
    let boot = match hold.during(begin_reboot(session, &access.interface, remote)).await {
        Ok(boot) => boot,
        Err(failure) => {
            hold.release().await;
            return Err(failure);
        }
    };
    // The lock goes with the device's RAM: until then nobody begins what the reboot would cut.
    let remote = back(session, wanted, options, access, &boot).await?;
    let ready = begin.elapsed();
    let (stage, outcome, says) = (Stage::Connect, Outcome::Done, "the device is ready after its reboot".to_owned());
    session.report.event(&Event::StageFinished { stage, outcome, says, seconds: ready.as_secs_f64() });
    let title = format!("wait until {} run again", count(before.len(), "container"));
    session.report.event(&Event::StageStarted { stage: Stage::Compose, title });
    let started = Instant::now();
    let settle = wanted.compose.as_ref().map_or(Compose::DEFAULT_SETTLE, |compose| compose.settle);
    // Since when all of them have been well, in these runs of theirs.
    let mut well: Option<(Instant, Vec<String>)> = None;
    loop {
        let (after, clock) = containers(&remote, wanted).await?;
        let missing = before.iter().find_map(|was| match after.iter().find(|is| is.name == was.name) {
            Some(is) if is.started_at == was.started_at => {
                Some(VerifyError::NotBack(format!("container `{}` did not start again", was.name)))
            }
            Some(is) => fault(is, clock),
            None => Some(VerifyError::NotBack(format!("container `{}` is not there after the reboot", was.name))),
        });
        let runs: Vec<_> = after.iter().map(|container| container.started_at.clone()).collect();
        match missing {
            None if well.as_ref().is_some_and(|(since, before)| *before == runs && since.elapsed() >= settle) => break,
            None if well.as_ref().is_none_or(|(_, before)| *before != runs) => well = Some((Instant::now(), runs)),
            None => {}
            Some(_) => well = None,
        }
        if started.elapsed() > APPLICATION {
            let restarts = || VerifyError::NotBack("the application is started again and again".into());
            return Err(missing.unwrap_or_else(restarts).into());
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
    let title = format!("reboot device {}", identity.serial);
    session.report.event(&Event::StageStarted { stage: Stage::Connect, title });
    interface.reboot().await?;
    let says = format!("wait until device {} is ready again, which takes up to {} s", identity.serial, BOOT.as_secs());
    session.report.event(&Event::Step { stage: Stage::Connect, says });
    Ok(boot)
}

fn note(session: &mut Session, text: String) {
    session.report.event(&Event::Note { text });
}

async fn connect(session: &mut Session, wanted: &Deployment, options: &VerifyOptions, access: &Access) -> Result<Ssh, Failure> {
    let request = IdentityRequest::start(&access.interface);
    access.connect(wanted, options.application.device.accept_new, &request, &mut session.report).await
}

/// Waits until the device is ready after another boot than `boot`.
async fn back(
    session: &mut Session,
    wanted: &Deployment,
    options: &VerifyOptions,
    access: &Access,
    boot: &str,
) -> Result<Ssh, Failure> {
    let deadline = Instant::now() + BOOT;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ready = access.interface.identity().await.is_ok_and(|identity| identity.status == "OPERATE");
        if ready
            && let Ok(remote) = connect(session, wanted, options, access).await
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

/// Returns the containers of this application, and the device's clock.
async fn containers(remote: &Ssh, wanted: &Deployment) -> Result<(Vec<Container>, u64), Failure> {
    let sections = [Section::Docker, Section::Containers, Section::Records].into();
    let facts: Facts = Probe { sections, ..Probe::default() }.ask(remote).await?;
    let record = facts.records.get(&application_name(wanted)).cloned().unwrap_or_default();
    let ours = |container: &Container| container.project.as_ref().is_some_and(|project| record.projects.contains(project));
    let mut containers = facts.docker.map(|docker| docker.containers).unwrap_or_default();
    let may_complete = |container: &Container| {
        let named = |compose: &Compose| compose.completes.iter().any(|name| container.service.as_ref() == Some(name));
        container.state == ContainerState::Exited && container.exit_code == 0 && wanted.compose.as_ref().is_some_and(named)
    };
    containers.retain(|container| ours(container) && !may_complete(container));
    Ok((containers, facts.clock))
}

/// Finds what is wrong with a container.
fn fault(container: &Container, clock: u64) -> Option<VerifyError> {
    let why = container.fault(clock)?;
    Some(VerifyError::Not { container: container.name.clone(), why, check: container.check.clone() })
}

/// Words for containers that are well: healthy is only who was asked.
fn states(running: &[Container]) -> String {
    let healthy = running.iter().filter(|container| container.health == Some(Health::Healthy)).count();
    let containers = count(running.len(), "container");
    match (running.len(), healthy) {
        (0, _) => "has completed".into(),
        (_, 0) => format!("runs: {containers}"),
        (all, healthy) if all == healthy => format!("runs and is healthy: {containers}"),
        (_, healthy) => format!("runs: {containers}, {healthy} of them with a health check, which passes"),
    }
}

/// Counts a soft reboot of a device, as far as this computer asked for it.
fn counted(serial: &str) -> u32 {
    let folder = Cache::of(false).reboots().unwrap_or_default();
    let file: PathBuf = folder.join(crate::facts::here::safe_name(serial));
    let count = small_file::read(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u32).saturating_add(1);
    // A count that cannot be kept only costs the warning.
    let _ = std::fs::create_dir_all(&folder).and_then(|()| small_file::write(&file, count.to_string()));
    count
}
