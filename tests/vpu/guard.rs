//! Who started an update goes away in its middle: the guard on the device puts the version before it back, also after a power
//! cut, and leaves nothing behind.

use std::time::Duration;

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu},
    images::Image,
    program::Program,
    proxy::{Fault, Proxy},
    swap::{SERVES, compose, first_files, first_version, lasting, runs, second_version},
    witness::wait_for,
};

/// Not healthy, and not ill either, for long.
fn slow() -> Image {
    Image::new("app:1", SERVES).health("sleep 18")
}

/// Waits until the container of an image runs.
fn is_there(vpu: &Vpu, id: &str) {
    let container = || vpu.container("app", "{{.State.Running}} {{.Image}}");
    wait_for("the container", || (container() == format!("true {id}")).then_some(()));
}

/// Starts an update and waits until its container runs.
fn in_the_middle(vpu: &Vpu, image: &Image) -> (Program, String) {
    let id = second_version(vpu, image, "");
    let program = vpu.start(&[]);
    is_there(vpu, &id);
    (program, id)
}

/// The guard's processes and its unit.
fn guards(vpu: &Vpu) -> String {
    vpu.root("pgrep -u oem -fa swap/guard || true; find /home/oem -name 'o3r-deploy-guard*'")
}

fn killed(kind: Kind, prepare: &str) {
    let vpu = Vpu::trusted(kind);
    vpu.root(prepare);
    let id = first_version(&vpu);
    let before = lasting(&vpu);
    let (program, _) = in_the_middle(&vpu, &slow());
    // A part of it that has not become another program yet looks like a second one.
    wait_for("one guard", || (vpu.root("pgrep -u oem -f swap/guard | wc -l").trim() == "1").then_some(()));
    program.signal("KILL");
    program.end();
    is_there(&vpu, &id);
    runs(&vpu, &id, "one");
    wait_for("the guard's end", || guards(&vpu).is_empty().then_some(()));
    wait_for("the device as it was", || (lasting(&vpu) == before).then_some(()));
}

#[test]
fn a_deployer_that_is_killed_leaves_the_version_before_to_the_guard_though_sessions_take_their_processes_along() {
    killed(
        OVP81X,
        "mkdir -p /etc/systemd/logind.conf.d && printf '[Login]\\nKillUserProcesses=yes\\n' >/etc/systemd/logind.conf.d/kill.conf \
         && systemctl restart systemd-logind",
    );
}

#[test]
fn without_a_systemd_of_the_user_the_guard_is_a_process_of_its_own() {
    killed(
        OVP80X,
        "mv /usr/bin/systemctl /usr/bin/systemctl.real && printf '%s\\n' '#!/bin/sh' \
         'case \"$*\" in *guard*) exit 1 ;; esac' 'exec systemctl.real \"$@\"' >/usr/bin/systemctl && chmod 755 /usr/bin/systemctl",
    );
}

#[test]
fn a_power_cut_in_the_middle_of_an_update_brings_the_version_before_back_at_the_next_start() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        let id = first_version(&vpu);
        let (program, _) = in_the_middle(&vpu, &slow());
        vpu.power_cut();
        drop(program);
        is_there(&vpu, &id);
        runs(&vpu, &id, "one");
        wait_for("the guard's end", || guards(&vpu).is_empty().then_some(()));
        // The same command goes on, and what it brings stays.
        let second = second_version(&vpu, &Image::new("app:1", SERVES).health("true"), "");
        vpu.succeed(&[]);
        runs(&vpu, &second, "two");
        assert_eq!(guards(&vpu), "");
        vpu.power_cut();
        runs(&vpu, &second, "two");
    }
}

#[test]
fn a_second_try_stands_the_guard_of_the_first_down() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    let (program, _) = in_the_middle(&vpu, &slow());
    program.signal("KILL");
    program.end();
    let said = vpu.succeed(&[]);
    assert!(said.contains("up and healthy"), "{said}");
    let id = vpu.root("docker image inspect --format '{{.Id}}' app:1").trim().to_owned();
    assert_ne!(id, first);
    runs(&vpu, &id, "two");
    wait_for("no guard", || guards(&vpu).is_empty().then_some(()));
    // What can be gone back to is what ran before the first try.
    assert_eq!(vpu.root("docker image ls --no-trunc --format '{{.ID}}' o3r-deploy.previous").trim(), first);
    assert_eq!(vpu.root("cat /home/oem/.o3r-deploy/app/previous/files/home/oem/settings/motto"), "one\n");
}

/// Starts an update and kills its deployer as soon as the new container runs.
fn killed_with_the_new_container(vpu: &Vpu, image: &Image) -> String {
    let (program, id) = in_the_middle(vpu, image);
    program.signal("KILL");
    program.end();
    id
}

/// Until a guard that believes its deployer gone would have acted.
fn stays(vpu: &Vpu, id: &str, motto: &str) {
    std::thread::sleep(Duration::from_secs(30));
    runs(vpu, id, motto);
    assert_eq!(guards(vpu), "");
}

/// Nothing is left to send, the new container runs, and yet nobody has confirmed it.
#[test]
fn an_update_that_was_cut_off_at_its_end_is_carried_on_and_stays() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    // All else is as it was.
    let second = Image::new("app:1", &format!("{SERVES}; true")).save(&vpu.home.path().join("app.tar"));
    let program = vpu.start(&[]);
    wait_for("the new container", || (vpu.container("app", "{{.Image}}") == second).then_some(()));
    program.signal("KILL");
    program.end();
    let said = vpu.succeed(&[]);
    assert!(said.contains("app runs after"), "{said}");
    stays(&vpu, &second, "one");
    assert_eq!(vpu.root("docker image ls --no-trunc --format '{{.ID}}' o3r-deploy.previous").trim(), first);
    assert!(vpu.succeed(&[]).contains("nothing to change on the device"));
}

/// A guard that has begun and cannot end does not stand in the way of a version that runs.
#[test]
fn what_a_guard_that_failed_has_left_is_no_hindrance() {
    let vpu = Vpu::trusted(OVP80X);
    let first = first_version(&vpu);
    killed_with_the_new_container(&vpu, &slow());
    // What the version before needs is gone for now: its name is another container's.
    vpu.root("docker container rename app away && docker container create --name app app:1 true >/dev/null");
    wait_for("the guard", || vpu.root("ls /home/oem/.o3r-deploy/app/swap").contains("putting_back").then_some(()));
    std::thread::sleep(Duration::from_secs(5));
    vpu.root("docker container rm --force app");
    let second = second_version(&vpu, &Image::new("app:1", SERVES).health("true"), "");
    vpu.succeed(&["--lock-wait", "60"]);
    stays(&vpu, &second, "two");
    assert_eq!(vpu.root("docker image ls --no-trunc --format '{{.ID}}' o3r-deploy.previous").trim(), first);
}

/// It tries again: what it needs may be there in a while.
#[test]
fn a_guard_that_fails_at_first_brings_the_version_before_back_in_the_end() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    let before = lasting(&vpu);
    killed_with_the_new_container(&vpu, &slow());
    vpu.root("docker container rename app away && docker container create --name app app:1 true >/dev/null");
    wait_for("the guard", || vpu.root("ls /home/oem/.o3r-deploy/app/swap").contains("putting_back").then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    vpu.root("docker container rm --force app");
    is_there(&vpu, &first);
    runs(&vpu, &first, "one");
    wait_for("the guard's end", || guards(&vpu).is_empty().then_some(()));
    wait_for("the device as it was", || (lasting(&vpu) == before).then_some(()));
}

/// Its own deployer's lock is the sign of life that it waits for, not that of whoever comes next.
#[test]
fn another_who_has_the_lock_is_no_sign_of_life() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    killed_with_the_new_container(&vpu, &slow());
    wait_for("the end of its lock", || vpu.root("ls /tmp/o3r-deploy").lines().all(|name| name != "lock").then_some(()));
    vpu.ssh(
        "cp ~/.o3r-deploy/app/swap/lock ~/take_lock
         (while echo; do sleep 2; done | sh ~/take_lock take /tmp/o3r-deploy other '' '{}' 60 '') >/dev/null 2>&1 &",
    );
    wait_for("another's lock", || vpu.root("cat /tmp/o3r-deploy/lock").starts_with("other").then_some(()));
    wait_for("the guard", || vpu.root("ls /home/oem/.o3r-deploy/app/swap").contains("putting_back").then_some(()));
    assert!(vpu.root("cat /tmp/o3r-deploy/lock").starts_with("other"), "it is still there, and waited for");
    assert_ne!(vpu.container("app", "{{.Image}}"), first);
    vpu.root("pkill -u oem -f 'take_lock take'");
    is_there(&vpu, &first);
    runs(&vpu, &first, "one");
}

/// Who only shows a container's output has given the lock back.
#[test]
fn who_looks_on_keeps_no_guard_waiting() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    killed_with_the_new_container(&vpu, &slow());
    vpu.write("other.yaml", "application: other\nlogs: []\nstamp: ''\ndirectories: [~/other]\nattach: { container: quiet }\n");
    vpu.root("docker container run --detach --name quiet --entrypoint /bin/sh app:1 -c 'sleep 1000' >/dev/null");
    let mut other = vpu.start(&["--config", "other.yaml", "--lock-wait", "30"]);
    other.wait_until_it_says("attach: ");
    is_there(&vpu, &first);
    assert!(other.runs(), "it looks on still");
    runs(&vpu, &first, "one");
}

/// What systemd starts at boot follows the containers, and would stop what the guard has brought back.
#[test]
fn after_a_power_cut_the_guard_is_first_though_the_deployment_says_nothing_of_the_autostart() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    let text = std::fs::read_to_string(vpu.home.path().join("o3r-deploy.yaml")).expect("it is there");
    vpu.write("o3r-deploy.yaml", text.lines().filter(|line| !line.starts_with("autostart")).collect::<Vec<_>>().join("\n"));
    let (program, _) = in_the_middle(&vpu, &slow());
    vpu.power_cut();
    drop(program);
    is_there(&vpu, &first);
    wait_for("the guard's end", || guards(&vpu).is_empty().then_some(()));
    wait_for("the unit", || (!vpu.root("pgrep -u oem -f 'docker-compose.* up' || true").is_empty()).then_some(()));
    std::thread::sleep(Duration::from_secs(15));
    runs(&vpu, &first, "one");
}

/// docker-compose goes on by itself when the connection goes. The next one waits for it.
#[test]
fn a_connection_that_is_lost_while_docker_compose_works_is_made_again_and_the_update_ends_well() {
    let vpu = Vpu::trusted(OVP81X);
    first_version(&vpu);
    // The version that runs takes its ten seconds to end.
    vpu.write("docker-compose.yml", compose("    restart: unless-stopped\n    stop_signal: SIGTERM\n"));
    vpu.succeed(&[]);
    let proxy = Proxy::new(&vpu.address, 22);
    let port = proxy.port.to_string();
    let second = second_version(&vpu, &Image::new("app:1", SERVES).health("true"), "    stop_signal: SIGTERM\n");
    let mut program = vpu.start(&["--accept-new", "--port", &port]);
    program.wait_until_it_says("docker-compose --project-name app");
    std::thread::sleep(Duration::from_secs(2));
    proxy.trip(Fault::Cut);
    let (code, said) = program.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("connecting again"), "{said}");
    stays(&vpu, &second, "two");
}

/// The second of two images is under way: files and references are the new version's, and its containers are those of the old one.
#[test]
fn power_cut_before_containers_change_boots_the_previous_version() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    let second = Image::new("app:1", &format!("echo two; {SERVES}")).health("true");
    second_version(&vpu, &second, "    restart: always\n");
    let text = std::fs::read_to_string(vpu.home.path().join("o3r-deploy.yaml")).expect("it is there");
    vpu.write("o3r-deploy.yaml", text.replace("name: 'app:1' }", "name: 'app:1' }, { source: ./other.tar, name: 'other:1' }"));
    Image::new("other:1", "true").layer("data", 0o644, crate::images::noise(24 << 20)).save(&vpu.home.path().join("other.tar"));
    let proxy = Proxy::new(&vpu.address, 22);
    let port = proxy.port.to_string();
    let mut program = vpu.start(&["--accept-new", "--port", &port]);
    program.wait_until_it_says("image: ");
    wait_for("the new reference", || (vpu.root("docker image inspect --format '{{.Id}}' app:1").trim() != first).then_some(()));
    proxy.trip(Fault::Stall);
    assert_eq!(vpu.root("cat /home/oem/settings/motto"), "two\n");
    program.signal("KILL");
    program.end();
    vpu.power_cut();
    is_there(&vpu, &first);
    runs(&vpu, &first, "one");
    assert_eq!(vpu.root("docker container ls --all --quiet | wc -l").trim(), "1");
    wait_for("the guard's end", || guards(&vpu).is_empty().then_some(()));
}

/// Half a first application does not start with the device, whatever its restart policy.
#[test]
fn power_cut_in_a_first_deployment_boots_without_the_application() {
    let vpu = Vpu::trusted(OVP81X);
    first_files(&vpu, &slow(), "    restart: always\n");
    let program = vpu.start(&[]);
    wait_for("the container", || (vpu.container("app", "{{.State.Running}}") == "true").then_some(()));
    vpu.power_cut();
    drop(program);
    wait_for("no container", || vpu.root("docker container ls --all --quiet").is_empty().then_some(()));
    wait_for("the guard's end", || guards(&vpu).is_empty().then_some(()));
    let said = vpu.succeed(&[]);
    assert!(said.contains("app"), "{said}");
    assert_eq!(vpu.container("app", "{{.State.Running}}"), "true");
    assert_eq!(vpu.root("ls /home/oem/.o3r-deploy/app").trim(), "history.jsonl\nrecord.json");
}

/// Who comes while the guard puts back waits for it.
#[test]
fn same_command_waits_for_the_guard_that_puts_back() {
    let vpu = Vpu::trusted(OVP81X);
    first_version(&vpu);
    // docker-compose takes its time on the way back.
    killed_with_the_new_container(&vpu, &slow());
    vpu.root(
        "mv /usr/bin/docker-compose /usr/bin/docker-compose.real && printf '%s\\n' '#!/bin/sh' 'sleep 5; exec docker-compose.real \"$@\"' \
         >/usr/bin/docker-compose && chmod 755 /usr/bin/docker-compose",
    );
    wait_for("the guard's lock", || {
        vpu.root("cat /tmp/o3r-deploy/lock 2>/dev/null || true").contains("\"guard\":true").then_some(())
    });
    let said = vpu.succeed(&[]);
    assert!(said.contains("the device is locked by its own guard") && said.contains(": waiting for at most "), "{said}");
    assert!(!said.contains("unlock"), "{said}");
    assert_eq!(vpu.root("cat /home/oem/settings/motto"), "two\n");
}
