//! A private sshd on a free port of 127.0.0.1, with its own configuration, host keys and authorized keys.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

#[path = "userland.rs"]
mod userland;

/// Whose files travel how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// GNU's tar.
    Tar,
    /// Busybox, as Yocto configures it.
    Busybox,
}

/// A running sshd; it ends with the value.
pub struct Sshd {
    process: Child,
    directory: TempDir,
    pub port: u16,
}

impl Sshd {
    /// Starts one that lets in the key `client` of its directory.
    pub fn start(files: Files) -> Self {
        Self::with(files, "")
    }

    /// The same with more lines of configuration.
    pub fn with(files: Files, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        for (name, kind) in [("host_ed25519", "ed25519"), ("host_ecdsa", "ecdsa"), ("client", "ed25519")] {
            key(&path.join(name), kind, "");
        }
        fs::copy(path.join("client.pub"), path.join("authorized_keys")).unwrap();
        let mut configuration = format!(
            "HostKey {0}/host_ed25519\nHostKey {0}/host_ecdsa\nAuthorizedKeysFile {0}/authorized_keys\nPidFile none\n\
             PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n{more}\n",
            path.display()
        );
        match files {
            Files::Tar => {}
            Files::Busybox => {
                fs::create_dir(path.join("bin")).unwrap();
                let busybox = userland::busybox();
                for name in ["tar", "sh"] {
                    symlink(&busybox, path.join("bin").join(name)).unwrap();
                }
                configuration += &format!("SetEnv PATH={}/bin:/usr/bin:/bin\n", path.display());
            }
        }
        fs::write(path.join("sshd_config"), configuration).unwrap();
        // Another process may take the port in between.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = Command::new("/usr/sbin/sshd")
                .args(["-D", "-o", "ListenAddress=127.0.0.1", "-p", &port.to_string()])
                .arg("-f")
                .arg(path.join("sshd_config"))
                .arg("-E")
                .arg(path.join("log"))
                .stdin(Stdio::null())
                .spawn()
                .expect("sshd is installed (package openssh-server)");
            if answers(&mut process, port) {
                return Self { process, directory, port };
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(path.join("log")).unwrap_or_default());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A public key file's type and data.
    pub fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// What sshd logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answers(process: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Makes a key pair.
pub fn key(path: &Path, kind: &str, phrase: &str) {
    let done = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", phrase, "-C", "", "-f"]).arg(path).status();
    assert!(done.unwrap().success());
}
