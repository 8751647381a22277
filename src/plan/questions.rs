//! Determines what the device and this computer must be asked before a plan can be made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{Place, application, application_name, room};
use crate::{
    config::{ComposeFiles, Deployment, ImageSource, RemotePath},
    facts::{
        Facts, Probe, Section, Tree,
        compare::Candidate,
        here::{LocalState, Source},
    },
    release::versions,
};

/// Returns the probe for a deployment.
pub fn questions(wanted: &Deployment, here: &LocalState) -> Probe {
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
    probe.bare.extend(wanted.transfers.from_device.iter().map(|transfer| transfer.remote.as_str().to_owned()));
    probe.bare.extend(wanted.leftovers.iter().map(|path| path.as_str().to_owned()));
    ask_for_paths(wanted, here, &mut probe);
    let destinations = wanted.transfers.to_device.iter().map(|transfer| &transfer.remote);
    let compose = application::sent(wanted, here).map(|sent| sent.directory);
    probe.rooms = room::directories(destinations.chain(compose), wanted.mount_usb);
    probe
}

fn ask_for_paths(wanted: &Deployment, here: &LocalState, probe: &mut Probe) {
    let links = &mut probe.links;
    let mut ask = |path: String| {
        probe.paths.insert(path);
    };
    wanted.directories.iter().flat_map(RemotePath::above).for_each(|path| ask(path.as_str().into()));
    wanted.directories.iter().chain(&wanted.stamp).for_each(|path| ask(path.as_str().into()));
    wanted.volume.iter().flat_map(|volume| volume.path.above()).for_each(|path| ask(path.as_str().into()));
    wanted.volume.iter().for_each(|volume| ask(volume.path.as_str().into()));
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
            ask_for_source(source, &destination, &mut ask, links);
        }
    }
    if wanted.compose.is_some() {
        let application = application_name(wanted);
        [versions::pending(&application), versions::first(&application)]
            .iter()
            .for_each(|version| ask(versions::state(version)));
    }
    application::secret_paths(wanted).values().for_each(|path| ask(path.parent().as_str().into()));
    application::read_by_itself(wanted, here).iter().for_each(|path| ask(path.as_str().into()));
    if let Some(application::Sent { directory, sources }) = application::sent(wanted, here) {
        ask(directory.as_str().into());
        here.compose
            .iter()
            .flat_map(|compose| compose.missing.keys())
            .for_each(|name| ask(directory.join(name).as_str().into()));
        for (name, source) in sources {
            ask_for_source(source, &directory.join(name), &mut ask, links);
        }
    }
}

fn ask_for_source(source: &Source, destination: &RemotePath, ask: &mut impl FnMut(String), asked: &mut BTreeSet<String>) {
    ask(destination.as_str().into());
    destination.above().into_iter().for_each(|path| ask(path.as_str().into()));
    if let Source::Tree { files, directories, links, .. } = source {
        asked.extend(links.keys().map(|name| destination.join(name).as_str().to_owned()));
        for name in files.keys().chain(directories.keys()).chain(links.keys()).filter(|name| !name.is_empty()) {
            ask(destination.join(name).as_str().into());
        }
    }
}

/// Returns the files on this computer, and their lengths, of which digests are needed before the plan.
pub fn digests_needed(wanted: &Deployment, facts: &Facts) -> BTreeMap<PathBuf, BTreeSet<u64>> {
    let here = &facts.here;
    let transfers = wanted.transfers.to_device.iter().filter_map(|transfer| {
        let source = here.sources.get(&transfer.local)?;
        Some((source, super::transfers::destination(transfer, source, facts)))
    });
    let sent = application::sent(wanted, here).into_iter();
    let sent = sent.flat_map(|sent| sent.sources.iter().map(move |(name, source)| (source, sent.directory.join(name))));
    let mut digests_needed: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    for (source, destination) in transfers.chain(sent) {
        for (path, length) in super::transfers::digests_needed(source, &destination, facts) {
            digests_needed.entry(path.to_owned()).or_default().insert(length);
        }
    }
    digests_needed
}

/// Returns the files on the device that may have copies on this computer, which must be known before the plan.
pub fn copies(wanted: &Deployment, facts: &Facts) -> Vec<Candidate> {
    fetched(wanted, facts).iter().flat_map(|(place, tree)| place.candidates(tree)).collect()
}

/// Returns the paths on this computer for directories and links of the device: their present state must be known before the
/// plan.
pub fn places(wanted: &Deployment, facts: &Facts) -> Vec<PathBuf> {
    fetched(wanted, facts).iter().flat_map(|(place, tree)| place.others(tree)).collect()
}

/// Returns each tree that is fetched, with its destination.
fn fetched<'a>(wanted: &Deployment, facts: &'a Facts) -> Vec<(Place, &'a Tree)> {
    let tree = |remote: &RemotePath| facts.trees.get(remote.as_str());
    let pulls = wanted.logs.iter().filter_map(|pull| Some((super::logs::place(pull, facts), tree(&pull.remote)?)));
    let transfers = wanted.transfers.from_device.iter().filter_map(|transfer| {
        let tree = tree(&transfer.remote)?;
        Some((super::transfers::lands(transfer, tree, facts), tree))
    });
    pulls.chain(transfers).collect()
}
