//! Tests that the history tells what was done, wherever an update fails.

use std::time::Duration;

use super::{
    up::{LOOK, container},
    *,
};
use crate::{
    commands::compose::Project,
    facts::ComposeTool,
    plan::{Commit, ComposeUp, KeepVersion},
    release::{Entry, KeptService, Snapshot},
};

/// Returns an update of a running application: an image, files, the project and its autostart.
fn update() -> Plan {
    let entry =
        Entry { at: "26.11.21_07.00.00+0100".into(), application: "app".into(), kind: "deployment".into(), ..Entry::default() };
    let project = Project {
        tool: ComposeTool::Hyphen("1.29.2".into()),
        name: "app".into(),
        directory: "/home/oem/app".into(),
        files: vec!["/home/oem/app/docker-compose.yml".into()],
    };
    let attempt = entry.line();
    let service = KeptService { name: "web".into(), runs: true, ..KeptService::default() };
    let snapshot = Box::new(Snapshot { services: vec![service], ..Snapshot::default() });
    let keeping = KeepVersion { application: "app".into(), attempt: attempt.clone(), snapshot, ..KeepVersion::default() };
    let done = Entry { result: Entry::DONE.into(), ..entry }.line();
    let up = ComposeUp {
        project,
        services: Vec::new(),
        expected: vec!["web".into()],
        completing: Vec::new(),
        wait: Duration::ZERO,
        settle: Duration::ZERO,
        recreate: false,
        fresh: false,
        keeping: Some(keeping.clone()),
        settling: Box::new(Commit { application: "app".into(), record: "{}".into(), entry: done, attempt, stamp: None }),
    };
    plan(vec![
        stage(Stage::Transfers, vec![Action::Keep(keeping), sending(&["/home/oem/a"], &[])]),
        stage(Stage::Compose, vec![make("/home/oem/b"), Action::Up(up)]),
        stage(Stage::Autostart, vec![make("/home/oem/c")]),
    ])
}

#[test]
fn history_is_told_what_was_done_wherever_an_update_fails() {
    let well = || says(&[&container("running", "healthy", 0)]);
    let steps = [
        "keeps the version",
        "takes files in",
        "mkdir /home/oem/b",
        "ends what else works",
        "arms the guard",
        "up --detach",
        LOOK,
        "makes the version",
        "mkdir /home/oem/c",
    ];
    for failing in steps.into_iter().map(Some).chain([None]) {
        let fake = failing.map_or_else(Fake::default, |step| Fake::default().on(step, fails(1, "it fails")));
        let fake = (0..8)
            .fold(fake, |fake, _| fake.on(LOOK, well()))
            .on("puts the version that was kept back", says(&[b"containers\n"]));
        let (told, result) = run(&update(), &fake);
        let log = fake.log();
        // Each script that tells the history is asked as a command of its own; it stands in those that keep a version as well.
        let lines = |what: &str| log.lines().filter(|line| line.starts_with(&format!("sh -c '# {what}"))).collect::<Vec<_>>();
        let (kept, confirmed, put_back) =
            (lines("keeps the version"), lines("makes the version"), lines("puts the version that was kept"));
        let was_kept = failing != Some("keeps the version");
        let was_confirmed = failing.is_none_or(|step| step.starts_with("mkdir /home/oem/c"));
        assert_eq!(result.is_ok(), failing.is_none(), "{failing:?}: {told}");
        // The attempt is told before anything changes, and ends in one of two ways.
        assert!(
            kept.iter().all(|line| line.contains(r#""at":"26.11.21_07.00.00+0100""#) && !line.contains(Entry::DONE)),
            "{failing:?}: {kept:?}"
        );
        assert!(log.lines().position(|line| line.starts_with("sh -c '# keeps the version")) == Some(0), "{failing:?}: {log}");
        let asked_to_confirm = was_confirmed || failing == Some("makes the version");
        assert_eq!(confirmed.len(), usize::from(asked_to_confirm), "{failing:?}: {log}");
        assert!(confirmed.iter().all(|line| line.contains(r#""result":"done""#)), "{failing:?}: {confirmed:?}");
        // A version that could not be kept is put back as far as there is one.
        assert_eq!(put_back.len(), usize::from(!was_confirmed), "{failing:?} {was_kept}: {log}");
        // What the device itself finds tells whether the update was rolled back or failed.
        assert!(put_back.iter().all(|line| line.ends_with("/home/oem/.o3r-deploy/app/swap ''")), "{failing:?}: {put_back:?}");
    }
}
