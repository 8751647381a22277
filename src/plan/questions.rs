//! What must be asked of device and computer for a plan to be made.

use super::{application, room};
use crate::{
    config::{ComposeFiles, Deployment, ImageSource, RemotePath},
    facts::{
        Facts, Probe, Section,
        here::{Here, Source, safe_path},
    },
};

/// The probe for a deployment.
pub fn questions(wanted: &Deployment, here: &Here) -> Probe {
    let mut probe = Probe::default();
    let clean = &wanted.clean_up;
    let needs_compose = wanted.compose.is_some();
    let needs_docker = needs_compose
        || clean.containers
        || clean.volumes
        || clean.images
        || !wanted.volume.is_empty()
        || !wanted.image.is_empty()
        || !wanted.autostart.enable.is_empty()
        || !wanted.autostart.disable.is_empty()
        || wanted.attach.is_some();
    probe.sections.insert(Section::Docker);
    if needs_docker {
        probe.sections.extend([Section::Containers, Section::Images, Section::Volumes, Section::Records]);
    }
    if needs_compose {
        probe.sections.insert(Section::Compose);
    }
    let autostart = &wanted.autostart;
    if !autostart.enable.is_empty() || !autostart.disable.is_empty() {
        probe.sections.insert(Section::Autostart);
    }
    probe.services.extend(autostart.disable.iter().cloned());
    probe.services.extend(autostart.enable.iter().map(|entry| entry.service.clone()));
    if let Some(ComposeFiles::OnDevice(path)) = wanted.compose.as_ref().map(|compose| &compose.files) {
        probe.texts.insert(path.as_str().into());
    }
    if !wanted.image.is_empty() {
        probe.sections.insert(Section::DockerRoot);
    }
    for image in &wanted.image {
        if let ImageSource::OnDevice(path) = &image.source {
            probe.archives.insert(path.as_str().into());
        }
    }
    probe.trees.extend(wanted.logs.iter().map(|pull| pull.remote.as_str().to_owned()));
    probe.trees.extend(wanted.transfers.from_device.iter().map(|transfer| transfer.remote.as_str().to_owned()));
    ask_for_paths(wanted, here, &mut probe);
    let destinations = wanted.transfers.to_device.iter().map(|transfer| &transfer.remote);
    let compose = application::sent(wanted, here).map(|sent| sent.directory);
    probe.rooms = room::directories(destinations.chain(compose), wanted.mount_usb);
    probe
}

fn ask_for_paths(wanted: &Deployment, here: &Here, probe: &mut Probe) {
    let mut ask = |path: String| {
        probe.paths.insert(path);
    };
    wanted.directories.iter().flat_map(RemotePath::above).for_each(|path| ask(path.as_str().into()));
    wanted.directories.iter().chain(&wanted.leftovers).chain(&wanted.stamp).for_each(|path| ask(path.as_str().into()));
    wanted.volume.iter().flat_map(|volume| volume.path.above()).for_each(|path| ask(path.as_str().into()));
    wanted.volume.iter().for_each(|volume| ask(volume.path.as_str().into()));
    wanted.transfers.from_device.iter().for_each(|transfer| ask(transfer.remote.as_str().into()));
    for entry in &wanted.autostart.enable {
        entry.file.iter().for_each(|file| ask(file.as_str().into()));
    }
    if let Some(ComposeFiles::OnDevice(path)) = wanted.compose.as_ref().map(|compose| &compose.files) {
        ask(path.as_str().into());
    }
    for transfer in &wanted.transfers.to_device {
        ask(transfer.remote.as_str().into());
        let Some(source) = here.sources.get(&transfer.local) else { continue };
        // Whether a destination is a directory is only known afterwards: both places are asked about.
        let name = transfer.local.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        for destination in [transfer.remote.clone(), transfer.remote.join(name)] {
            ask_for_source(source, &destination, &mut ask);
        }
    }
    if let Some(application::Sent { directory, sources }) = application::sent(wanted, here) {
        ask(directory.as_str().into());
        for (name, source) in sources {
            ask_for_source(source, &directory.join(name), &mut ask);
        }
    }
}

fn ask_for_source(source: &Source, destination: &RemotePath, ask: &mut impl FnMut(String)) {
    ask(destination.as_str().into());
    destination.above().into_iter().for_each(|path| ask(path.as_str().into()));
    if let Source::Tree { files, directories } = source {
        for name in files.keys().chain(directories.keys()).filter(|name| !name.is_empty()) {
            ask(destination.join(name).as_str().into());
        }
    }
}

/// Which files here may be copies of what is on the device: their digests are needed before the plan.
pub fn copies(wanted: &Deployment, facts: &Facts) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    let pulls =
        wanted.logs.iter().map(|pull| (pull.remote.as_str(), super::logs::folder(&pull.local, facts, pull.remote.as_str())));
    let transfers = wanted.transfers.from_device.iter().filter_map(|transfer| {
        let files = facts.trees.get(transfer.remote.as_str())?;
        Some((transfer.remote.as_str(), super::transfers::lands(transfer, files, facts)))
    });
    for (remote, local) in pulls.chain(transfers) {
        for name in facts.trees.get(remote).into_iter().flat_map(|files| files.keys()) {
            let path = if name.is_empty() { Some(local.clone()) } else { safe_path(name).map(|safe| local.join(safe)) };
            paths.extend(path);
        }
    }
    paths
}
