//! The small stages: name, external storage, directories, stamp and leftovers.

use super::{Action, PlanError, Planner, StagePlan, Upload, count};
use crate::{commands::files, config::RemotePath, facts::PathKind, stage::Stage};

/// Paths that are never removed, whoever asks for it.
const PROTECTED_PATHS: [&str; 9] = [
    "/",
    "/home",
    "/home/oem",
    "/home/oem/.ssh",
    "/home/oem/.ssh/authorized_keys",
    "/usr",
    "/usr/share",
    "/usr/share/oem",
    "/usr/share/oem/docker/compose",
];

impl Planner<'_> {
    pub(super) fn rename(&mut self) -> Result<(), PlanError> {
        let Some(name) = self.wanted.rename.as_ref() else { return Ok(()) };
        if !self.facts.interface_answers {
            return Err(PlanError::NoInterface);
        }
        if self.facts.name.as_ref() == Some(name) {
            self.add(Stage::Rename, format!("the name is `{name}` already"), Vec::new());
            return Ok(());
        }
        let length = name.chars().count();
        if let Some(limit) = self.facts.name_limit.filter(|limit| *limit < length) {
            return Err(PlanError::NameTooLong { name: name.clone(), length, limit });
        }
        let before = self.facts.name.replace(name.clone()).unwrap_or_default();
        let from = if before.is_empty() { String::new() } else { format!("from `{before}` ") };
        let says = format!("{from}to `{name}`");
        self.add(Stage::Rename, says, vec![Action::Rename { to: name.clone(), from: before }]);
        Ok(())
    }

    pub(super) fn mount_usb(&mut self) -> Result<(), PlanError> {
        if self.wanted.mount_usb {
            self.add(Stage::MountUsb, "have external storage mounted", vec![Action::Touch(files::mount_usb())]);
        }
        Ok(())
    }

    pub(super) fn directories(&mut self) -> Result<(), PlanError> {
        if self.wanted.directories.is_empty() {
            return Ok(());
        }
        let (mut missing, mut making) = (Vec::new(), Upload::default());
        for path in &self.wanted.directories {
            match self.facts.paths.get(path.as_str()).map(|fact| fact.kind) {
                Some(PathKind::Directory) => {}
                Some(_) => return Err(not_a_directory(path.as_str())),
                None => {
                    making.make(path, 0o755, &self.facts)?;
                    missing.push(path.as_str().to_owned());
                }
            }
        }
        if missing.is_empty() {
            self.add(Stage::Directories, format!("{} there", plural_are(self.wanted.directories.len())), Vec::new());
            return Ok(());
        }
        self.expect_sent(&making);
        self.add(Stage::Directories, missing.join(", "), vec![Action::Send(making)]);
        Ok(())
    }

    /// Adds the stamp, which records a change: a run that finds everything as wanted writes none, except the very first.
    pub(super) fn add_stamp(&mut self) {
        let Some(file) = self.wanted.stamp.as_ref() else { return };
        let first = !self.facts.paths.contains_key(file.as_str());
        let stem = &self.circumstances.stem;
        let stamp = if first || self.plan.changes_device() {
            let command = files::append_line(file.as_str(), stem);
            StagePlan { stage: Stage::Stamp, says: format!("{stem} in {file}"), actions: vec![Action::Run(command)] }
        } else {
            StagePlan { stage: Stage::Stamp, says: "nothing was deployed".into(), actions: Vec::new() }
        };
        let at = self.plan.stages.iter().position(|stage| stage.stage > Stage::Stamp).unwrap_or(self.plan.stages.len());
        self.plan.stages.insert(at, stamp);
    }

    pub(super) fn leftovers(&mut self) -> Result<(), PlanError> {
        if self.wanted.leftovers.is_empty() {
            return Ok(());
        }
        if let Some(path) = self.wanted.leftovers.iter().find(|path| is_protected(path)) {
            return Err(PlanError::Precious { path: path.as_str().into() });
        }
        let there = self.wanted.leftovers.iter().filter(|path| self.facts.paths.contains_key(path.as_str()));
        let there: Vec<_> = there.map(|path| path.as_str().to_owned()).collect();
        self.wanted.leftovers.iter().for_each(|path| self.expect_gone(path));
        if there.is_empty() {
            self.add(Stage::Leftovers, "nothing is left over", Vec::new());
        } else {
            self.add(
                Stage::Leftovers,
                format!("remove {}", count(there.len(), "path")),
                vec![Action::Run(files::remove(&there))],
            );
        }
        Ok(())
    }
}

pub(super) fn is_protected(path: &RemotePath) -> bool {
    path.as_str().split('/').any(|part| part == "..") || PROTECTED_PATHS.contains(&path.as_str())
}

pub(super) fn not_a_directory(path: &str) -> PlanError {
    PlanError::Conflict {
        what: format!("`{path}`"),
        how: "it is no directory, and one is wanted".into(),
        hint: "remove it with `--items_to_cleanup` in a run of its own, or choose another path".into(),
    }
}

fn plural_are(number: usize) -> &'static str {
    if number == 1 { "it is" } else { "all are" }
}
