//! A device that is a directory: commands run here, with one of two shells, and what they say of `/home/oem` and
//! `/usr/share/oem` happens below that directory.

use std::{
    io::{Read, Write},
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
};

use super::userland::busybox;
use o3r_deploy::{
    command::Command,
    remote::{Downloaded, Exit, FileRange, Input, OnBytes, OnOutput, Remote, RemoteError, Stream, TarDownload, TarUpload},
};

/// What a device's shell and tools may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Userland {
    /// dash and the coreutils.
    Dash,
    /// busybox alone, as the Yocto project configures it: see `docker/vpu/busybox`.
    Busybox,
}

pub const BOTH: [Userland; 2] = [Userland::Dash, Userland::Busybox];

/// A user who is not root, so that permissions mean something.
const NOBODY: u32 = 65_534;

pub struct Device {
    root: tempfile::TempDir,
    unprivileged: bool,
}

/// A finished command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    /// What is in `out`, as it came but for where the device is here.
    raw: Vec<u8>,
    pub err: String,
}

impl Device {
    /// With an empty home, and stubs for docker and systemctl that know nothing.
    pub fn new(userland: Userland) -> Self {
        let root = tempfile::Builder::new().prefix("o3r-scripts-").tempdir().expect("a directory");
        let device = Self { root, unprivileged: false };
        for directory in ["home/oem", "usr/share/oem/docker/compose", "tmp", "tools", "stubs", "state"] {
            std::fs::create_dir_all(device.root.path().join(directory)).expect("made");
        }
        let tools = device.root.path().join("tools");
        if userland == Userland::Busybox {
            // Where everybody can read it.
            std::fs::copy(busybox(), tools.join("busybox")).expect("copied");
        }
        let programs = [
            "sh", "awk", "cat", "chmod", "cp", "cut", "date", "dd", "dirname", "echo", "env", "find", "grep", "gzip", "head",
            "id",
        ];
        let more = [
            "kill",
            "ln",
            "ls",
            "mkdir",
            "mktemp",
            "mv",
            "printf",
            "readlink",
            "rm",
            "rmdir",
            "sed",
            "sha256sum",
            "sleep",
            "sort",
        ];
        for name in programs.iter().chain(&more).chain(&["stat", "sync", "tail", "tar", "tr", "uname", "wc"]) {
            let target = match (userland, *name) {
                (Userland::Busybox, _) => tools.join("busybox"),
                (Userland::Dash, "sh") => which("dash"),
                (Userland::Dash, name) => which(name),
            };
            symlink(target, tools.join(name)).expect("linked");
        }
        for (name, text) in
            [("docker", "exit 127"), ("docker-compose", "exit 127"), ("systemctl", "exit 1"), ("journalctl", "exit 1")]
        {
            device.stub(name, text);
        }
        device
    }

    /// The same as a user whom permissions keep out.
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        std::fs::set_permissions(self.root.path(), std::fs::Permissions::from_mode(0o755)).expect("allowed");
        self
    }

    /// Where a path of the device is here.
    pub fn here(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Replaces a program. `$state` is a directory to keep things in.
    pub fn stub(&self, name: &str, text: &str) {
        let path = self.root.path().join("stubs").join(name);
        let state = self.root.path().join("state");
        std::fs::write(&path, format!("#!/bin/sh\nstate={}\n{text}\n", state.display())).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    }

    /// Takes a program away.
    pub fn without(&self, name: &str) {
        std::fs::remove_file(self.root.path().join("tools").join(name)).expect("it was there");
    }

    /// What a stub has kept.
    pub fn state(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.path().join("state").join(name)).unwrap_or_default()
    }

    /// Writes a file of the device.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.here(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    /// The text of a file of the device.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Permission bits of something on the device.
    pub fn mode(&self, path: &str) -> u32 {
        std::fs::metadata(self.here(path)).expect("there").permissions().mode() & 0o7777
    }

    /// Lets everybody write into a directory.
    pub fn open(&self, path: &str) {
        std::fs::set_permissions(self.here(path), std::fs::Permissions::from_mode(0o777)).expect("allowed");
    }

    /// Names in a directory of the device, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.here(path)).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Where a link of the device leads, as the device sees it; nothing where there is none.
    pub fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.here(path)).ok()?;
        Some(self.to_device(target.display().to_string().as_bytes()))
    }

    pub fn make_link(&self, target: &str, path: &str) {
        symlink(self.here(target), self.here(path)).expect("linked");
    }

    fn to_here(&self, text: &str) -> String {
        let root = self.root.path().display();
        let places = ["/home/oem", "/usr/share/oem", "/tmp/o3r-deploy"];
        places.iter().fold(text.to_owned(), |text, place| text.replace(place, &format!("{root}{place}")))
    }

    fn to_device(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace(&self.root.path().display().to_string(), "")
    }

    fn without_root(&self, bytes: &[u8]) -> Vec<u8> {
        let root = self.root.path().as_os_str().as_encoded_bytes();
        let (mut kept, mut rest) = (Vec::new(), bytes);
        while let Some((first, more)) = rest.split_first() {
            rest = rest.strip_prefix(root).unwrap_or_else(|| {
                kept.push(*first);
                more
            });
        }
        kept
    }

    /// Starts a command with its streams piped.
    pub fn start(&self, command: &Command) -> Child {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        let mut process = Process::new(self.root.path().join("tools/sh"));
        process.arg("-c").arg(self.to_here(&command.line()));
        process.env_clear().env("PATH", format!("{}:{}", path("stubs"), path("tools"))).current_dir(self.root.path());
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Root alone can become another user; anyone else is kept out by permissions already.
        if self.unprivileged && rustix::process::getuid().is_root() {
            process.uid(NOBODY).gid(NOBODY);
        }
        process.spawn().expect("the shell runs")
    }

    /// Runs a command with this input.
    pub fn run(&self, command: &Command, input: &[u8]) -> Ran {
        self.run_raw(command, self.to_here(&String::from_utf8_lossy(input)).into_bytes())
    }

    /// The same with input that is no text and goes in as it is.
    pub fn run_raw(&self, command: &Command, input: Vec<u8>) -> Ran {
        let mut child = self.start(command);
        let mut stdin = child.stdin.take().expect("piped");
        let feeder = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("it ends");
        feeder.join().expect("fed");
        let code = output.status.code().unwrap_or(-1);
        let raw = self.without_root(&output.stdout);
        Ran { code, out: self.to_device(&output.stdout), raw, err: self.to_device(&output.stderr) }
    }

    /// Runs a command that must succeed.
    pub fn must(&self, command: &Command, input: &[u8]) -> Ran {
        let ran = self.run(command, input);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }
}

/// Reads a stream to its end.
pub fn all(stream: Option<impl Read>) -> String {
    let mut text = String::new();
    stream.expect("piped").read_to_string(&mut text).expect("readable");
    text
}

fn which(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("these tests need `{name}`"))
}

impl Remote for Device {
    fn bytes_sent(&self) -> u64 {
        0
    }

    async fn exec(&self, command: &Command, input: Input, output: &mut OnOutput<'_>) -> Result<Exit, RemoteError> {
        let Input::Bytes(bytes) = input else { panic!("the probe reads bytes") };
        // What is compressed says itself where things are here.
        let ran = if bytes.starts_with(&[0x1f, 0x8b]) { self.run_raw(command, bytes) } else { self.run(command, &bytes) };
        output(Stream::Stdout, &ran.raw);
        output(Stream::Stderr, ran.err.as_bytes());
        Ok(Exit::Code(u32::try_from(ran.code).unwrap_or(255)))
    }

    async fn put(&self, _: &TarUpload<'_>, _: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        panic!("scripts put nothing")
    }

    async fn append(&self, _: &Command, _: &FileRange, _: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        panic!("scripts append nothing")
    }

    async fn get(&self, _: &TarDownload<'_>, _: &mut OnBytes<'_>) -> Result<Vec<Downloaded>, RemoteError> {
        panic!("scripts get nothing")
    }

    async fn take(&self, _: &Command, _: &FileRange, _: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        panic!("scripts take nothing")
    }
}
