//! Room: what does not fit is refused before a byte is sent, with what could go; `--make-room` removes just that.

use crate::{
    device::{OVP80X, OVP81X, Vpu},
    failures::words,
    images::{Image, noise},
};

/// Gives docker a disk of so many megabytes, which on an OVP80x is that of a folder of oem's home as well.
fn small_disk(vpu: &Vpu, megabytes: u32) {
    vpu.root(&format!(
        "systemctl stop docker docker.socket && mkdir /disk /home/oem/disk && mount -t tmpfs -o size={megabytes}m tmpfs /disk &&
         mkdir -m 710 /disk/docker && mkdir /disk/oem && chown 989:987 /disk/oem &&
         mount --bind /disk/docker /var/lib/docker && mount --bind /disk/oem /home/oem/disk && systemctl start docker.socket docker"
    ));
}

fn save(vpu: &Vpu, name: &str, megabytes: usize) -> String {
    let content = noise((megabytes << 20) + name.len());
    Image::new(&format!("{name}:1"), "sleep 1000")
        .file("data", 0o644, content)
        .save(&vpu.home.path().join(format!("{name}.tar")))
}

/// Figures of disks differ by a little from run to run.
fn rounded(said: &str) -> String {
    let words = said.split_inclusive(' ').collect::<Vec<_>>();
    let free = |index: usize| words.get(index + 2).is_some_and(|next| next.starts_with("are")) && words[index + 1] == "MB ";
    words.iter().enumerate().map(|(index, word)| if free(index) { "FREE " } else { word }).collect()
}

#[test]
fn an_image_that_does_not_fit_is_refused_and_make_room_removes_just_what_nobody_needs() {
    let vpu = Vpu::trusted(OVP81X);
    small_disk(&vpu, 130);
    // What runs, what was deployed before, and what somebody left.
    let runs = save(&vpu, "runs", 8);
    let before = save(&vpu, "before", 9);
    let left = save(&vpu, "left", 40);
    let new = save(&vpu, "new", 44);
    vpu.load_image(&vpu.home.path().join("runs.tar"));
    vpu.root("docker container run --detach --name bystander runs:1");
    vpu.succeed(&words(&["--image", "./before.tar"]));
    vpu.load_image(&vpu.home.path().join("left.tar"));
    // What is on the device; here, what was read of the image is kept for the next run.
    let as_it_was = vpu.state();
    let said = vpu.fails(9, &words(&["--image", "./new.tar"]));
    insta::assert_snapshot!(rounded(&said), @"
    error: the device has not enough room: `/var/lib/docker` takes 95 MB at the peak and FREE MB are free
      could go: image left:1 (44 MB)
    hint: `--make-room` removes just these, up to 44 MB: what runs, what is wanted and what ran before stays
    ");
    // Nobody agreed to the removal of what others put there.
    vpu.fails(11, &words(&["--image", "./new.tar", "--make-room"]));
    assert_eq!(vpu.state(), as_it_was);
    vpu.succeed(&words(&["--image", "./new.tar", "--make-room", "--yes"]));
    let there = vpu.root("docker image ls --quiet --no-trunc");
    assert!([&runs, &before, &new].iter().all(|id| there.contains(*id)) && !there.contains(&left), "{there}");
    assert_eq!(vpu.container("bystander", "{{.State.Running}}"), "true");
}

#[test]
fn on_one_disk_files_and_images_are_added_up() {
    let vpu = Vpu::trusted(OVP80X);
    small_disk(&vpu, 100);
    save(&vpu, "new", 28);
    vpu.write("model", noise(44 << 20));
    let file = ["--transfers_to_vpu", "model,~/disk/model"];
    let image = ["--image", "./new.tar"];
    let said = vpu.refused(9, &words(&[&file[..], &image].concat()));
    insta::assert_snapshot!(rounded(&said), @"
    error: the device has not enough room: `/var/lib/docker` takes 109 MB at the peak and FREE MB are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
    // Each by itself fits, and a dry run says the same as a run.
    for fits in [&file, &image] {
        vpu.succeed(&words(&[&fits[..], &["--dry-run"]].concat()));
    }
    vpu.refused(9, &words(&[&file[..], &image, &["--dry-run"]].concat()));
}

#[test]
fn a_device_without_inodes_is_refused_before_the_first_file() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.root("mkdir /home/oem/small && mount -t tmpfs -o size=10m,nr_inodes=20,uid=989,gid=987 tmpfs /home/oem/small");
    for number in 0..30 {
        vpu.write(&format!("tree/{number}"), "x");
    }
    let said = vpu.refused(9, &words(&["--transfers_to_vpu", "tree,~/small/tree"]));
    insta::assert_snapshot!(said, @"
    error: the device has not enough room: `/home/oem/small/tree` takes 31 files and inodes for 19 are free
    hint: nothing can go without touching what runs, what is wanted and what ran before: remove files, or old volumes
    ");
}
