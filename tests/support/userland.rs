//! The userland of a device, whatever is installed on this computer.

use std::{path::PathBuf, process::Command};

/// Busybox as the Yocto project configures it. One that a distribution packages has more in it, and some take their own applets
/// before those of `PATH`.
pub fn busybox() -> PathBuf {
    let builder = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/vpu/busybox");
    let output = Command::new(builder).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
