//! The one command that reads the device, and what its answer means.

use std::collections::{BTreeMap, BTreeSet};

use super::{Archive, AutostartModel, ComposeTool, Docker, Facts, Room, ServiceFact, Tree, inspect, listing};
use crate::{
    command::{Command, DISK_SILENCE_MAX, nonce, path_lines},
    failure::{DOCKER_SILENT_HINT, Explain, FailureKind},
    remote::{Input, Remote, RemoteError},
    text::printable,
};

/// The questions of a probe: only what the deployment needs is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Parts of the answer that cost something.
    pub sections: BTreeSet<Section>,
    /// Autostart services of the template model.
    pub services: BTreeSet<String>,
    /// Image archives whose content is wanted.
    pub archives: BTreeSet<String>,
    /// Trees whose files are wanted.
    pub trees: BTreeSet<String>,
    /// Directories whose free space is asked for, whether they exist or not.
    pub rooms: BTreeSet<String>,
    /// Single paths: what they are, and the digest of files.
    pub paths: BTreeSet<String>,
    /// Single paths of which no digest is needed, for it takes long of large files.
    pub bare: BTreeSet<String>,
    /// Single paths that may be links: where they lead.
    pub links: BTreeSet<String>,
    /// The line in which the device named its compose tool earlier, in the form of `compose_tool.sh`.
    pub known_compose: String,
}

/// A part of the answer that is read only when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The engine's version.
    Docker,
    /// The directory in which the engine keeps images, and the free space there.
    DockerRoot,
    /// All containers.
    Containers,
    /// All images of docker.
    Images,
    /// All volumes of docker.
    Volumes,
    /// The compose tool and its version.
    Compose,
    /// The records of earlier deployments.
    Records,
    /// The model of autostart.
    Autostart,
}

impl Section {
    const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::DockerRoot => "docker_root",
            Self::Containers => "containers",
            Self::Images => "images",
            Self::Volumes => "volumes",
            Self::Compose => "compose",
            Self::Records => "records",
            Self::Autostart => "autostart",
        }
    }
}

/// Why the device could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The device could not be asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Docker did not say what was asked of it.
    #[error("docker does not answer on the device: it did not tell its {section}")]
    Docker {
        /// The part of the probe that docker did not answer.
        section: &'static str,
    },
    /// The answer of the device is not understood.
    #[error("the device's answer about its {section} is not understood: {reason}")]
    Answer {
        /// The part of the answer that is not understood.
        section: &'static str,
        /// The reason why the answer is not understood.
        reason: String,
    },
}

impl Explain for FactsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Remote(error) => error.kind(),
            Self::Docker { .. } => FailureKind::DockerSilent,
            Self::Answer { .. } => FailureKind::NotUnderstood,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Remote(error) => error.hint(),
            Self::Docker { .. } => Some(DOCKER_SILENT_HINT.into()),
            Self::Answer { .. } => Some("the full answer stands in the log file".into()),
        }
    }
}

/// Functions of the probe that other scripts have too.
const PRELUDE: &str = concat!(include_str!("../commands/scripts/within.sh"), include_str!("compose_tool.sh"));

impl Probe {
    /// Returns the command of the probe; the paths go to its standard input.
    pub fn command(&self, nonce: &str) -> Command {
        let wants: Vec<_> = self.sections.iter().map(|section| section.name()).collect();
        let pairs = |kind: &'static str, names: &BTreeSet<String>| {
            names.iter().flat_map(move |name| [kind.to_owned(), name.clone()]).collect::<Vec<_>>()
        };
        Command::script_with(PRELUDE, include_str!("probe.sh"))
            .silent_for(DISK_SILENCE_MAX)
            .arg(nonce)
            .arg(wants.join(" "))
            .text(inspect::CONTAINER_FORMAT)
            .text(inspect::IMAGE_FORMAT)
            .text(inspect::VOLUME_FORMAT)
            .arg(&self.known_compose)
            .args(pairs("service", &self.services))
            .args(pairs("archive", &self.archives))
            .args(pairs("tree", &self.trees))
            .args(pairs("room", &self.rooms))
    }

    fn input(&self) -> Vec<u8> {
        let bare = self.bare.iter().map(|path| format!("-{path}"));
        let links = self.links.iter().map(|path| format!("@{path}"));
        path_lines(&bare.chain(links).chain(self.paths.iter().cloned()).collect::<Vec<_>>())
    }

    /// Asks the device.
    ///
    /// # Errors
    /// When it cannot be asked, and when its answer is none.
    pub async fn ask(&self, remote: &impl Remote) -> Result<Facts, FactsError> {
        let nonce = nonce();
        let command = self.command(&nonce);
        let answer = remote.run(&command, Input::Bytes(self.input())).await?.success(&command)?;
        parse(&answer, &nonce)
    }
}

/// Understands what the probe said.
///
/// # Errors
/// When it is not whole, or docker's part of it is none.
pub(crate) fn parse(answer: &[u8], nonce: &str) -> Result<Facts, FactsError> {
    let mut facts = Facts::default();
    let mut complete = false;
    for (name, body) in sections(answer, nonce) {
        match name.as_str() {
            "lock" => {
                let text = text(body);
                let mut lines = text.lines();
                let free = lines.next() == Some("free");
                facts.turn = free.then(|| printable(lines.next().unwrap_or_default()));
            }
            "system" => {
                let text = text(body);
                let mut lines = text.lines();
                facts.machine = printable(lines.next().unwrap_or_default());
                facts.clock = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or_default();
            }
            "emulators" => facts.emulators = text(body).lines().map(printable).filter(|line| !line.is_empty()).collect(),
            "docker" => {
                let version = printable(text(body).lines().next().unwrap_or_default());
                if version.starts_with(|c: char| c.is_ascii_digit()) {
                    facts.docker = Some(Docker { version, ..Docker::default() });
                }
            }
            "containers" | "images" | "volumes" => {
                if let Some(docker) = &mut facts.docker {
                    read_inspect(docker, &name, body)?;
                }
            }
            "docker_root" => {
                if let (Some(docker), Some((root, driver))) = (&mut facts.docker, named(body)) {
                    docker.root = Some(root);
                    docker.containerd_store = text(driver).contains("io.containerd.snapshotter");
                }
            }
            "room" => {
                if let Some((name, figures)) = named(body) {
                    facts.room.extend(room(&text(figures)).map(|room| (name, room)));
                }
            }
            "compose" => {
                facts.compose_line = text(body).trim().to_owned();
                facts.compose = ComposeTool::parse(&facts.compose_line);
            }
            "records" => facts.records = records(body),
            "autostart" => facts.autostart = parse_autostart(&text(body)),
            "service" => {
                let mut fields = body.split(|byte| *byte == 0).map(text);
                let name = fields.next().unwrap_or_default();
                let mut next =
                    || Some(fields.next().unwrap_or_default().trim_end_matches('\n').to_owned()).filter(|f| !f.is_empty());
                let enabled = next().as_deref() == Some("enabled");
                let fact = ServiceFact { enabled, directory_link: next(), file_link: next(), own_file: next().is_some() };
                facts.services.insert(name, fact);
            }
            "archive" => {
                if let Some((name, content)) = named(body) {
                    let content = text(content);
                    let (size, said) = content.split_once('\n').unwrap_or((&content, ""));
                    let size = size.strip_prefix("size ").and_then(|size| size.parse().ok());
                    facts.archive_sizes.extend(size.map(|size| (name.clone(), size)));
                    facts.archives.extend(archive(said).map(|archive| (name, archive)));
                }
            }
            "tree" => {
                if let Some((name, content)) = named(body) {
                    facts.trees.insert(name.clone(), tree(&name, content)?);
                }
            }
            "links" => facts.links = links(body),
            "paths" => facts.paths = listing::parse(body),
            "end" => complete = true,
            _ => {}
        }
    }
    if complete { Ok(facts) } else { Err(FactsError::Answer { section: "state", reason: "its end is missing".into() }) }
}

/// Reads the content of a tree. One that is not there holds nothing.
fn tree(name: &str, content: &[u8]) -> Result<Tree, FactsError> {
    if content.is_empty() {
        return Ok(Tree::default());
    }
    listing::parse_tree(content, name).ok_or_else(|| {
        let reason = format!("the end of those in `{}` is missing", printable(name));
        FactsError::Answer { section: "files", reason }
    })
}

fn read_inspect(docker: &mut Docker, name: &str, body: &[u8]) -> Result<(), FactsError> {
    let wrong = |section| move |error: serde_json::Error| FactsError::Answer { section, reason: error.to_string() };
    let section = match name {
        "containers" => "containers",
        "images" => "images",
        _ => "volumes",
    };
    if body.ends_with(b"unknown\n") {
        return Err(FactsError::Docker { section });
    }
    match name {
        "containers" => docker.containers = inspect::containers(body).map_err(wrong("containers"))?,
        "images" => docker.images = inspect::images(body).map_err(wrong("images"))?,
        _ => docker.volumes = inspect::volumes(body).map_err(wrong("volumes"))?,
    }
    Ok(())
}

/// Cuts the answer at its markers.
pub(super) fn sections<'a>(answer: &'a [u8], nonce: &str) -> Vec<(String, &'a [u8])> {
    let marker = format!("\n{nonce} ");
    let marker = marker.as_bytes();
    let starts: Vec<_> = answer.windows(marker.len()).enumerate().filter(|(_, w)| *w == marker).map(|(at, _)| at).collect();
    let ends = starts.iter().copied().skip(1).chain([answer.len()]);
    let whole = starts.iter().zip(ends).filter_map(|(start, end)| answer.get(start + marker.len()..end));
    whole
        .map(|section| {
            let newline = section.iter().position(|byte| *byte == b'\n').unwrap_or(section.len());
            let (name, body) = section.split_at(newline);
            (text(name), body.get(1..).unwrap_or_default())
        })
        .collect()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn named(body: &[u8]) -> Option<(String, &[u8])> {
    let end = body.iter().position(|byte| *byte == 0)?;
    Some((text(body.get(..end)?), body.get(end + 1..)?))
}

fn parse_autostart(listing: &str) -> AutostartModel {
    let mut model = AutostartModel::None;
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("oem-dc@.service"), _) => return AutostartModel::Template,
            (Some("oem-dc-autostart.service"), state) => model = AutostartModel::Single { enabled: state == Some("enabled") },
            _ => {}
        }
    }
    model
}

/// Parses `DEVICE` and, on the next line, `FREE BLOCK ALL INODES FREE_INODES`, as `stat -f` of coreutils and busybox counts
/// them.
fn room(said: &str) -> Option<Room> {
    let figures: Vec<u64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [device, free, block, all, inodes, free_inodes] = *figures.as_slice() else { return None };
    Some(Room {
        device,
        bytes: free.saturating_mul(block),
        size: all.saturating_mul(block),
        inodes: (inodes > 0).then_some(free_inodes),
    })
}

fn links(body: &[u8]) -> BTreeMap<String, String> {
    let fields: Vec<_> = body.split(|byte| *byte == 0).map(text).collect();
    let pairs = fields.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    pairs.map(|(link, target)| (link.clone(), target.strip_suffix('\n').unwrap_or(target).to_owned())).collect()
}

fn archive(said: &str) -> Option<Archive> {
    let mut lines = said.lines().map(printable);
    let first = lines.next()?;
    match first.split_once(' ').unwrap_or((&first, "")) {
        ("images", _) => Some(Archive::Images(lines.collect())),
        ("oci", _) => Some(Archive::Oci),
        ("rootfs", digest) => Some(Archive::RootFileSystem(digest.into())),
        _ => None,
    }
}

fn records(body: &[u8]) -> BTreeMap<String, super::Record> {
    let fields: Vec<_> = body.split(|byte| *byte == 0).map(text).collect();
    let pairs = fields.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    pairs
        .filter_map(|(path, json)| {
            let application = path.trim_end_matches("/record.json").rsplit('/').next()?;
            Some((application.to_owned(), serde_json::from_str(json).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_cut_at_its_markers_and_nowhere_else() {
        let answer = b"motd\n\n=n= system\naarch64\n1582000000\n\n=n= emulators\nqemu-a\n =n= no\nx=n= marker\n\n=n= end\n";
        let facts = parse(answer, "=n=").expect("complete");
        assert_eq!((facts.machine.as_str(), facts.clock), ("aarch64", 1_582_000_000));
        assert_eq!(facts.emulators, ["qemu-a", " =n= no", "x=n= marker"]);
    }

    #[test]
    fn an_answer_without_its_end_is_refused() {
        assert!(parse(b"\n=n= system\naarch64\n", "=n=").is_err());
    }

    #[test]
    fn both_models_of_autostart_are_told_apart() {
        assert_eq!(parse_autostart("oem-dc@.service disabled enabled\n"), AutostartModel::Template);
        assert_eq!(parse_autostart("oem-dc-autostart.service enabled enabled\n"), AutostartModel::Single { enabled: true });
        assert_eq!(parse_autostart("Failed to connect to bus\n"), AutostartModel::None);
    }

    #[test]
    fn docker_that_does_not_answer_is_no_docker() {
        let answer = b"\n=n= docker\nCannot connect to the Docker daemon\n\n=n= end\n";
        assert_eq!(parse(answer, "=n=").expect("complete").docker, None);
    }

    #[test]
    fn store_of_containerd_is_told_by_its_driver() {
        let store = |driver: &str| {
            let answer = format!("\n=n= docker\n26.1.5\n\n=n= docker_root\n/var/lib/docker\0{driver}\n=n= end\n");
            let docker = parse(answer.as_bytes(), "=n=").expect("complete").docker.expect("it answers");
            (docker.root, docker.containerd_store)
        };
        let root = Some("/var/lib/docker".to_owned());
        assert_eq!(store("[[driver-type io.containerd.snapshotter.v1]]"), (root.clone(), true));
        assert_eq!(store("[[Backing Filesystem extfs] [Supports d_type true]]"), (root.clone(), false));
        assert_eq!(store("/var/lib/docker"), (root, false));
    }

    #[test]
    fn a_service_tells_its_links() {
        let answer = b"\n=n= service\napp\0enabled\n\0/home/oem/app\n\0\0\n=n= end\n";
        let facts = parse(answer, "=n=").expect("complete");
        let fact = facts.services.get("app").expect("asked");
        assert_eq!(fact.directory_link.as_deref(), Some("/home/oem/app"));
        assert!(fact.enabled && fact.file_link.is_none() && !fact.own_file);
    }

    #[test]
    fn records_are_read_by_application_and_broken_ones_ignored() {
        let body =
            b"/home/oem/.o3r-deploy/app/record.json\0{\"images\":[\"sha256:1\"]}\0/home/oem/.o3r-deploy/x/record.json\0{\0";
        let records = records(body);
        assert_eq!(records.keys().collect::<Vec<_>>(), ["app"]);
    }

    #[test]
    fn a_file_that_is_asked_for_by_a_link_is_known_and_a_link_within_a_tree_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("tree")).expect("made");
        std::fs::write(path("tree/file"), "content").expect("written");
        for name in ["link", "tree/link"] {
            std::os::unix::fs::symlink(path("tree/file"), path(name)).expect("linked");
        }
        let probe = Probe { trees: [path("link"), path("tree")].into(), ..Probe::default() };
        let line = probe.command("=n=").line();
        let answer = std::process::Command::new("sh").args(["-c", &line]).stdin(std::process::Stdio::null()).output();
        let facts = parse(&answer.expect("sh runs").stdout, "=n=").expect("complete");
        let file = facts.trees.get(&path("link")).and_then(|tree| tree.files.get("")).expect("the file");
        assert_eq!((file.kind, file.size), (super::super::PathKind::File, 7));
        let tree = facts.trees.get(&path("tree")).expect("the tree");
        assert_eq!(tree.files.keys().collect::<Vec<_>>(), ["file"]);
        assert_eq!(tree.links, [("link".to_owned(), "file".to_owned())].into());
    }

    #[test]
    fn the_probe_asks_only_for_what_is_wanted() {
        let probe = Probe {
            sections: [Section::Images].into(),
            services: ["app".to_owned()].into(),
            trees: ["/home/oem/share/logs".to_owned()].into(),
            ..Probe::default()
        };
        let shown = probe.command("=n=").shown();
        assert_eq!(
            shown,
            "sh -c '# reads what is there, changes nothing…' sh =n= images '{{/* container */ -}}…' '{{/* image */ -}}…' '{{/* volume */ -}}…' '' service app tree /home/oem/share/logs"
        );
    }
}
