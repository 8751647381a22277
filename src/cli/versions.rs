//! `o3r-deploy history` and `o3r-deploy rollback`.

use super::{
    options::{self, ApplicationOptions, LockOptions},
    session::{self, Session},
};
use crate::{
    config::{Compose, Deployment},
    delivery::ImageSources,
    deploy::{Access, access, requester},
    failure::{ExitCode, Failure},
    plan::application_name,
    release::{Entry, EntryImage, versions},
    remote::{Remote, ssh::Ssh},
    report::{Event, Outcome, Report, data},
    run::{Interrupt, LockGuard, Progress, Runner},
    stage::Stage,
    text::printable,
};

/// What `rollback` takes.
#[derive(Debug, clap::Args)]
pub(super) struct RollbackOptions {
    #[command(flatten)]
    application: ApplicationOptions,
    #[command(flatten)]
    lock: LockOptions,
}

/// Lists what was deployed.
pub(super) async fn history(options: &ApplicationOptions) -> ExitCode {
    either(options, None).await
}

/// Goes back to the version before.
pub(super) async fn rollback(options: &RollbackOptions) -> ExitCode {
    either(&options.application, Some(&options.lock)).await
}

/// Runs one of the two: only who goes back takes the lock.
async fn either(options: &ApplicationOptions, lock: Option<&LockOptions>) -> ExitCode {
    let wanted = options::application(options, &std::env::current_dir().unwrap_or_default());
    let log_dir = if lock.is_some() { session::log_dir } else { session::no_log };
    session::run(options.display.style(), false, wanted, log_dir, async |session, wanted| {
        versions_in(session, wanted, options, lock).await
    })
    .await
}

async fn versions_in(
    session: &mut Session,
    wanted: &Deployment,
    options: &ApplicationOptions,
    lock: Option<&LockOptions>,
) -> Result<(), Failure> {
    let (interrupt, accept_new) = (Interrupt::listen(), options.device.accept_new);
    let Some(lock) = lock else {
        let remote = interrupt.or(access::connect(wanted, accept_new, &mut session.report)).await?;
        let result = interrupt.or(list(&remote, wanted, options.display.json)).await;
        remote.disconnect().await;
        return result;
    };
    session.name_file(options.device.config.as_deref());
    let remote = interrupt.or(access::connect_and_report(wanted, accept_new, &mut session.report)).await?;
    let result = go_back(session, &remote, wanted, (lock, accept_new), interrupt).await;
    remote.disconnect().await;
    result
}

/// Prints each deployment, the oldest first.
async fn list(remote: &Ssh, wanted: &Deployment, json: bool) -> Result<(), Failure> {
    let said = remote.check(&versions::history()).await?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let entries = said.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    // Without a name of its own, a run asks about all applications.
    let mut entries: Vec<_> =
        entries.filter(|entry| wanted.application.is_none() || entry.application == application_name(wanted)).collect();
    entries.sort_by(|a, b| a.at.cmp(&b.at));
    for entry in entries {
        let line = if json { serde_json::to_string(&entry).unwrap_or_default() } else { shown(&entry) };
        data(&printable(&line));
    }
    Ok(())
}

fn shown(entry: &Entry) -> String {
    let image = |image: &EntryImage| {
        let id = image.id.trim_start_matches("sha256:");
        let words = [image.references.join(" "), id.get(..12).unwrap_or(id).to_owned(), format!("from {}", image.archive)];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let images = entry.images.iter().map(image).collect::<Vec<_>>().join("; ");
    let Entry { at, by, application, kind, result, .. } = entry;
    let result = if result.is_empty() || result == Entry::DONE { String::new() } else { format!(" ({result})") };
    format!("{at}  {application}  {kind} by {by}{result}  {images}").trim_end().to_owned()
}

/// Goes back under the lock of the device.
async fn go_back(
    session: &mut Session,
    remote: &Ssh,
    wanted: &Deployment,
    (options, accept_new): (&LockOptions, bool),
    interrupt: Interrupt,
) -> Result<(), Failure> {
    let owner = requester::owner(wanted, "goes back to the previous version of");
    let wish = requester::wish(wanted, &options.settings(), &owner);
    let mut hold = LockGuard::take(remote, &wish, &mut session.report, &interrupt).await?;
    let entry = Entry {
        at: session.stem.to_string(),
        by: requester::by(),
        application: application_name(wanted),
        kind: "rollback".into(),
        ..Entry::default()
    };
    let times = wanted.compose.as_ref().map(|compose| (compose.wait, compose.settle));
    let (wait, settle) = times.unwrap_or((Compose::DEFAULT_WAIT, Compose::DEFAULT_SETTLE));
    let on_new_connection = |command| -> futures_util::future::LocalBoxFuture<'_, _> {
        Box::pin(async move { access::on_new_connection(wanted, accept_new, &command).await })
    };
    let (access, supply, mut progress) = (Access::to(&wanted.device).await?, ImageSources::default(), Progress::default());
    let mut runner = Runner {
        remote,
        interface: &access.interface,
        report: &mut session.report,
        supply: &supply,
        interrupt,
        on_new_connection: Some(&on_new_connection),
        progress: &mut progress,
    };
    let begin = std::time::Instant::now();
    let result = hold.during(runner.roll_back(&entry, wait, settle)).await;
    hold.release().await;
    let (stage, outcome, seconds) = (Stage::Compose, Outcome::Done, begin.elapsed().as_secs_f64());
    session.report.event(&Event::StageFinished { stage, outcome, says: result?, seconds });
    Ok(())
}
