//! A device that does not answer, answers more than it was asked, or has room for one command at a time.

use std::time::{Duration, Instant};

use crate::{
    device::{OVP80X, OVP81X, Vpu},
    images::{Image, noise},
    program::Program,
    swap::{SERVES, first_version, runs, second_version},
    witness::wait_for,
};

fn bash(vpu: &Vpu, bashrc: &str) {
    vpu.root("usermod --shell /bin/bash oem");
    vpu.root(&format!("cat >/home/oem/.bashrc <<'E'\n{bashrc}\nE\nchown oem: /home/oem/.bashrc"));
}

fn sshd(vpu: &Vpu, line: &str) {
    vpu.root(&format!("sed -i '/^MaxSessions/d; 1i {line}' /etc/ssh/sshd_config && systemctl reload ssh"));
}

#[test]
fn all_that_is_understood_is_understood_behind_a_login_shell_that_talks() {
    let vpu = Vpu::trusted(OVP81X);
    bash(&vpu, "echo hello; printf 'taken\\n'; echo x >&2; echo '-bash: warning: setlocale: LC_ALL' >&2");
    vpu.root("printf 'echo from rc\\necho from rc >&2\\n' >/home/oem/.ssh/rc && chown oem: /home/oem/.ssh/rc");
    let first = first_version(&vpu);
    let said = vpu.succeed(&[]);
    assert!(!said.contains("✓ compose"), "{said}");
    let second = second_version(&vpu, &Image::new("app:1", SERVES).health("true").file("new", 0o644, vec![1]), "");
    vpu.succeed(&[]);
    runs(&vpu, &second, "two");
    vpu.succeed(&["rollback"]);
    runs(&vpu, &first, "one");
    assert!(vpu.succeed(&["history"]).lines().count() >= 3);
    let (code, said) = vpu.run(&["unlock"]);
    assert!(code == 0 && said.contains("the device is not locked"), "{said}");
    vpu.succeed(&["verify"]);
}

#[test]
fn a_login_shell_that_does_not_come_to_the_command_is_named_and_nothing_is_changed() {
    let vpu = Vpu::trusted(OVP81X);
    first_version(&vpu);
    second_version(&vpu, &Image::new("app:1", SERVES).health("true").file("new", 0o644, vec![1]), "");
    for (bashrc, says) in [("read -r line", "does not come to the command within"), ("exit", "ended before the command began")]
    {
        bash(&vpu, bashrc);
        let before = vpu.root("cd /home/oem && find . | sort | sha256sum; docker image ls --quiet");
        let begin = Instant::now();
        for words in [&[][..], &["doctor"], &["rollback"]] {
            let (code, said) = vpu.run(words);
            assert!(code == 15 && said.contains("the login shell of `oem`") && said.contains(says), "{code} {said}");
        }
        assert!(begin.elapsed() < Duration::from_secs(90), "{:?}", begin.elapsed());
        assert_eq!(vpu.root("cd /home/oem && find . | sort | sha256sum; docker image ls --quiet"), before);
    }
}

#[test]
fn docker_that_does_not_answer_is_named_in_bounded_time() {
    let vpu = Vpu::trusted(OVP81X);
    first_version(&vpu);
    let next = Image::new("app:1", SERVES).health("true").file("new", 0o644, noise(60 << 20));
    let id = second_version(&vpu, &next, "");
    vpu.root("kill -STOP $(pidof dockerd)");
    let begin = Instant::now();
    let (code, said) = vpu.run(&[]);
    assert!(code == 15 && said.contains("docker does not answer"), "{code} {said}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    let (code, said) = vpu.run(&["doctor"]);
    assert!(code == 15 && said.contains("docker does not answer on the device"), "{code} {said}");
    assert!(said.lines().any(|line| line.starts_with("?") && line.contains("log_driver")), "{said}");
    vpu.root("kill -CONT $(pidof dockerd)");

    // In the middle of a load.
    let mut program = vpu.start(&[]);
    program.wait_until_it_says("send ");
    vpu.root("kill -STOP $(pidof dockerd)");
    let begin = Instant::now();
    let (code, said) = wait_long(program);
    assert!(code == 15 && said.contains("docker does not answer"), "{code} {said}");
    assert!(!said.contains("does not take"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(240), "{:?}", begin.elapsed());
    wait_for("nothing left running", || vpu.root("pgrep -u oem docker || true").is_empty().then_some(()));
    vpu.root("kill -CONT $(pidof dockerd)");
    wait_for("docker", || vpu.ssh_command("docker version").output().is_ok_and(|output| output.status.success()).then_some(()));
    vpu.succeed(&[]);
    runs(&vpu, &id, "two");
}

fn wait_long(mut program: Program) -> (i32, String) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while program.runs() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    program.end()
}

#[test]
fn a_device_with_few_sessions_a_connection_is_served_or_refused_before_anything_changes() {
    let vpu = Vpu::trusted(OVP80X);
    first_version(&vpu);
    let id = second_version(&vpu, &Image::new("app:1", SERVES).health("true").file("new", 0o644, vec![1]), "");
    sshd(&vpu, "MaxSessions 1");
    let before = vpu.whole_state();
    let (code, said) = vpu.run(&[]);
    assert!(code == 15 && said.contains("it allows one session a connection, and two are needed"), "{code} {said}");
    vpu.assert_as_before(&before);
    sshd(&vpu, "MaxSessions 2");
    vpu.succeed(&[]);
    runs(&vpu, &id, "two");
}
