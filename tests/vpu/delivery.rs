//! The delivery of images: whatever way their layers travel, the image on the device is the one here, and nothing else is left.

use std::time::{Duration, Instant};

use crate::{
    device::{BUSYBOX, Kind, OVP80X, OVP81X, Vpu},
    layers::{Layer, save, save_for},
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
    assert!(
        said.contains("warning: the device does not take it without the layers that it has: more of `app:2` is sent"),
        "{said}"
    );
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
    // A layer is 41 MB, and some more on its way.
    assert!(sent < (3 - partial) * 44_000_000, "{sent} bytes after {partial} parcels");
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
    // Docker's own reason, and nothing of the programs that fed it.
    let error = said.lines().find(|line| line.starts_with("error: image: ")).expect("an error");
    assert!(error.ends_with("no space left on device"), "{said}");
    assert!(!said.to_lowercase().contains("broken pipe"), "{said}");
    assert_eq!(images(&vpu), "");
    assert_eq!(leftovers(&vpu), "");
}

/// Two versions of an application of some size, of which one line differs, on a base; their archives and the second's ID.
fn two_versions(vpu: &Vpu) -> (String, String, String) {
    let content = |name: &str, kilobytes: usize| Layer::random_bytes(name, kilobytes);
    let base = Layer::files(&[
        ("app".into(), None),
        ("app/from-below".into(), Some(content("below", 50))),
        ("app/goes".into(), Some(content("goes", 50))),
        ("usr".into(), None),
        ("usr/large".into(), Some(content("large", 3000))),
    ]);
    let version = |line: &str| {
        let mut files: Vec<_> =
            (0..60).map(|number| (format!("app/file{number:02}"), Some(content(&format!("f{number}"), 40)))).collect();
        let mut model = content("model", 2000);
        model.splice(1_000_000..1_000_000, line.bytes());
        files.push(("app/model".into(), Some(model)));
        files.push((
            "app/sub dir/a file with a name so long that it does not fit into the header of a tar archive, which ends \
                     after a hundred bytes"
                .into(),
            Some(content("long", 30)),
        ));
        files.push(("app/version".into(), Some(line.as_bytes().to_vec())));
        Layer::files(&files)
    };
    let (links, gone) = (Layer::hard_link("app/link"), Layer::whiteout("app", "goes"));
    let of = |line| [base.clone(), links.clone(), gone.clone(), version(line)];
    let (first, _) = one(vpu, "1.tar", "app:1", &of("the first line"));
    let (second, id) = one(vpu, "2.tar", "app:2", &of("another line, and a longer one"));
    (first, second, id)
}

fn a_change_within_a_layer(kind: Kind) {
    let vpu = Vpu::trusted(kind);
    let (first, second, expected) = two_versions(&vpu);
    deliver(&vpu, &first);
    let said = vpu.succeed(&["--image", &second, "--strategy", "in-layer", "--json"]);
    assert!(said.contains("the rest is put together from what is there"), "{said}");
    assert!(!said.contains(r#""event":"warning""#), "{said}");
    let traffic = said.lines().find(|line| line.contains(r#""event":"traffic""#)).expect("traffic is told");
    let sent = serde_json::from_str::<serde_json::Value>(traffic).expect("JSON")["sent"].as_u64().expect("a number");
    assert!(sent < 300_000, "{sent} bytes of a layer of 4.5 MB");
    assert_eq!(id(&vpu, "app:2"), expected);
    assert_eq!(images(&vpu).lines().count(), 2, "{}", images(&vpu));
    assert_eq!(vpu.root("docker container ls --all --quiet"), "");
    assert_eq!(leftovers(&vpu), "");
    vpu.root("docker image save app:2 | tar -tf - >/dev/null");
}

#[test]
fn of_a_changed_layer_only_the_change_travels_to_an_ovp81x() {
    a_change_within_a_layer(OVP81X);
}

#[test]
fn of_a_changed_layer_only_the_change_travels_to_a_busybox() {
    a_change_within_a_layer(BUSYBOX);
}

#[test]
fn what_is_known_wrongly_of_the_old_layer_is_found_out_and_the_layer_is_sent() {
    let vpu = Vpu::trusted(OVP81X);
    let (first, second, expected) = two_versions(&vpu);
    deliver(&vpu, &first);
    // Two files are said to be where the other is.
    let shelf = vpu.home.path().join(".cache/o3r-deploy/layers");
    for file in std::fs::read_dir(&shelf).expect("layers are known") {
        let file = file.expect("a file").path();
        let mut index: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("readable")).expect("JSON");
        let members = index["members"].as_array_mut().expect("members");
        let find = |name: &str| members.iter().position(|member| member["path"] == name);
        if let (Some(one), Some(two)) = (find("app/file10"), find("app/file11")) {
            let kind = members[one]["kind"].take();
            members[one]["kind"] = members[two]["kind"].take();
            members[two]["kind"] = kind;
            std::fs::write(&file, index.to_string()).expect("written");
        }
    }
    let said = vpu.succeed(&["--image", &second, "--strategy", "in-layer"]);
    assert!(said.contains("does not take what is put together from what it has: more of `app:2` is sent"), "{said}");
    assert_eq!(id(&vpu, "app:2"), expected);
    assert_eq!(vpu.root("docker container ls --all --quiet"), "");
    assert_eq!(leftovers(&vpu), "");
}

#[test]
fn every_strategy_delivers_the_same_image_and_a_dry_run_says_what_it_would_cost() {
    let vpu = Vpu::trusted(OVP81X);
    let (first, second, expected) = two_versions(&vpu);
    for strategy in ["full", "thin", "in-layer", "auto"] {
        vpu.root("docker image prune --all --force");
        deliver(&vpu, &first);
        let known = vpu.home.path().join(".cache");
        let before = format!("{:?}", std::process::Command::new("find").arg(&known).arg("-type").arg("f").output());
        let planned = vpu.succeed(&["plan", "--image", &second, "--strategy", strategy]);
        assert!(planned.contains("; about "), "{planned}");
        assert_eq!(before, format!("{:?}", std::process::Command::new("find").arg(&known).arg("-type").arg("f").output()));
        let said = vpu.succeed(&["--image", &second, "--strategy", strategy]);
        assert!(said.contains(" s expected)"), "{said}");
        assert_eq!(id(&vpu, "app:2"), expected, "{strategy}");
        assert_eq!(images(&vpu).lines().count(), 2, "{strategy}: {}", images(&vpu));
    }
}

#[test]
fn large_layer_on_a_slow_link_goes_on_within_the_layer_after_a_cut() {
    large_layer_goes_on(OVP81X);
}

#[test]
fn large_layer_on_a_slow_link_goes_on_within_the_layer_on_a_busybox() {
    large_layer_goes_on(BUSYBOX);
}

fn large_layer_goes_on(kind: Kind) {
    let vpu = Vpu::trusted(kind);
    let (path, expected) = one(&vpu, "app.tar", "app:1", &[Layer::random("large", 60_000)]);
    // As if earlier deliveries had been slow.
    let devices = vpu.home.path().join(".cache/o3r-deploy/devices");
    std::fs::create_dir_all(&devices).expect("made");
    let serial = vpu.succeed(&["plan", "--json"]);
    let serial = serial.lines().find(|line| line.contains(r#""event":"connected""#)).expect("connected").to_owned();
    let serial =
        serde_json::from_str::<serde_json::Value>(&serial).expect("JSON")["serial"].as_str().expect("a serial").to_owned();
    let slow = || std::fs::write(devices.join(format!("{serial}.json")), r#"{"link":100000}"#).expect("written");
    slow();
    let arrived = || vpu.root("du -cb /home/oem/.o3r-deploy/.arriving/*/[0-9]* 2>/dev/null | tail -n 1 | cut -f 1");
    let arrived = || arrived().trim().parse::<u64>().unwrap_or(0);
    let mut program = vpu.command(&["--image", &path]).spawn().expect("the program runs");
    eventually("20 MB arrive", || arrived() > 20_000_000);
    program.kill().expect("killed");
    program.wait().expect("ended");
    eventually("the device notices", || vpu.root("pgrep -f '[a]rriving/' | wc -l").trim() == "0");
    let there = arrived();
    assert!(there < 61_000_000, "{there}");
    let sent = deliver(&vpu, &path);
    // At most the last segment of 4 MiB travels again: it may have been cut. What is sent is counted at the socket, where SSH adds
    // some tens of bytes to each packet of 32 KiB, and logging in and the probe take some tens of kilobytes.
    let again = 61_440_000 - there + (4 << 20);
    assert!(sent < again + again / 200 + 100_000, "{sent} bytes after {there}");
    assert_eq!(id(&vpu, "app:1"), expected);
    assert_eq!(vpu.root("ls -A /home/oem/.o3r-deploy/.arriving 2>/dev/null || true"), "");
    assert_eq!(images(&vpu).trim(), format!("app:1 {expected}"));
}

#[test]
fn of_two_architectures_the_one_that_runs_is_taken_unless_both_are_asked_for() {
    let vpu = Vpu::trusted(OVP81X);
    let (base, top) = (Layer::random("base", 300), Layer::random("top", 300));
    let path = vpu.home.path().join("both.tar");
    let ids = save_for(&path, &[("app:arm", "arm64", &[base.clone(), top.clone()]), ("app:intel", "s390x", &[base, top])]);
    let path = path.display().to_string();
    let (code, said) = vpu.run(&["--image", &path]);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("image `app:intel` is for linux/s390x"), "{said}");
    assert_eq!(images(&vpu), "");
    vpu.succeed(&["--image", &format!("{path},app:arm")]);
    assert_eq!((id(&vpu, "app:arm"), images(&vpu).lines().count()), (ids[0].clone(), 1));
    vpu.succeed(&["--image", &path, "--allow-architecture"]);
    assert_eq!([id(&vpu, "app:arm"), id(&vpu, "app:intel")], *ids);
    assert_eq!(images(&vpu).lines().count(), 2, "{}", images(&vpu));
}
