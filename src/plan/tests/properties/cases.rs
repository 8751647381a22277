//! Random deployments and devices, drawn from a tape of numbers: an empty tape gives the simplest case, so that proptest shrinks to it.

use super::super::{engine::volume, *};
use crate::{
    config::{Image, ImageMetadata, ImageSource, SecretSource, Transfer, Volume, WantedSecret},
    delivery::PARTIAL,
    facts::{Archive, Room, SecretThere, Tree, here::LocalState},
    secret::Secret,
};

/// The numbers that a case is made of.
pub(super) struct Tape<'a> {
    numbers: std::slice::Iter<'a, u16>,
}

impl<'a> Tape<'a> {
    pub(super) fn new(numbers: &'a [u16]) -> Self {
        Self { numbers: numbers.iter() }
    }

    /// Returns a number below `limit`; 0 behind the end of the tape.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.numbers.next().copied().unwrap_or_default()) % limit.max(1)
    }

    /// Returns `true` in one of `of` cases, and never after the end of the tape.
    pub(super) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    pub(super) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Returns some of `choices`, each in one of two cases.
    pub(super) fn some<T: Clone>(&mut self, choices: &[T]) -> Vec<T> {
        choices.iter().filter(|_| self.one_in(2)).cloned().collect()
    }
}

/// Images by the names that docker lists.
const NAMES: [&str; 5] = ["web:1", "web:2", "acme/db:1", "tool:latest", "host:5000/web:1"];

/// IDs of images on the device.
const IDS: [&str; 6] = [
    "sha256:aaaaaaaaaaaaaa",
    "sha256:bbbbbbbbbbbbbb",
    "sha256:cccccccccccccc",
    "sha256:dddddddddddddd",
    "sha256:eeeeeeeeeeeeee",
    "sha256:ffffffffffffff",
];

/// A deployment and the device that it goes to.
pub(super) struct Case {
    pub(super) wanted: Deployment,
    pub(super) facts: Facts,
    pub(super) circumstances: PlanContext,
    /// The restart policy that the compose file gives each service.
    pub(super) policy: &'static str,
    /// The content of each archive on the device, by its digest.
    pub(super) archives: BTreeMap<String, Archive>,
}

/// Returns the digest that an image has in its registry.
pub(super) fn registry_digest(id: &str) -> String {
    format!("sha256:{}", digest(id))
}

/// Returns a spelling of a name.
fn spelled(tape: &mut Tape<'_>, name: &str) -> String {
    let short = name.strip_suffix(":latest").filter(|_| tape.one_in(2)).unwrap_or(name);
    let first = name.split('/').next().unwrap_or_default();
    if name.contains('/') && first.contains(':') {
        return short.to_owned();
    }
    let library = if name.contains('/') { "" } else { "library/" };
    let prefixes = [
        String::new(),
        "docker.io/".into(),
        format!("docker.io/{library}"),
        library.to_owned(),
        format!("index.docker.io/{library}"),
    ];
    format!("{}{short}", tape.pick(&prefixes))
}

/// Returns a reference to one of these images, by name or digest.
fn reference(tape: &mut Tape<'_>, images: &[DockerImage]) -> String {
    let by_digest = images.iter().find(|image| !image.digests.is_empty()).filter(|_| tape.one_in(3));
    if let Some(image) = by_digest {
        let (name, digest) = image.digests[0].split_once('@').expect("a digest");
        let tag = if tape.one_in(2) { ":9" } else { "" };
        return spelled(tape, &format!("{name}{tag}@{digest}"));
    }
    let name = tape.pick(&NAMES);
    spelled(tape, name)
}

impl Case {
    pub(super) fn new(tape: &mut Tape<'_>) -> Self {
        let circumstances = PlanContext { stem: "26.11.21_07.00.00+0100".into(), ..PlanContext::default() };
        let policy = tape.pick(&["no", "unless-stopped", "always"]);
        let mut case = Self { wanted: nothing(), facts: device(), circumstances, policy, archives: BTreeMap::new() };
        case.images_there(tape);
        case.containers_there(tape);
        case.files(tape);
        case.images(tape);
        case.compose(tape);
        case.autostart(tape);
        case.small_stages(tape);
        case.clean_up(tape);
        case
    }

    fn images_there(&mut self, tape: &mut Tape<'_>) {
        let mut names = NAMES.to_vec();
        let mut images: Vec<DockerImage> = Vec::new();
        for id in tape.some(&IDS) {
            let count = tape.below(3).min(names.len());
            let mut tags: Vec<_> = (0..count).map(|_| names.remove(tape.below(names.len())).to_owned()).collect();
            if tape.one_in(6) {
                let kept = [PARTIAL, crate::release::versions::PREVIOUS];
                tags.push(format!("{}:{}", tape.pick(&kept), &id[7..]));
            }
            let pulled = tags.first().filter(|_| tape.one_in(3)).map(|tag| tag.rsplit_once(':').expect("a tag").0.to_owned());
            let digests = pulled.map(|name| format!("{name}@{}", registry_digest(id))).into_iter().collect();
            let parent = images.last().map(|image| image.id.clone()).filter(|_| tape.one_in(4));
            let archive = tape.one_in(6).then(|| digest("rootfs"));
            let layers = vec!["sha256:layer".to_owned()];
            images.push(DockerImage { id: id.into(), tags, digests, parent, layers, size: 1 << 30, archive });
        }
        let recorded = images.iter().filter(|_| tape.one_in(3)).map(|image| image.id.clone()).collect::<BTreeSet<_>>();
        if !recorded.is_empty() {
            let application = tape.pick(&["app", "other"]);
            self.facts.records.entry(application.into()).or_default().images = recorded;
        }
        docker(&mut self.facts).images = images;
    }

    fn containers_there(&mut self, tape: &mut Tape<'_>) {
        let images: Vec<_> =
            docker(&mut self.facts).images.iter().map(|image| (image.id.clone(), image.tags.clone())).collect();
        for name in tape.some(&["web", "db", "old", "lonely", "theirs"]) {
            if images.is_empty() {
                return;
            }
            let (image, tags) = tape.pick(&images);
            let project = match name {
                "lonely" => None,
                "theirs" => Some("theirs".to_owned()),
                _ => Some("app".to_owned()),
            };
            let state = tape.pick(&[
                ContainerState::Running,
                ContainerState::Exited,
                ContainerState::Restarting,
                ContainerState::Created,
            ]);
            let volumes = tape.some(&["share".to_owned(), "cache".to_owned()]);
            let reference = tags.first().cloned().unwrap_or_default();
            let restart_policy = tape.pick(&["no", "unless-stopped", "always"]).to_owned();
            let more = Container { project, state, volumes, reference, restart_policy, ..container(name, &image) };
            docker(&mut self.facts).containers.push(more);
        }
        let volumes = tape.some(&[("share", "/home/oem/share"), ("cache", "/home/oem/cache"), ("loose", "/home/oem/loose")]);
        docker(&mut self.facts).volumes = volumes.into_iter().map(|(name, path)| volume(name, path)).collect();
    }

    /// Adds files, trees and directories that are wanted, and some of them to the device.
    fn files(&mut self, tape: &mut Tape<'_>) {
        let contents = ["one", "two", "three"];
        for (number, name) in tape.some(&["a", "b", "deep/c"]).into_iter().enumerate() {
            let here = format!("/here/{name}");
            let into = tape.one_in(2);
            let remote = RemotePath::new(&format!("~/files/{number}{}", if into { "/" } else { "" })).expect("a path");
            let source = if tape.one_in(2) {
                let names = tape.some(&["x", "sub/y", "sub/deeper/z"]);
                let directories: BTreeMap<_, _> = [("", 0o755), ("sub", 0o750), ("sub/deeper", 0o700)]
                    .map(|(name, mode)| (name.to_owned(), if tape.one_in(4) { 0o555 } else { mode }))
                    .into();
                let file = |name: &str, content: &str| {
                    (name.to_owned(), LocalFile { mode: 0o640, ..local(&format!("{here}/{name}"), content) })
                };
                let files = names.into_iter().map(|name| file(name, tape.pick(&contents))).collect();
                let links = tape.some(&["link"]).into_iter().map(|name| (name.to_owned(), "x".to_owned())).collect();
                Source::Tree { files, directories, links, left_out: BTreeMap::new() }
            } else {
                Source::File(local(&here, tape.pick(&contents)))
            };
            self.there_already(tape, &source, number, into, name);
            self.facts.here.sources.insert(here.clone().into(), source);
            self.wanted.transfers.to_device.push(Transfer { local: here.into(), remote });
        }
        self.wanted.directories = tape.some(&["~/files/0", "~/share", "~/made/deep"]).into_iter().map(remote).collect();
        if self.facts.here.sources.get(std::path::Path::new("/here/a")).is_some_and(|source| matches!(source, Source::File(_)))
        {
            // A file cannot be where a directory is to be.
            self.wanted.directories.retain(|path| path.as_str() != "/home/oem/files/0");
        }
        for path in tape.some(&["/home/oem/share", "/home/oem/left", "/home/oem/left/over"]) {
            put(&mut self.facts, path, DIRECTORY);
        }
        self.wanted.leftovers = tape.some(&["~/left/over", "~/left", "~/nowhere"]).into_iter().map(remote).collect();
        self.wanted.stamp = tape.one_in(3).then(|| remote("~/share/Deployments"));
    }

    /// Puts some of a source on the device, of the same or other content.
    fn there_already(&mut self, tape: &mut Tape<'_>, source: &Source, number: usize, into: bool, name: &str) {
        if tape.one_in(2) {
            return;
        }
        put(&mut self.facts, "/home/oem/files", DIRECTORY);
        let place = format!("/home/oem/files/{number}");
        let last = name.rsplit('/').next().unwrap_or_default();
        let place = if into {
            put(&mut self.facts, &place, DIRECTORY);
            format!("{place}/{last}")
        } else {
            place
        };
        match source {
            Source::File(_) => put(&mut self.facts, &place, Some(tape.pick(&["one", "two"]))),
            Source::Tree { files, .. } => {
                put(&mut self.facts, &place, DIRECTORY);
                for (name, file) in files.iter().filter(|(name, _)| !name.contains('/')) {
                    put(&mut self.facts, &format!("{place}/{name}"), Some(tape.pick(&["one", "two"])));
                    self.facts.paths.get_mut(&format!("{place}/{name}")).expect("there").mode = file.mode;
                }
            }
        }
    }

    fn images(&mut self, tape: &mut Tape<'_>) {
        let mut names = NAMES.to_vec();
        for source in 0..tape.below(3) {
            let name = names.remove(tape.below(names.len()));
            if tape.one_in(3) {
                let path = format!("/home/oem/share/{source}.tar");
                let archive = match tape.below(2) {
                    0 => Archive::Images(vec![tape.pick(&IDS).to_owned()]),
                    _ => Archive::RootFileSystem(digest("rootfs")),
                };
                put(&mut self.facts, "/home/oem/share", DIRECTORY);
                put(&mut self.facts, &path, Some(&path));
                self.facts.archives.insert(path.clone(), archive.clone());
                self.archives.insert(digest(&path), archive);
                let name = (tape.one_in(2)).then(|| spelled(tape, name));
                self.wanted.image.push(Image {
                    source: ImageSource::OnDevice(remote(&path)),
                    name,
                    metadata: ImageMetadata::default(),
                });
            } else {
                let id = tape.pick(&[["sha256:1111111111111", "sha256:2222222222222"][source], IDS[source]]);
                let mut image = local_image(id, &spelled(tape, name));
                image.source = source;
                if tape.one_in(3) && !names.is_empty() {
                    image.references.push(names.remove(tape.below(names.len())).to_owned());
                }
                self.facts.here.images.push(image);
                self.wanted.image.push(Image {
                    source: ImageSource::Here(format!("{source}.tar")),
                    name: None,
                    metadata: ImageMetadata::default(),
                });
            }
        }
        let room = Room { device: 1, bytes: if tape.one_in(4) { 1 << 10 } else { 1 << 40 }, size: 1 << 41, inodes: None };
        self.facts.room = ["/home/oem", "/var/lib/docker"].map(|path| (path.to_owned(), room.clone())).into();
        docker(&mut self.facts).root = Some("/var/lib/docker".into());
        self.circumstances.make_room = tape.one_in(2);
    }

    fn compose(&mut self, tape: &mut Tape<'_>) {
        if tape.one_in(4) {
            return;
        }
        let images = docker(&mut self.facts).images.clone();
        let mut services = String::new();
        for name in ["web", "db"].into_iter().take(1 + tape.below(2)) {
            let image = reference(tape, &images);
            let name_of_container = if tape.one_in(3) { format!(", container_name: {name}") } else { String::new() };
            let binds = if tape.one_in(3) { ", volumes: ['/stage/here/conf:/conf', 'share:/share']" } else { "" };
            let replicas = if tape.one_in(6) { ", scale: 2" } else { "" };
            services += &format!("{name}: {{ image: '{image}'{name_of_container}{binds}{replicas} }}, ");
        }
        let text = format!("services: {{ {services} }}");
        compose(&mut self.wanted, &mut self.facts, &text);
        let local_compose = self.facts.here.compose.as_mut().expect("a project");
        if tape.one_in(2) {
            let files = BTreeMap::from([("settings".to_owned(), local("conf/settings", tape.pick(&["one", "two"])))]);
            let directories = BTreeMap::from([(String::new(), 0o755)]);
            let tree = Source::Tree { files, directories, links: BTreeMap::new(), left_out: BTreeMap::new() };
            local_compose.sources.insert("conf".into(), tree);
        }
        if tape.one_in(3) {
            deployed(&mut self.facts, &text, "web");
        }
        for path in tape.some(&["/home/oem/app/.env", "/home/oem/app/docker-compose.override.yml"]) {
            put(&mut self.facts, "/home/oem/app", DIRECTORY);
            put(&mut self.facts, path, Some("old"));
        }
        let version = ["swap", "first"].map(|name| format!("/home/oem/.o3r-deploy/app/{name}/state"));
        if tape.one_in(4) {
            let path = tape.pick(&version);
            put(&mut self.facts, &path, Some("state"));
        }
        for name in tape.some(&["token", "key"]) {
            let secret = SecretSource::Plain(Secret::new("s3cret"));
            self.wanted
                .secrets
                .insert(name.into(), WantedSecret { source: secret, place: String::new(), base: "/here".into() });
            self.facts.here.secrets.insert(name.into(), Secret::new("s3cret"));
            let there = tape.pick(&[SecretThere::None, SecretThere::Other, SecretThere::Same]);
            self.facts.secrets.insert(format!("/home/oem/app/secrets/{name}"), there);
        }
    }

    fn autostart(&mut self, tape: &mut Tape<'_>) {
        self.facts.autostart = tape.pick(&[
            AutostartModel::Template,
            AutostartModel::Single { enabled: false },
            AutostartModel::Single { enabled: true },
        ]);
        let fact = ServiceFact {
            enabled: tape.one_in(2),
            directory_link: tape.one_in(2).then(|| "/home/oem/app".into()),
            ..ServiceFact::default()
        };
        if self.wanted.compose.is_some() && tape.one_in(2) {
            self.facts.services.insert("app".into(), fact);
            self.wanted.autostart.enable = vec![AutostartService { service: "app".into(), file: None }];
        } else if tape.one_in(2) {
            let service = tape.pick(&["app", "theirs"]);
            self.facts.services.insert(service.into(), fact);
            self.wanted.autostart.disable = vec![service.into()];
        }
    }

    fn small_stages(&mut self, tape: &mut Tape<'_>) {
        self.wanted.rename = tape.one_in(3).then(|| "bench".to_owned());
        self.facts.name = tape.pick(&[None, Some("bench".to_owned()), Some("old".to_owned())]);
        self.wanted.mount_usb = tape.one_in(4);
        for (name, path) in tape.some(&[("share", "~/share"), ("extra", "~/extra/deep")]) {
            self.wanted.volume.push(Volume { name: name.into(), path: remote(path) });
        }
        if tape.one_in(3) {
            let container = "web".to_owned();
            let attach = Attach { container, run_duration: None, until: None, stop_upon_exit: false };
            self.wanted.attach = self.wanted.compose.is_some().then_some(attach);
        }
        if tape.one_in(3) {
            let file = |size| PathFact { kind: PathKind::File, mode: 0o644, size, readable: true, own: false, sha256: None };
            let files = tape.some(&["a.log", "sub/b.log"]).into_iter().map(|name| (name.to_owned(), file(5))).collect();
            let directories = [(String::new(), 0o755), ("sub".to_owned(), 0o755)].into();
            put(&mut self.facts, "/home/oem/results", DIRECTORY);
            self.facts.trees.insert("/home/oem/results".into(), Tree { files, directories, ..Tree::default() });
            self.wanted.transfers.from_device.push(Transfer { local: "/here/results".into(), remote: remote("~/results") });
        }
        self.facts.here = LocalState { untold: false, ..std::mem::take(&mut self.facts.here) };
    }

    fn clean_up(&mut self, tape: &mut Tape<'_>) {
        let keep = tape.some(&["web", "theirs", "acme/*", "*:1", "share"]).into_iter().map(str::to_owned).collect();
        self.wanted.clean_up = CleanUp {
            containers: tape.one_in(2),
            volumes: tape.one_in(2),
            images: tape.one_in(2),
            keep,
            only_this_application: tape.one_in(4),
        };
        if tape.one_in(2) {
            self.facts.records.entry("app".into()).or_default().projects.insert("app".into());
        }
    }
}
