//! A version that runs and has still to settle, and what goes on meanwhile.

use std::time::Duration;

use super::{
    up::{LOOK, bringing, container},
    *,
};
use crate::{
    config::Attach,
    plan::{FollowContainer, KeepVersion},
    release::{KeptService, Snapshot},
    remote::Stream,
};

const FOLLOW: &str = "follows a container";
const CONFIRM: &str = "makes the version that was kept the previous one";
const PUT_BACK: &str = "sh -c '# puts the version that was kept back";

/// Returns an update (or a first deployment) that settles for a moment while a container's output is shown.
fn settling(first: bool, autostart: Option<Action>) -> Plan {
    let mut all = bringing(first, 60);
    all.stages.pop();
    for action in all.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
        if let Action::Up(bringing) = action {
            bringing.settle = Duration::from_millis(300);
        }
    }
    if !first {
        let service = KeptService { name: "web".into(), runs: true, ..KeptService::default() };
        let snapshot = Snapshot { services: vec![service], ..Snapshot::default() };
        let keeping = KeepVersion { snapshot: Box::new(snapshot), ..KeepVersion::default() };
        all.stages.insert(0, stage(Stage::Transfers, vec![Action::Keep(keeping)]));
    }
    all.stages.extend(autostart.map(|action| stage(Stage::Autostart, vec![action])));
    let wanted = Attach { container: "web".into(), run_duration: None, until: Some("ready".into()), stop_upon_exit: false };
    all.stages.push(stage(Stage::Attach, vec![Action::Attach(FollowContainer { wanted, clock: 1_582_000_000 })]));
    all
}

fn runs() -> crate::remote::fake::Answer {
    says(&[&container("running", "healthy", 0)])
}

fn looks(fake: Fake, number: usize) -> Fake {
    (0..number).fold(fake, |fake, _| fake.on(LOOK, runs()))
}

/// Adds that the output of the container is shown, with the line that is waited for.
fn is_shown(fake: Fake) -> Fake {
    fake.on("docker container inspect", runs()).on(FOLLOW, hangs(|| ()).and(Stream::Stdout, b"ready\n"))
}

#[test]
fn version_is_confirmed_once_it_has_settled_and_the_output_is_shown_meanwhile() {
    let fake = looks(is_shown(Fake::default()), 20);
    let (told, result) = run(&settling(false, None), &fake);
    assert!(result.is_ok(), "{told}");
    let at = |words: &str| told.find(words).unwrap_or_else(|| panic!("{words} in {told}"));
    assert!(at("compose finished: Done: web up and healthy after") < at("output: ready"), "{told}");
    assert!(at("output: ready") < at("attach step: watch web for 1 s more"), "{told}");
    assert!(fake.log().ends_with("sh /home/oem/.o3r-deploy/ '' ''"), "the confirmation comes last: {}", fake.log());
}

#[test]
fn version_that_ends_while_its_output_is_shown_is_put_back() {
    let ended = || says(&[&container("exited", "none", 3)]);
    let fake = looks(Fake::default().on("docker container inspect", runs()).on(FOLLOW, hangs(|| ())), 1)
        .on(LOOK, ended())
        .on(PUT_BACK, says(&[b"containers\n"]))
        .on("last lines", says(&[b"dying\n"]))
        .on(LOOK, runs());
    let (told, result) = run(&settling(false, None), &fake);
    let seconds = regex_lite::Regex::new(r"\d+\.\d s").expect("a pattern");
    insta::assert_snapshot!(seconds.replace_all(&failure(result), "… s"), @r"
    RolledBack: compose: container `web` ended with exit code 3; the previous version is back and runs, … s after that
    | dying
    ");
    assert!(!fake.log().contains(CONFIRM), "{}", fake.log());
    assert!(!told.contains("attach finished"), "{told}");
}

#[test]
fn first_deployment_that_ends_while_its_output_is_shown_is_taken_down() {
    let ended = says(&[&container("exited", "none", 3)]);
    let fake = looks(Fake::default().on("docker container inspect", runs()).on(FOLLOW, hangs(|| ())), 1).on(LOOK, ended);
    let (_, result) = run(&settling(true, None), &fake);
    assert_eq!(failure(result), "Unhealthy: compose: container `web` ended with exit code 3");
    assert!(fake.log().contains("down --remove-orphans"), "{}", fake.log());
}

#[test]
fn autostart_of_a_first_deployment_waits_until_it_has_settled() {
    let fake = looks(is_shown(Fake::default()), 20);
    let (told, result) = run(&settling(true, Some(make("/autostart"))), &fake);
    assert!(result.is_ok(), "{told}");
    let log = fake.log();
    assert!(log.find(CONFIRM) < log.find("mkdir /autostart"), "{log}");
}

#[test]
fn version_stays_when_it_settles_though_a_later_stage_fails() {
    let fake = looks(Fake::default(), 20).on("mkdir /autostart", fails(1, "no"));
    let (_, result) = run(&settling(false, Some(make("/autostart"))), &fake);
    assert!(failure(result).starts_with("RemoteCommand: autostart: "));
    assert!(fake.log().contains(CONFIRM) && !fake.log().contains(PUT_BACK), "{}", fake.log());
}

#[test]
fn ctrl_c_detaches_first_and_ends_the_settling_then() {
    let interrupt = Interrupt::default();
    let (detach, press) = (interrupt.clone(), interrupt.clone());
    let fake = looks(Fake::default().on("docker container inspect", runs()).on(FOLLOW, hangs(move || detach.press())), 1)
        .on(LOOK, hangs(move || press.press()))
        .on(PUT_BACK, says(&[b"containers\n"]))
        .on(LOOK, runs());
    let (_, result) = run_with(&settling(false, None), &fake, interrupt, &ImageSources::default());
    assert!(failure(result).starts_with("Interrupted: compose: interrupted; the previous version is back"));
}

#[test]
fn settling_goes_on_over_the_next_connection_and_brings_nothing_up_again() {
    let lost = looks(Fake::default().on("docker container inspect", runs()).on(FOLLOW, breaks()), 1);
    let next = looks(is_shown(Fake::default()).on("between two times", says(&[b"ready\n"])), 20);
    let (told, mut results) =
        run_again(&settling(false, None), &[&lost, &next], Interrupt::default(), &ImageSources::default());
    assert!(results.remove(1).is_ok(), "{told}");
    assert!(failure(results.remove(0)).starts_with("ConnectionLost: "));
    assert!(!next.log().contains("up --detach") && next.log().contains(CONFIRM), "{}", next.log());
    // Another version is there meanwhile.
    let lost = looks(Fake::default().on("docker container inspect", runs()).on(FOLLOW, breaks()), 1);
    let other = String::from_utf8(container("running", "healthy", 0)).expect("text").replace("\"t1\"", "\"t2\"");
    let next = looks(Fake::default().on(LOOK, says(&[other.as_bytes()])), 20);
    run_again(&settling(false, None), &[&lost, &next], Interrupt::default(), &ImageSources::default());
    assert!(next.log().contains("up --detach"), "{}", next.log());
}

#[test]
fn exit_code_of_a_run_that_is_over_comes_from_dockers_events() {
    let restarts = |number: u32| {
        let text = String::from_utf8(container("running", "starting", 0)).expect("text");
        says(&[text.replace("\"RestartCount\":0", &format!("\"RestartCount\":{number}")).as_bytes()])
    };
    let fake = Fake::default().on(LOOK, restarts(0)).on(LOOK, restarts(3)).on("which exit code", says(&[b"7\n"]));
    let (_, result) = run(&bringing(true, 60), &fake);
    assert_eq!(failure(result), "Unhealthy: compose: container `web` restarts in a loop (last exit code 7)");
}
