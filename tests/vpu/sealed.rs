//! A device with a password takes a key in a sealed box only.

use std::fs;

use crate::device::{OVP81X, Vpu, text};

const PASSWORD: &str = "s3cret-Zq\"7é";
const FIRMWARE: [&str; 2] = ["--firmware", "1.21.6"];

/// Runs `trust` with this password in the environment; gives its exit code and what it said.
fn trust(vpu: &Vpu, password: &str) -> (i32, String) {
    let output = vpu.command(&["trust", "--accept-new"]).env("O3R_DEPLOY_DEVICE_PASSWORD", password).output().expect("it runs");
    (output.status.code().unwrap_or(-1), text(&output))
}

#[test]
fn trust_gives_a_key_to_a_device_with_a_password_and_nobody_sees_it() {
    let vpu = Vpu::with(OVP81X, &FIRMWARE);
    vpu.protect(PASSWORD);
    // The device has a password, and nobody is there to give it.
    let (code, said) = trust(&vpu, "");
    assert_eq!(code, 11, "{said}");
    assert!(said.contains("only with its password") && said.contains("O3R_DEPLOY_DEVICE_PASSWORD"), "{said}");
    let (code, said) = trust(&vpu, "another");
    assert_eq!(code, 13, "{said}");
    assert!(said.contains("and this is not it"), "{said}");
    assert_eq!(vpu.root("cat /home/oem/.ssh/authorized_keys 2>/dev/null; true"), "", "nothing was changed");

    let (code, said) = trust(&vpu, PASSWORD);
    assert_eq!(code, 0, "{said}");
    let ours = fs::read_to_string(vpu.home.path().join(".ssh/id_o3r.pub")).expect("our key");
    assert_eq!(vpu.root("cat /home/oem/.ssh/authorized_keys").trim(), ours.trim());
    vpu.succeed(&[]);

    // What went over the wire, what was written here and what was said hold no password.
    let wire = vpu.root("cat /var/log/vpu/rpc.log");
    let message = wire.lines().find(|line| line.contains("sealedbox") && line.contains("message")).expect("it was sealed");
    assert!(!wire.contains("s3cret") && !message.contains("set_configuration"), "{wire}");
    let grep = std::process::Command::new("grep").args(["-rl", "s3cret"]).arg(vpu.home.path()).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "", "a file holds it");
    assert!(!said.contains("s3cret"), "{said}");
}
