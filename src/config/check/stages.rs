//! Checks the stages that prepare the device: logs, name, clean-up, directories, stamp, transfers, volumes, leftovers.

use std::{collections::HashSet, path::Path};

use super::{Check, Place, names};
use crate::config::{
    CleanUp, LogPull, RemotePath, Transfer, Transfers, Volume,
    paths::REMOTE_HOME,
    settings::{self, Settings},
};

impl<'a> Check<'a> {
    pub(super) fn logs(&mut self) -> Vec<LogPull> {
        let Some((pulls, at)) = self.said("logs", |said| said.logs.as_ref()) else {
            let local = self.default_local("~/o3r_logs/From_VPUs");
            let remote = RemotePath::new("~/share/logs").ok();
            return remote.zip(local).map(|(remote, local)| LogPull { remote, local }).into_iter().collect();
        };
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (position, pull) in pulls.iter().enumerate() {
            let at = at.index(position);
            let remote = self.remote(&at.key("remote"), &pull.remote);
            let local = self.local(&at.key("local"), &pull.local);
            let Some((remote, local)) = remote.zip(local) else { continue };
            self.once(&mut seen, &at, format!("{remote}>{}", local.display()), "pulls");
            checked.push(LogPull { remote, local });
        }
        checked
    }

    pub(super) fn rename(&mut self) -> Option<String> {
        let (name, at) = self.said("rename", |said| said.rename.as_ref()).filter(|(name, _)| !name.is_empty())?;
        Some(self.named(&at, name, names::device))
    }

    pub(super) fn clean_up(&mut self) -> CleanUp {
        let keep = match self.said("clean_up.keep", |said| said.clean_up.as_ref()?.keep.as_ref()) {
            Some((patterns, at)) => self.each((patterns, at), |check, at, pattern| {
                if pattern.trim().is_empty() {
                    check.wrong(at, "expected a name or a pattern such as `mosquitto*`, found nothing");
                }
                Some(pattern.clone())
            }),
            None => Vec::new(),
        };
        CleanUp {
            containers: self.flag("clean_up.containers", |said| said.clean_up.as_ref()?.containers.as_ref()),
            volumes: self.flag("clean_up.volumes", |said| said.clean_up.as_ref()?.volumes.as_ref()),
            images: self.flag("clean_up.images", |said| said.clean_up.as_ref()?.images.as_ref()),
            keep,
            only_this_application: self
                .flag("clean_up.only_this_application", |said| said.clean_up.as_ref()?.only_this_application.as_ref()),
        }
    }

    pub(super) fn directories(&mut self) -> Vec<RemotePath> {
        match self.said("directories", |said| said.directories.as_ref()) {
            Some((paths, at)) => self.each((paths, at), |check, at, path| check.remote(at, path)),
            None => RemotePath::new("~/share").into_iter().collect(),
        }
    }

    pub(super) fn stamp(&mut self) -> Option<RemotePath> {
        match self.said("stamp", |said| said.stamp.as_ref()) {
            Some((path, _)) if path.is_empty() => None,
            Some((path, at)) => self.remote(&at, path),
            None => RemotePath::new("~/share/Deployments").ok(),
        }
    }

    pub(super) fn hold_off(&mut self) -> Option<RemotePath> {
        match self.said("hold_off", |said| said.hold_off.as_ref()) {
            Some((path, _)) if path.is_empty() => None,
            Some((path, at)) => self.remote(&at, path),
            None => RemotePath::new("~/share/hold_off.lock").ok(),
        }
    }

    pub(super) fn transfers(&mut self) -> Transfers {
        Transfers {
            from_device: self.transfer_list(
                "transfers.from_device",
                |said| said.transfers.as_ref()?.from_device.as_ref(),
                |check, at, said| {
                    let remote = check.remote(&at.key("remote"), &said.remote);
                    let local = check.local(&at.key("local"), &said.local);
                    let (remote, local) = remote.zip(local)?;
                    let into = local.is_dir() || said.local.ends_with(['/', std::path::MAIN_SEPARATOR]);
                    let lands = if into { local.join(remote.name()) } else { local.clone() };
                    Some((lands.display().to_string(), Transfer { local, remote }))
                },
            ),
            to_device: self.transfer_list(
                "transfers.to_device",
                |said| said.transfers.as_ref()?.to_device.as_ref(),
                |check, at, said| {
                    let local = check.local_source(&at.key("local"), &said.local);
                    let remote = check.remote(&at.key("remote"), &said.remote);
                    let (remote, local) = remote.zip(local)?;
                    let name = local.file_name().map(Path::new).filter(|_| remote.is_into());
                    let lands = name.map_or_else(|| remote.clone(), |name| remote.join(&name.to_string_lossy()));
                    Some((lands.to_string(), Transfer { local, remote }))
                },
            ),
        }
    }

    /// Checks each pair with `one`, which also says where it lands; no two may land at the same place.
    fn transfer_list(
        &mut self,
        path: &str,
        field: fn(&Settings) -> Option<&Vec<settings::Transfer>>,
        one: fn(&mut Self, &Place<'a>, &settings::Transfer) -> Option<(String, Transfer)>,
    ) -> Vec<Transfer> {
        let Some((pairs, at)) = self.said(path, field) else { return Vec::new() };
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (position, pair) in pairs.iter().enumerate() {
            let at = at.index(position);
            let Some((lands, transfer)) = one(self, &at, pair) else { continue };
            self.once(&mut seen, &at, lands, "something is transferred to");
            checked.push(transfer);
        }
        checked
    }

    pub(super) fn volumes(&mut self) -> Vec<Volume> {
        let Some((volumes, at)) = self.said("volume", |said| said.volume.as_ref()) else { return Vec::new() };
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (position, volume) in volumes.iter().enumerate() {
            let at = at.index(position);
            let name = self.named(&at.key("name"), &volume.name, names::docker);
            self.once(&mut seen, &at.key("name"), &name, "there is the volume");
            let path = self.remote(&at.key("path"), &volume.path);
            checked.extend(path.map(|path| Volume { name, path }));
        }
        checked
    }

    pub(super) fn leftovers(&mut self) -> Vec<RemotePath> {
        match self.said("leftovers", |said| said.leftovers.as_ref()) {
            Some((paths, at)) => self.each((paths, at), |check, at, text| {
                let path = check.remote(at, text)?;
                let climbs = path.as_str().split('/').any(|part| part == "..");
                if climbs || ["/", "/home", REMOTE_HOME].contains(&path.as_str()) {
                    check.wrong(at, format!("`{path}` would take more with it than what is left over"));
                }
                Some(path)
            }),
            None => Vec::new(),
        }
    }
}
