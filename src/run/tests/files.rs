//! Files on both ways.

use super::*;
use crate::plan::{Fetching, PullAgain};

fn one_of_each() -> Plan {
    let action = sending(&["/home/oem/new/a", "/home/oem/b"], &[("/home/oem/new", 0o755), ("/home/oem/new/sub", 0o700)]);
    plan(vec![stage(Stage::Transfers, vec![action])])
}

#[test]
fn files_arrive_beside_their_place_and_are_moved_into_it_at_the_end() {
    let fake = Fake::default();
    let (told, result) = run(&one_of_each(), &fake);
    assert!(result.is_ok());
    insta::assert_snapshot!(fake.log(), @r"
    mkdir -p -- /home/oem/new /home/oem/new/sub
    sh -c '# makes room for what will arrive…' sh .o3r-deploy-incoming <<< /home/oem /home/oem/new
    put here -> /home/oem/new/.o3r-deploy-incoming/a (640)
    put here -> /home/oem/.o3r-deploy-incoming/b (640)
    sh -c '# moves what arrived into its place…' sh .o3r-deploy-incoming <<< /home/oem /home/oem/new
    chmod 700 -- /home/oem/new/sub
    chmod 755 -- /home/oem/new
    ");
    insta::assert_snapshot!(told, @r"
    transfers started: some work
    transfers step: 2 files
    transfers progress: 1 of Some(2)
    transfers progress: 2 of Some(2)
    transfers finished: Done: some work
    ");
}

#[test]
fn what_a_failed_transfer_began_is_taken_back() {
    let fake = Fake::default().on("/home/oem/new/.o3r-deploy-incoming/a", breaks());
    let (told, result) = run(&one_of_each(), &fake);
    insta::assert_snapshot!(failure(result), @"ConnectionLost: transfers: the connection to the device was lost: the cable was pulled");
    insta::assert_snapshot!(fake.log(), @r"
    mkdir -p -- /home/oem/new /home/oem/new/sub
    sh -c '# makes room for what will arrive…' sh .o3r-deploy-incoming <<< /home/oem /home/oem/new
    put here -> /home/oem/new/.o3r-deploy-incoming/a (640)
    sh -c '# removes what arrived in part…' sh .o3r-deploy-incoming <<< /home/oem /home/oem/new
    rmdir -- /home/oem/new/sub /home/oem/new
    ");
    assert!(!told.contains("finished"), "{told}");
}

#[test]
fn what_an_interrupted_transfer_began_is_taken_back() {
    let interrupt = Interrupt::default();
    let press = interrupt.clone();
    let fake = Fake::default().on("put", hangs(move || press.press()));
    let (_, result) = run_with(&one_of_each(), &fake, interrupt, &Supply::default());
    assert_eq!(failure(result), "Interrupted: transfers: interrupted");
    let log = fake.log();
    let end: Vec<_> = log.lines().rev().take(2).collect();
    insta::assert_snapshot!(end.join("\n"), @r"
    rmdir -- /home/oem/new/sub /home/oem/new
    sh -c '# removes what arrived in part…' sh .o3r-deploy-incoming <<< /home/oem /home/oem/new
    ");
}

#[test]
fn a_directory_that_cannot_be_made_ends_it_before_a_byte_is_sent() {
    let fake = Fake::default().on("mkdir", fails(1, "mkdir: cannot create directory: Permission denied"));
    let (_, result) = run(&one_of_each(), &fake);
    assert!(failure(result).starts_with("RemoteCommand: transfers: "));
    assert!(!fake.log().contains("put"), "{}", fake.log());
}

#[test]
fn files_are_fetched_to_a_temporary_name_and_one_that_vanished_is_a_warning() {
    let here = tempfile::tempdir().expect("a directory");
    let fetch = |name: &str| Fetching {
        remote: format!("/logs/{name}"),
        local: here.path().join("deep").join(name),
        mode: 0o644,
        size: 4,
    };
    let plan = plan(vec![stage(Stage::Logs, vec![Action::Fetch(vec![fetch("a.log"), fetch("gone.log")])])]);
    let fake = Fake::default().with_file("/logs/a.log", "text");
    let (told, result) = run(&plan, &fake);
    assert!(result.is_ok());
    insta::assert_snapshot!(told, @r"
    logs started: some work
    logs step: 2 files
    logs progress: 4 of Some(8)
    warning: `/logs/gone.log` vanished while it was fetched
    logs finished: Read: some work
    ");
    let names: Vec<_> =
        std::fs::read_dir(here.path().join("deep")).expect("made").map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(names, ["a.log"]);
    assert_eq!(std::fs::read(here.path().join("deep/a.log")).expect("there"), b"text");
}

#[test]
fn a_broken_connection_leaves_no_half_file_here() {
    let here = tempfile::tempdir().expect("a directory");
    let fetch = |name: &str| Fetching { remote: format!("/logs/{name}"), local: here.path().join(name), mode: 0o644, size: 4 };
    let plan = plan(vec![stage(Stage::Logs, vec![Action::Fetch(vec![fetch("a.log"), fetch("b.log")])])]);
    let fake = Fake::default().with_file("/logs/a.log", "text").on("get /logs/b.log", breaks());
    assert!(failure(run(&plan, &fake).1).starts_with("ConnectionLost: logs: "));
    assert_eq!(std::fs::read_dir(here.path()).expect("there").count(), 0);
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let here = tempfile::tempdir().expect("a directory");
    std::fs::write(here.path().join("file"), "").expect("written");
    let local = here.path().join("file/a.log");
    let plan = plan(vec![stage(
        Stage::Logs,
        vec![Action::Fetch(vec![Fetching { remote: "/a".into(), local, mode: 0o644, size: 1 }])],
    )]);
    let said = failure(run(&plan, &Fake::default()).1);
    assert!(said.starts_with("LocalFile: logs: ") && said.contains("cannot be written"), "{said}");
}

#[test]
fn what_the_run_wrote_is_looked_for_again() {
    let here = tempfile::tempdir().expect("a directory");
    let again = PullAgain { remote: "/logs".into(), local: here.path().into() };
    let plan = plan(vec![stage(Stage::LogsAgain, vec![Action::PullAgain(vec![again])])]);
    // The marks of the sections are made anew for each probe: what has none of them is refused.
    let (_, result) = run(&plan, &Fake::default());
    assert!(failure(result).contains("its end is missing"));
}

#[test]
fn what_a_stage_had_done_before_it_failed_is_taken_back_as_well() {
    let volume = Action::Make { make: Command::new("create").arg("v"), undo: Command::new("remove").arg("v") };
    let sent = sending(&["/home/oem/new/a", "/home/oem/b"], &[("/home/oem/new", 0o755)]);
    let plan = plan(vec![stage(Stage::Volume, vec![sent, volume, make("/fails")])]);
    let fake = Fake::default().on("mkdir /fails", fails(1, "no"));
    assert!(run(&plan, &fake).1.is_err());
    let log = fake.log();
    let (_, after) = log.split_once("mkdir /fails\n").expect("it failed there");
    // What was replaced is not there any more: `b` stays as it is now.
    insta::assert_snapshot!(after, @r"
    remove v
    rm -rf -- /home/oem/new/a
    rmdir -- /home/oem/new
    ");
}
