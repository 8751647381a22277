//! Images into the device's docker.

use std::io::Write;

use super::*;
use crate::{
    delivery::{Delivery, LayerIndexCache, Offer, Speeds, Strategy, choose},
    image::{self, LocalImages},
    plan::LoadImage,
};

/// Returns an archive as `docker save` makes it, with one empty layer.
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

fn loading(id: String) -> Plan {
    let delivery = Delivery::new(vec![1024], 0);
    let (delivery, forecast) = choose(&delivery, &Offer::default(), &Speeds::default(), Strategy::Auto);
    let loading = LoadImage { source: 0, id, references: vec!["app:1".into()], shown: "app:1".into(), delivery, forecast };
    plan(vec![stage(Stage::Image, vec![Action::Load(loading)])])
}

/// Sends the image to a device that says of its image what `found` makes of the right ID.
fn load(fake: impl FnOnce(&str) -> Fake) -> (String, String, Result<(), Failure>) {
    let (_file, images) = archive();
    let id = images.images().first().expect("one").id.to_string();
    let fake = fake(&id);
    let (told, result) = run_with(
        &loading(id.clone()),
        &fake,
        Interrupt::default(),
        &ImageSources::new(vec![Some(images)], LayerIndexCache::default()),
    );
    (told, fake.log().replace(&id, "sha256:…"), result)
}

#[test]
fn an_image_is_streamed_and_read_back_by_name_and_id() {
    let (told, log, result) = load(|id| Fake::default().on("prints the IDs", says(&[format!("{id}\n{id}\n").as_bytes()])));
    assert!(result.is_ok());
    insta::assert_snapshot!(log, @r"
        docker image load --quiet
        sh -c '# removes what a delivery needed on its way and prints the IDs of its images…' sh o3r-deploy.partial /home/oem/.o3r-deploy/.arriving app:1 sha256:…
        ");
    assert!(told.starts_with("image started: some work\nimage step: send app:1\nimage progress: "), "{told}");
    assert!(told.contains("image finished: Done: app:1: 0 B sent in 0."), "{told}");
    assert!(told.contains(" s (1.0 kB in 0.1") && told.ends_with(" s expected)"), "{told}");
}

#[test]
fn another_image_than_the_one_sent_is_an_error() {
    let (_, log, result) = load(|_| Fake::default().on("prints the IDs", says(&[b"sha256:other\n"])));
    let said = failure(result);
    assert!(said.starts_with("Image: image: the image on the device has the ID `sha256:other`, and the one sent has `sha256:"));
    assert!(log.ends_with("…' sh o3r-deploy.partial /home/oem/.o3r-deploy/.arriving"), "{log}");
}

#[test]
fn a_full_disk_while_loading_has_its_own_exit_code_and_what_came_is_taken_back() {
    let full = "Error processing tar file: write /x: no space left on device";
    let (_, log, result) = load(|_| Fake::default().on("image load", fails(1, full)));
    insta::assert_snapshot!(failure(result), @r"
    NoSpace: image: `docker image load --quiet` failed on the device: exit code 1: Error processing tar file: write /x: no space left on device
    | Error processing tar file: write /x: no space left on device
    ");
    insta::assert_snapshot!(log, @r"
        docker image load --quiet
        sh -c '# removes what a delivery needed on its way…' sh o3r-deploy.partial /home/oem/.o3r-deploy/.arriving
        ");
}

#[test]
fn an_image_that_cannot_be_read_here_ends_it_before_docker_is_asked_for_it() {
    let fake = Fake::default();
    let (_, result) = run(&loading("sha256:none".into()), &fake);
    assert!(result.is_err());
    assert!(!fake.log().contains("load"), "{}", fake.log());
}
