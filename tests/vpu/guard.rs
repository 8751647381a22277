//! Who started an update goes away in its middle: the guard on the device puts the version before it back, also after a power
//! cut, and leaves nothing behind.

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu},
    images::Image,
    program::Program,
    swap::{SERVES, first_version, lasting, runs, second_version},
    witness::wait_for,
};

/// Not healthy, and not ill either, for long.
fn slow() -> Image {
    Image::new("app:1", SERVES).health("sleep 18")
}

/// Starts an update and waits until its container runs.
fn in_the_middle(vpu: &Vpu, image: &Image) -> (Program, String) {
    let id = second_version(vpu, image, "");
    let program = vpu.start(&[]);
    wait_for("the new container", || {
        (vpu.container("app", "{{.State.Running}} {{.Image}}") == format!("true {id}")).then_some(())
    });
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
    assert_eq!(vpu.root("pgrep -u oem -f swap/guard | wc -l").trim(), "1", "one guard: {}", guards(&vpu));
    program.signal("KILL");
    program.end();
    wait_for("the old container", || {
        (vpu.container("app", "{{.State.Running}} {{.Image}}") == format!("true {id}")).then_some(())
    });
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
        wait_for("the old container", || {
            (vpu.container("app", "{{.State.Running}} {{.Image}}") == format!("true {id}")).then_some(())
        });
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
