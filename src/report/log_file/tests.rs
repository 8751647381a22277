use std::sync::{Arc, Mutex};

use super::*;
use crate::{report::sink::tests::Shared, stage::Stage};

fn stem() -> Stem {
    Stem::at(&"2026-11-21T07:34:56+00:00[UTC]".parse().expect("a time"))
}

fn told() -> (Lines, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    (Arc::new(move |line| kept.lock().expect("the lines").push(line.to_owned())), told)
}

#[test]
fn two_runs_in_one_second_have_two_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let names: Vec<_> = (0..3)
        .map(|_| LogFile::create(directory.path(), &stem()).expect("a log"))
        .map(|log| {
            assert_eq!(log.path(), directory.path().join(format!("Deployments/{}.log", log.stem())));
            log.stem().to_string()
        })
        .collect();
    assert_eq!(names, ["26.11.21_07.34.56+0000", "26.11.21_07.34.56+0000_2", "26.11.21_07.34.56+0000_3"]);
}

#[test]
fn a_directory_that_was_asked_for_must_be_writable_and_the_default_need_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "").expect("a file");
    let error = LogFile::open(LogDir::AskedFor(&blocked), &stem(), |_| panic!("not a warning")).expect_err("no log");
    assert_eq!(error.kind(), FailureKind::LocalFile);
    assert!(error.to_string().starts_with("the log file `"), "{error}");
    let mut warned = String::new();
    let log = LogFile::open(LogDir::Default(&blocked), &stem(), |text| warned = text).expect("no error");
    assert!(log.is_none() && warned.ends_with("going on without"), "{warned}");
    assert!(LogFile::open(LogDir::None, &stem(), |_| panic!("not a warning")).expect("no error").is_none());
}

#[test]
fn events_and_commands_stand_in_one_file_with_their_time() {
    let (file, (console, told)) = (Shared::default(), told());
    let written = file.clone();
    tracing::subscriber::with_default(subscriber(Some(move || file.clone()), console, Level::Info), || {
        EventLog.event(&Event::StageStarted { stage: Stage::Directories, title: "create ~/share".into() });
        tracing::debug!("`mkdir -p /home/oem/share`: exit code 0");
        tracing::warn!("reconnecting");
        tracing::debug!(target: "russh::client", "noise");
        EventLog.event(&Event::Progress { stage: Stage::Directories, bytes: 1, total: None });
        EventLog.event(&Event::Output { line: "from the container".into() });
        EventLog.event(&Event::Warning { text: "careful".into() });
        asked(&Question::Confirm("two lines\ngo on?".into()), Some("yes"));
        asked(&Question::Secret("password".into()), Some("hunter2"));
    });
    let text = written.text();
    let without_time: Vec<_> = text.lines().map(|line| line.split_at(29).1.trim_start()).collect();
    insta::assert_snapshot!(without_time.join("\n"), @r"
    INFO directories: create ~/share
    DEBUG `mkdir -p /home/oem/share`: exit code 0
    WARN reconnecting
    WARN warning: careful
    INFO asked: two lines go on?: yes
    INFO asked: password: ‹secret›
    ");
    let time = text.get(..29).expect("a time");
    assert!(jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S%.f%:z", time).is_ok(), "{time}");
    assert_eq!(*told.lock().expect("the lines"), ["WARN reconnecting"]);
}

#[test]
fn the_console_shows_commands_only_when_asked_to() {
    let shown = |level| {
        let (console, told) = told();
        tracing::subscriber::with_default(subscriber(None::<fn() -> io::Sink>, console, level), || {
            tracing::debug!("a command");
            tracing::warn!("a warning");
            tracing::error!("an error");
            EventLog.event(&Event::Warning { text: "shown by the display".into() });
        });
        told.lock().expect("the lines").len()
    };
    assert_eq!([Level::Error, Level::Warning, Level::Info, Level::Debug].map(shown), [1, 2, 2, 3]);
}

#[test]
fn attached_output_goes_to_a_file_beside_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = LogFile::create(directory.path(), &stem()).expect("a log");
    let mut output = log.output_file("../python app");
    assert_eq!(output.path(), log.path().with_file_name("26.11.21_07.34.56+0000_.._python_app.log"));
    output.event(&Event::Warning { text: "not for this file".into() });
    assert!(!output.path().exists());
    for line in ["one", "zwei °C"] {
        output.event(&Event::Output { line: line.into() });
    }
    assert_eq!(std::fs::read_to_string(output.path()).expect("a file"), "one\nzwei °C\n");
}

#[test]
fn output_that_cannot_be_written_does_not_stop_the_run() {
    let mut output = OutputFile::new("/nonexistent/x.log".into());
    output.event(&Event::Output { line: "lost".into() });
    output.event(&Event::Output { line: "lost".into() });
}
