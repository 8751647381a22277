//! Room: what a plan needs at its peak on each file system of the device, against what is free there; and what could go.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, LoadImage, Plan, Planner, StagePlan, clean_up::nameless_bases, count};
use crate::{
    commands::docker,
    config::{REMOTE_HOME, RemotePath},
    delivery::ParcelRoute,
    facts::{DockerImage, Facts, Room, here::LocalImage},
    failure::{Explain, FailureKind},
    stage::Stage,
    text,
};

/// Docker's root where it does not tell it.
const DOCKER_ROOT: &str = "/var/lib/docker";
/// A file takes at least so much, in bytes.
const BLOCK: u64 = 4096;
/// Space for the record and the stamp, in bytes.
const MARGIN: u64 = 64 << 10;
/// Space for the metadata that docker writes for an image, in bytes.
const METADATA: u64 = 1 << 20;
/// Estimated number of bytes of an image for each of its files: images do not have more files than that.
const IMAGE_FILE: u64 = 64 << 10;

/// The additional space that is needed at the peak, in the file system of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Path of the directory.
    pub directory: String,
    /// Number of bytes that are needed.
    pub bytes: u64,
    /// Files and directories.
    pub inodes: u64,
}

/// An image that could be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removable {
    /// ID of the image.
    pub id: String,
    /// The name of the image that is shown to the user.
    pub shown: String,
    /// Size of the image, in bytes; layers that it shares with others are kept.
    pub size: u64,
}

/// The device has not enough room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device has not enough room: {}", shortages.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct RoomError {
    /// The resources that are short.
    pub shortages: Vec<Shortage>,
    /// The images that could be removed: they do not run, are not wanted, and did not run before.
    pub removable: Vec<Removable>,
    /// Whether it was to be removed, and would not do.
    pub in_vain: bool,
}

/// One thing that is short on one file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The file system has too few free bytes.
    Bytes {
        /// A directory in the file system.
        directory: String,
        /// Number of bytes that are needed.
        needed: u64,
        /// Number of bytes that are free.
        free: u64,
    },
    /// The file system has too few free inodes.
    Inodes {
        /// A directory in the file system.
        directory: String,
        /// Number of inodes that are needed.
        needed: u64,
        /// Number of inodes that are free.
        free: u64,
    },
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes { directory, needed, free } => {
                write!(
                    formatter,
                    "`{directory}` takes {} at the peak and {} are free",
                    text::bytes(*needed),
                    text::bytes(*free)
                )
            }
            Self::Inodes { directory, needed, free } => {
                write!(formatter, "`{directory}` takes {} and inodes for {free} are free", count(*needed as usize, "file"))
            }
        }
    }
}

impl Explain for RoomError {
    fn kind(&self) -> FailureKind {
        FailureKind::NoSpace
    }

    fn hint(&self) -> Option<String> {
        let size = text::bytes(self.removable.iter().map(|image| image.size).sum());
        Some(match self.removable.len() {
            0 => "nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes"
                .into(),
            _ if self.in_vain => {
                format!("`--make-room` can remove no more than these, at most {size}: remove files, or old volumes")
            }
            _ => format!("`--make-room` removes just these, up to {size}: what runs, what is wanted and what ran before stays"),
        })
    }

    fn details(&self) -> Vec<String> {
        self.removable.iter().map(|image| format!("could go: image {} ({})", image.shown, text::bytes(image.size))).collect()
    }
}

/// Returns the known directory that contains a path: the longest one.
fn directory_of<'a>(path: &str, rooms: &'a BTreeMap<String, Room>) -> Option<&'a String> {
    let inside = |directory: &&String| {
        let rest = path.strip_prefix(directory.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    rooms.keys().filter(inside).max_by_key(|directory| directory.len())
}

/// Returns the peak of each file system while the plan is carried out. File systems that were not asked about are left out.
/// `imported` is the size of the archives on the device that its docker is to load, in bytes.
pub fn needs(plan: &Plan, facts: &Facts, imported: u64) -> Vec<Need> {
    let mut tally = Tally { facts, devices: BTreeMap::new() };
    for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
        match action {
            Action::Send(sending) => {
                for (directory, _) in &sending.directories {
                    tally.keep(directory, BLOCK, 1);
                }
                for file in &sending.files {
                    tally.keep(file.remote.as_str(), (file.size - file.have).next_multiple_of(BLOCK), 1);
                }
            }
            Action::Load(loading) => tally.load(loading),
            _ => {}
        }
    }
    if imported > 0 {
        tally.note(&tally.root(), imported, imported, imported / IMAGE_FILE);
    }
    let used = tally.devices.into_values().filter(|used| used.peak > 0);
    used.map(|used| Need { directory: used.directory, bytes: used.peak + MARGIN, inodes: used.inodes }).collect()
}

struct Tally<'a> {
    facts: &'a Facts,
    devices: BTreeMap<u64, Used>,
}

#[derive(Default)]
struct Used {
    directory: String,
    now: u64,
    peak: u64,
    inodes: u64,
}

impl Tally<'_> {
    /// Notes that something comes to `path` and stays.
    fn keep(&mut self, path: &str, bytes: u64, inodes: u64) {
        self.note(path, bytes, 0, inodes);
    }

    /// Notes that something comes to `path` and stays, and that `beside` more bytes are there for a while.
    fn note(&mut self, path: &str, bytes: u64, beside: u64, inodes: u64) {
        let Some((directory, room)) = directory_of(path, &self.facts.room).and_then(|at| self.facts.room.get_key_value(at))
        else {
            return;
        };
        let used = self.devices.entry(room.device).or_default();
        used.directory.clone_from(directory);
        used.now = used.now.saturating_add(bytes);
        used.peak = used.peak.max(used.now.saturating_add(beside));
        used.inodes += inodes;
    }

    /// Returns the directory in which docker keeps images.
    fn root(&self) -> String {
        self.facts.docker.as_ref().and_then(|docker| docker.root.as_deref()).unwrap_or(DOCKER_ROOT).to_owned()
    }

    /// Notes the space that a delivery needs: docker unpacks an image parcel by parcel, so that the parts that have arrived
    /// and the present parcel are on the disk together.
    fn load(&mut self, loading: &LoadImage) {
        let root = self.root();
        let mut images = self.facts.here.images.iter();
        let image = images.find(|image| image.source == loading.source && image.id == loading.id);
        let layers = image.map(|image| image.unpacked.as_slice()).unwrap_or_default();
        self.note(&root, METADATA, 0, 0);
        for (parcel, way) in loading.delivery.parcels.iter().zip(&loading.delivery.ways) {
            let sent = loading.delivery.bytes(parcel);
            if *way == ParcelRoute::Files {
                self.note(REMOTE_HOME, 0, sent, 0);
            }
            let unpacked: u64 = layers.get(parcel.clone()).unwrap_or_default().iter().sum();
            // Half a block of each file stays empty.
            let files = unpacked / IMAGE_FILE;
            self.note(&root, unpacked + files * BLOCK / 2, sent, files);
        }
    }
}

/// Returns the resources that are short on the device.
pub fn shortages(needs: &[Need], rooms: &BTreeMap<String, Room>, credit: u64) -> Vec<Shortage> {
    let mut shortages = Vec::new();
    for need in needs {
        let Some(room) = rooms.get(&need.directory) else { continue };
        let directory = need.directory.clone();
        if need.bytes > room.bytes.saturating_add(credit) {
            shortages.push(Shortage::Bytes { directory, needed: need.bytes, free: room.bytes });
        } else if let Some(free) = room.inodes.filter(|free| *free < need.inodes && credit == 0) {
            shortages.push(Shortage::Inodes { directory, needed: need.inodes, free });
        }
    }
    shortages
}

impl Planner<'_> {
    /// Refuses what does not fit, or gives what is to be removed before anything is sent. How much a removal really frees is only
    /// known afterwards, for images share layers: then it is seen to once more.
    pub(super) fn ensure_space(&mut self, before: &Facts) -> Result<Vec<Removable>, RoomError> {
        let needs = needs(&self.plan, before, self.imported);
        let short = shortages(&needs, &before.room, 0);
        if short.is_empty() {
            return Ok(Vec::new());
        }
        let (there, freed) = self.after_clean_up(before);
        let removable = self.removable(&there);
        let make_room = self.circumstances.make_room;
        let more = if make_room { removable.iter().map(|image| image.size).sum() } else { 0 };
        let credit = freed.saturating_add(more);
        if credit == 0 || !shortages(&needs, &before.room, credit).is_empty() {
            return Err(RoomError { shortages: short, removable, in_vain: make_room });
        }
        if make_room && !removable.is_empty() {
            return Ok(removable);
        }
        if let Some(clean_up) = self.plan.stages.iter_mut().find(|stage| stage.stage == Stage::CleanUp) {
            clean_up.actions.push(Action::CheckRoom(needs));
        }
        Ok(Vec::new())
    }

    /// Removes these images before anything is sent, and sees whether that was enough.
    pub(super) fn make_room(&mut self, images: &[Removable], before: &Facts) {
        for image in images {
            if !self.facts.is_ours(|record| record.images.contains(&image.id)) {
                self.plan.foreign.push(format!("image {}", image.shown));
            }
        }
        let ids: Vec<_> = images.iter().map(|image| image.id.clone()).collect();
        let needs = needs(&self.plan, before, self.imported);
        let actions = [Action::Run(docker::remove_images(&ids)), Action::CheckRoom(needs)];
        let says = format!("remove {} to make room", count(ids.len(), "image"));
        let at = self.plan.stages.iter().position(|stage| stage.stage >= Stage::CleanUp).unwrap_or(self.plan.stages.len());
        match self.plan.stages.get_mut(at).filter(|stage| stage.stage == Stage::CleanUp) {
            Some(clean_up) if clean_up.actions.is_empty() => {
                *clean_up = StagePlan { says, actions: actions.into(), ..clean_up.clone() }
            }
            Some(clean_up) => {
                clean_up.says = format!("{}, {says}", clean_up.says);
                clean_up.actions.extend(actions);
            }
            None => self.plan.stages.insert(at, StagePlan { stage: Stage::CleanUp, says, actions: actions.into() }),
        }
    }

    /// Returns the images that nobody needs: no container uses them, this deployment does not want them or their layers, no
    /// earlier version of an application needs them, and no other image was built on them.
    pub(super) fn removable(&self, there: &Facts) -> Vec<Removable> {
        let Some(docker) = &there.docker else { return Vec::new() };
        let wanted = self.images_wanted();
        let used: BTreeSet<_> = docker.containers.iter().map(|container| &container.image).collect();
        let parents: BTreeSet<_> = docker.images.iter().filter_map(|image| image.parent.as_ref()).collect();
        let previous: BTreeSet<_> = there.records.values().flat_map(crate::facts::Record::needed_images).collect();
        let bases: BTreeSet<_> = there.here.images.iter().filter_map(|image| base(image, &docker.images)).collect();
        let named = |image: &&DockerImage| {
            image.tags.iter().any(|tag| self.keeps_image(tag) || tag.starts_with(crate::release::versions::PREVIOUS))
        };
        let stays = |image: &&DockerImage| {
            wanted.contains(&image.id)
                || used.contains(&image.id)
                || parents.contains(&image.id)
                || previous.contains(&image.id)
                || bases.contains(&image.id)
                || named(image)
                || nameless_bases(&image.id, docker).any(|base| wanted.contains(base) || previous.contains(base))
        };
        let going = docker.images.iter().filter(|image| !stays(image));
        let shown = |image: &DockerImage| image.tags.first().unwrap_or(&image.id).clone();
        let mut going: Vec<_> =
            going.map(|image| Removable { id: image.id.clone(), shown: shown(image), size: image.size }).collect();
        going.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.shown.cmp(&b.shown)));
        going
    }
}

/// Returns the image on the device with the largest part of an image's layers, which then need not be sent; `None` when its
/// other layers are larger.
fn base(image: &LocalImage, there: &[DockerImage]) -> Option<String> {
    let common = |other: &DockerImage| {
        other.layers.iter().zip(&image.layers).take_while(|(there, (wanted, _))| there == &wanted).count()
    };
    let (common, best) = there.iter().map(|other| (common(other), other)).max_by_key(|(common, _)| *common)?;
    let shared: u64 = image.unpacked.iter().take(common).sum();
    (shared > best.size.saturating_sub(shared)).then(|| best.id.clone())
}

/// Returns the directories whose free space a deployment has to know; docker tells its own root.
pub(super) fn directories<'a>(destinations: impl Iterator<Item = &'a RemotePath>, mounts_later: bool) -> BTreeSet<String> {
    // External storage may only be there once it was asked for.
    let known = destinations.filter(|path| !(mounts_later && path.as_str().starts_with("/run/media/")));
    known.map(|path| path.as_str().to_owned()).chain([REMOTE_HOME.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(figures: &[(&str, u64, u64)]) -> BTreeMap<String, Room> {
        let room = |device, bytes| Room { device, bytes, size: bytes, inodes: Some(10) };
        figures.iter().map(|(name, device, bytes)| ((*name).to_owned(), room(*device, *bytes))).collect()
    }

    #[test]
    fn a_path_is_in_the_longest_directory_that_holds_it() {
        let rooms = rooms(&[("/", 1, 1), ("/home/oem", 1, 1), ("/home/oem/stick", 2, 1)]);
        let at = |path| directory_of(path, &rooms).map(String::as_str);
        assert_eq!(at("/home/oem/stick/a"), Some("/home/oem/stick"));
        assert_eq!(at("/home/oem/sticky"), Some("/home/oem"));
        assert_eq!(at("/usr"), Some("/"));
    }

    #[test]
    fn bytes_and_inodes_are_held_against_what_is_free() {
        let rooms = rooms(&[("/a", 1, 100), ("/b", 2, 100)]);
        let need = |directory: &str, bytes, inodes| Need { directory: directory.into(), bytes, inodes };
        assert_eq!(shortages(&[need("/a", 100, 10), need("/b", 5, 1)], &rooms, 0), []);
        let short = shortages(&[need("/a", 101, 1), need("/b", 5, 11)], &rooms, 0);
        insta::assert_snapshot!(RoomError { shortages: short, removable: vec![], in_vain: false }, @"the device has not enough room: `/a` takes 101 B at the peak and 100 B are free; `/b` takes 11 files and inodes for 10 are free");
        assert_eq!(shortages(&[need("/a", 101, 1)], &rooms, 1), []);
    }
}
