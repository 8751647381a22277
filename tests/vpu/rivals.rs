//! Several who want the same device at once, and an application that wants none of them. Who has the lock is looked up on the
//! device, in the lock's own file and among its processes.

use std::time::{Duration, Instant};

use crate::{
    device::{OVP80X, OVP81X, Vpu},
    failures::words,
    images::{Image, noise},
    witness::wait_for,
};

/// What is in the lock on the device; nothing when there is none.
fn lock(vpu: &Vpu) -> String {
    vpu.root("cat /tmp/o3r-deploy/lock 2>/dev/null || true")
}

/// The processes of `oem` on the device that hold the lock.
fn holders(vpu: &Vpu) -> String {
    vpu.root("pgrep -u oem -f 'looks after the lock' || true")
}

/// A deployment that goes on for long: a directory on the device is a pipe's other end for it.
fn slow<'a>(vpu: &Vpu) -> Vec<&'a str> {
    vpu.write("large", noise(1 << 20));
    // The flush at the end of a transfer lasts until it is let go.
    vpu.root(
        "mkfifo -m 666 /home/gate && mv /usr/bin/sync /usr/bin/sync.real && printf '%s\\n' '#!/bin/sh' \
         'if [ -p /home/gate ]; then cat /home/gate >/dev/null; fi; exec sync.real \"$@\"' >/usr/bin/sync && chmod 755 /usr/bin/sync",
    );
    words(&["--transfers_to_vpu", "large,~/large"])
}

fn let_go(vpu: &Vpu) {
    vpu.root("mv /home/gate /home/gate.open && timeout 1 sh -c 'echo >/home/gate.open' || true");
}

fn wait_until_locked(vpu: &Vpu) {
    wait_for("a lock", || Some(lock(vpu)).filter(|lock| !lock.is_empty()));
}

#[test]
fn a_second_deployer_is_told_who_is_first_or_waits() {
    let vpu = Vpu::trusted(OVP81X);
    let words_of_first = slow(&vpu);
    vpu.write("small", "x");
    let first = vpu.start(&words_of_first);
    wait_until_locked(&vpu);
    let second = words(&["--transfers_to_vpu", "small,~/small"]);
    let said = vpu.refused(16, &second);
    assert!(said.contains("error: the device is locked by "), "{said}");
    for part in ["(process ", "since 2", "deploys `deployment`", "--lock-wait SECONDS"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A dry run and one that changes nothing need no lock.
    vpu.succeed(&[&second[..], &["--dry-run"]].concat());
    vpu.succeed(&words(&[]));
    let mut waiting = vpu.start(&[&second[..], &["--lock-wait", "60"]].concat());
    waiting.wait_until_it_says(": waiting for at most ");
    assert_eq!(vpu.root("ls /home/oem/small 2>/dev/null || true"), "");
    let_go(&vpu);
    assert_eq!(first.end().0, 0);
    assert_eq!(waiting.end().0, 0);
    assert_eq!(vpu.root("cat /home/oem/small"), "x");
    assert_eq!((lock(&vpu), holders(&vpu)), (String::new(), String::new()));
}

#[test]
fn what_was_read_before_another_deployed_is_read_again() {
    let vpu = Vpu::trusted(OVP80X);
    let first_words = slow(&vpu);
    vpu.write("other/large", noise(3 << 20));
    let first = vpu.start(&first_words);
    wait_until_locked(&vpu);
    // Planned while the first is at it; by the time it may begin, the first has put what it wants there already.
    let mut second = vpu.start(&[&first_words[..], &["--lock-wait", "60", "--json"]].concat());
    second.wait_until_it_says(": waiting for at most ");
    let_go(&vpu);
    assert_eq!(first.end().0, 0);
    let (code, said) = second.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches(r#""event":"planned""#).count(), 2, "{said}");
    assert!(said.contains(r#""changed":[]"#), "{said}");
}

#[test]
fn a_deployer_that_is_killed_or_whose_device_loses_its_power_leaves_no_lock() {
    let vpu = Vpu::trusted(OVP81X);
    let first = slow(&vpu);
    let killed = vpu.start(&first);
    wait_until_locked(&vpu);
    killed.signal("KILL");
    assert_eq!(killed.end().0, -1);
    wait_for("no lock", || lock(&vpu).is_empty().then_some(()));
    wait_for("no holder", || holders(&vpu).is_empty().then_some(()));

    let cut = vpu.start(&[&first[..], &["--reconnects", "0"]].concat());
    wait_until_locked(&vpu);
    vpu.power_cut();
    assert_eq!(lock(&vpu), "");
    assert_ne!(cut.end().0, 0);
    let_go(&vpu);
    vpu.succeed(&first);
}

#[test]
fn unlock_ends_a_deployment_that_nobody_waits_for_after_a_question() {
    let vpu = Vpu::trusted(OVP81X);
    assert!(vpu.succeed(&["unlock"]).contains("the device is not locked"));
    let first = vpu.start(&slow(&vpu));
    wait_until_locked(&vpu);
    let said = vpu.fails(11, &["unlock"]);
    assert!(said.contains("whose deployment would end in the middle, and nobody can be asked"), "{said}");
    assert!(!lock(&vpu).is_empty());
    let said = vpu.succeed(&["unlock", "--yes"]);
    assert!(said.contains("unlocked; it was locked by "), "{said}");
    let (code, said) = first.end();
    assert!(code == 16 && said.contains("the lock on the device was taken away"), "{code} {said}");
    assert_eq!((lock(&vpu), holders(&vpu)), (String::new(), String::new()));
}

#[test]
fn an_application_holds_updates_off_with_flock_until_it_lets_go_or_force_is_used() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.write("small", "x");
        // As root, as a container would.
        vpu.root(
            "mkdir -p /home/oem/share && touch /home/oem/share/hold_off.lock && chmod 600 /home/oem/share/hold_off.lock \
             && setsid flock /home/oem/share/hold_off.lock sh -c 'touch /held; until [ -e /enough ]; do sleep 0.1; done' </dev/null >/dev/null 2>&1 & \
             until [ -e /held ]; do sleep 0.1; done",
        );
        let deploy = |to: &str| words(&["--transfers_to_vpu", to]).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let with = |to: &str, more: &[&str]| {
            let words: Vec<_> = deploy(to).into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect();
            words
        };
        let run = |words: Vec<String>| vpu.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let (code, said) = run(with("small,~/one", &[]));
        assert_eq!(code, 16, "{said}");
        assert!(
            said.contains("the application holds updates off: `/home/oem/share/hold_off.lock` is locked by process "),
            "{said}"
        );
        assert!(said.contains("`flock`"), "{said}");
        let (code, said) = run(with("small,~/two", &["--force"]));
        assert_eq!(code, 0, "{said}");
        let begin = Instant::now();
        let waiting = with("small,~/three", &["--lock-wait", "60"]);
        let mut waiting = vpu.start(&waiting.iter().map(String::as_str).collect::<Vec<_>>());
        waiting.wait_until_it_says(": waiting for at most ");
        vpu.root("touch /enough");
        assert_eq!(waiting.end().0, 0);
        assert!(begin.elapsed() < Duration::from_secs(30));
        assert_eq!(vpu.root("cd /home/oem && ls -d one two three 2>/dev/null || true"), "three\ntwo\n");
    }
}

/// The second look, under the lock, sees secrets as the first one does.
#[test]
fn secret_stays_when_the_plan_is_made_anew_under_the_lock() {
    let vpu = Vpu::trusted(OVP81X);
    let deployment = |directories: &str| {
        format!(
            "application: app\nlogs: []\nstamp: ''\ndirectories: [{directories}]\nimage: [{{ source: ./app.tar }}]\n\
             compose: {{ file: ./docker-compose.yml, settle: 1, wait: 30, secrets: {{ token: !file ./token }} }}\n"
        )
    };
    let compose = |command: &str| {
        format!(
            "version: '2.4'\nservices:\n  app:\n    image: app:1\n    container_name: app\n    command: {command}\n    volumes: \
             ['./secrets:/secrets:ro']\n"
        )
    };
    vpu.write("token", "s-Xy1");
    vpu.write("o3r-deploy.yaml", deployment(""));
    vpu.write("docker-compose.yml", compose("sleep 100000"));
    Image::new("app:1", "sleep 100000").save(&vpu.home.path().join("app.tar"));
    vpu.succeed(&[]);
    let secret = || vpu.root("find /home/oem -name token -exec cat {} +");
    assert_eq!(secret(), "s-Xy1");
    // A lock of somebody who is gone: the plan is made anew under the lock.
    let stale = || vpu.ssh("printf '%s\\n' tok 999999 1 other '{}' >/tmp/o3r-deploy/lock");
    let container = vpu.container("app", "{{.Id}}");
    stale();
    vpu.write("o3r-deploy.yaml", deployment("~/one"));
    vpu.succeed(&[]);
    assert_eq!(vpu.container("app", "{{.Id}}"), container, "it is not made anew for nothing");
    stale();
    vpu.write("o3r-deploy.yaml", deployment("~/one, ~/two"));
    vpu.write("docker-compose.yml", compose("sh -c 'exit 3'"));
    vpu.fails(17, &[]);
    assert_eq!(secret(), "s-Xy1", "the version before needs it");
    assert_eq!(vpu.container("app", "{{.State.Running}}"), "true");
}

/// Whoever was first leaves a directory that others may not use.
#[test]
fn lock_directory_of_another_user_is_named_and_nothing_hangs() {
    let vpu = Vpu::trusted(OVP80X);
    vpu.write("small", "x");
    let deploy = words(&["--transfers_to_vpu", "small,~/small"]);
    for (prepare, why) in [
        ("mkdir /tmp/o3r-deploy && chown nobody: /tmp/o3r-deploy", "belongs to the user `nobody`"),
        ("ln -s /home/oem /tmp/o3r-deploy", "is a link of the user `root`"),
        ("touch /tmp/o3r-deploy", "is no directory"),
    ] {
        vpu.root(&format!("rm -rf /tmp/o3r-deploy; {prepare}"));
        let begin = Instant::now();
        let said = vpu.fails(15, &deploy);
        assert!(said.contains("the device cannot be locked: ") && said.contains(why), "{said}");
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
    // Another who may use docker shares the lock, in both directions.
    vpu.root("rm -rf /tmp/o3r-deploy; useradd --create-home --groups docker second");
    vpu.succeed(&deploy);
    vpu.write(
        "take",
        o3r_deploy::release::lock::take(&o3r_deploy::release::lock::Claim { token: "other", who: "{}", ..Default::default() })
            .line(),
    );
    let line = std::fs::read_to_string(vpu.home.path().join("take")).expect("it is there");
    vpu.ssh_command("cat >/tmp/take")
        .stdin(std::fs::File::open(vpu.home.path().join("take")).expect("opened"))
        .status()
        .expect("sent");
    assert!(!line.is_empty());
    vpu.root("(while echo; do sleep 1; done | su second -c 'sh /tmp/take') >/tmp/second 2>&1 &");
    wait_for("the second user's lock", || lock(&vpu).starts_with("other").then_some(()));
    vpu.write("small", "y");
    vpu.refused(16, &deploy);
    vpu.succeed(&["unlock", "--yes"]);
    vpu.succeed(&deploy);
}
