//! The snapshot of the version that runs, kept before an update replaces it: the file `state` in its directory on the device. This is
//! the one place where it is written and read on this side; `keep.sh`, `put_back.sh` and `versions.sh` read the same lines.

use std::fmt::Write;

use crate::{
    command::path_line,
    failure::{Explain, FailureKind},
};

/// The version of the format that is written. A file without one is of the first.
const FORMAT: u32 = 1;

/// The parts of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Name of its compose project.
    pub project: String,
    /// Whether `docker compose` brought it up, and not `docker-compose`.
    pub is_plugin: bool,
    /// Whether a rollback recreates its containers even where docker-compose sees no change.
    pub recreate: bool,
    /// Paths of its compose files.
    pub files: Vec<String>,
    /// The containers of the version.
    pub services: Vec<KeptService>,
    /// Files and links that are replaced: they are kept.
    pub replaced: Vec<String>,
    /// Files and links that are new: a rollback removes them.
    pub new: Vec<String>,
    /// Directories that are created: a rollback removes them once they are empty.
    pub made: Vec<String>,
    /// Directories whose permission bits are changed, with those that they had.
    pub modes: Vec<(u32, String)>,
    /// Units of the user's systemd, and whether each is enabled.
    pub units: Vec<(String, bool)>,
    /// The links by which autostart finds its compose files.
    pub links: Vec<KeptLink>,
    /// The file that records deployments, and the line of the attempt in it.
    pub stamp: Option<(String, String)>,
}

/// A container of a version that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptService {
    /// Name of the service.
    pub name: String,
    /// Whether it runs.
    pub runs: bool,
    /// Restart policy of the container.
    pub restart_policy: String,
    /// ID of its image.
    pub image: String,
    /// Reference that it was made of.
    pub reference: String,
}

/// A link of autostart's, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLink {
    /// Path of the link.
    pub place: String,
    /// Target of the link; `None` where there is no link.
    pub target: Option<String>,
}

/// Why a snapshot cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A later version of this program has written it.
    #[error("the version that is kept on the device was kept by a newer o3r-deploy (format {0})")]
    Newer(u32),
    /// A line means nothing.
    #[error("what the device keeps of the version before is not understood: `{0}`")]
    Line(String),
}

impl Explain for SnapshotError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Newer(_) => FailureKind::Conflict,
            Self::Line(_) => FailureKind::NotUnderstood,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Newer(_) => Some("use that version of o3r-deploy, or a newer one".into()),
            Self::Line(_) => None,
        }
    }
}

impl Snapshot {
    /// Returns whether the rollback changes any files.
    pub fn has_files(&self) -> bool {
        !(self.replaced.is_empty() && self.new.is_empty() && self.made.is_empty() && self.modes.is_empty())
    }

    /// Returns the services that run.
    pub fn running(&self) -> Vec<String> {
        let mut running: Vec<_> =
            self.services.iter().filter(|service| service.runs).map(|service| service.name.clone()).collect();
        running.sort();
        running.dedup();
        running
    }

    /// Adds what another one has beside project, files and services.
    pub fn extend(&mut self, other: Self) {
        self.replaced.extend(other.replaced);
        self.new.extend(other.new);
        self.made.extend(other.made);
        self.modes.extend(other.modes);
        self.units.extend(other.units);
        self.links.extend(other.links);
    }

    /// Returns its lines, as the device's scripts read them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "{key} {value}");
        };
        line("format", &FORMAT.to_string());
        line("project", &self.project);
        line("compose", if self.is_plugin { "docker compose" } else { "docker-compose" });
        line("recreate", if self.recreate { "yes" } else { "no" });
        self.files.iter().for_each(|file| line("file", &path_line(file)));
        for KeptService { name, runs, restart_policy, image, reference } in &self.services {
            let runs = if *runs { "running" } else { "stopped" };
            line("service", &format!("{name} {runs} {restart_policy} {image} {reference}"));
        }
        self.replaced.iter().for_each(|path| line("keep", &path_line(path)));
        self.new.iter().for_each(|path| line("new", &path_line(path)));
        self.made.iter().for_each(|path| line("made", &path_line(path)));
        for (mode, path) in &self.modes {
            line("mode", &format!("{mode:o} {}", path_line(path)));
        }
        for (unit, enabled) in &self.units {
            line("unit", &format!("{unit} {}", if *enabled { "enabled" } else { "disabled" }));
        }
        for KeptLink { place, target } in &self.links {
            match target {
                Some(target) => {
                    line("link", &path_line(place));
                    line("link", &format!("to {}", path_line(target)));
                }
                None => line("nolink", &path_line(place)),
            }
        }
        if let Some((file, stamp)) = &self.stamp {
            line("stamp", &path_line(file));
            line("stamp", &path_line(stamp));
        }
        text
    }

    /// Reads its lines.
    ///
    /// # Errors
    /// A newer program has written them, or one means nothing.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            let wrong = || SnapshotError::Line(line.to_owned());
            let (key, value) = line.split_once(' ').ok_or_else(wrong)?;
            // Some values take two lines.
            let mut second = |prefix: &str| {
                let next = lines.next().and_then(|next| next.strip_prefix(key)?.strip_prefix(' ')?.strip_prefix(prefix));
                next.map(unescaped).ok_or_else(wrong)
            };
            match key {
                "format" => match value.parse().map_err(|_| wrong())? {
                    format if format > FORMAT => return Err(SnapshotError::Newer(format)),
                    _ => {}
                },
                "project" => snapshot.project = value.into(),
                "compose" => snapshot.is_plugin = value == "docker compose",
                "recreate" => snapshot.recreate = value == "yes",
                "file" => snapshot.files.push(unescaped(value)),
                "service" => snapshot.services.push(KeptService::parse(value).ok_or_else(wrong)?),
                "keep" => snapshot.replaced.push(unescaped(value)),
                "new" => snapshot.new.push(unescaped(value)),
                "made" => snapshot.made.push(unescaped(value)),
                "mode" => {
                    let (mode, path) = value.split_once(' ').ok_or_else(wrong)?;
                    snapshot.modes.push((u32::from_str_radix(mode, 8).map_err(|_| wrong())?, unescaped(path)));
                }
                "unit" => {
                    let (unit, state) = value.split_once(' ').ok_or_else(wrong)?;
                    snapshot.units.push((unit.into(), state == "enabled"));
                }
                "link" => snapshot.links.push(KeptLink { place: unescaped(value), target: Some(second("to ")?) }),
                "nolink" => snapshot.links.push(KeptLink { place: unescaped(value), target: None }),
                "stamp" => snapshot.stamp = Some((unescaped(value), second("")?)),
                _ => return Err(wrong()),
            }
        }
        Ok(snapshot)
    }
}

impl KeptService {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.splitn(5, ' ');
        let mut next = || words.next().map(str::to_owned);
        let (name, runs, restart_policy, image) = (next()?, next()? == "running", next()?, next()?);
        Some(Self { name, runs, restart_policy, image, reference: next().unwrap_or_default() })
    }
}

/// Reverses [`path_line`]: a backslash is written before a backslash, and before `n` for a line break.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9_.:/-]{1,12}"
    }

    prop_compose! {
        fn snapshot()(
            project in word(), is_plugin: bool, recreate: bool,
            files in prop::collection::vec("/[^\\x00]{0,9}", 0..3),
            services in prop::collection::vec((word(), any::<bool>(), word(), word(), word()), 0..3),
            paths in prop::collection::vec("/[^\\x00]{0,9}", 3),
            unit in word(), enabled: bool, target in prop::option::of("/[^\\x00]{0,9}"), stamp in word(),
        ) -> Snapshot {
            let service = |(name, runs, restart_policy, image, reference)| KeptService { name, runs, restart_policy, image, reference };
            Snapshot {
                project, is_plugin, recreate, files,
                services: services.into_iter().map(service).collect(),
                replaced: paths[..1].to_vec(),
                new: paths[1..2].to_vec(),
                made: paths[2..].to_vec(),
                modes: vec![(0o1755, paths[2].clone())],
                units: vec![(unit, enabled)],
                links: vec![KeptLink { place: paths[0].clone(), target }],
                stamp: Some((paths[1].clone(), stamp)),
            }
        }
    }

    proptest! {
        #[test]
        fn snapshot_is_read_as_it_was_written(snapshot in snapshot()) {
            // Lines end with a line break alone, as the device's shell has it.
            let text = snapshot.text();
            let lines: Vec<_> = text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
            prop_assert_eq!(Snapshot::parse(lines), Ok(snapshot));
        }
    }

    #[test]
    fn snapshot_of_an_earlier_version_is_understood_and_one_of_a_newer_is_named() {
        let first = ["project app", "compose docker-compose", "recreate no", "file /home/oem/app/docker-compose.yml"];
        assert_eq!(Snapshot::parse(first).map(|snapshot| snapshot.project), Ok("app".into()));
        assert_eq!(Snapshot::parse(["format 2", "project app"]), Err(SnapshotError::Newer(2)));
        assert_eq!(Snapshot::parse(["nonsense"]), Err(SnapshotError::Line("nonsense".into())));
        assert_eq!(Snapshot::parse(["link /a"]), Err(SnapshotError::Line("link /a".into())));
    }
}
