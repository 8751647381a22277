//! The use case: connects to a device, gathers facts, plans, and carries the plan out, over as many connections as it takes.
//!
//! ```no_run
//! # async fn run(report: &mut dyn o3r_deploy::report::Report) -> Result<(), Box<dyn std::error::Error>> {
//! use o3r_deploy::{config, deploy::{DeploySettings, deploy}};
//!
//! let wanted = config::load("o3r-deploy.yaml")?;
//! deploy(&wanted, DeploySettings { accept_new: true, ..DeploySettings::default() }, report).await?;
//! # Ok(())
//! # }
//! ```

use std::{collections::BTreeMap, time::Duration};

use crate::{
    config::Deployment,
    delivery::{ImageSources, Speeds, Strategy},
    facts::{Facts, gather, here},
    failure::{Failure, FailureKind},
    plan::{self, Plan, PlanContext, count},
    remote::{Remote, ssh::Ssh},
    report::{DeviceLabel, DeviceSummary, Event, Question, Report, Stem},
    run::{LockGuard, Progress, Runner},
    secret::Secret,
    stage::Stage,
};

pub use crate::run::Interrupt;
pub(crate) use access::{Access, IdentityRequest};
pub(crate) use cache::Cache;
pub use reconnect::RECONNECTS;
pub use refusal::Refusal;

pub(crate) mod access;
pub(crate) mod ask;
mod cache;
mod compose;
mod images;
mod observe;
mod reconnect;
mod refusal;
pub(crate) mod requester;

use observe::Observer;
use reconnect::Reconnect;

/// The settings of a deployment that are not part of its configuration.
#[derive(Clone, Debug)]
pub struct DeploySettings {
    /// Whether only to report what would be done.
    pub dry_run: bool,
    /// Whether the key of a device that was never seen is pinned without a question.
    pub accept_new: bool,
    /// Whether to remove what no deployment by this tool put there without a question.
    pub yes: bool,
    /// The strategy by which images are delivered.
    pub strategy: Strategy,
    /// Whether images of another architecture than the device's are let through.
    pub allow_architecture: bool,
    /// Whether images that nobody needs are removed where the room is short.
    pub make_room: bool,
    /// Number of times that a lost connection is made again.
    pub reconnects: u32,
    /// The settings for the lock of the device.
    pub lock: LockSettings,
    /// The stem by which this deployment is known: in the stamp, in the history, and as the name of a log file.
    pub stem: Stem,
    /// Ends the work at hand when it is pressed.
    pub interrupt: Interrupt,
}

impl Default for DeploySettings {
    fn default() -> Self {
        Self {
            dry_run: false,
            accept_new: false,
            yes: false,
            strategy: Strategy::default(),
            allow_architecture: false,
            make_room: false,
            reconnects: RECONNECTS,
            lock: LockSettings::default(),
            stem: Stem::now(),
            interrupt: Interrupt::default(),
        }
    }
}

/// The settings for taking the lock of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockSettings {
    /// Maximum time to wait while another owner has the lock or the application holds updates off.
    pub wait: Duration,
    /// Whether to go on although the application holds updates off.
    pub ignore_hold_off: bool,
}

/// Deploys like [`deploy`], for programs without an asynchronous runtime of their own.
///
/// # Errors
/// As [`deploy`].
pub fn blocking(wanted: &Deployment, settings: DeploySettings, report: &mut dyn Report) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a process has the descriptors that a runtime needs");
    tokio::task::LocalSet::new().block_on(&runtime, deploy(wanted, settings, report))
}

/// Runs a deployment, or reports what it would do. Needs a `LocalSet` of a current-thread runtime.
///
/// # Errors
/// The first failure, with its stage; what is finished by then stays.
pub async fn deploy(wanted: &Deployment, settings: DeploySettings, report: &mut dyn Report) -> Result<(), Failure> {
    report.device(&DeviceLabel::at(&wanted.device.address, wanted.device.port));
    let images = images::open_images(wanted)?;
    let mut here = gather::gather(wanted)?;
    here.images = images::describe(&images);
    here.secrets = secrets(wanted, settings.dry_run, report).await?;
    let access = settings.interrupt.or(async { Ok(Access::to(&wanted.device).await?) }).await?;
    let cache = Cache::of(settings.dry_run);
    let mut run = Run {
        wanted,
        access,
        here,
        supply: ImageSources::new(images, cache.shelf()),
        cache,
        reconnect: Reconnect::new(settings.reconnects),
        progress: Progress::default(),
        token: None,
        has_begun: false,
        settings,
    };
    let result = loop {
        match run.round(report).await {
            Err(failure) => {
                if let Err(failure) = run.reconnect.wait(failure, &run.settings.interrupt, report).await {
                    break Err(failure);
                }
            }
            Ok(()) => break Ok(()),
        }
    };
    run.progress.end(report);
    result
}

/// One deployment, over as many connections as it takes.
struct Run<'a> {
    wanted: &'a Deployment,
    settings: DeploySettings,
    access: Access,
    here: here::LocalState,
    supply: ImageSources,
    cache: Cache,
    reconnect: Reconnect,
    progress: Progress,
    /// The word by which the lock is this run's own, from when it was taken first.
    token: Option<String>,
    /// Whether a plan has been agreed to and begun.
    has_begun: bool,
}

impl Run<'_> {
    /// Connects, reads the device, plans, and carries out the plan. After a lost connection this is repeated: finished work
    /// is found on the device and is not done again.
    async fn round(&mut self, report: &mut dyn Report) -> Result<(), Failure> {
        let wanted = self.wanted;
        let title = format!("connect to {}", wanted.device.address);
        report.event(&Event::StageStarted { stage: Stage::Connect, title });
        let interrupt = self.settings.interrupt.clone();
        let observer = self.observer();
        let looking = observer.connect(report, self.settings.accept_new, self.here.clone());
        let looked = interrupt.or(looking).await;
        let (remote, mut facts) = looked.map_err(|failure| failure.in_stage(Stage::Connect))?;
        let device = summary(wanted, &facts);
        report.device(&DeviceLabel::from(&device));
        report.event(&Event::Connected(device));

        let speeds = self.cache.speeds(facts.serial.as_deref());
        let plan = self.plan(&mut facts, speeds)?;
        report_plan(&plan, self.settings.dry_run, report);
        if self.settings.dry_run {
            remote.disconnect().await;
            return Ok(());
        }
        // Who agreed once is not asked again.
        let agreed = self.settings.yes || self.has_begun;
        interrupt.or(async { confirm(&plan, &facts, wanted, agreed, report) }).await?;
        let serial = facts.serial.clone();
        let delivers = plan.delivers();
        if delivers {
            // Whatever ends the program before it says otherwise has cut the delivery.
            self.cache.keep(&Speeds { cut: true, ..speeds }, serial.as_deref());
        }
        let work = Work { plan, facts, speeds, remote: &remote };
        let result = self.carry_out(report, work).await;
        let measured = self.supply.finish();
        if delivers {
            let cut = result.as_ref().is_err_and(|failure| failure.kind() == FailureKind::ConnectionLost);
            let speeds = measured.iter().fold(speeds, Speeds::with);
            self.cache.keep(&Speeds { cut, ..speeds }, serial.as_deref());
        }
        let (sent, received) = (remote.bytes_sent(), remote.bytes_received());
        report.event(&Event::Traffic { sent, received });
        // After a failure too: what was given up on the device is told to end before the connection goes.
        remote.disconnect().await;
        result
    }

    /// Takes the device's lock, if anything is to change, and carries the plan out.
    async fn carry_out(&mut self, report: &mut dyn Report, mut work: Work<'_>) -> Result<(), Failure> {
        self.has_begun = true;
        let interrupt = self.settings.interrupt.clone();
        let mut hold = None;
        if work.plan.changes_device() {
            let owner = requester::owner(self.wanted, "deploys");
            let mut wish = requester::wish(self.wanted, &self.settings.lock, &owner);
            // The lock that a lost connection may have left there is this run's own.
            wish.token = self.token.get_or_insert(wish.token).clone();
            let taken = LockGuard::take(work.remote, &wish, report, &interrupt).await?;
            // Another one had the lock since the device was read: what was read may no longer be true.
            if work.facts.turn.as_deref() != Some(taken.before()) {
                self.plan_again(&mut work, report).await?;
            }
            hold = Some(taken);
        }
        let free = self.progress.free();
        let progress = &mut self.progress;
        let (wanted, accept_new) = (self.wanted, self.settings.accept_new);
        let on_new_connection = |command| -> futures_util::future::LocalBoxFuture<'_, _> {
            Box::pin(async move { access::on_new_connection(wanted, accept_new, &command).await })
        };
        let (interface, supply, on_new_connection) =
            (&self.access.interface, &self.supply, Some(&on_new_connection as &crate::run::OnNewConnection<'_>));
        let mut runner = Runner { remote: work.remote, interface, report, supply, interrupt, on_new_connection, progress };
        match hold {
            // Who looks on for hours keeps nobody from the device.
            Some(hold) => hold.until_free(&free, runner.run(&work.plan)).await,
            None => runner.run(&work.plan).await,
        }
    }

    fn observer(&self) -> Observer<'_> {
        Observer { wanted: self.wanted, access: &self.access, cache: &self.cache }
    }

    /// Plans from the facts, to which the sizes of images that were looked into are added.
    fn plan(&self, facts: &mut Facts, speeds: Speeds) -> Result<Plan, Failure> {
        let settings = &self.settings;
        let offers =
            images::offers(&self.supply, facts, settings.strategy).map_err(|failure| failure.in_stage(Stage::Image))?;
        let circumstances = PlanContext {
            stem: settings.stem.to_string(),
            by: requester::by(),
            allow_architecture: settings.allow_architecture,
            strategy: settings.strategy,
            speeds,
            offers,
            make_room: settings.make_room,
        };
        plan::plan(self.wanted, facts, &circumstances)
    }

    /// Gathers the facts once more and plans anew; what differs is shown and asked about.
    async fn plan_again(&self, work: &mut Work<'_>, report: &mut dyn Report) -> Result<(), Failure> {
        let before = std::mem::take(&mut work.facts);
        let mut facts = self.observer().again(work.remote, before).await.map_err(|f| f.in_stage(Stage::Connect))?;
        let plan = self.plan(&mut facts, work.speeds)?;
        if plan != work.plan {
            report_plan(&plan, false, report);
            confirm(&plan, &facts, self.wanted, self.settings.yes, report)?;
        }
        (work.plan, work.facts) = (plan, facts);
        Ok(())
    }
}

/// A plan, and what it was made of.
struct Work<'a> {
    plan: Plan,
    facts: Facts,
    speeds: Speeds,
    remote: &'a Ssh,
}

/// Time for which nothing is shown while a value is fetched.
const QUIET: Duration = Duration::from_secs(5);

/// Fetches the secret values. When a command takes long, the user is told what is waited for. A dry run runs no commands.
async fn secrets(wanted: &Deployment, dry_run: bool, report: &mut dyn Report) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut values = BTreeMap::new();
    for (name, secret) in &wanted.secrets {
        if let (true, Some(command)) = (dry_run, secret.command()) {
            let text = format!("the secret `{name}` is not compared: a deployment runs `{command}` for it");
            report.event(&Event::Warning { text });
            continue;
        }
        let fetched = secret.clone();
        let mut fetching = tokio::task::spawn_blocking(move || fetched.value());
        let value = match tokio::time::timeout(QUIET, &mut fetching).await {
            Ok(value) => value,
            Err(_) => {
                report.event(&Event::Warning { text: secret.says() });
                fetching.await
            }
        };
        values.insert(name.clone(), value.expect("fetching does not panic and is not aborted")?);
    }
    Ok(values)
}

fn summary(wanted: &Deployment, facts: &Facts) -> DeviceSummary {
    DeviceSummary {
        address: format!("{}:{}", wanted.device.address, wanted.device.port),
        serial: facts.serial.clone(),
        name: facts.name.clone().filter(|name| !name.is_empty()),
        firmware: facts.firmware.clone(),
        docker: facts.docker.as_ref().map(|docker| docker.version.clone()),
    }
}

/// Asks before anything goes that no deployment by this tool put there.
fn confirm(plan: &Plan, facts: &Facts, wanted: &Deployment, yes: bool, report: &mut dyn Report) -> Result<(), Failure> {
    if yes || plan.foreign.is_empty() {
        return Ok(());
    }
    let device = match (&facts.serial, &facts.name) {
        (Some(serial), Some(name)) if !name.is_empty() => format!("device {serial} (`{name}`) at {}", wanted.device.address),
        (Some(serial), _) => format!("device {serial} at {}", wanted.device.address),
        (None, _) => format!("the device at {}", wanted.device.address),
    };
    let things = ["container", "volume", "image"].map(|kind| {
        let number = plan.foreign.iter().filter(|thing| thing.starts_with(kind)).count();
        (number > 0).then(|| count(number, kind))
    });
    let things = things.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let what = format!("{things} that no deployment of o3r-deploy put there would be removed from {device}");
    let names = plan.foreign.join(", ");
    match report.ask(&Question::Confirm(format!("{what}: {names}. Remove them?"))).as_deref() {
        Some("yes") => Ok(()),
        Some(_) => Err(Failure::from(Refusal::No(what)).in_stage(Stage::CleanUp)),
        None => Err(Failure::from(Refusal::Unasked(what)).in_stage(Stage::CleanUp)),
    }
}

fn report_plan(plan: &Plan, dry_run: bool, report: &mut dyn Report) {
    for text in &plan.warnings {
        report.event(&Event::Warning { text: text.clone() });
    }
    report.event(&Event::Planned { dry_run, stages: plan.shown() });
}
