//! Bringing an application up, and what becomes of one that does not run.

use std::time::Duration;

use super::*;
use crate::{
    commands::compose::Project,
    facts::ComposeTool,
    plan::{ComposeUp, KeepVersion, Place},
};

pub(super) fn bringing(first: bool, wait: u64) -> Plan {
    let project = Project {
        tool: ComposeTool::Hyphen("1.29.2".into()),
        name: "app".into(),
        directory: "/home/oem/app".into(),
        files: vec!["/home/oem/app/docker-compose.yml".into()],
    };
    let up = ComposeUp {
        project,
        services: Vec::new(),
        expected: vec!["web".into()],
        completing: Vec::new(),
        wait: Duration::from_secs(wait),
        settle: Duration::ZERO,
        recreate: false,
        fresh: first,
        keeping: (!first).then(KeepVersion::default),
        settling: Box::default(),
    };
    plan(vec![stage(Stage::Compose, vec![Action::Up(up)]), stage(Stage::Attach, vec![make("/never")])])
}

pub(super) fn container(status: &str, health: &str, code: i64) -> Vec<u8> {
    format!(
        r#"{{"Id":"c1","Name":"/web","Image":"sha256:1","RestartCount":0,
        "State":{{"Status":"{status}","ExitCode":{code},"StartedAt":"t1","Health":{{"Status":"{health}"}}}},
        "Config":{{"Labels":{{"com.docker.compose.project":"app","com.docker.compose.service":"web"}}}},
        "HostConfig":{{"RestartPolicy":{{"Name":"no"}}}}}}"#
    )
    .into_bytes()
}

pub(super) const LOOK: &str = "describes the containers";

#[test]
fn an_application_is_up_when_it_is_healthy_and_what_is_waited_for_is_told_once() {
    let starting = || says(&[&container("running", "starting", 0)]);
    let fake = Fake::default()
        .on(LOOK, says(&[b"\n"]))
        .on(LOOK, starting())
        .on(LOOK, starting())
        .on(LOOK, says(&[&container("running", "healthy", 0)]));
    let (told, result) = run(&bringing(true, 60), &fake);
    assert!(result.is_ok());
    let seconds = regex_lite::Regex::new(r"after \d+\.\d s").expect("a pattern");
    insta::assert_snapshot!(seconds.replace_all(&told, "after … s"), @"
    compose started: some work
    compose step: docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
    compose step: service `web` has no container yet
    compose step: container `web` is not healthy yet
    compose finished: Done: web up and healthy after … s
    attach started: some work
    attach step: mkdir /never
    attach finished: Done: some work
    ");
    insta::assert_snapshot!(fake.log(), @"
    sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
    sh -c '# keeps the version that runs, for the way back…' sh /home/oem/.o3r-deploy//first '' '# puts the version that was kept back…' '# puts the previous version back unless the new one is confirmed in time…' '# looks after the lock of the device…' /tmp/o3r-deploy '' <<< format 1 project app compose docker-compose recreate no file /home/oem/app/docker-compose.yml end
    sh -c '# arms the guard that puts the version that was kept back, and notes that the containers change from now on…' sh /home/oem/.o3r-deploy//first 480 20 '# puts the previous version back unless the new one is confirmed in time…' '# looks after the lock of the device…' /tmp/o3r-deploy
    docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
    sh -c '# describes the containers of a compose project…' sh app '{{/* container */ -}}…'
    sh -c '# describes the containers of a compose project…' sh app '{{/* container */ -}}…'
    sh -c '# describes the containers of a compose project…' sh app '{{/* container */ -}}…'
    sh -c '# describes the containers of a compose project…' sh app '{{/* container */ -}}…'
    sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/ '' ''
    mkdir /never
    ");
}

#[test]
fn a_first_application_that_ends_is_shown_with_its_last_lines_and_taken_down() {
    let fake = Fake::default()
        .on(LOOK, says(&[&container("exited", "none", 3)]))
        .on("last lines", says(&[b"Traceback\n  \x1b[31mKeyError\n"]));
    let (_, result) = run(&bringing(true, 60), &fake);
    insta::assert_snapshot!(failure(result), @r"
    Unhealthy: compose: container `web` ended with exit code 3
    | Traceback
    |   [31mKeyError
    ");
    insta::assert_snapshot!(fake.log(), @"
    sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
    sh -c '# keeps the version that runs, for the way back…' sh /home/oem/.o3r-deploy//first '' '# puts the version that was kept back…' '# puts the previous version back unless the new one is confirmed in time…' '# looks after the lock of the device…' /tmp/o3r-deploy '' <<< format 1 project app compose docker-compose recreate no file /home/oem/app/docker-compose.yml end
    sh -c '# arms the guard that puts the version that was kept back, and notes that the containers change from now on…' sh /home/oem/.o3r-deploy//first 480 20 '# puts the previous version back unless the new one is confirmed in time…' '# looks after the lock of the device…' /tmp/o3r-deploy
    docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
    sh -c '# describes the containers of a compose project…' sh app '{{/* container */ -}}…'
    sh -c '# prints the last lines of a container's output…' sh web 20
    docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml down --remove-orphans
    sh -c '# puts the version that was kept back…' sh /home/oem/.o3r-deploy//first ''
    ");
}

#[test]
fn one_that_replaced_another_is_left_to_be_looked_at() {
    let fake = Fake::default().on(LOOK, says(&[&container("exited", "none", 3)]));
    assert!(run(&bringing(false, 60), &fake).1.is_err());
    assert!(!fake.log().contains(" down "), "{}", fake.log());
}

#[test]
fn a_docker_compose_that_fails_is_taken_back_as_well() {
    let fake = Fake::default().on("up --detach", fails(1, "ERROR: port is already allocated"));
    let (_, result) = run(&bringing(true, 60), &fake);
    insta::assert_snapshot!(failure(result), @"
    RemoteCommand: compose: `docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans` failed on the device: exit code 1: ERROR: port is already allocated
    | ERROR: port is already allocated
    ");
    assert!(fake.log().contains("down --remove-orphans"), "{}", fake.log());
}

#[test]
fn what_takes_too_long_is_named_with_what_was_waited_for() {
    let fake = Fake::default()
        .on(LOOK, says(&[&container("running", "starting", 0)]))
        .on("last lines", says(&[b"still warming up\n"]));
    insta::assert_snapshot!(failure(run(&bringing(true, 0), &fake).1), @r"
    Unhealthy: compose: container `web` is not healthy yet, after 0 s
    | still warming up
    ");
    insta::assert_snapshot!(failure(run(&bringing(true, 0), &Fake::default()).1), @"Unhealthy: compose: service `web` has no container yet, after 0 s");
}

#[test]
fn the_logs_of_an_application_that_failed_are_pulled_all_the_same() {
    let mut plan = bringing(true, 0);
    let again = Place { remote: "/logs".into(), local: "nowhere".into(), archive: true };
    plan.stages.push(stage(Stage::LogsAgain, vec![Action::PullAgain(vec![again])]));
    let fake = Fake::default();
    let (told, result) = run(&plan, &fake);
    assert!(failure(result).starts_with("Unhealthy: compose: "));
    assert!(told.ends_with("logs_again started: some work"), "{told}");
    assert!(fake.log().lines().last().is_some_and(|line| line.contains("tree /logs")), "{}", fake.log());
}

#[test]
fn ctrl_c_while_waiting_takes_a_first_application_down() {
    let interrupt = Interrupt::default();
    let press = interrupt.clone();
    let fake = Fake::default().on(LOOK, hangs(move || press.press()));
    let (_, result) = run_with(&bringing(true, 60), &fake, interrupt, &ImageSources::default());
    assert_eq!(failure(result), "Interrupted: compose: interrupted");
    assert!(fake.log().contains("down --remove-orphans"), "{}", fake.log());
}

#[test]
fn an_answer_that_is_none_is_said() {
    let fake = Fake::default().on("arms the guard", says(&[b"1582000000\n"])).on(LOOK, says(&[b"{"]));
    let failure = failure(run(&bringing(false, 60), &fake).1);
    assert!(failure.starts_with("NotUnderstood: compose: docker's answer is not understood"), "{failure}");
}

#[test]
fn last_output_of_the_health_check_is_part_of_the_failure() {
    let log = r#""Log":[{"ExitCode":1,"Output":"Traceback\nZeroDivisionError: division by zero\n"}]"#;
    let text = String::from_utf8(container("running", "unhealthy", 0)).expect("text");
    let fake = Fake::default().on(LOOK, says(&[text.replace("\"unhealthy\"", &format!("\"unhealthy\",{log}")).as_bytes()]));
    let failure = run(&bringing(true, 60), &fake).1.expect_err("it fails");
    insta::assert_snapshot!(failure.error.details().join("\n"), @r"
    its health check ended with exit code 1:
    | Traceback
    | ZeroDivisionError: division by zero
    ");
    assert_eq!(
        failure.error.hint().as_deref(),
        Some("correct what its health check and its output tell, and run the same command again")
    );
}
