//! Files on both ways.

use super::*;
use crate::{
    facts::compare::Copy,
    plan::{Download, Fetch, Place},
};

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
    sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming both <<< fresh /home/oem
    put directory /home/oem/.o3r-deploy-incoming/new (755)
    put directory /home/oem/.o3r-deploy-incoming/new/sub (700)
    put here -> /home/oem/.o3r-deploy-incoming/new/a (640)
    put here -> /home/oem/.o3r-deploy-incoming/b (640)
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
    let fake = Fake::default().on("/home/oem/.o3r-deploy-incoming/new/a", breaks());
    let (told, result) = run(&one_of_each(), &fake);
    insta::assert_snapshot!(failure(result), @"ConnectionLost: transfers: the connection to the device was lost: the cable was pulled");
    insta::assert_snapshot!(fake.log(), @r"
    sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming both <<< fresh /home/oem
    put directory /home/oem/.o3r-deploy-incoming/new (755)
    put directory /home/oem/.o3r-deploy-incoming/new/sub (700)
    put here -> /home/oem/.o3r-deploy-incoming/new/a (640)
    sh -c '# removes what arrived in part…' sh .o3r-deploy-incoming <<< /home/oem
    rmdir -- /home/oem/new/sub /home/oem/new
    ");
    assert!(!told.contains("finished"), "{told}");
}

#[test]
fn what_an_interrupted_transfer_began_is_taken_back() {
    let interrupt = Interrupt::default();
    let press = interrupt.clone();
    let fake = Fake::default().on("put here", hangs(move || press.press()));
    let (_, result) = run_with(&one_of_each(), &fake, interrupt, &ImageSources::default());
    assert_eq!(failure(result), "Interrupted: transfers: interrupted");
    let log = fake.log();
    let end: Vec<_> = log.lines().rev().take(2).collect();
    insta::assert_snapshot!(end.join("\n"), @r"
    rmdir -- /home/oem/new/sub /home/oem/new
    sh -c '# removes what arrived in part…' sh .o3r-deploy-incoming <<< /home/oem
    ");
}

#[test]
fn directories_alone_are_made_and_get_their_modes_and_one_that_cannot_be_made_ends_it() {
    let only =
        plan(vec![stage(Stage::Directories, vec![sending(&[], &[("/home/oem/new", 0o755), ("/home/oem/new/sub", 0o500)])])]);
    let fake = Fake::default();
    assert!(run(&only, &fake).1.is_ok());
    insta::assert_snapshot!(fake.log(), @r"
    mkdir -p -- /home/oem/new /home/oem/new/sub
    chmod 500 -- /home/oem/new/sub
    chmod 755 -- /home/oem/new
    ");
    let fake = Fake::default().on("mkdir", fails(1, "mkdir: cannot create directory: Permission denied"));
    assert!(failure(run(&only, &fake).1).starts_with("RemoteCommand: directories: "));
}

#[test]
fn a_read_only_directory_takes_its_files_before_it_is_that() {
    let sent = sending(&["/home/oem/closed/a"], &[("/home/oem/closed", 0o555), ("/home/oem/there/empty", 0o755)]);
    let fake = Fake::default();
    assert!(run(&plan(vec![stage(Stage::Transfers, vec![sent])]), &fake).1.is_ok());
    // An empty directory arrives beside its place as well, wherever the files go.
    insta::assert_snapshot!(fake.log(), @r"
    sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming both <<< fresh /home/oem, fresh /home/oem/there, 555 /home/oem/closed
    put directory /home/oem/.o3r-deploy-incoming/closed (755)
    put directory /home/oem/there/.o3r-deploy-incoming/empty (755)
    put here -> /home/oem/.o3r-deploy-incoming/closed/a (640)
    ");
}

#[test]
fn a_large_file_travels_by_itself_and_goes_on_where_it_stopped() {
    let Action::Send(mut sent) = sending(&["/home/oem/small", "/home/oem/large", "/home/oem/there"], &[]) else {
        panic!("it sends")
    };
    for (file, size, have) in [(1, 9 << 20, 6 << 20), (2, 1, 1)] {
        (sent.files[file].size, sent.files[file].have) = (size, have);
    }
    sent.stale = vec!["/home/oem/.o3r-deploy-incoming/useless".into()];
    let fake = Fake::default();
    let (told, result) = run(&plan(vec![stage(Stage::Transfers, vec![Action::Send(sent)])]), &fake);
    assert!(result.is_ok());
    insta::assert_snapshot!(fake.log(), @r"
    sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming take <<< kept /home/oem, stale /home/oem/.o3r-deploy-incoming/useless
    put here -> /home/oem/.o3r-deploy-incoming/small (640)
    sh -c '# takes a piece of a large file…' sh /home/oem/.o3r-deploy-incoming/large 6291456 6291456 9437184 640
    sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming place <<< kept /home/oem stale /home/oem/.o3r-deploy-incoming/useless
    ");
    assert!(told.contains("progress: 3145729 of Some(3145729)"), "{told}");
}

#[test]
fn files_are_fetched_to_a_temporary_name_and_one_that_vanished_is_a_warning() {
    let here = tempfile::tempdir().expect("a directory");
    let fetch = |name: &str| Download {
        remote: format!("/logs/{name}"),
        local: here.path().join("deep").join(name),
        root: here.path().join("deep"),
        mode: 0o644,
        size: 4,
        ..Download::default()
    };
    let plan = plan(vec![stage(
        Stage::Logs,
        vec![Action::Fetch(Fetch { files: vec![fetch("a.log"), fetch("gone.log")], ..Fetch::default() })],
    )]);
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
    let fetch = |name: &str| Download {
        remote: format!("/logs/{name}"),
        local: here.path().join(name),
        root: here.path().into(),
        mode: 0o644,
        size: 4,
        ..Download::default()
    };
    let plan = plan(vec![stage(
        Stage::Logs,
        vec![Action::Fetch(Fetch { files: vec![fetch("a.log"), fetch("b.log")], ..Fetch::default() })],
    )]);
    let fake = Fake::default().with_file("/logs/a.log", "text").on("get /logs/b.log", breaks());
    assert!(failure(run(&plan, &fake).1).starts_with("ConnectionLost: logs: "));
    assert_eq!(std::fs::read_dir(here.path()).expect("there").count(), 0);
}

#[test]
fn a_large_file_that_broke_off_leaves_its_part_here_and_the_next_run_goes_on_behind_it() {
    let here = tempfile::tempdir().expect("a directory");
    let content = "0123456789abcdef".repeat(800_000);
    let size = content.len() as u64;
    let root = here.path().to_owned();
    let fetch = |copy| Download {
        remote: "/large".into(),
        local: root.join("large"),
        root: root.clone(),
        mode: 0o644,
        size,
        copy,
        ..Download::default()
    };
    let plan_for =
        |copy| plan(vec![stage(Stage::Logs, vec![Action::Fetch(Fetch { files: vec![fetch(copy)], ..Fetch::default() })])]);
    let fake = Fake::default().with_file("/large", &content).on("# gives a large file", breaks());
    assert!(failure(run(&plan_for(None), &fake).1).starts_with("ConnectionLost: logs: "));
    let runs = std::fs::read_dir(here.path().join(".o3r-deploy-incoming")).expect("kept").flatten().map(|run| run.path());
    let part = runs.flat_map(|run| std::fs::read_dir(run).expect("a run").flatten()).next().expect("kept").path();
    assert_eq!(part.metadata().expect("kept").len(), size / 2);
    assert!(!here.path().join("large").exists());
    let copy = Copy { path: part.clone(), bytes: (size / 2) >> 20 << 20 };
    let fake = Fake::default().with_file("/large", &content);
    let (told, result) = run(&plan_for(Some(copy)), &fake);
    assert!(result.is_ok());
    assert_eq!(fake.log(), "sh -c '# gives a large file, or the rest of one…' sh /large 6291456");
    assert!(std::fs::read_to_string(here.path().join("large")).expect("there") == content);
    assert!(told.contains(&format!("of Some({})", size - (6 << 20))), "{told}");
    assert!(!part.exists());
}

#[test]
fn of_a_file_that_has_grown_only_the_end_is_asked_for() {
    let here = tempfile::tempdir().expect("a directory");
    let local = here.path().join("a.log");
    std::fs::write(&local, "old ").expect("written");
    let copy = Some(Copy { path: local.clone(), bytes: 4 });
    let root = here.path().into();
    let fetch = Download {
        remote: "/logs/a.log".into(),
        local: local.clone(),
        root,
        mode: 0o644,
        size: 7,
        copy,
        ..Download::default()
    };
    let fetch = Fetch { files: vec![fetch], ..Fetch::default() };
    // The marks are made anew for each run: what has none of them is no end, and the file comes whole.
    let fake = Fake::default().with_file("/logs/a.log", "old new").on("ends", says(&[b"3\nnew=no mark=\n"]));
    assert!(run(&plan(vec![stage(Stage::Logs, vec![Action::Fetch(fetch)])]), &fake).1.is_ok());
    let log = fake.log();
    assert!(log.contains("<<< 4 /logs/a.log"), "{log}");
    assert!(log.ends_with("<<< logs/a.log\nget /logs/a.log"), "{log}");
    assert_eq!(std::fs::read_to_string(&local).expect("there"), "old new");
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let here = tempfile::tempdir().expect("a directory");
    std::fs::write(here.path().join("file"), "").expect("written");
    let local = here.path().join("file/a.log");
    let plan = plan(vec![stage(
        Stage::Logs,
        vec![Action::Fetch(Fetch {
            files: vec![Download {
                remote: "/a".into(),
                root: here.path().join("file"),
                local,
                size: 1,
                ..Download::default()
            }],
            ..Fetch::default()
        })],
    )]);
    let said = failure(run(&plan, &Fake::default()).1);
    assert!(said.starts_with("LocalFile: logs: ") && said.contains("cannot be written"), "{said}");
}

#[test]
fn what_the_run_wrote_is_looked_for_again() {
    let here = tempfile::tempdir().expect("a directory");
    let again = Place { remote: "/logs".into(), local: here.path().into(), archive: true };
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

#[test]
fn run_that_could_not_fetch_all_does_all_else_first_and_says_so() {
    let plan = Plan { unread: ["/logs/root.log".to_owned()].into(), ..plan(vec![stage(Stage::Directories, vec![make("/a")])]) };
    let fake = Fake::default();
    let (_, result) = run(&plan, &fake);
    insta::assert_snapshot!(failure(result), @"Incomplete: 1 path on the device could not be read and was not fetched: `/logs/root.log`");
    assert_eq!(fake.log(), "mkdir /a");
}
