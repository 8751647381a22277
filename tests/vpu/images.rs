//! Small arm64 images, made in the test: Debian's static busybox and one shell script. An archive as `docker save` writes it,
//! about 2 MB, instead of the 24 MB of the example application.
//!
//! ```ignore
//! let id = Image::new("lines:1", "echo hello; sleep 1000").health("test -e /ready").save(&vpu.home.path().join("lines.tar"));
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::device::{must, root};

/// The programs of busybox that scripts find in `/bin`.
const PROGRAMS: &[&str] = &[
    "sh", "cat", "date", "echo", "false", "kill", "ls", "mkdir", "mv", "printf", "rm", "seq", "sleep", "stat", "sync", "test",
    "touch", "true", "uname",
];

/// An image to be: what it is called and what it runs.
#[derive(Clone, Debug)]
pub struct Image {
    reference: String,
    script: String,
    health: Option<String>,
    architecture: String,
    more: Vec<(String, u32, Vec<u8>)>,
    layers: Vec<(String, u32, Vec<u8>)>,
}

impl Image {
    /// An image called `reference` (`name:tag`) that runs `script` in busybox's `sh`. `docker stop` ends it at once.
    pub fn new(reference: &str, script: &str) -> Self {
        Self {
            reference: reference.into(),
            script: script.into(),
            health: None,
            architecture: "arm64".into(),
            more: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Gives it a health check: a script, run every second, healthy when it ends with 0.
    pub fn health(mut self, script: &str) -> Self {
        self.health = Some(script.into());
        self
    }

    /// The architecture that it says it is for; the program in it is for arm64 all the same.
    pub fn architecture(mut self, name: &str) -> Self {
        self.architecture = name.into();
        self
    }

    /// Puts a file into it, in a second layer.
    pub fn file(mut self, path: &str, mode: u32, content: Vec<u8>) -> Self {
        self.more.push((path.into(), mode, content));
        self
    }

    /// Puts a file into it, in a layer of its own.
    pub fn layer(mut self, path: &str, mode: u32, content: Vec<u8>) -> Self {
        self.layers.push((path.into(), mode, content));
        self
    }

    /// Writes the archive to `path` and gives the image's ID, `sha256:…`.
    pub fn save(&self, path: &Path) -> String {
        let mut layers = vec![layer().to_vec()];
        if !self.more.is_empty() {
            let mut layer = tar::Builder::new(Vec::new());
            self.more.iter().for_each(|(path, mode, content)| file(&mut layer, path, *mode, content));
            layers.push(layer.into_inner().expect("in memory"));
        }
        for (path, mode, content) in &self.layers {
            let mut layer = tar::Builder::new(Vec::new());
            file(&mut layer, path, *mode, content);
            layers.push(layer.into_inner().expect("in memory"));
        }
        let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", digest(layer))).collect();
        let paths: Vec<_> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
        let mut config = json!({
            "Cmd": ["/bin/sh", "-c", self.script],
            "Env": ["PATH=/bin"],
            // A shell as the first process of a container does not heed SIGTERM.
            "StopSignal": "SIGKILL",
        });
        if let Some(health) = &self.health {
            let second = 1_000_000_000_u64;
            let check = json!({ "Test": ["CMD-SHELL", health], "Interval": second, "Timeout": 20 * second, "Retries": 3 });
            config.as_object_mut().expect("an object").insert("Healthcheck".into(), check);
        }
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": layers.iter().map(|_| json!({ "created": "2024-01-01T00:00:00Z", "created_by": "test" })).collect::<Vec<_>>(),
        })
        .to_string();
        let id = digest(config.as_bytes());
        let manifest = json!([{ "Config": format!("{id}.json"), "RepoTags": [self.reference], "Layers": paths }]).to_string();
        let mut archive = tar::Builder::new(Vec::new());
        file(&mut archive, &format!("{id}.json"), 0o644, config.as_bytes());
        for (path, layer) in paths.iter().zip(&layers) {
            file(&mut archive, path, 0o644, layer);
        }
        file(&mut archive, "manifest.json", 0o644, manifest.as_bytes());
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, archive.into_inner().expect("in memory")).expect("written");
        format!("sha256:{id}")
    }
}

/// The one layer, the same for all images: the device keeps it once.
fn layer() -> &'static [u8] {
    static LAYER: OnceLock<Vec<u8>> = OnceLock::new();
    LAYER.get_or_init(|| {
        let mut layer = tar::Builder::new(Vec::new());
        for directory in ["bin/", "tmp/"] {
            let mut header = header(tar::EntryType::Directory, 0o755, 0);
            layer.append_data(&mut header, directory, &[][..]).expect("in memory");
        }
        file(&mut layer, "bin/busybox", 0o755, &fs::read(busybox()).expect("busybox"));
        for program in PROGRAMS {
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            layer.append_link(&mut header, format!("bin/{program}"), "busybox").expect("in memory");
        }
        layer.into_inner().expect("in memory")
    })
}

/// Debian's static busybox for arm64, downloaded once.
fn busybox() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("busybox-arm64");
    let program = folder.join("busybox");
    if !program.is_file() {
        let fetch = root().join("deployment_examples/python_app/fetch_arm64_packages.sh");
        let paths = must(Command::new(fetch).arg(folder.join("packages")).arg("busybox-static"));
        let package = paths.lines().find(|path| path.contains("busybox-static")).expect("the package");
        // Tests run side by side: each unpacks for itself, the last one to rename wins.
        let unpacked = tempfile::tempdir_in(&folder).expect("a folder");
        must(Command::new("dpkg-deb").arg("-x").arg(package).arg(unpacked.path()));
        let found =
            ["bin/busybox", "usr/bin/busybox"].map(|path| unpacked.path().join(path)).into_iter().find(|path| path.is_file());
        fs::rename(found.expect("busybox in its package"), &program).expect("renamed");
    }
    program
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

fn file(archive: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32, content: &[u8]) {
    let mut header = header(tar::EntryType::Regular, mode, content.len() as u64);
    archive.append_data(&mut header, name, content).expect("in memory");
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that do not compress, the same every time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(length).collect()
}
