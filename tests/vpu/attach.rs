//! Attaching to a container: all of its output, whatever ends it, and nothing that could reach the container.

use std::{process::Command, time::Instant};

use crate::{
    device::{OVP80X, OVP81X, Vpu, text},
    images::Image,
    program::Program,
    witness::wait_for,
};

/// Only attach: nothing is written to the device and no logs are pulled.
const ONLY: [&str; 6] = ["--get_logs_from_vpu", "", "--append_deployment_timestamp_to", "", "--attach_to", "talker"];

/// Runs a script in a container called `talker`; docker's options may be given.
fn talker(vpu: &Vpu, script: &str, options: &str) {
    let archive = vpu.home.path().join("talker.tar");
    Image::new("talker:1", script).save(&archive);
    vpu.load_image(&archive);
    vpu.ssh(&format!("mkdir -p ~/share && docker run --detach --name talker -v /home/oem/share:/share {options} talker:1"));
}

/// Says `ready` every tenth of a second until a file is there, and then what `then` says.
fn when_told(then: &str) -> String {
    format!("while ! test -e /share/go; do echo ready; sleep 0.1; done; {then}")
}

fn go(vpu: &Vpu) {
    vpu.ssh("touch ~/share/go");
}

/// Waits until no process of oem's follows the container.
fn no_follower_is_left(vpu: &Vpu) {
    wait_for("no follower left on the device", || {
        let processes = vpu.root("ps -u oem -o args=");
        (!processes.contains("talker")).then_some(())
    });
}

fn lives(vpu: &Vpu) {
    assert_eq!(vpu.container("talker", "{{.State.Running}} {{.RestartCount}}"), "true 0", "the container lives on");
}

/// The lines that the container said.
fn lines<'a>(said: &'a str, first: &str) -> Vec<&'a str> {
    said.lines().filter(|line| line.starts_with(first)).collect()
}

/// The lines are those expected; names the first that is not.
fn same(lines: &[&str], expected: &[String], what: &str) {
    for (at, (line, expected)) in lines.iter().zip(expected).enumerate() {
        assert_eq!(line, expected, "{what}: after {at} lines");
    }
    assert_eq!(lines.len(), expected.len(), "{what}: lines");
}

#[test]
fn five_thousand_lines_and_the_end_arrive_in_order_with_the_exit_code() {
    let vpu = Vpu::trusted(OVP81X);
    let script = "for i in $(seq 5000); do echo \"line $i ü€😀\"; done; printf 'line without an end'; exit 3";
    for driver in ["journald", "json-file", "none"] {
        vpu.ssh("rm -f ~/share/go; docker rm --force talker 2>/dev/null || true");
        talker(&vpu, &when_told(script), &format!("--log-driver {driver}"));
        let mut program = vpu.start(&ONLY);
        program.wait_until_it_says("ready");
        go(&vpu);
        let (code, said) = program.end();
        assert_eq!(code, 14, "{driver}: {}", &said[said.len().saturating_sub(2000)..]);
        assert!(said.contains("container `talker` ended with exit code 3"), "{driver}: the exit code is said");
        let expected: Vec<_> = (1..=5000).map(|i| format!("line {i} ü€😀")).chain(["line without an end".into()]).collect();
        // What follows the failure repeats the last lines.
        let failure = said.find("error:").expect("a failure");
        same(&lines(&said[..failure], "line "), &expected, driver);
        no_follower_is_left(&vpu);
    }
}

#[test]
fn a_container_that_docker_starts_again_is_followed_on_with_each_line_once() {
    let vpu = Vpu::trusted(OVP81X);
    let script = "mkdir -p /share/runs; n=$(ls /share/runs | wc -l); touch /share/runs/$n; \
                  echo line of run $n begins; echo line of run $n ends; test $n = 3";
    talker(&vpu, &when_told(script), "--restart on-failure");
    let mut program = vpu.start(&ONLY);
    program.wait_until_it_says("ready");
    go(&vpu);
    let (code, said) = program.end();
    assert_eq!(code, 0, "{said}");
    let expected: Vec<_> = (0..4).flat_map(|n| [format!("line of run {n} begins"), format!("line of run {n} ends")]).collect();
    same(&lines(&said, "line "), &expected, "journald");
}

#[test]
fn a_container_that_ends_well_ends_the_program_well() {
    let vpu = Vpu::trusted(OVP81X);
    talker(&vpu, &when_told("echo the last line"), "");
    let mut program = vpu.start(&ONLY);
    program.wait_until_it_says("ready");
    go(&vpu);
    let (code, said) = program.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the last line\n") && said.contains("`talker` ended with exit code 0"), "{said}");
}

#[test]
fn ctrl_c_detaches_and_the_container_lives_on() {
    for driver in ["journald", "none"] {
        let vpu = Vpu::trusted(OVP81X);
        talker(&vpu, &when_told(""), &format!("--log-driver {driver}"));
        let mut program = vpu.start(&ONLY);
        program.wait_until_it_says("ready");
        program.signal("INT");
        let (code, said) = program.end();
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("detached; the container lives on"), "{said}");
        no_follower_is_left(&vpu);
        lives(&vpu);
    }
}

#[test]
fn a_connection_that_drops_is_a_failure_and_the_container_lives_on() {
    for driver in ["journald", "none"] {
        let vpu = Vpu::trusted(OVP80X);
        talker(&vpu, &when_told(""), &format!("--log-driver {driver}"));
        let mut program: Program = vpu.start(&[&ONLY[..], &["--reconnects", "0"]].concat());
        program.wait_until_it_says("ready");
        vpu.root("pkill -KILL -u oem -x sshd");
        let (code, said) = program.end();
        assert_eq!(code, 12, "{said}");
        assert!(said.contains("error: attach: "), "{said}");
        no_follower_is_left(&vpu);
        lives(&vpu);
    }
}

#[test]
fn a_program_that_is_killed_leaves_no_follower_and_the_container_lives_on() {
    let vpu = Vpu::trusted(OVP81X);
    // It says nothing more: a follower would never notice by writing.
    talker(&vpu, "echo ready; sleep 100000", "");
    let program = vpu.start(&[&ONLY[..], &["--run_duration", "30"]].concat());
    wait_for("a follower", || vpu.root("ps -u oem -o args=").contains("docker container logs").then_some(()));
    program.signal("KILL");
    program.end();
    no_follower_is_left(&vpu);
    lives(&vpu);
}

#[test]
fn the_time_given_ends_it_without_burning_a_core() {
    let vpu = Vpu::trusted(OVP81X);
    talker(&vpu, &when_told(""), "");
    let words = [&ONLY[..], &["--run_duration", "6"]].concat();
    let program = vpu.command(&words);
    // bash tells how much processor time its children took.
    let mut timed = Command::new("bash");
    timed.args(["-c", "\"$@\"; code=$?; times | tail -n 1; exit $code", "bash"]).arg(program.get_program()).args(&words);
    let begin = Instant::now();
    let output = vpu.environment(&mut timed).output().expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(begin.elapsed().as_secs() >= 6, "{said}");
    assert!(said.contains("the time is over; the container lives on"), "{said}");
    let times = said.lines().find(|line| line.starts_with("0m")).expect("the times");
    let seconds: f64 = times
        .split_whitespace()
        .map(|time| time.trim_start_matches("0m").trim_end_matches('s').parse::<f64>().expect("seconds"))
        .sum();
    assert!(seconds < 3.0, "it took {seconds} s of processor time while it waited for six");
    lives(&vpu);
}

#[test]
fn a_line_that_matches_ends_it_even_when_it_was_said_before() {
    let vpu = Vpu::trusted(OVP81X);
    talker(&vpu, "echo self test passed ü; sleep 100000", "");
    wait_for("the line", || vpu.root("docker logs talker").contains("passed").then_some(()));
    let file = "logs: []\nstamp: ''\nattach: { container: talker, until: 'test (passed|failed) ü' }\n";
    vpu.write("o3r-deploy.yaml", file);
    let (code, said) = vpu.start(&[]).end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("self test passed ü\n") && said.contains("the awaited line came"), "{said}");
    lives(&vpu);
}

#[test]
fn stop_upon_exit_removes_the_container_and_only_that() {
    let vpu = Vpu::trusted(OVP81X);
    talker(&vpu, &when_told(""), "");
    vpu.ssh("docker run --detach --name other talker:1");
    let said = vpu.succeed(&[&ONLY[..], &["--run_duration", "1", "--stop_upon_exit"]].concat());
    assert!(said.contains("ready"), "{said}");
    assert_eq!(vpu.root("docker container ls --all --format '{{.Names}} {{.State}}'"), "other running\n");
}
