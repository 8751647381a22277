//! The shell scripts that run on the device, run for real: with dash and with busybox, against directories of a test and stubs
//! for docker and systemctl.

mod autostart;
mod compare;
mod delivery;
mod docker;
mod files;
mod health;
mod lock;
mod probe;
mod shell;
mod swap;
#[path = "../support/userland.rs"]
mod userland;

/// Scripts are read by whoever has to find out what happened to a device: no warnings in them.
#[test]
fn shellcheck_has_nothing_to_say() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src/commands/scripts", "src/release/scripts"].map(|folder| root.join(folder));
    let scripts = folders.into_iter().flat_map(|folder| std::fs::read_dir(folder).expect("scripts"));
    let scripts = scripts
        .map(|entry| entry.expect("a script").path())
        .chain(["probe.sh", "compose_tool.sh"].map(|name| root.join("src/facts").join(name)));
    let mut command = std::process::Command::new("shellcheck");
    let output = command.args(["--shell", "sh"]).args(scripts).output().expect("shellcheck is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
