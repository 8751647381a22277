//! Plans a deployment from what is wanted and from the facts, in pure code, so that the plan can be shown before it is
//! carried out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    command::Command,
    commands::{compose::Project, docker},
    config::{Attach, Deployment},
    delivery::{Delivery, Forecast, Offer, ParcelRoute, Speeds, Strategy},
    facts::Facts,
    failure::Failure,
    report::PlannedStage,
    secret::Secret,
    stage::Stage,
    text::{bytes, span},
};

mod application;
mod autostart;
mod clean_up;
mod engine;
mod error;
mod expectation;
mod files;
mod limits;
mod logs;
mod named;
mod questions;
pub mod room;
mod swap;
mod transfers;
mod traveling;

pub(crate) use crate::text::count;
pub use application::name as application_name;
pub use application::{project as project_name, secret_paths};
pub use error::PlanError;
pub use logs::{Place, Pull};
pub use questions::{copies, digests_needed, places, questions};
pub use swap::{Commit, KeepVersion};
use traveling::arrival;
pub use traveling::{Download, Fetch, FetchLink, Renaming, SendFile, SendLink, Upload};

/// All that is to be done, stage by stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The stages that were asked for, in the order of the work.
    pub stages: Vec<StagePlan>,
    /// Things that go although no deployment by this tool put them there, as `container mosquitto`.
    pub foreign: Vec<String>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Files and directories on the device that cannot be read and are not fetched: the run has not done all then.
    pub unread: BTreeSet<String>,
}

/// One stage. Without actions it has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePlan {
    /// The stage that is planned.
    pub stage: Stage,
    /// Description of what the stage will do, or why it has nothing to do.
    pub says: String,
    /// The actions of the stage, in order.
    pub actions: Vec<Action>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a command that must succeed.
    Run(Command),
    /// Run a command that must succeed and makes something, with the command that takes it back should the stage fail.
    Make {
        /// The command that makes something.
        make: Command,
        /// The command that undoes it.
        undo: Command,
    },
    /// Run a command that must succeed and changes nothing that lasts.
    Touch(Command),
    /// Give the device a name.
    Rename {
        /// The new name of the device.
        to: String,
        /// The present name; empty when the device has none.
        from: String,
    },
    /// Send files to the device.
    Send(Upload),
    /// Remove a file that is no longer part of the deployment.
    RemoveFile(String),
    /// Fetch files from the device.
    Fetch(Fetch),
    /// Stream an image into the device's docker.
    Load(LoadImage),
    /// Keep the version that runs before it is replaced.
    Keep(KeepVersion),
    /// Bring a compose project up and see it healthy.
    Up(ComposeUp),
    /// Show a container's output.
    Attach(FollowContainer),
    /// Look for logs once more and pull what is new.
    PullAgain(Vec<Place>),
    /// Write what nobody else may read.
    WriteSecret(WriteSecretFile),
    /// See that there is room, now that something was removed.
    CheckRoom(Vec<room::Need>),
}

/// A secret to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteSecretFile {
    /// Path of the file on the device.
    pub path: String,
    /// The secret that the file is to hold.
    pub content: Secret,
    /// Whether nothing is there that it replaces: should the stage fail, it is removed again.
    pub new: bool,
}

/// An image to stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadImage {
    /// Index of its entry in [`Deployment::image`].
    pub source: usize,
    /// ID of the image, read back afterwards.
    pub id: String,
    /// The references it gets, read back as well.
    pub references: Vec<String>,
    /// The name of the image that is shown to the user.
    pub shown: String,
    /// The parts of the image that are sent, and their parcels.
    pub delivery: Delivery,
    /// The expected cost of the delivery.
    pub forecast: Forecast,
}

/// A compose project to bring up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeUp {
    /// The compose project.
    pub project: Project,
    /// The services asked for; all when empty.
    pub services: Vec<String>,
    /// The services that must run in the end.
    pub expected: Vec<String>,
    /// Services that may complete.
    pub completing: Vec<String>,
    /// Maximum time that the services may take to become healthy.
    pub wait: Duration,
    /// Time that the services must then run without interruption.
    pub settle: Duration,
    /// Whether containers are made anew even where docker-compose sees no change.
    pub recreate: bool,
    /// Whether no container of the project was there before: then a failure removes what it made.
    pub fresh: bool,
    /// The version to keep for a rollback; `None` where it would be the same.
    pub keeping: Option<KeepVersion>,
    /// The changes that make it the deployed version, once it runs.
    pub settling: Box<Commit>,
}

/// A container to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowContainer {
    /// The configuration of the attach stage.
    pub wanted: Attach,
    /// The device's clock when it was read: output before that is not new.
    pub clock: u64,
}

impl FollowContainer {
    /// Describes each command for the user.
    fn steps(&self) -> Vec<String> {
        let Attach { container, run_duration, until, stop_upon_exit } = &self.wanted;
        let duration = run_duration.map(|duration| format!(", for {} at most", span(duration)));
        let until = until.as_ref().map(|pattern| format!(", until a line matches `{pattern}`"));
        let follow = format!("follow the output of `{container}`{}{}", duration.unwrap_or_default(), until.unwrap_or_default());
        let remove = [docker::stop(container), docker::remove_containers(std::slice::from_ref(container))];
        let remove = remove.iter().filter(|_| *stop_upon_exit).map(Command::shown);
        [follow].into_iter().chain(remove).collect()
    }
}

impl ComposeUp {
    /// Returns the command that brings the project up.
    pub fn command(&self) -> Command {
        self.project.up(&self.services, self.recreate)
    }

    /// Returns the command that makes it the deployed version.
    pub fn confirm(&self) -> Command {
        let Commit { application, record, entry, .. } = &*self.settling;
        crate::release::versions::settle(application, record, entry)
    }

    /// Describes each command for the user.
    fn steps(&self) -> Vec<String> {
        let services = self.expected.join(", ");
        let wait = format!("wait up to {} s for {services} to run and be healthy", self.wait.as_secs());
        let or_else = self.keeping.as_ref().map(|_| "should it not: put the version that runs now back".to_owned());
        let settle = format!("watch {services} for {} more", span(self.settle));
        let settle = (!self.settle.is_zero()).then_some(settle);
        let (release, up, confirm) = (self.project.release().shown(), self.command().shown(), self.confirm().shown());
        [release, up, wait].into_iter().chain(settle).chain(or_else).chain([confirm]).collect()
    }
}

impl Action {
    /// Returns whether the action changes anything on the device.
    pub fn changes_device(&self) -> bool {
        !matches!(
            self,
            Self::Touch(_)
                | Self::CheckRoom(_)
                | Self::Fetch(_)
                | Self::PullAgain(_)
                | Self::Attach(FollowContainer { wanted: Attach { stop_upon_exit: false, .. }, .. })
        )
    }

    /// Describes each command and transfer for the user.
    pub fn steps(&self) -> Vec<String> {
        match self {
            Self::Run(command) | Self::Touch(command) | Self::Make { make: command, .. } => vec![command.shown()],
            Self::Rename { to, .. } => vec![format!("set /device/info/name to `{to}`, save it, read it back")],
            Self::Send(sending) => {
                let directories = sending.directories.iter().map(|(path, mode)| format!("make {path} (mode {mode:o})"));
                let files = sending.files.iter();
                let files = files.map(|file| {
                    let (local, size) = (file.local.display(), bytes(file.size));
                    match file.have {
                        0 => format!("send {local} -> {} ({size})", file.remote),
                        have => format!("send {local} -> {} ({} of {size})", file.remote, bytes(file.size - have)),
                    }
                });
                let links = sending.links.iter().map(|link| format!("link {} -> {}", link.remote, link.target));
                let modes = sending.modes.iter().map(|(path, mode)| format!("mode {mode:o} for {path}"));
                directories.chain(files).chain(links).chain(modes).collect()
            }
            Self::RemoveFile(path) => vec![format!("remove {path}, which is no longer part of the deployment")],
            Self::Fetch(fetch) => fetch.steps(),
            Self::Load(loading) => {
                let delivery = &loading.delivery;
                let parcel = |(number, parcel): (usize, &std::ops::Range<usize>)| {
                    let layers = format!("layers {}..{} of {}", parcel.start + 1, parcel.end, loading.shown);
                    let size = bytes(delivery.bytes(parcel));
                    match delivery.ways.get(number) {
                        Some(ParcelRoute::Rebuild(rebuild)) => {
                            let (sent, command) =
                                (bytes(rebuild.inserted), docker::rebuild(number, &rebuild.base, &rebuild.roots));
                            format!(
                                "rebuild {layers} ({size}) from {} and {sent} that travel: {}",
                                rebuild.base,
                                command.shown()
                            )
                        }
                        Some(ParcelRoute::Files) => format!("send {layers} ({size}) by way of files that outlive a cut"),
                        _ => format!("stream {layers} ({size}) into {}", docker::load().shown()),
                    }
                };
                delivery.parcels.iter().enumerate().map(parcel).collect()
            }
            Self::Keep(keeping) => vec![keeping.says()],
            Self::Up(bringing) => bringing.steps(),
            Self::Attach(attaching) => attaching.steps(),
            Self::WriteSecret(writing) => vec![format!("write {} (a secret, mode 600)", writing.path)],
            Self::CheckRoom(needs) => {
                needs.iter().map(|need| format!("see that {} are free in {}", bytes(need.bytes), need.directory)).collect()
            }
            Self::PullAgain(trees) => {
                trees.iter().map(|tree| format!("fetch what is new in {} -> {}", tree.remote, tree.local.display())).collect()
            }
        }
    }
}

impl Plan {
    /// Returns the stages of the plan as they are shown.
    pub fn shown(&self) -> Vec<PlannedStage> {
        let shown = |stage: &StagePlan| PlannedStage {
            stage: stage.stage,
            says: stage.says.clone(),
            steps: stage.actions.iter().flat_map(Action::steps).collect(),
        };
        self.stages.iter().map(shown).collect()
    }

    /// Returns whether the plan delivers an image.
    pub fn delivers(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.actions).any(|action| matches!(action, Action::Load(_)))
    }

    /// Returns the stage from which on the run only reads the device.
    pub fn looks_on(&self) -> Stage {
        let mut attach = self.stages.iter().filter(|stage| stage.stage == Stage::Attach).flat_map(|stage| &stage.actions);
        if attach.any(Action::changes_device) { Stage::LogsAgain } else { Stage::Attach }
    }

    /// Returns whether the stages after compose are carried out while the version settles, so that a container's output is
    /// shown at once. Autostart waits where there is nothing to roll back to.
    pub fn settles_beside(&self) -> bool {
        let actions = |stage: Stage| {
            self.stages.iter().filter(move |planned| planned.stage == stage).flat_map(|planned| &planned.actions)
        };
        let goes_back = actions(Stage::Compose).any(|action| matches!(action, Action::Up(ComposeUp { keeping: Some(_), .. })));
        let shows = actions(Stage::Attach).any(|action| matches!(action, Action::Attach(_)));
        shows && (goes_back || actions(Stage::Autostart).next().is_none())
    }

    /// Returns whether the plan changes anything on the device.
    pub fn changes_device(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.actions).any(Action::changes_device)
    }
}

/// The circumstances of a plan that are not part of the deployment itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanContext {
    /// The stem of this run's log file, which is the deployment's stamp.
    pub stem: String,
    /// The user who deploys, as `user@host`.
    pub by: String,
    /// Whether images of another architecture are let through.
    pub allow_architecture: bool,
    /// The strategy by which images are delivered.
    pub strategy: Strategy,
    /// The speeds of the device and of the link in earlier deliveries.
    pub speeds: Speeds,
    /// The information about the delivery of each image, by image ID.
    pub offers: BTreeMap<String, Offer>,
    /// Whether what nobody needs is removed where the room is short.
    pub make_room: bool,
}

/// Decides what is to be done.
///
/// # Errors
/// The configuration and the facts contradict each other, in the stage that the failure names.
pub fn plan(wanted: &Deployment, facts: &Facts, circumstances: &PlanContext) -> Result<Plan, Failure> {
    let mut planner = Planner::walk(wanted, facts, circumstances, &[])?;
    let going = planner.ensure_space(facts)?;
    if !going.is_empty() {
        // Layers that an image has which goes are to be sent after all.
        planner = Planner::walk(wanted, facts, circumstances, &going)?;
        planner.make_room(&going, facts);
    }
    Ok(planner.plan)
}

/// Walks the stages. `facts` is what will be true when the stage at hand begins: each stage leaves behind what it changes.
struct Planner<'a> {
    wanted: &'a Deployment,
    circumstances: &'a PlanContext,
    facts: Facts,
    plan: Plan,
    application: String,
    /// Bytes of the archives on the device that its docker is to load.
    imported: u64,
}

impl<'a> Planner<'a> {
    /// Walks all stages. The images in `going` make room, right behind the clean-up.
    fn walk(
        wanted: &'a Deployment,
        facts: &Facts,
        circumstances: &'a PlanContext,
        going: &[room::Removable],
    ) -> Result<Self, Failure> {
        let mut planner = Planner {
            wanted,
            circumstances,
            facts: facts.clone(),
            plan: Plan::default(),
            application: application::name(wanted),
            imported: 0,
        };
        for stage in Stage::ALL {
            planner.stage(stage).map_err(|error| Failure::from(error).in_stage(stage))?;
            if stage == Stage::CleanUp {
                planner.expect_images_gone(going);
            }
        }
        planner.add_keeping(facts);
        planner.add_note();
        planner.add_stamp();
        Ok(planner)
    }

    fn stage(&mut self, stage: Stage) -> Result<(), PlanError> {
        match stage {
            Stage::Connect | Stage::Stamp => Ok(()),
            Stage::Logs => self.logs(),
            Stage::Rename => self.rename(),
            Stage::CleanUp => self.clean_up(),
            Stage::MountUsb => self.mount_usb(),
            Stage::Directories => self.directories(),
            Stage::Transfers => self.transfers(),
            Stage::Volume => self.volume(),
            Stage::Image => self.image(),
            Stage::Leftovers => self.leftovers(),
            Stage::Compose => self.compose(),
            Stage::Autostart => self.autostart(),
            Stage::Attach => self.attach(),
            Stage::LogsAgain => self.logs_again(),
        }
    }

    fn add(&mut self, stage: Stage, says: impl Into<String>, actions: Vec<Action>) {
        self.plan.stages.push(StagePlan { stage, says: says.into(), actions });
    }

    /// Changes this application's record, and gives the action that writes it when that makes a difference.
    fn remember(&mut self, change: impl FnOnce(&mut crate::facts::Record)) -> Option<Action> {
        let record = self.facts.records.entry(self.application.clone()).or_default();
        let before = record.clone();
        change(record);
        (*record != before).then(|| {
            let file = format!("{}/.o3r-deploy/{}/record.json", crate::config::REMOTE_HOME, self.application);
            Action::Run(crate::commands::files::write_file(&file, &serde_json::to_string(record).unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests;
