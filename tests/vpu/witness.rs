//! What others say of the device: ifm's own client, docker and the file system, asked from within. None of it is the program's
//! own word.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::device::{Vpu, must, root};

/// Waits until `condition` gives something.
///
/// # Panics
/// When it does not within the deadline: a real device may be slow, this one is not.
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(Duration::from_secs(40), what, condition)
}

/// The same with another deadline.
pub fn wait_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within the deadline");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Every file below a folder on this computer, by its path relative to it.
pub fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(listing(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

impl Vpu {
    /// The device's name, as ifm's own client reads it.
    pub fn name(&self) -> String {
        self.value("/device/info/name")
    }

    /// Its serial number, likewise.
    pub fn serial(&self) -> String {
        self.value("/device/info/serialNumber")
    }

    /// Gives the device a password with ifm's own client.
    pub fn protect(&self, password: &str) {
        let pointer = "/device/crypto/sealedbox/passwordProtected";
        let values = self.ifm3dpy(&["--protect", password, pointer]);
        assert_eq!(values.pointer(pointer), Some(&true.into()), "{values}");
    }

    fn ifm3dpy(&self, words: &[&str]) -> serde_json::Value {
        let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ifm3dpy");
        let json = must(Command::new(root().join("tests/ifm3dpy")).arg(environment).arg(&self.address).args(words));
        serde_json::from_str(&json).expect("JSON")
    }

    fn value(&self, pointer: &str) -> String {
        let values = self.ifm3dpy(&[pointer]);
        values.pointer(pointer).and_then(|name| name.as_str()).expect("a text").to_owned()
    }

    /// What docker on the device says of a container in a format of its own; nothing when it is not there.
    pub fn container(&self, name: &str, format: &str) -> String {
        self.root(&format!("docker container inspect --format '{format}' {name} 2>/dev/null || true")).trim().to_owned()
    }

    /// Waits until the container runs and, where it has a health check, is healthy; gives when it was started.
    pub fn wait_for_container(&self, name: &str) -> String {
        let format = "{{if .State.Running}}{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}{{end}} {{.State.StartedAt}}";
        wait_for(&format!("container {name}"), || self.container(name, format).strip_prefix("healthy ").map(str::to_owned))
    }

    /// All that a deployment could change on the device: files with content, mode, owner and time (but for logs, which
    /// applications write all the time), docker's things with their IDs, user units, and the name.
    pub fn state(&self) -> String {
        let state = self.root(
            r#"
            files() { find /home/oem /usr/share/oem -path /home/oem/share/logs -prune -o "$@"; }
            files -printf '%p %y %m %u %g %T@ %l\n' | sort
            files -type f -print0 | sort -z | xargs -0 sha256sum
            docker image ls --no-trunc --all --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort
            docker volume ls --quiet | sort | xargs -r docker volume inspect
            docker container ls --no-trunc --all --quiet | sort |
                xargs -r docker container inspect --format '{{.Id}} {{.Name}} {{.Image}} {{.State.Status}} {{.State.StartedAt}} {{.HostConfig.RestartPolicy.Name}}'
            docker network ls --no-trunc --quiet | sort
            su oem -c 'XDG_RUNTIME_DIR=/run/user/989 systemctl --user list-unit-files --no-pager'
            "#,
        );
        format!("{state}name {}\n", self.name())
    }

    /// The folder that collects this device's logs: `sn<serial>_<name>`.
    pub fn folder(&self) -> String {
        let parts = [format!("sn{}", self.serial()), self.name()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    }

    /// Puts a file into oem's home, over plain OpenSSH.
    pub fn send(&self, file: &Path, name: &str) {
        must(self.ssh_command(&format!("cat >~/{name}")).stdin(std::fs::File::open(file).expect("the file")));
    }

    /// Gives an image archive to the device's docker, over plain OpenSSH.
    pub fn load_image(&self, archive: &Path) {
        must(self.ssh_command("docker load").stdin(std::fs::File::open(archive).expect("the archive")));
    }
}
