//! The delivery of images: whatever way their layers travel, the image on the device is the one here, and nothing else is left.

use std::time::{Duration, Instant};

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu},
    layers::{Layer, save},
};

/// Deploys an archive and gives the bytes that were sent on the socket.
fn deliver(vpu: &Vpu, archive: &str) -> u64 {
    let said = vpu.succeed(&["--image", archive, "--json"]);
    let traffic = said.lines().find(|line| line.contains(r#""event":"traffic""#)).expect("traffic is told");
    let event: serde_json::Value = serde_json::from_str(traffic).expect("JSON");
    event.get("sent").and_then(serde_json::Value::as_u64).expect("a number")
}

/// The ID of an image on the device, asked of its docker from within.
fn id(vpu: &Vpu, reference: &str) -> String {
    vpu.root(&format!("docker image inspect --format '{{{{.Id}}}}' {reference}")).trim().to_owned()
}

/// All images on the device, intermediate ones too.
fn images(vpu: &Vpu) -> String {
    vpu.root("docker image ls --all --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort")
}

/// Docker's temporary copies.
fn leftovers(vpu: &Vpu) -> String {
    vpu.root("ls -A /var/lib/docker/tmp")
}

/// Waits for something on the device, at most 30 s.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what} in 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes an archive of one image below the user's home; gives its path and the image's ID.
fn one(vpu: &Vpu, name: &str, reference: &str, layers: &[Layer]) -> (String, String) {
    let (path, mut ids) = archive(vpu, name, &[(reference, layers)]);
    (path, ids.pop().expect("one image"))
}

fn archive(vpu: &Vpu, name: &str, images: &[(&str, &[Layer])]) -> (String, Vec<String>) {
    let path = vpu.home.path().join(name);
    let ids = save(&path, images);
    (path.display().to_string(), ids)
}

fn layers_of_all_kinds(kind: Kind) {
    let vpu = Vpu::trusted(kind);
    let (a, b, c) = (Layer::random("a", 300), Layer::random("b", 300), Layer::random("c", 300));
    let many: Vec<_> = (0..100).map(|number| Layer::random(&format!("l{number}"), 1)).collect();
    let odd = [a.clone(), Layer::empty(), Layer::whiteout("data", "a"), Layer::empty(), Layer::hard_link("h"), b.clone()];
    let all: [(&str, &[Layer]); 6] = [
        ("base:1", &[a.clone(), b.clone()]),
        ("shared:1", &[a.clone(), b.clone(), c.clone()]),
        ("swapped:1", &[b.clone(), a.clone(), c]),
        ("odd:1", &odd),
        ("twice:1", &[a.clone(), b.clone(), a.clone(), b.clone()]),
        ("many:1", &many),
    ];
    for (reference, layers) in all {
        let (path, expected) = one(&vpu, "image.tar", reference, layers);
        deliver(&vpu, &path);
        assert_eq!(id(&vpu, reference), expected, "{reference}");
    }
    // Docker itself reads back what it has: every layer is as it was.
    for (reference, _) in all {
        vpu.root(&format!("docker image save {reference} | tar -tf - >/dev/null"));
    }
    let (path, ids) = archive(&vpu, "two.tar", &[("two:a", &[a.clone(), b.clone()]), ("two:b", &[b, a])]);
    deliver(&vpu, &path);
    assert_eq!([id(&vpu, "two:a"), id(&vpu, "two:b")], *ids);
    assert_eq!(images(&vpu).lines().count(), 8);
    assert_eq!(leftovers(&vpu), "");
}

#[test]
fn every_kind_of_layer_arrives_as_it_is_on_an_ovp81x() {
    layers_of_all_kinds(OVP81X);
}

#[test]
fn every_kind_of_layer_arrives_as_it_is_on_an_ovp80x() {
    layers_of_all_kinds(OVP80X);
}

#[test]
fn only_missing_layers_are_sent_and_an_image_that_is_there_is_not() {
    let vpu = Vpu::trusted(OVP81X);
    let layers: Vec<_> = ["one", "two", "three"].iter().map(|name| Layer::random(name, 20_000)).collect();
    let (first, _) = one(&vpu, "1.tar", "app:1", &layers);
    assert!(deliver(&vpu, &first) > 60_000_000);
    let changed: Vec<_> = layers.iter().take(2).cloned().chain([Layer::random("new", 200)]).collect();
    let (second, expected) = one(&vpu, "2.tar", "app:2", &changed);
    let sent = deliver(&vpu, &second);
    assert!((200_000..300_000).contains(&sent), "{sent} bytes");
    assert_eq!(id(&vpu, "app:2"), expected);
    let nothing = deliver(&vpu, &second);
    assert!(nothing < 30_000, "{nothing} bytes");
    assert_eq!(images(&vpu).lines().count(), 2, "{}", images(&vpu));
}

#[test]
fn a_base_that_vanishes_between_plan_and_load_is_sent_after_all() {
    let vpu = Vpu::trusted(OVP81X);
    let base = Layer::random("base", 500);
    let (first, _) = one(&vpu, "1.tar", "app:1", std::slice::from_ref(&base));
    deliver(&vpu, &first);
    // The first load finds the base gone.
    vpu.root(
        "mv /usr/bin/docker /usr/bin/docker.real && printf '%s\\n' '#!/bin/sh' \
         'if [ \"$1 $2\" = \"image load\" ] && [ ! -e /home/oem/gone ]; then touch /home/oem/gone; docker.real image rm app:1 >/dev/null; fi' \
         'exec docker.real \"$@\"' > /usr/bin/docker && chmod 755 /usr/bin/docker",
    );
    let (second, expected) = one(&vpu, "2.tar", "app:2", &[base, Layer::random("top", 100)]);
    let said = vpu.succeed(&["--image", &second]);
    assert!(said.contains("warning: the device does not take `app:2` without the layers that it has"), "{said}");
    assert_eq!(images(&vpu).trim(), format!("app:2 {expected}"));
    assert_eq!(leftovers(&vpu), "");
}

#[test]
fn an_interrupted_delivery_goes_on_behind_the_last_parcel_and_leaves_nothing_behind() {
    let vpu = Vpu::trusted(OVP81X);
    let layers: Vec<_> = ["one", "two", "three"].iter().map(|name| Layer::random(name, 40_000)).collect();
    let (path, expected) = one(&vpu, "app.tar", "app:1", &layers);
    let mut program = vpu.command(&["--image", &path]).spawn().expect("the program runs");
    eventually("a parcel is loaded", || images(&vpu).contains("o3r-deploy.partial"));
    program.kill().expect("killed");
    program.wait().expect("ended");
    let partial = vpu.root("docker image ls --quiet o3r-deploy.partial | wc -l").trim().parse::<u64>().expect("a number");
    let sent = deliver(&vpu, &path);
    assert!(sent < (3 - partial) * 41_500_000, "{sent} bytes after {partial} parcels");
    assert_eq!(images(&vpu).trim(), format!("app:1 {expected}"));
    assert_eq!(leftovers(&vpu), "");
}

#[test]
fn a_disk_that_fills_up_in_the_middle_leaves_no_image_behind() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.root("mount -t tmpfs -o size=60m tmpfs /var/lib/docker/tmp");
    let layers = [Layer::random("small", 30_000), Layer::random("large", 90_000)];
    let (path, _) = one(&vpu, "app.tar", "app:1", &layers);
    let (code, said) = vpu.run(&["--image", &path]);
    assert_eq!(code, 9, "{said}");
    assert!(said.contains("error: image: "), "{said}");
    assert_eq!(images(&vpu), "");
    assert_eq!(leftovers(&vpu), "");
}
