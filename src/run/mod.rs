//! Walks a plan over a device and tells a report what happens.

use std::time::Instant;

use crate::{
    command::Command,
    commands::docker,
    delivery::ImageSources,
    device::ConfigurationInterface,
    facts::Probe,
    failure::{Failure, FailureKind},
    plan::{
        Action, Plan, StagePlan,
        room::{self, Need, RoomError},
    },
    release::versions,
    remote::{Input, Remote},
    report::{Event, Outcome, Report},
    stage::Stage,
};

mod archive;
mod attach;
mod error;
mod fetch;
mod health;
mod image;
mod interrupt;
mod lines;
mod lock_guard;
mod look;
mod progress;
mod roll_back;
mod secrets;
mod send;
mod settle;
mod staging;
mod swap;
mod tail_download;
mod up;

pub use error::RunError;
pub use health::{HealthVerdict, HealthWatch};
pub use interrupt::Interrupt;
pub use lock_guard::{LockGuard, LockRequest, Owner};
pub use progress::Progress;
pub use secrets::look_for_secrets;

/// Runs a command over a connection of its own.
pub type OnNewConnection<'a> = dyn Fn(Command) -> futures_util::future::LocalBoxFuture<'a, Result<(), Failure>> + 'a;

/// The connections and the state that a run works with.
pub struct Runner<'a, R> {
    /// The connection to the device.
    pub remote: &'a R,
    /// The configuration interface of the device.
    pub interface: &'a ConfigurationInterface,
    /// The report that receives the events.
    pub report: &'a mut dyn Report,
    /// The images of [`crate::config::Deployment::image`] that are on this computer.
    pub supply: &'a ImageSources,
    /// The state of Ctrl-C.
    pub interrupt: Interrupt,
    /// Runs a command over another connection to the same device, made for it alone; without one the same connection serves.
    pub on_new_connection: Option<&'a OnNewConnection<'a>>,
    /// The progress that the next connection needs if this one is lost.
    pub progress: &'a mut Progress,
}

impl<R: Remote> Runner<'_, R> {
    /// Carries a plan's stages out.
    ///
    /// # Errors
    /// The first failure, with its stage. What that stage had begun is taken back as far as it can be; finished stages stay, but
    /// for a version that does not settle.
    pub async fn run(&mut self, plan: &Plan) -> Result<(), Failure> {
        let looks_on = plan.looks_on();
        self.progress.unread = plan.unread.clone();
        self.progress.looks_on = Some(looks_on);
        (self.progress.settles_beside, self.progress.is_unconfirmed) = (plan.settles_beside(), false);
        for (index, stage) in plan.stages.iter().enumerate().filter(|(_, stage)| !stage.actions.is_empty()) {
            if stage.stage >= looks_on && !self.progress.is_unconfirmed {
                self.progress.free.notify_one();
            }
            if let Err(failure) = self.stage(stage).await {
                return Err(self.fail(plan, index, failure).await);
            }
        }
        // After all else is done.
        if !self.progress.unread.is_empty() {
            return Err(RunError::NotAllFetched { paths: self.progress.unread.iter().cloned().collect() }.into());
        }
        Ok(())
    }

    /// Leaves the device as it should be after the failure of a stage.
    async fn fail(&mut self, plan: &Plan, mut index: usize, mut failure: Failure) -> Failure {
        let (mut is_lost, mut is_interrupted) = ends_run(&failure);
        if !is_lost
            && let Some(unsettled) = self.progress.unsettled.take()
            && !is_interrupted
        {
            // A finished stage stays, as soon as it is known to be well.
            if let Err(worse) = self.settle_now(Stage::Compose, unsettled).await {
                failure = worse;
                (is_lost, is_interrupted) = ends_run(&failure);
            }
        }
        let compose = plan.stages.iter().position(|stage| stage.stage == Stage::Compose).unwrap_or(index);
        if self.progress.is_unconfirmed && index > compose && !is_lost {
            // What the stage has done is taken back late.
            index = compose;
            for action in plan.stages.get(index).into_iter().flat_map(|stage| &stage.actions).rev() {
                self.undo(action).await;
            }
        }
        let stage = plan.stages.get(index).map_or(Stage::Compose, |stage| stage.stage);
        self.note_attempt(plan, &failure).await;
        let failure = self.go_back(plan, index, failure).await;
        if matches!(stage, Stage::Compose | Stage::Attach) && !is_interrupted {
            self.salvage_logs(plan.stages.get(index + 1..).unwrap_or_default()).await;
        }
        failure.in_stage(stage)
    }

    async fn stage(&mut self, stage: &StagePlan) -> Result<(), Failure> {
        let begin = Instant::now();
        self.report.event(&Event::StageStarted { stage: stage.stage, title: stage.says.clone() });
        let mut says = stage.says.clone();
        let changes = stage.actions.iter().any(Action::changes_device);
        let outcome = if changes { Outcome::Done } else { Outcome::Read };
        for (index, action) in stage.actions.iter().enumerate() {
            match self.action(stage.stage, action).await {
                Ok(more) => says = more.unwrap_or(says),
                Err(failure) => {
                    for done in stage.actions.get(..index).unwrap_or_default().iter().rev() {
                        self.undo(done).await;
                    }
                    return Err(failure);
                }
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        self.report.event(&Event::StageFinished { stage: stage.stage, outcome, says, seconds });
        Ok(())
    }

    /// Does one thing. What it gives replaces the stage's closing words.
    async fn action(&mut self, stage: Stage, action: &Action) -> Result<Option<String>, Failure> {
        if let Action::Attach(attaching) = action {
            return self.attach(attaching).await.map(Some);
        }
        let interrupt = self.interrupt.clone();
        let result = tokio::select! {
            biased;
            () = interrupt.wait() => Err(RunError::Interrupted.into()),
            result = self.perform(stage, action) => result,
        };
        if result.is_err() {
            self.take_back(action).await;
        }
        result
    }

    async fn perform(&mut self, stage: Stage, action: &Action) -> Result<Option<String>, Failure> {
        match action {
            Action::Run(command) | Action::Touch(command) | Action::Make { make: command, .. } => {
                self.report.event(&Event::Step { stage, says: command.shown() });
                self.remote.check(command).await?;
                Ok(None)
            }
            Action::Rename { to, .. } => {
                self.interface.set_name(to).await?;
                swap::confirm(self.remote, self.on_new_connection, Command::new("true")).await.map(|()| None)
            }
            Action::Send(sending) => self.send(stage, sending).await.map(|()| None),
            Action::RemoveFile(path) => {
                let command = crate::commands::files::remove(std::slice::from_ref(path));
                self.report.event(&Event::Step { stage, says: command.shown() });
                self.remote.check(&command).await?;
                Ok(None)
            }
            Action::Fetch(fetch) => {
                let more = self.fetch(stage, fetch).await?;
                Ok(more.map(|more| format!("{}; {more}", crate::plan::count(fetch.files.len(), "file"))))
            }
            Action::Load(loading) => self.load(stage, loading).await.map(Some),
            Action::Keep(keeping) => self.keep(stage, keeping).await.map(|()| None),
            Action::Up(bringing) => self.up(stage, bringing).await.map(Some),
            Action::PullAgain(trees) => self.pull_again(stage, trees).await.map(Some),
            Action::Attach(attaching) => self.attach(attaching).await.map(Some),
            Action::WriteSecret(writing) => self.write_secret(stage, writing).await.map(|()| None),
            Action::CheckRoom(needs) => self.check_room(needs).await.map(|()| None),
        }
    }

    /// Sees whether there is room now.
    async fn check_room(&mut self, needs: &[Need]) -> Result<(), Failure> {
        let rooms = needs.iter().map(|need| need.directory.clone()).collect();
        let facts = Probe { rooms, ..Probe::default() }.ask(self.remote).await?;
        let shortages = room::shortages(needs, &facts.room, 0);
        if shortages.is_empty() { Ok(()) } else { Err(RoomError { shortages, removable: Vec::new(), in_vain: true }.into()) }
    }

    /// Takes back what a failed action had begun, as far as it can: this runs after a failure and reports none of its own.
    async fn take_back(&mut self, action: &Action) {
        match action {
            Action::Send(sending) => self.abandon(sending).await,
            Action::Load(_) => {
                let _ = self.remote.run(&docker::remove_partial(), Input::Empty).await;
            }
            done => self.undo(done).await,
        }
    }

    /// Takes back an action that was done, as far as it can be: what it replaced or removed is gone.
    async fn undo(&mut self, action: &Action) {
        match action {
            Action::Send(sending) => self.undo_upload(sending).await,
            Action::Make { undo, .. } => {
                let _ = self.remote.run(undo, Input::Empty).await;
            }
            Action::Rename { from, .. } => {
                let _ = self.interface.set_name(from).await;
            }
            Action::WriteSecret(writing) if writing.new => {
                let _ = self.remote.run(&crate::commands::files::remove_secret(&writing.path), Input::Empty).await;
            }
            Action::Up(bringing) if bringing.fresh => {
                let _ = self.remote.run(&bringing.project.down(), Input::Empty).await;
                let first = versions::first(&bringing.settling.application);
                let _ = self.remote.run(&versions::put_back(&first, ""), Input::Empty).await;
            }
            _ => {}
        }
    }

    /// Fetches the logs after a failure of the application, because they are what the user needs then.
    async fn salvage_logs(&mut self, rest: &[StagePlan]) {
        for stage in rest.iter().filter(|stage| stage.stage == Stage::LogsAgain) {
            let _ = self.stage(stage).await;
        }
    }
}

/// Returns whether a failure is the loss of the connection, and whether it is Ctrl-C.
fn ends_run(failure: &Failure) -> (bool, bool) {
    let kind = failure.kind();
    (kind == FailureKind::ConnectionLost, kind == FailureKind::Interrupted)
}

#[cfg(test)]
mod tests;
