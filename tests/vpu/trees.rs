//! Trees of files as people have them, both ways and over both ways of travel: many, empty, read-only, linked, changing.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use crate::{
    device::{OVP80X, OVP81X, Vpu},
    failures::words,
    images::Image,
};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// Modes and contents below a folder of the device, as `stat` and `sha256sum` say.
const LOOK: &str = "find . -mindepth 1 -exec stat -c '%n %F %a' {} + | sort; find . -type f -exec sha256sum {} + | sort";

#[test]
fn a_tree_with_everything_in_it_arrives_whole_and_its_files_come_back() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        for number in 0..2000 {
            vpu.write(&format!("tree/many/{number}"), format!("file {number}"));
        }
        vpu.write("tree/empty file", "");
        vpu.write("tree/run.sh", "#!/bin/sh\n");
        vpu.write("tree/closed/read only", "x");
        vpu.write("elsewhere/file", "y");
        let tree = vpu.home.path().join("tree");
        fs::create_dir_all(tree.join("empty folder/deep")).expect("made");
        symlink("../elsewhere/file", tree.join("link")).expect("linked");
        symlink("../elsewhere", tree.join("linked folder")).expect("linked");
        mode(&tree.join("run.sh"), 0o750);
        mode(&tree.join("closed/read only"), 0o444);
        mode(&tree.join("closed"), 0o750);
        let here = |folder: &str| {
            let line = format!("cd {} && {}", vpu.home.path().join(folder).display(), LOOK.replace("find .", "find -L ."));
            crate::device::must(std::process::Command::new("sh").args(["-c", &line.replace("stat -c", "stat -L -c")]))
        };
        let sent = here("tree");

        let to = words(&["--transfers_to_vpu", "tree,~/to"]);
        vpu.succeed(&to);
        assert_eq!(vpu.ssh(&format!("cd ~/to && {LOOK}")), sent);
        let said = vpu.succeed(&to);
        assert!(said.contains("all files are there"), "{said}");

        // What changed is all that travels, also where the old one may not be written.
        vpu.write("tree/many/7", "another");
        fs::remove_file(tree.join("closed/read only")).expect("removed");
        vpu.write("tree/closed/read only", "z");
        mode(&tree.join("closed/read only"), 0o444);
        let said = vpu.succeed(&to);
        assert!(said.contains("2 of 2005 files to the device"), "{said}");
        assert_eq!(vpu.ssh("cat ~/to/many/7 '/home/oem/to/closed/read only'"), "anotherz");

        let from = words(&["--transfers_from_vpu", "~/to,from"]);
        vpu.succeed(&from);
        let files = |listing: String| {
            listing.lines().filter(|line| !line.contains(" directory ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(files(here("from")), files(here("tree")));
        let said = vpu.succeed(&from);
        assert!(said.contains("all files are there"), "{said}");
    }
}

#[test]
fn what_is_a_file_here_and_a_folder_there_is_refused_either_way() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.write("tree/a", "x");
    vpu.write("tree/b/c", "x");
    vpu.ssh("mkdir -p ~/one/a ~/two && echo x > ~/two/b");
    for (destination, what) in [
        ("one", "`/home/oem/one/a` is there already and differs: it is a directory, and a file is wanted"),
        ("two", "`/home/oem/two/b` is there already and differs: it is no directory, and one is wanted"),
    ] {
        let said = vpu.refused(15, &words(&["--transfers_to_vpu", &format!("tree,~/{destination}")]));
        assert!(said.contains(what), "{said}");
    }
    vpu.write("got", "mine");
    fs::create_dir_all(vpu.home.path().join("into/a")).expect("made");
    vpu.ssh("rm -r ~/one/a && echo x > ~/one/a");
    for destination in ["got", "into"] {
        let said = vpu.refused(3, &words(&["--transfers_from_vpu", &format!("~/one,{destination}")]));
        assert!(said.starts_with("error: transfers: `"), "{said}");
    }
}

#[test]
fn a_link_on_the_device_is_not_followed_out_of_what_was_named() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.write("file", "new");
        vpu.ssh("mkdir -p ~/real ~/d && echo theirs > ~/real/file && ln -s ../real/file ~/d/file && ln -s real ~/folder");
        vpu.succeed(&words(&["--transfers_to_vpu", "file,~/d/file"]));
        assert_eq!(vpu.ssh("cat ~/real/file ~/d/file && test ! -L ~/d/file && echo a file"), "theirs\nnewa file\n");
        // A folder that is a link stays one: people move `share` to another disk so.
        vpu.succeed(&words(&["--transfers_to_vpu", "file,~/folder/"]));
        assert_eq!(vpu.ssh("cat ~/real/file && readlink ~/folder"), "newreal\n");
    }
}

#[test]
fn a_log_that_is_written_meanwhile_is_taken_as_far_as_it_goes() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.root("mkdir -p /home/oem/share/logs && chown -R oem /home/oem/share");
        vpu.root("setsid sh -c 'n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); echo line $n; done >> /home/oem/share/logs/app.log' </dev/null >/dev/null 2>&1 &");
        let log = vpu.home.path().join(format!("o3r_logs/From_VPUs/sn{}/logs/app.log", vpu.serial()));
        let mut before = 0;
        loop {
            vpu.succeed(&[]);
            let text = fs::read_to_string(&log).expect("pulled");
            for (number, line) in text.lines().take(text.matches('\n').count()).enumerate() {
                assert_eq!(line, format!("line {}", number + 1));
            }
            assert!(text.len() >= before);
            before = text.len();
            if text.ends_with("line 100000\n") {
                break;
            }
        }
        let said = vpu.succeed(&[]);
        assert!(said.contains("none is new"), "{said}");
    }
}

#[test]
fn clean_up_removes_what_was_asked_for_and_names_what_stays() {
    let vpu = Vpu::trusted(OVP81X);
    for name in ["used", "free", "kept"] {
        let path = vpu.home.path().join(format!("{name}.tar"));
        Image::new(&format!("{name}:1"), &format!("echo {name}; sleep 1000")).save(&path);
        vpu.load_image(&path);
    }
    vpu.root("docker volume create used; docker volume create free; docker volume create kept-one; docker run -d --name bystander -v used:/data used:1");
    vpu.write("o3r-deploy.yaml", "logs:\nstamp:\ndirectories:\nclean_up: {volumes: true, images: true, keep: ['kept*']}\n");
    let said = vpu.succeed(&["--yes"]);
    assert!(said.contains("volume `used` stays: container `bystander` uses it"), "{said}");
    assert!(said.contains("image `used:1` stays: container `bystander` uses it"), "{said}");
    let left = "docker volume ls --quiet; docker image ls --format '{{.Repository}}' | sort; docker container ls --format '{{.Names}}'";
    assert_eq!(vpu.root(left), "kept-one\nused\nkept\nused\nbystander\n");
    vpu.write(
        "o3r-deploy.yaml",
        "logs:\nstamp:\ndirectories:\nclean_up: {containers: true, volumes: true, images: true, only_this_application: true}\n",
    );
    let said = vpu.succeed(&[]);
    assert!(said.contains("clean_up: nothing to do: nothing to remove"), "{said}");
    assert_eq!(vpu.root(left), "kept-one\nused\nkept\nused\nbystander\n");
}
