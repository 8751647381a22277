//! A virtual VPU for one test, and a home directory that has its key. The device is looked at by plain `ssh` and from within,
//! never by the program under test.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Which device, and how it starts applications.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// `ovp81x` or `ovp80x`.
    pub profile: &'static str,
    /// `a` or `b`.
    pub autostart: &'static str,
    /// `gnu` or `busybox`.
    pub userland: &'static str,
}

/// Keys only, SFTP, template units.
pub const OVP81X: Kind = Kind { profile: "ovp81x", autostart: "a", userland: "gnu" };
/// Passwords, no SFTP, one unit.
pub const OVP80X: Kind = Kind { profile: "ovp80x", autostart: "b", userland: "gnu" };
/// Busybox as Yocto configures it, and no SFTP.
pub const BUSYBOX: Kind = Kind { userland: "busybox", ..OVP80X };

/// A running virtual VPU, new for this test, and the home directory of the user who deploys to it.
pub struct Vpu {
    /// Its address, of this test alone while it runs.
    pub address: String,
    /// `HOME` of the user.
    pub home: tempfile::TempDir,
}

impl Vpu {
    /// Starts one as it comes from the factory; the user has no key yet.
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, &[])
    }

    /// The same with further options of `docker/vpu/up`.
    pub fn with(kind: Kind, more: &[&str]) -> Self {
        // Tests that run at the same time have different slots.
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u8>().ok());
        let (base, slot) = (number("O3R_TEST_BASE").unwrap_or(100), number("NEXTEST_TEST_GLOBAL_SLOT").unwrap_or(0));
        let address = format!("127.0.0.{}", base + slot);
        let kind = ["--profile", kind.profile, "--autostart", kind.autostart, "--userland", kind.userland];
        let options = [&["--address", &address, "--fresh"], &kind[..]].concat();
        must(Command::new(root().join("docker/vpu/up")).args(options).args(more));
        Self { address, home: tempfile::tempdir().expect("a home") }
    }

    /// Starts one and gives the user a key to it.
    pub fn trusted(kind: Kind) -> Self {
        let vpu = Self::new(kind);
        let output = vpu.command(&["trust", "--accept-new"]).output().expect("the program runs");
        assert!(output.status.success(), "{}", text(&output));
        vpu
    }

    /// The program with this device's address, run in the user's home.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_o3r-deploy"));
        self.environment(&mut command).args(words);
        command
    }

    /// Has a command run in the user's home, with this device's address.
    pub fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("HOME", self.home.path())
            .env("IFM3D_IP", &self.address)
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("O3R_DEPLOY_PASSWORD")
            .current_dir(self.home.path())
    }

    /// Runs the program; gives its exit code and all that it said.
    pub fn run(&self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().expect("the program runs");
        (output.status.code().unwrap_or(-1), text(&output))
    }

    /// Runs the program, which must succeed.
    pub fn succeed(&self, words: &[&str]) -> String {
        let (code, said) = self.run(words);
        assert_eq!(code, 0, "{said}");
        said
    }

    /// What a shell line prints on the device, run as root from within.
    pub fn root(&self, line: &str) -> String {
        let exec = root().join("docker/vpu/exec");
        must(Command::new(exec).args(["--address", &self.address, "--", "sh", "-c", line]))
    }

    /// What a shell line prints on the device, run as `oem` over plain OpenSSH.
    pub fn ssh(&self, line: &str) -> String {
        must(&mut self.ssh_command(line))
    }

    /// Plain OpenSSH to the device.
    pub fn ssh_command(&self, line: &str) -> Command {
        let mut command = Command::new("ssh");
        let known = self.home.path().join(".ssh/known_hosts").display().to_string();
        let key = self.home.path().join(".ssh/id_o3r").display().to_string();
        command.args(["-F", "none", "-i", &key, "-o", &format!("UserKnownHostsFile={known}"), "-o", "BatchMode=yes"]);
        command.arg(format!("oem@{}", self.address)).arg(line);
        command
    }

    /// Soft reboot; waits until the device is ready.
    pub fn reboot(&self) {
        must(Command::new(root().join("docker/vpu/reboot")).args(["--address", &self.address]));
    }

    /// Cuts the power and waits until the device is ready again.
    pub fn power_cut(&self) {
        must(Command::new(root().join("docker/vpu/power-cut")).args(["--address", &self.address]));
    }

    /// Writes a file below the user's home and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below home")).expect("made");
        std::fs::write(&path, content).expect("written");
        path
    }
}

impl Drop for Vpu {
    fn drop(&mut self) {
        let _ = Command::new(root().join("docker/vpu/down")).args(["--address", &self.address]).output();
    }
}

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command that must succeed and gives its standard output.
pub fn must(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that a command said.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
