//! Runs of hand-made plans over a fake device: the commands that it receives, and the events of the report.

use std::{cell::RefCell, path::PathBuf, rc::Rc};

use super::{Interrupt, Runner};
use crate::{
    command::Command,
    config::RemotePath,
    delivery::ImageSources,
    device::ConfigurationInterface,
    failure::Failure,
    plan::{Action, Plan, SendFile, StagePlan, Upload},
    remote::fake::{Fake, breaks, ends, fails, hangs, says},
    report::{Event, Question, Report},
    stage::Stage,
};

mod attach;
mod files;
mod history;
mod image;
mod settle;
mod up;

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<String>>>);

impl Told {
    fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}

impl Report for Told {
    fn event(&mut self, event: &Event) {
        let line = match event {
            Event::StageStarted { stage, title } => format!("{stage} started: {title}"),
            Event::Step { stage, says } => format!("{stage} step: {says}"),
            Event::Progress { stage, bytes, total } => format!("{stage} progress: {bytes} of {total:?}"),
            Event::StageFinished { stage, outcome, says, .. } => format!("{stage} finished: {outcome:?}: {says}"),
            Event::Output { line } => format!("output: {line}"),
            Event::Warning { text } => format!("warning: {text}"),
            other => format!("{other:?}"),
        };
        self.0.borrow_mut().push(line);
    }

    fn ask(&mut self, _: &Question) -> Option<String> {
        None
    }
}

/// Runs a plan; gives what was told, and how it ended.
fn run_with(plan: &Plan, fake: &Fake, interrupt: Interrupt, supply: &ImageSources) -> (String, Result<(), Failure>) {
    let (told, mut results) = run_again(plan, &[fake], interrupt, supply);
    (told, results.pop().expect("one run"))
}

/// Runs a plan over one connection after the other.
fn run_again(plan: &Plan, fakes: &[&Fake], interrupt: Interrupt, supply: &ImageSources) -> (String, Vec<Result<(), Failure>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut told, mut progress) = (Told::default(), super::Progress::default());
    let interface = ConfigurationInterface::new("127.0.0.1", 1);
    let mut results = Vec::new();
    for remote in fakes.iter().copied() {
        let (interrupt, report, progress) = (interrupt.clone(), &mut told, &mut progress);
        let mut runner = Runner { remote, interface: &interface, report, supply, interrupt, on_new_connection: None, progress };
        results.push(tokio::task::LocalSet::new().block_on(&runtime, runner.run(plan)));
    }
    progress.end(&mut told);
    (told.text(), results)
}

fn run(plan: &Plan, fake: &Fake) -> (String, Result<(), Failure>) {
    run_with(plan, fake, Interrupt::default(), &ImageSources::default())
}

/// Returns a failure as text: exit code, message, last lines.
fn failure(result: Result<(), Failure>) -> String {
    let failure = result.expect_err("it fails");
    let lines: String = failure.error.last_lines().iter().map(|line| format!("\n| {line}")).collect();
    format!("{:?}: {failure}{lines}", failure.kind())
}

fn stage(stage: Stage, actions: Vec<Action>) -> StagePlan {
    StagePlan { stage, says: "some work".into(), actions }
}

fn plan(stages: Vec<StagePlan>) -> Plan {
    Plan { stages, ..Plan::default() }
}

fn make(path: &str) -> Action {
    Action::Run(Command::new("mkdir").arg(path))
}

fn sending(files: &[&str], directories: &[(&str, u32)]) -> Action {
    let file = |path: &&str| SendFile {
        local: PathBuf::from("here"),
        remote: RemotePath::new(path).expect("a path"),
        mode: 0o640,
        size: 1,
        sha256: None,
        place: RemotePath::new("/home/oem").expect("a path"),
        have: 0,
        new: path.contains("new"),
    };
    let directories = directories.iter().map(|(path, mode)| ((*path).to_owned(), *mode)).collect();
    Action::Send(Upload { files: files.iter().map(file).collect(), directories, ..Upload::default() })
}

#[test]
fn stages_run_in_their_order_and_those_without_work_are_silent() {
    let plan = plan(vec![
        stage(Stage::Directories, vec![make("/a")]),
        stage(Stage::Volume, Vec::new()),
        stage(Stage::MountUsb, vec![Action::Touch(Command::new("mount"))]),
    ]);
    let fake = Fake::default();
    let (told, result) = run(&plan, &fake);
    assert!(result.is_ok());
    insta::assert_snapshot!(told, @r"
    directories started: some work
    directories step: mkdir /a
    directories finished: Done: some work
    mount_usb started: some work
    mount_usb step: mount
    mount_usb finished: Read: some work
    ");
    insta::assert_snapshot!(fake.log(), @r"
    mkdir /a
    mount
    ");
}

#[test]
fn a_failure_names_its_stage_and_ends_the_run() {
    let plan = plan(vec![
        stage(Stage::Directories, vec![make("/a"), make("/b"), make("/c")]),
        stage(Stage::MountUsb, vec![Action::Touch(Command::new("mount"))]),
    ]);
    let fake = Fake::default().on("mkdir /b", fails(1, "mkdir: cannot create directory '/b': No space left on device"));
    let (told, result) = run(&plan, &fake);
    insta::assert_snapshot!(failure(result), @r"
    NoSpace: directories: `mkdir /b` failed on the device: exit code 1: mkdir: cannot create directory '/b': No space left on device
    | mkdir: cannot create directory '/b': No space left on device
    ");
    insta::assert_snapshot!(told, @r"
    directories started: some work
    directories step: mkdir /a
    directories step: mkdir /b
    ");
    insta::assert_snapshot!(fake.log(), @r"
    mkdir /a
    mkdir /b
    ");
}

#[test]
fn ctrl_c_ends_the_work_at_hand() {
    let plan = plan(vec![stage(Stage::Directories, vec![make("/a"), make("/b")])]);
    let interrupt = Interrupt::default();
    let press = interrupt.clone();
    let fake = Fake::default().on("mkdir /a", hangs(move || press.press()));
    let (_, result) = run_with(&plan, &fake, interrupt, &ImageSources::default());
    insta::assert_snapshot!(failure(result), @"Interrupted: directories: interrupted");
    assert_eq!(fake.log(), "mkdir /a");
}

#[test]
fn a_broken_connection_is_told_from_a_failed_command() {
    let plan = plan(vec![stage(Stage::Directories, vec![make("/a")])]);
    let fake = Fake::default().on("mkdir", breaks());
    insta::assert_snapshot!(failure(run(&plan, &fake).1), @"ConnectionLost: directories: the connection to the device was lost: the cable was pulled");
    let fake = Fake::default().on("mkdir", says(&[b"done"]));
    assert!(run(&plan, &fake).1.is_ok());
}
