//! Images into the device's docker.

use std::io::Write;

use super::*;
use crate::{
    delivery::Delivery,
    image::{self, LocalImages},
    plan::Loading,
};

/// An archive as `docker save` makes it, with one empty layer.
fn archive() -> (tempfile::NamedTempFile, LocalImages) {
    let layer = tar::Builder::new(Vec::new()).into_inner().expect("memory takes all");
    let diff_id = image::DiffId::of(&layer);
    let config = format!(
        r#"{{"architecture":"arm64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let manifest = r#"[{"Config":"config.json","RepoTags":["app:1"],"Layers":["layer.tar"]}]"#;
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("config.json", config.as_bytes()), ("layer.tar", &layer), ("manifest.json", manifest.as_bytes())] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).expect("memory takes all");
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&tar.into_inner().expect("memory takes all")).expect("room");
    let path = file.path().to_str().expect("a plain path").to_owned();
    let images = image::open(&path, &crate::config::ImageMetadata::default(), None).expect("an archive");
    (file, images)
}

/// The delivery of an image with one layer.
fn loading(id: &str) -> Plan {
    let delivery = Delivery::new(vec![1024], 0);
    let (id, references) = (id.to_owned(), vec!["app:1".to_owned()]);
    let loading = Loading { source: 0, id, references, shown: "app:1".into(), delivery };
    plan(vec![stage(Stage::Image, vec![Action::Load(loading)])])
}

fn load(fake: &Fake) -> (String, Result<(), Failure>) {
    let (_file, images) = archive();
    run_with(&loading("sha256:sent"), fake, Interrupt::default(), &Supply::new(vec![Some(images)]))
}

#[test]
fn an_image_is_streamed_and_read_back_by_name_and_id() {
    let same = || says(&[b"sha256:sent\n"]);
    let fake = Fake::default().on("image inspect", same()).on("image inspect", same());
    let (told, result) = load(&fake);
    assert!(result.is_ok());
    insta::assert_snapshot!(fake.log(), @r"
    docker image load --quiet
    sh -c '# removes the intermediate images of deliveries…' sh o3r-deploy.partial
    docker image inspect --format '{{.Id}}' -- app:1
    docker image inspect --format '{{.Id}}' -- sha256:sent
    ");
    let progress: Vec<_> = told.lines().filter(|line| line.contains("progress")).collect();
    let last = progress.last().expect("some progress");
    let (bytes, total) = last.trim_start_matches("image progress: ").split_once(" of ").expect("both");
    assert_eq!(format!("Some({bytes})"), total, "all of it was sent");
    assert!(told.starts_with("image started: some work\nimage step: send app:1\n"), "{told}");
    assert!(told.ends_with("image finished: Done: some work"), "{told}");
}

#[test]
fn another_image_than_the_one_sent_is_an_error() {
    let fake = Fake::default().on("image inspect", says(&[b"sha256:other\n"]));
    insta::assert_snapshot!(failure(load(&fake).1), @"Image: image: the image on the device has the ID `sha256:other`, and the one sent has `sha256:sent`");
}

#[test]
fn a_full_disk_while_loading_has_its_own_exit_code() {
    let fake = Fake::default().on("image load", fails(1, "Error processing tar file: write /x: no space left on device"));
    insta::assert_snapshot!(failure(load(&fake).1), @r"
    NoSpace: image: `docker image load --quiet` failed on the device: exit code 1: Error processing tar file: write /x: no space left on device
    | Error processing tar file: write /x: no space left on device
    ");
}

#[test]
fn an_image_that_cannot_be_read_here_ends_it_before_anything_is_sent() {
    let fake = Fake::default();
    let (_, result) = run(&loading("sha256:sent"), &fake);
    assert!(result.is_err());
    assert!(!fake.log().contains("image load"), "{}", fake.log());
}
