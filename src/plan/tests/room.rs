//! Room: what is refused, with what could go, and what is removed before anything is sent.

use super::{engine::wants_image, *};
use crate::facts::Room;

const MB: u64 = 1_000_000;

/// Returns a device with this many megabytes for images and in oem's home directory, which are one file system when
/// `shared`, and a deployment of an image of 100 MB, of which 40 MB are sent.
fn with_room(docker_megabytes: u64, home_megabytes: u64, shared: bool) -> (Deployment, Facts) {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_image(&mut wanted, &mut facts);
    facts.here.images[0].layers[0].1 = 40 * MB;
    facts.here.images[0].unpacked = vec![100 * MB];
    let room = |device, megabytes| Room { device, bytes: megabytes * MB, size: 8000 * MB, inodes: Some(100_000) };
    docker(&mut facts).root = Some("/var/lib/docker".into());
    facts.room.insert("/var/lib/docker".into(), room(1, docker_megabytes));
    facts.room.insert("/home/oem".into(), room(if shared { 1 } else { 2 }, home_megabytes));
    (wanted, facts)
}

/// Has a file of 50 MB sent.
fn sends(wanted: &mut Deployment, facts: &mut Facts) {
    let local = std::path::PathBuf::from("/here/model");
    wanted.transfers.to_device = vec![crate::config::Transfer { local: local.clone(), remote: remote("~/model") }];
    let file = LocalFile { path: local.clone(), mode: 0o644, size: 50 * MB, digests: BTreeMap::new() };
    facts.here.sources.insert(local, Source::File(file));
}

fn sized(id: &str, tag: &str, size: u64) -> DockerImage {
    DockerImage { size: size * MB, ..image_there(id, &[tag]) }
}

/// Returns the clean-up stage of a plan and the foreign things, as text, or the failure of planning.
fn said(wanted: &Deployment, facts: &Facts, make_room: bool) -> String {
    let circumstances = PlanContext { stem: "stem".into(), make_room, ..PlanContext::default() };
    match plan(wanted, facts, &circumstances) {
        Ok(plan) => {
            let stages = plan.shown().into_iter().filter(|stage| stage.stage == crate::stage::Stage::CleanUp);
            let lines = stages.flat_map(|stage| [vec![stage.says], stage.steps].concat());
            lines.chain(plan.foreign.iter().map(|thing| format!("foreign: {thing}"))).collect::<Vec<_>>().join("\n")
        }
        Err(failure) => {
            let details: String = failure.error.details().iter().map(|line| format!("\n  {line}")).collect();
            format!("{:?}: {failure}{details}\nhint: {}", failure.kind(), failure.error.hint().unwrap_or_default())
        }
    }
}

#[test]
fn what_does_not_fit_at_the_peak_is_refused_with_the_figures() {
    let (wanted, facts) = with_room(200, 10, false);
    assert_eq!(said(&wanted, &facts, false), "", "100 MB and the 40 MB that arrive, and what files leave empty");
    let (wanted, facts) = with_room(120, 10, false);
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 144 MB at the peak and 120 MB are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
    let (mut wanted, mut facts) = with_room(8000, 20, false);
    sends(&mut wanted, &mut facts);
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/home/oem` takes 50 MB at the peak and 20 MB are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
}

#[test]
fn where_images_share_the_disk_with_the_home_both_count() {
    let (mut wanted, mut facts) = with_room(170, 170, true);
    assert_eq!(said(&wanted, &facts, false), "");
    sends(&mut wanted, &mut facts);
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 194 MB at the peak and 170 MB are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
}

#[test]
fn inodes_are_counted_as_well() {
    let (wanted, mut facts) = with_room(8000, 10, false);
    facts.room.get_mut("/var/lib/docker").expect("there").inodes = Some(1000);
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 1525 files and inodes for 1000 are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
    facts.room.get_mut("/var/lib/docker").expect("there").inodes = None;
    assert_eq!(said(&wanted, &facts, false), "");
}

#[test]
fn what_runs_what_is_wanted_what_ran_before_and_what_others_are_built_on_is_never_removed() {
    let (mut wanted, mut facts) = with_room(120, 10, false);
    facts.here.images[0].layers.push(("sha256:top".into(), 40 * MB));
    facts.here.images[0].unpacked.push(100 * MB);
    wanted.clean_up.keep = vec!["kept*".into()];
    let docker = docker(&mut facts);
    docker.containers =
        vec![container("web", "sha256:1"), Container { state: ContainerState::Exited, ..container("old", "sha256:2") }];
    docker.images = vec![
        sized("sha256:1", "runs:1", 500),
        sized("sha256:2", "stopped:1", 500),
        sized("sha256:3", "before:1", 500),
        sized("sha256:4", "kept:1", 500),
        DockerImage { parent: Some("sha256:6".into()), ..sized("sha256:5", "child:1", 20) },
        sized("sha256:6", "base:1", 10),
        // The lowest layer of the new image is its own, which need not travel then.
        DockerImage { layers: vec!["sha256:layer".into()], ..sized("sha256:7", "relative:1", 110) },
    ];
    let record = Record { images: ["sha256:3".to_owned()].into(), ..Record::default() };
    facts.records.insert("other".into(), record);
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 144 MB at the peak and 120 MB are free
      could go: image child:1 (20 MB)
    hint: `--make-room` removes just these, up to 20 MB: what runs, what is wanted and what ran before stays
    ");
}

#[test]
fn make_room_removes_just_what_could_go_and_looks_again() {
    let (wanted, mut facts) = with_room(120, 10, false);
    docker(&mut facts).images = vec![sized("sha256:1", "other:1", 50), sized("sha256:2", "big:1", 60)];
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 144 MB at the peak and 120 MB are free
      could go: image big:1 (60 MB)
      could go: image other:1 (50 MB)
    hint: `--make-room` removes just these, up to 110 MB: what runs, what is wanted and what ran before stays
    ");
    insta::assert_snapshot!(said(&wanted, &facts, true), @"
    remove 2 images to make room
    docker image rm --force -- sha256:2 sha256:1
    see that 144 MB are free in /var/lib/docker
    foreign: image big:1
    foreign: image other:1
    ");
    let (wanted, mut facts) = with_room(20, 10, false);
    docker(&mut facts).images = vec![sized("sha256:1", "other:1", 50)];
    insta::assert_snapshot!(said(&wanted, &facts, true), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 144 MB at the peak and 20 MB are free
      could go: image other:1 (50 MB)
    hint: `--make-room` can remove no more than these, at most 50 MB: remove files, or old volumes
    ");
    let (wanted, mut facts) = with_room(200, 10, false);
    docker(&mut facts).images = vec![sized("sha256:1", "other:1", 50)];
    assert_eq!(said(&wanted, &facts, true), "", "there is room");
}

#[test]
fn what_a_clean_up_frees_is_counted_on_and_seen_to_afterwards() {
    let (mut wanted, mut facts) = with_room(120, 10, false);
    wanted.clean_up.images = true;
    docker(&mut facts).images = vec![sized("sha256:1", "other:1", 50)];
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    remove 1 image
    docker image rm --force -- sha256:1
    see that 144 MB are free in /var/lib/docker
    foreign: image other:1
    ");
    docker(&mut facts).images = vec![sized("sha256:1", "other:1", 5)];
    insta::assert_snapshot!(said(&wanted, &facts, false), @"
    NoSpace: the device has not enough room: `/var/lib/docker` takes 144 MB at the peak and 120 MB are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
}

#[test]
fn images_that_make_room_go_once_and_behind_those_that_were_built_on_them() {
    let (mut wanted, mut facts) = with_room(50, 50, false);
    let child = |id: &str, tag: &str, parent: &str| DockerImage { parent: Some(parent.into()), ..sized(id, tag, 300) };
    // The clean-up takes what this application has delivered, and docker the nameless one below it.
    wanted.clean_up = CleanUp { images: true, only_this_application: true, ..CleanUp::default() };
    facts.records.entry("app".into()).or_default().images.insert("sha256:2".into());
    docker(&mut facts).images = vec![
        sized("sha256:9", "base:1", 300),
        DockerImage { tags: Vec::new(), ..child("sha256:5", "", "sha256:9") },
        child("sha256:2", "mine:1", "sha256:5"),
        sized("sha256:7", "other:1", 300),
    ];
    insta::assert_snapshot!(said(&wanted, &facts, true), @r#"
    remove 1 image, remove 2 images to make room
    docker image rm --force -- sha256:2
    docker image rm --force -- sha256:9 sha256:7
    see that 144 MB are free in /var/lib/docker
    foreign: image base:1
    foreign: image other:1
    "#);
    // One that makes room was built on one that the clean-up takes: that stays.
    docker(&mut facts).images = vec![sized("sha256:2", "mine:1", 300), child("sha256:5", "theirs:1", "sha256:2")];
    insta::assert_snapshot!(said(&wanted, &facts, true), @r#"
    remove 1 image to make room
    docker image rm --force -- sha256:5
    see that 144 MB are free in /var/lib/docker
    foreign: image theirs:1
    "#);
}
