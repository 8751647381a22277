//! Showing the output of a container.

use std::time::Duration;

use super::*;
use crate::{config::Attach, plan::FollowContainer, remote::Stream};

fn attaching(change: impl FnOnce(&mut Attach)) -> Plan {
    let mut wanted = Attach { container: "web".into(), run_duration: None, until: None, stop_upon_exit: false };
    change(&mut wanted);
    plan(vec![stage(Stage::Attach, vec![Action::Attach(FollowContainer { wanted, clock: 1_582_000_000 })])])
}

fn container(status: &str, started: &str, code: i64) -> Vec<u8> {
    format!(
        r#"{{"Id":"c1","Name":"/web","Image":"sha256:1","RestartCount":0,
        "State":{{"Status":"{status}","ExitCode":{code},"StartedAt":"{started}"}},
        "Config":{{"Labels":null}},"HostConfig":{{"RestartPolicy":{{"Name":"no"}}}}}}"#
    )
    .into_bytes()
}

const LOOK: &str = "docker container inspect";
const FOLLOW: &str = "follows a container";
const REST: &str = "between two times";

/// Returns a device on which the container runs when it is first looked at.
fn running() -> Fake {
    Fake::default().on(LOOK, says(&[&container("running", "t1", 0)]))
}

/// Adds that the container has ended when it is looked at after its output, of which the rest is not kept.
fn ended(fake: Fake, code: i64) -> Fake {
    fake.on(REST, ends(3))
        .on(LOOK, says(&[&container("exited", "t1", code)]))
        .on(LOOK, says(&[&container("exited", "t1", code)]))
}

fn output(told: &str) -> Vec<&str> {
    told.lines().filter_map(|line| line.strip_prefix("output: ")).collect()
}

#[test]
fn lines_are_whole_whatever_the_pieces_and_the_last_needs_no_newline() {
    let pieces: [&[u8]; 4] = [b"one\ntw", "o 20 °".as_bytes().split_last().expect("bytes").1, &[0xb0], b"C\n\xffbad\nlast"];
    let answer = says(&pieces).and(Stream::Stderr, b" and an error\n");
    let fake = ended(running().on(FOLLOW, answer), 0);
    let (told, result) = run(&attaching(|_| ()), &fake);
    assert!(result.is_ok());
    insta::assert_snapshot!(told, @r"
    attach started: some work
    output: one
    output: two 20 °C
    output: �bad
    output:  and an error
    output: last
    attach finished: Read: `web` ended with exit code 0
    ");
    insta::assert_snapshot!(fake.log(), @r"
    docker container inspect --format '{{/* container */ -}}…' -- web
    sh -c '# follows a container's output…' sh web 1582000000
    docker container inspect --format '{{/* container */ -}}…' -- web
    sh -c '# prints a container's output between two times…' sh web 1582000000
    docker container inspect --format '{{/* container */ -}}…' -- web
    ");
}

#[test]
fn a_line_without_end_is_cut_but_no_character_is_torn() {
    let long = "°".repeat(40_000);
    let fake = ended(running().on(FOLLOW, says(&[format!("x{long}\n").as_bytes()])), 0);
    let (told, _) = run(&attaching(|_| ()), &fake);
    let lines = output(&told);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines.concat(), format!("x{long}"));
    assert!(lines[0].len() <= 64 << 10);
}

#[test]
fn a_container_that_failed_is_a_failure_with_its_last_lines() {
    let fake = ended(running().on(FOLLOW, says(&[b"dying\n"])), 3).on("last lines", says(&[b"dying\n"]));
    let (told, result) = run(&attaching(|_| ()), &fake);
    assert_eq!(output(&told), ["dying"]);
    insta::assert_snapshot!(failure(result), @r"
    ContainerFailed: attach: container `web` ended with exit code 3
    | dying
    ");
}

#[test]
fn a_line_that_was_waited_for_ends_it_even_when_it_is_past() {
    let fake = running().on(FOLLOW, hangs(|| ()).and(Stream::Stdout, b"starting\nready: 1\n"));
    let (told, result) = run(&attaching(|wanted| wanted.until = Some("^ready".into())), &fake);
    assert!(result.is_ok());
    assert_eq!(output(&told), ["starting", "ready: 1"]);
    assert!(told.ends_with("attach finished: Read: the awaited line came"), "{told}");
    assert!(fake.log().ends_with("sh web t1"), "{}", fake.log());
}

#[test]
fn time_and_ctrl_c_detach_and_touch_nothing() {
    let fake = running().on(FOLLOW, hangs(|| ()).and(Stream::Stdout, b"half a line"));
    let (told, result) = run(&attaching(|wanted| wanted.run_duration = Some(Duration::from_millis(1))), &fake);
    assert!(result.is_ok());
    assert_eq!(output(&told), ["half a line"]);
    assert!(told.ends_with("the time is over; the container lives on"), "{told}");
    let interrupt = Interrupt::default();
    let press = interrupt.clone();
    let fake = running().on(FOLLOW, hangs(move || press.press()));
    let (told, result) = run_with(&attaching(|_| ()), &fake, interrupt, &ImageSources::default());
    assert!(result.is_ok());
    assert!(told.ends_with("detached; the container lives on"), "{told}");
    assert_eq!(fake.log().lines().count(), 2, "{}", fake.log());
}

#[test]
fn a_container_that_docker_starts_again_is_followed_from_its_new_start() {
    let fake = running()
        .on(FOLLOW, says(&[b"first\n"]))
        .on(LOOK, says(&[&container("restarting", "t1", 1)]))
        .on(LOOK, says(&[&container("running", "t2", 1)]))
        .on(REST, ends(3))
        .on(FOLLOW, says(&[b"second\n"]));
    let fake = fake
        .on(REST, ends(3))
        .on(LOOK, says(&[&container("exited", "t2", 0)]))
        .on(LOOK, says(&[&container("exited", "t2", 0)]));
    let (told, result) = run(&attaching(|_| ()), &fake);
    assert!(result.is_ok());
    assert_eq!(output(&told), ["first", "second"]);
    let follows: Vec<_> =
        fake.log().lines().filter(|line| line.contains(FOLLOW)).map(|line| line[line.len() - 2..].to_owned()).collect();
    assert_eq!(follows, ["00", "t2"]);
}

#[test]
fn output_that_breaks_off_while_the_container_runs_is_read_on_and_nothing_shown_twice() {
    let fake = running()
        .on(FOLLOW, says(&[b"first\n"]))
        .on(LOOK, says(&[&container("running", "t1", 0)]))
        .on(REST, says(&[b"first\nbetween\n"]))
        .on(FOLLOW, says(&[b"first\nbetween\nsecond\n"]));
    let (told, result) = run(&attaching(|_| ()), &ended(fake, 0));
    assert!(result.is_ok());
    assert_eq!(output(&told), ["first", "between", "second"]);
}

#[test]
fn time_and_ctrl_c_also_end_the_waiting_for_a_container_that_restarts() {
    let mut fake = running().on(FOLLOW, says(&[]));
    for _ in 0..100 {
        fake = fake.on(LOOK, says(&[&container("restarting", "t1", 1)]));
    }
    let (told, result) = run(&attaching(|wanted| wanted.run_duration = Some(Duration::from_millis(1))), &fake);
    assert!(result.is_ok());
    assert!(told.ends_with("the time is over; the container lives on"), "{told}");
}

#[test]
fn a_container_is_removed_at_the_end_when_that_was_asked_for_even_one_that_failed() {
    let stop = |wanted: &mut Attach| wanted.stop_upon_exit = true;
    let there = || says(&[&container("exited", "t1", 3)]);
    let fake = ended(running().on(FOLLOW, says(&[])), 3).on(LOOK, there());
    let (told, result) = run(&attaching(stop), &fake);
    assert!(failure(result).starts_with("ContainerFailed: attach: container `web` ended with exit code 3"));
    assert!(told.ends_with("attach step: remove `web`"), "{told}");
    assert!(fake.log().ends_with("docker container stop -- web\ndocker container rm --force -- web"), "{}", fake.log());
    let gone = || fails(1, "Error: No such container: web");
    let fake = running().on(FOLLOW, says(&[])).on(LOOK, gone()).on(LOOK, gone()).on(LOOK, gone());
    let (told, result) = run(&attaching(stop), &fake);
    assert!(result.is_ok());
    assert!(told.ends_with("the container is gone"), "{told}");
    assert!(!fake.log().contains("stop"), "{}", fake.log());
}

#[test]
fn a_container_that_is_not_there_and_a_docker_that_does_not_answer_are_failures() {
    let fake = Fake::default().on(LOOK, fails(1, "Error: No such container: web"));
    insta::assert_snapshot!(failure(run(&attaching(|_| ()), &fake).1), @"RemoteCommand: attach: there is no container `web` on the device");
    let fake = running().on(FOLLOW, ends(1)).on(LOOK, fails(1, "Cannot connect to the Docker daemon"));
    insta::assert_snapshot!(failure(run(&attaching(|_| ()), &fake).1), @r"
    DockerSilent: attach: `docker container inspect --format '{{/* container */ -}}…' -- web` failed on the device: exit code 1: Cannot connect to the Docker daemon
    | Cannot connect to the Docker daemon
    ");
}

#[test]
fn what_came_before_the_connection_broke_is_shown() {
    let fake = running().on(FOLLOW, breaks().and(Stream::Stdout, b"the last words"));
    let (told, result) = run(&attaching(|_| ()), &fake);
    assert!(failure(result).starts_with("ConnectionLost: attach: "));
    assert_eq!(output(&told), ["the last words"]);
}

#[test]
fn another_connection_goes_on_where_the_lost_one_was_and_says_nothing_twice() {
    let lost = running().on(FOLLOW, breaks().and(Stream::Stdout, b"one\ntw"));
    let again = Fake::default()
        .on(REST, says(&[b"one\ntwo\nthree\n"]))
        .on(FOLLOW, says(&[b"one\ntwo\nthree\nfour\n"]))
        .on(REST, says(&[b"one\ntwo\nthree\nfour\nfive"]));
    let exited = || says(&[&container("exited", "t1", 0)]);
    let again = again.on(LOOK, exited()).on(LOOK, exited());
    let (told, results) = run_again(&attaching(|_| ()), &[&lost, &again], Interrupt::default(), &ImageSources::default());
    assert!(results.first().is_some_and(Result::is_err) && results.last().is_some_and(Result::is_ok));
    assert_eq!(output(&told), ["one", "two", "three", "four", "five"]);
    assert!(again.log().starts_with("sh -c '# prints a container's output between two times…' sh web 1582000000"));
}

#[test]
fn what_a_container_whose_driver_keeps_nothing_says_after_the_loss_is_all_shown() {
    let lost = running().on(FOLLOW, breaks().and(Stream::Stdout, b"one\n"));
    let again = ended(Fake::default().on(REST, ends(3)).on(FOLLOW, says(&[b"two\n"])), 0);
    let (told, _) = run_again(&attaching(|_| ()), &[&lost, &again], Interrupt::default(), &ImageSources::default());
    assert_eq!(output(&told), ["one", "two"]);
}
