//! `o3r-deploy` and `o3r-deploy plan`: reads what is wanted and what is there, makes the plan, and carries it out.

use std::{collections::BTreeMap, time::Duration};

use super::{
    again::{self, Again},
    cache::Cache,
    lock,
    observe::Observer,
    options::{self, Options},
    session::{self, Refusal, Session, Way},
};
use crate::{
    config::{Deployment, ImageSource},
    delivery::{self, Delivery, Offer, Speeds, Strategy, Supply},
    facts::{Facts, gather, here},
    failure::{ExitCode, Failure, FailureKind},
    image::{self, LocalImages},
    plan::{self, Circumstances, Plan, count},
    remote::{Remote, ssh::Ssh},
    report::{DeviceSummary, Event, Question, Report, Stem},
    run::{Hold, Interrupt, Progress, Runner},
    secret::Secret,
    stage::Stage,
};

/// Deploys, or shows what would be done.
pub(super) async fn deploy(options: &Options, dry_run: bool) -> ExitCode {
    let style = options.display.style();
    let wanted = match options::deployment(options, &std::env::current_dir().unwrap_or_default()) {
        Ok(wanted) => wanted.deployment,
        Err(error) => return session::refuse_run(style, dry_run, error.into()),
    };
    let log_dir = if dry_run { crate::report::LogDir::None } else { session::log_dir(&wanted) };
    let mut session = match Session::begin(style, log_dir) {
        Ok(session) => session,
        Err(failure) => return session::refuse_run(style, dry_run, failure),
    };
    session.report.set_dry_run(dry_run);
    if !session.name_file(options.device.config.as_deref()) && !options.names_a_stage() {
        let text = "there is no `o3r-deploy.yaml` here or in a folder above, and no option names what to deploy: nothing is \
                    deployed; `~/share` is created on the device, and the logs are fetched";
        session.report.event(&Event::Warning { text: text.into() });
    }
    let result = deploy_in(&mut session, &wanted, options, dry_run).await;
    session.end(result)
}

async fn deploy_in(session: &mut Session, wanted: &Deployment, options: &Options, dry_run: bool) -> Result<(), Failure> {
    let images = open_images(wanted)?;
    let mut here = gather::gather(wanted)?;
    here.images = describe(&images);
    here.secrets = secrets(wanted, dry_run, &mut session.report).await?;
    let interrupt = Interrupt::listen();
    let way = interrupt.or(async { Ok(Way::to(&wanted.device).await?) }).await?;
    let cache = Cache::of(dry_run);
    let mut run = Run {
        wanted,
        options,
        dry_run,
        way,
        here,
        supply: Supply::new(images, cache.shelf()),
        cache,
        again: Again::new(options.reconnects.unwrap_or(again::TIMES)),
        progress: Progress::default(),
        token: None,
        interrupt,
        has_begun: false,
    };
    let result = loop {
        match run.round(session).await {
            Err(failure) => {
                if let Err(failure) = run.again.wait(failure, &run.interrupt, &mut session.report).await {
                    break Err(failure);
                }
            }
            Ok(()) => break Ok(()),
        }
    };
    run.progress.end(&mut session.report);
    result
}

/// One deployment, over as many connections as it takes.
struct Run<'a> {
    wanted: &'a Deployment,
    options: &'a Options,
    dry_run: bool,
    way: Way,
    here: here::Here,
    supply: Supply,
    cache: Cache,
    again: Again,
    progress: Progress,
    /// The word by which the lock is this run's own, from when it was taken first.
    token: Option<String>,
    /// Ctrl-C.
    interrupt: Interrupt,
    /// Whether a plan has been agreed to and begun.
    has_begun: bool,
}

impl Run<'_> {
    /// Connects, reads the device, plans, and carries the plan out. After a lost connection this is done anew: what is finished
    /// is seen to be there and not done twice.
    async fn round(&mut self, session: &mut Session) -> Result<(), Failure> {
        let wanted = self.wanted;
        let title = format!("connect to {}", wanted.device.address);
        session.report.event(&Event::StageStarted { stage: Stage::Connect, title });
        let interrupt = self.interrupt.clone();
        let observer = self.observer();
        let looking = observer.connect(session, self.options.device.accept_new, self.here.clone());
        let looked = interrupt.or(looking).await;
        let (remote, mut facts) = looked.map_err(|failure| failure.in_stage(Stage::Connect))?;
        session.report.event(&Event::Connected(summary(wanted, &facts)));

        let speeds = self.cache.speeds(facts.serial.as_deref());
        let plan = self.plan(&mut facts, speeds, &session.stem)?;
        tell(&plan, self.dry_run, &mut session.report);
        if self.dry_run {
            remote.disconnect().await;
            return Ok(());
        }
        // Who agreed once is not asked again.
        let agreed = self.options.yes || self.has_begun;
        interrupt.or(async { confirm(&plan, &facts, wanted, agreed, &mut session.report) }).await?;
        let serial = facts.serial.clone();
        let delivers = plan.delivers();
        if delivers {
            // Whatever ends the program before it says otherwise has cut the delivery.
            self.cache.keep(&Speeds { cut: true, ..speeds }, serial.as_deref());
        }
        let work = Work { plan, facts, speeds, remote: &remote };
        let result = self.carry_out(session, work).await;
        let measured = self.supply.finish();
        if delivers {
            let cut = result.as_ref().is_err_and(|failure| failure.kind() == FailureKind::ConnectionLost);
            let speeds = measured.iter().fold(speeds, Speeds::with);
            self.cache.keep(&Speeds { cut, ..speeds }, serial.as_deref());
        }
        let (sent, received) = (remote.bytes_sent(), remote.bytes_received());
        session.report.event(&Event::Traffic { sent, received });
        // After a failure too: what was given up on the device is told to end before the connection goes.
        remote.disconnect().await;
        result
    }

    /// Takes the device's lock, if anything is to change, and carries the plan out.
    async fn carry_out(&mut self, session: &mut Session, mut work: Work<'_>) -> Result<(), Failure> {
        if !self.has_begun
            && let (Some(attach), Some(log)) = (&self.wanted.attach, &session.log)
        {
            session.report.push(log.output_file(&attach.container));
        }
        self.has_begun = true;
        let interrupt = self.interrupt.clone();
        let mut hold = None;
        if work.plan.changes_device() {
            let owner = lock::owner(self.wanted, "deploys");
            let mut wish = lock::wish(self.wanted, &self.options.lock, &owner);
            // The lock that a lost connection may have left there is this run's own.
            wish.token = self.token.get_or_insert(wish.token).clone();
            let taken = Hold::take(work.remote, &wish, &mut session.report, &interrupt).await?;
            // Another one had the lock since the device was read: what was read may no longer be true.
            if work.facts.turn.as_deref() != Some(taken.before()) {
                self.plan_again(&mut work, session).await?;
            }
            hold = Some(taken);
        }
        let free = self.progress.free();
        let (report, progress) = (&mut session.report, &mut self.progress);
        let (wanted, accept_new) = (self.wanted, self.options.device.accept_new);
        let aside = |command| -> futures_util::future::LocalBoxFuture<'_, _> {
            Box::pin(async move { session::aside(wanted, accept_new, &command).await })
        };
        let (interface, supply, aside) = (&self.way.interface, &self.supply, Some(&aside as &crate::run::Aside<'_>));
        let mut runner = Runner { remote: work.remote, interface, report, supply, interrupt, aside, progress };
        match hold {
            // Who looks on for hours keeps nobody from the device.
            Some(hold) => hold.until_free(&free, runner.run(&work.plan)).await,
            None => runner.run(&work.plan).await,
        }
    }

    fn observer(&self) -> Observer<'_> {
        Observer { wanted: self.wanted, way: &self.way, cache: &self.cache }
    }

    /// Plans from the facts, to which the sizes of images that were looked into are added.
    fn plan(&self, facts: &mut Facts, speeds: Speeds, stem: &Stem) -> Result<Plan, Failure> {
        let options = self.options;
        let offers = offers(&self.supply, facts, options.strategy).map_err(|failure| failure.in_stage(Stage::Image))?;
        let circumstances = Circumstances {
            stem: stem.to_string(),
            by: lock::by(),
            allow_architecture: options.allow_architecture,
            strategy: options.strategy,
            speeds,
            offers,
            make_room: options.make_room,
        };
        plan::plan(self.wanted, facts, &circumstances)
    }

    /// Gathers the facts once more and plans anew; what differs is shown and asked about.
    async fn plan_again(&self, work: &mut Work<'_>, session: &mut Session) -> Result<(), Failure> {
        let before = std::mem::take(&mut work.facts);
        let mut facts = self.observer().again(work.remote, before).await.map_err(|f| f.in_stage(Stage::Connect))?;
        let plan = self.plan(&mut facts, work.speeds, &session.stem)?;
        if plan != work.plan {
            tell(&plan, false, &mut session.report);
            confirm(&plan, &facts, self.wanted, self.options.yes, &mut session.report)?;
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

/// For how long nothing is said while a value is fetched.
const QUIET: Duration = Duration::from_secs(5);

/// Fetches the values that are wanted. A command may wait for somebody: who waits for it is told so. A dry run runs none.
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

/// Opens each source of images on this computer; `None` for one that is on the device.
fn open_images(wanted: &Deployment) -> Result<Vec<Option<LocalImages>>, Failure> {
    let open = |image: &crate::config::Image| match &image.source {
        ImageSource::Here(source) => Ok(Some(image::open(source, &image.metadata, image.name.as_deref())?)),
        ImageSource::OnDevice(_) => Ok(None),
    };
    wanted.image.iter().map(open).collect::<Result<_, Failure>>().map_err(|failure| failure.in_stage(Stage::Image))
}

fn describe(sources: &[Option<LocalImages>]) -> Vec<here::LocalImage> {
    let sources = sources.iter().enumerate().filter_map(|(source, images)| Some((source, images.as_ref()?)));
    sources
        .flat_map(|(source, images)| {
            images.images().iter().map(move |image| here::LocalImage {
                source,
                id: image.id.to_string(),
                platform: image.platform.clone(),
                references: image.references.iter().map(ToString::to_string).collect(),
                layers: image.layers.iter().map(|layer| (layer.diff_id.to_string(), layer.stored)).collect(),
                unpacked: image.layers.iter().map(|layer| layer.unpacked).collect(),
            })
        })
        .collect()
}

/// Finds out how each image that the device does not have could be delivered.
fn offers(supply: &Supply, facts: &mut Facts, strategy: Strategy) -> Result<BTreeMap<String, Offer>, Failure> {
    let Some(docker) = &facts.docker else { return Ok(BTreeMap::new()) };
    let mut offers = BTreeMap::new();
    for image in facts.here.images.iter_mut().filter(|image| docker.image(&image.id).is_none()) {
        let parts = delivery::present(&image.layers, &docker.images) > 0 && strategy != Strategy::Full;
        if parts && let Some(sizes) = supply.weigh(image.source, &image.id)? {
            image.layers.iter_mut().zip(sizes).for_each(|((_, size), weighed)| *size = weighed);
        }
        let delivery = Delivery::of(&image.layers, &docker.images);
        offers.insert(image.id.clone(), supply.offer(image.source, &image.id, &delivery, &docker.images, strategy)?);
    }
    Ok(offers)
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

fn tell(plan: &Plan, dry_run: bool, report: &mut dyn Report) {
    for text in &plan.warnings {
        report.event(&Event::Warning { text: text.clone() });
    }
    report.event(&Event::Planned { dry_run, stages: plan.shown() });
}
