//! `o3r-deploy` and `o3r-deploy plan`.

use super::{
    options::{self, Options},
    session::{self, Session},
};
use crate::{
    config::Deployment,
    deploy::{self, DeploySettings, Interrupt, RECONNECTS},
    failure::{ExitCode, Failure},
    report::{Event, Report},
};

/// Runs a deployment, or shows what it would do.
pub(super) async fn deploy(options: &Options, dry_run: bool) -> ExitCode {
    let wanted = options::deployment(options, &std::env::current_dir().unwrap_or_default()).map(|wanted| wanted.deployment);
    let log_dir = if dry_run { session::no_log } else { session::log_dir };
    session::run(options.display.style(), dry_run, wanted, log_dir, async |session, wanted| {
        deploy_in(session, wanted, options, dry_run).await
    })
    .await
}

async fn deploy_in(session: &mut Session, wanted: &Deployment, options: &Options, dry_run: bool) -> Result<(), Failure> {
    if !session.name_file(options.device.config.as_deref()) && !options.names_a_stage() {
        let text = "there is no `o3r-deploy.yaml` here or in a folder above, and no option names what to deploy: nothing is \
                    deployed; `~/share` is created on the device, and the logs are fetched";
        session.report.event(&Event::Warning { text: text.into() });
    }
    if let (Some(attach), Some(log)) = (&wanted.attach, &session.log) {
        session.report.push(log.output_file(&attach.container));
    }
    let settings = DeploySettings {
        dry_run,
        accept_new: options.device.accept_new,
        yes: options.yes,
        strategy: options.strategy,
        allow_architecture: options.allow_architecture,
        make_room: options.make_room,
        reconnects: options.reconnects.unwrap_or(RECONNECTS),
        lock: options.lock.settings(),
        stem: session.stem.clone(),
        interrupt: Interrupt::listen(),
    };
    deploy::deploy(wanted, settings, &mut session.report).await
}
