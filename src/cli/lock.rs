//! `o3r-deploy unlock`.

use super::{
    options::{self, DeviceOptions, DisplayOptions},
    session::{self, Session},
};
use crate::{
    config::Deployment,
    deploy::{Refusal, access, requester::is_dead},
    failure::{ExitCode, Failure},
    release::lock,
    remote::{Input, Remote, RemoteError, ssh::Ssh},
    report::{Event, Question, Report},
    run::{Interrupt, Owner},
};

/// What `unlock` takes.
#[derive(Debug, clap::Args)]
pub(super) struct UnlockOptions {
    #[command(flatten)]
    device: DeviceOptions,
    /// Take it from a deployment that lives, without asking
    #[arg(long, help_heading = "This run")]
    yes: bool,
    #[command(flatten)]
    display: DisplayOptions,
}

/// Takes the lock away from whoever has it.
pub(super) async fn unlock(options: &UnlockOptions) -> ExitCode {
    let wanted = options::device(&options.device, &std::env::current_dir().unwrap_or_default());
    session::run(options.display.style(), false, wanted, session::no_log, async |session, wanted| {
        Interrupt::listen().or(unlock_in(session, wanted, options)).await
    })
    .await
}

async fn unlock_in(session: &mut Session, wanted: &Deployment, options: &UnlockOptions) -> Result<(), Failure> {
    session.name_file(options.device.config.as_deref());
    let remote = access::connect(wanted, options.device.accept_new, &mut session.report).await?;
    let result = break_lock(&remote, options.yes, &mut session.report).await;
    remote.disconnect().await;
    session.report.event(&Event::Note { text: result? });
    Ok(())
}

async fn break_lock(remote: &Ssh, yes: bool, report: &mut dyn Report) -> Result<String, Failure> {
    let command = lock::look();
    let said = remote.run(&command, Input::Empty).await?.success(&command)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut lines = said.lines();
    let (Some(state), Some(token), owner) = (lines.next(), lines.next(), lines.next().unwrap_or_default()) else {
        return Ok("the device is not locked".into());
    };
    if !["alive", "dead"].contains(&state) {
        return Err(RemoteError::NotUnderstood { command: command.shown(), answer: said.clone() }.into());
    }
    let owner = Owner::read(owner);
    if state == "alive" && !is_dead(&owner) && !yes {
        let what = if owner.guard {
            format!("the lock belongs to {owner}; it ends by itself, and without it neither version may run")
        } else {
            format!("the lock belongs to {owner}, whose deployment would end in the middle")
        };
        match report.ask(&Question::Confirm(format!("{what}. Take it away?"))).as_deref() {
            Some("yes") => {}
            Some(_) => return Err(Refusal::NoLock(what).into()),
            None => return Err(Refusal::UnaskedLock(what).into()),
        }
    }
    remote.check(&lock::break_lock(token)).await?;
    Ok(format!("unlocked; it was locked by {owner}"))
}
