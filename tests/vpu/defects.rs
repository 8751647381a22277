//! The defects of the tool that this one replaces, each with the test that shows it absent here. Most are told in the options
//! of that tool, so that both ways in are used.
//!
//! | its defect | what is right here |
//! |---|---|
//! | 1. the first log pull fetches nothing | [`the_first_pull_fetches_the_logs`] |
//! | 2. fetching files raises | [`files_and_trees_come_from_the_device`] |
//! | 3. the timestamp lacks its `echo` | [`the_stamp_is_a_line_added_to_the_file`] |
//! | 4. autostart links the wrong directory, a link is never updated | [`autostart_links_the_directory_of_the_compose_file_and_follows_it`] |
//! | 5. compose is not started without logging or attaching | [`compose_is_started_without_logging_and_without_attaching`] |
//! | 6. volume names are cut off, volumes never removed | [`volumes_are_removed_by_their_whole_names_and_those_in_use_are_named`] |
//! | 7. `docker import` for a `docker save` archive | [`a_saved_image_on_the_device_runs_under_the_name_given`]; `facts`, `image` for each kind of archive |
//! | 8. exit codes on the device are never looked at | [`a_command_that_fails_on_the_device_ends_the_run`] |
//! | 9. attach loses output, hangs, burns a core, kills | all of [`crate::attach`]; `run::lines` for torn characters |
//! | 10. `~` and `./` replaced anywhere; commas, colons, spaces | [`odd_paths_are_themselves_on_both_sides`]; `config::paths`, `cli::pairs` |
//! | 11. no host key check, known_hosts rewritten | [`known_hosts_is_only_appended_to_and_an_unknown_device_refused`]; `tests/ssh` for changed keys |
//! | 12. no shell quoting | [`a_name_never_runs_as_a_command`]; `command` |
//! | 13. every file sent whole each time, no temporary name, no room check | [`only_what_changed_travels_and_a_full_disk_keeps_the_old_file`] |
//! | 14. the name is lost at a reboot | [`a_name_is_saved_by_its_pointer_and_outlives_a_reboot`] |
//! | 15. clean-up hits everybody's, before the new image is proven | [`what_others_deployed_goes_only_when_agreed_and_never_before_the_image_is_proven`], [`disabling_one_service_leaves_the_others`] |
//! | 16. fixed sleeps instead of readiness | [`compose_waits_for_health_and_no_longer`] |
//! | 17. duplicate keys pile up | [`a_second_trust_adds_no_key_and_loses_none`] |
//! | 18. firmware 1.10 and later is refused | [`firmware_1_10_is_newer_than_1_4_and_taken`]; `device::firmware` |
//! | 19. log pruning deletes the newest | [`a_device_that_does_not_answer_is_a_failure_and_every_log_stays`] |
//! | 20. a device that does not answer is exit 0 | the same |

use std::{fs, process::Command};

use crate::{
    device::{OVP80X, OVP81X, Vpu, text},
    images::Image,
    witness::{listing, wait_for},
};

/// Options that turn off what happens by default.
const QUIET: [&str; 6] = ["--get_logs_from_vpu", "", "--append_deployment_timestamp_to", "", "--dirs_to_make", ""];

/// An image called `tiny:1` that runs a script: its archive in the user's home, and on the device as `~/tiny.tar`.
fn tiny(vpu: &Vpu, script: &str, health: Option<&str>) -> String {
    let image = Image::new("tiny:1", script);
    let archive = vpu.home.path().join("tiny.tar");
    let id = health.into_iter().fold(image, Image::health).save(&archive);
    vpu.send(&archive, "tiny.tar");
    id
}

#[test]
fn the_first_pull_fetches_the_logs() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("mkdir -p ~/share/logs/app && echo first >~/share/logs/app/a.log && echo top >~/share/logs/b.log");
    vpu.succeed(&["--get_logs_from_vpu", "/home/oem/share/logs>./pulled"]);
    let folder = vpu.home.path().join("pulled");
    let device = vpu.folder();
    assert_eq!(listing(&folder), [format!("{device}/logs/app/a.log"), format!("{device}/logs/b.log")]);
    assert_eq!(fs::read_to_string(folder.join(device).join("logs/app/a.log")).expect("there"), "first\n");
    assert_eq!(vpu.ssh("cd ~/share/logs && find . -type f | sort"), "./app/a.log\n./b.log\n", "nothing is removed there");
}

#[test]
fn files_and_trees_come_from_the_device() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.ssh("mkdir -p ~/results/deep && echo 1 >~/results/deep/one && echo 2 >~/results/two && chmod 600 ~/results/two");
        let pairs = ["--transfers_from_vpu", "~/results,./copy", "~/results/two,./alone.txt"];
        vpu.succeed(&[&QUIET[..], &pairs].concat());
        let home = vpu.home.path();
        assert_eq!(listing(&home.join("copy")), ["deep/one", "two"]);
        assert_eq!(fs::read_to_string(home.join("alone.txt")).expect("there"), "2\n");
        let before = fs::metadata(home.join("copy/two")).and_then(|file| file.modified()).expect("a time");
        vpu.succeed(&[&QUIET[..], &pairs].concat());
        let after = fs::metadata(home.join("copy/two")).and_then(|file| file.modified()).expect("a time");
        assert_eq!(after, before, "what is here already is not fetched again");
    }
}

#[test]
fn the_stamp_is_a_line_added_to_the_file() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("mkdir '/home/oem/my notes' && echo 'an older line' >'/home/oem/my notes/stamps'");
    vpu.succeed(&["--append_deployment_timestamp_to", "~/my notes/stamps", "--log_dir", "./my logs"]);
    let logs = listing(&vpu.home.path().join("my logs/Deployments"));
    let [log] = &logs[..] else { panic!("one log: {logs:?}") };
    let stem = log.strip_suffix(".log").expect("a log");
    assert_eq!(vpu.ssh("cat '/home/oem/my notes/stamps'"), format!("an older line\n{stem}\n"));
}

#[test]
fn autostart_links_the_directory_of_the_compose_file_and_follows_it() {
    let vpu = Vpu::trusted(OVP81X);
    for name in ["one", "two"] {
        vpu.ssh(&format!(
            "mkdir ~/{name} && printf '%s\\n' 'version: \"2.4\"' 'services: {{app: {{image: \"{name}:1\"}}}}' >~/{name}/docker-compose.yml"
        ));
    }
    for name in ["one", "two"] {
        let enable = format!("/home/oem/{name}/docker-compose.yml:app");
        vpu.succeed(&[&QUIET[..], &["--enable_autostart", &enable]].concat());
        // What the unit will find when it starts in its directory.
        let config = vpu.ssh("cd /usr/share/oem/docker/compose/app && docker-compose config");
        assert!(config.contains(&format!("image: {name}:1")), "{config}");
        assert_eq!(vpu.ssh("systemctl --user is-enabled oem-dc@app"), "enabled\n");
    }
}

#[test]
fn compose_is_started_without_logging_and_without_attaching() {
    let vpu = Vpu::trusted(OVP80X);
    let id = tiny(&vpu, "echo started; sleep 100000", None);
    vpu.write("docker-compose.yml", "version: '2.4'\nservices: { app: { image: 'tiny:1', container_name: app } }\n");
    let compose = ["--log_dir", "", "--image", "tiny.tar", "--docker_compose_to_initialize", "./docker-compose.yml:app"];
    vpu.succeed(&[&QUIET[..], &compose].concat());
    assert_eq!(vpu.container("app", "{{.State.Running}} {{.Image}}"), format!("true {id}"));
    assert!(!vpu.home.path().join("o3r_logs").exists(), "no log was asked for");
}

#[test]
fn volumes_are_removed_by_their_whole_names_and_those_in_use_are_named() {
    let vpu = Vpu::trusted(OVP81X);
    let long = "a_volume_whose_name_is_longer_than_any_table_would_show_it_".repeat(3);
    tiny(&vpu, "sleep 100000", None);
    vpu.ssh("docker load --quiet <~/tiny.tar && docker run --detach --name user --volume used:/data tiny:1");
    vpu.ssh(&format!("docker volume create {long} && docker volume create {long}2"));
    let (code, said) = vpu.run(&[&QUIET[..], &["--remove_volumes", "--yes"]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("volume `used` stays: container `user` uses it"), "{said}");
    assert_eq!(vpu.root("docker volume ls --quiet"), "used\n");
}

#[test]
fn a_saved_image_on_the_device_runs_under_the_name_given() {
    let vpu = Vpu::trusted(OVP80X);
    let id = tiny(&vpu, "echo it runs as it was saved", None);
    let options = ["--image_to_import", "~/tiny.tar,my/own:name", "--items_to_cleanup", "~/tiny.tar"];
    vpu.succeed(&[&QUIET[..], &options].concat());
    assert_eq!(vpu.root("docker image inspect --format '{{.Id}}' my/own:name").trim(), id);
    assert_eq!(vpu.root("docker run --rm my/own:name"), "it runs as it was saved\n");
    assert_eq!(vpu.ssh("test -e ~/tiny.tar || echo removed"), "removed\n");
}

#[test]
fn a_command_that_fails_on_the_device_ends_the_run() {
    let vpu = Vpu::trusted(OVP81X);
    let file = vpu.write("file", "x");
    let transfer = format!("{},~/share/file", file.display());
    let (code, said) = vpu.run(&["--dirs_to_make", "/root/forbidden", "--transfers_to_vpu", &transfer]);
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("error: directories: ") && said.contains("Permission denied"), "{said}");
    assert_eq!(vpu.ssh("ls -A /home/oem"), ".ssh\n", "nothing that comes later was done");
}

#[test]
fn odd_paths_are_themselves_on_both_sides() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.write("my ~ data./a, b: c.txt", "odd");
        let there = r#""~/v1./x~y/c d, e:f.txt""#;
        vpu.succeed(&[&QUIET[..], &["--transfers_to_vpu", &format!(r#""my ~ data./a, b: c.txt",{there}"#)]].concat());
        assert_eq!(vpu.ssh("cat '/home/oem/v1./x~y/c d, e:f.txt'"), "odd");
        vpu.succeed(&[&QUIET[..], &["--transfers_from_vpu", &format!(r#"{there},"./back ~./g, h""#)]].concat());
        assert_eq!(fs::read_to_string(vpu.home.path().join("back ~./g, h")).expect("there"), "odd");
    }
}

#[test]
fn known_hosts_is_only_appended_to_and_an_unknown_device_refused() {
    let vpu = Vpu::new(OVP81X);
    let mine =
        "# mine\nhost.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n\n|odd line";
    let known = vpu.write(".ssh/known_hosts", mine);
    let (code, said) = vpu.run(&[]);
    assert_eq!(code, 5, "{said}");
    assert_eq!(fs::read_to_string(&known).expect("there"), mine, "a refused key is not kept");
    vpu.succeed(&["trust", "--accept-new"]);
    let pinned = fs::read_to_string(&known).expect("there");
    assert!(pinned.starts_with(&format!("{mine}\n")) && pinned.contains(&vpu.address), "{pinned}");
    vpu.succeed(&["--accept-new"]);
    vpu.succeed(&["trust"]);
    assert_eq!(fs::read_to_string(&known).expect("there"), pinned, "what is known is not written again");
}

#[test]
fn a_name_never_runs_as_a_command() {
    let vpu = Vpu::trusted(OVP80X);
    let odd = "$(touch pwned) `touch pwned`; touch pwned & 'q' \"d\" \\ | -rf *";
    vpu.write(&format!("here/{odd}"), "odd");
    let options = ["--dirs_to_make", &format!("~/{odd}"), "--volume_to_setup", &format!("~/{odd},odd_volume")];
    let transfer = ["--transfers_to_vpu", "here,~/there", "--get_logs_from_vpu", &format!("~/{odd}>./logs")];
    vpu.succeed(&[&["--append_deployment_timestamp_to", &format!("~/stamp {odd}")], &options[..], &transfer[..]].concat());
    let listed = vpu.root("find /home/oem -name '*pwned*' -printf '%f\\n' | sort -u");
    assert_eq!(listed, format!("{odd}\nstamp {odd}\n"), "there is no file `pwned`");
    let device = vpu.root("docker volume inspect --format '{{.Options.device}}' odd_volume");
    assert_eq!(device.trim_end_matches('\n'), format!("/home/oem/{odd}"));
    assert_eq!(listing(&vpu.home.path().join("here")), [odd]);
}

#[test]
fn only_what_changed_travels_and_a_full_disk_keeps_the_old_file() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.root("mkdir /home/oem/small && mount -t tmpfs -o size=1m,uid=989,gid=987 tmpfs /home/oem/small");
        for (name, content) in [("models/same", "same"), ("models/changing", "old"), ("big", "the old one")] {
            vpu.write(name, content);
        }
        let send = [&QUIET[..], &["--transfers_to_vpu", "models,~/models", "big,~/small/big"]].concat();
        vpu.succeed(&send);
        let inode = |name: &str| vpu.ssh(&format!("stat -c '%i %Z' ~/models/{name}"));
        let before = (inode("same"), inode("changing"));

        vpu.write("models/changing", "new");
        vpu.succeed(&send);
        let after = (inode("same"), inode("changing"));
        assert_eq!(after.0, before.0, "what is the same was not written");
        assert_ne!(after.1, before.1, "what changed came under another name and was renamed");
        assert_eq!(vpu.ssh("cat ~/models/changing"), "new");

        vpu.write("big", vec![b'x'; 2 << 20]);
        let (code, said) = vpu.run(&send);
        assert_eq!(code, 9, "{said}");
        assert_eq!(
            vpu.ssh("cat ~/small/big; ls -A ~/small"),
            "the old onebig\n",
            "the old file is whole, and nothing else is left"
        );
    }
}

#[test]
fn a_name_is_saved_by_its_pointer_and_outlives_a_reboot() {
    let vpu = Vpu::trusted(OVP80X);
    vpu.succeed(&[&QUIET[..], &["--set_vpu_name", "line 7, \"north\" ü"]].concat());
    let saved = vpu.root("grep saveInit /var/log/vpu/rpc.log");
    assert!(saved.contains(r#"["/device/info/name"]"#), "{saved}");
    vpu.power_cut();
    assert_eq!(vpu.name(), "line 7, \"north\" ü");
}

#[test]
fn what_others_deployed_goes_only_when_agreed_and_never_before_the_image_is_proven() {
    let vpu = Vpu::trusted(OVP81X);
    tiny(&vpu, "sleep 100000", None);
    vpu.ssh("docker load --quiet <~/tiny.tar && docker run --detach --name theirs tiny:1");
    let all = [&QUIET[..], &["--remove_running_containers", "--remove_images"]].concat();
    let before = vpu.state();

    let (code, said) = vpu.run(&all);
    assert_eq!(code, 11, "{said}");
    assert!(said.contains("1 container, 1 image") && said.contains(&vpu.serial()), "device and number are named: {said}");
    let said = vpu.succeed(&[&all[..], &["--dry-run"]].concat());
    assert!(said.contains("docker container rm --force -- theirs"), "{said}");

    Image::new("new:1", "true").architecture("s390x").save(&vpu.home.path().join("wrong.tar"));
    vpu.write("none.tar", "no archive");
    for image in ["wrong.tar", "none.tar"] {
        let (code, said) = vpu.run(&[&all[..], &["--yes", "--image", image]].concat());
        assert_eq!(code, 8, "{said}");
    }
    vpu.write(
        "o3r-deploy.yaml",
        "clean_up: { containers: true, images: true, only_this_application: true }\nlogs: []\nstamp: ''\n",
    );
    vpu.succeed(&["--dirs_to_make", ""]);
    assert_eq!(vpu.state(), before, "nothing of others was touched");

    vpu.succeed(&[&all[..], &["--yes", "--config", ""]].concat());
    assert_eq!(vpu.root("docker container ls --all --quiet; docker image ls --quiet"), "");
}

#[test]
fn disabling_one_service_leaves_the_others() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("systemctl --user enable oem-dc@one oem-dc@two");
    vpu.succeed(&[&QUIET[..], &["--disable_autostart", "one"]].concat());
    assert_eq!(vpu.ssh("systemctl --user is-enabled oem-dc@one oem-dc@two || true"), "disabled\nenabled\n");
}

#[test]
fn compose_waits_for_health_and_no_longer() {
    let vpu = Vpu::trusted(OVP81X);
    tiny(&vpu, "sleep 100000", Some("test -e /share/well"));
    // In the start period a check that fails does not count.
    let compose = "version: '2.4'
services:
  app:
    image: 'tiny:1'
    container_name: app
    volumes: ['/home/oem/share:/share']
    healthcheck: { start_period: 60s }
";
    vpu.write("docker-compose.yml", compose);
    vpu.ssh("mkdir ~/share");
    let mut program =
        vpu.start(&[&QUIET[..], &["--image", "tiny.tar", "--docker_compose_to_initialize", "./docker-compose.yml"]].concat());
    program.wait_until_it_says("`app` is not healthy yet");
    assert!(program.runs(), "it waits");
    vpu.ssh("touch ~/share/well");
    let (code, said) = program.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(vpu.container("app", "{{.State.Health.Status}}"), "healthy");
}

#[test]
fn a_second_trust_adds_no_key_and_loses_none() {
    let vpu = Vpu::new(OVP81X);
    let theirs = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl somebody else";
    vpu.root(&format!(
        "mkdir -p /home/oem/.ssh && echo '{theirs}' >/home/oem/.ssh/authorized_keys && chown -R oem: /home/oem/.ssh"
    ));
    for _ in 0..2 {
        vpu.succeed(&["trust", "--accept-new"]);
    }
    let ours = fs::read_to_string(vpu.home.path().join(".ssh/id_o3r.pub")).expect("our key");
    let ours = ours.split_whitespace().nth(1).expect("a key");
    let keys = vpu.root("cat /home/oem/.ssh/authorized_keys");
    let lines: Vec<_> = keys.lines().filter(|line| !line.is_empty()).collect();
    assert!(matches!(lines[..], [first, second] if first == theirs && second.contains(ours)), "{keys}");
}

#[test]
fn firmware_1_10_is_newer_than_1_4_and_taken() {
    let vpu = Vpu::with(OVP81X, &["--firmware", "1.10.37"]);
    vpu.succeed(&["trust", "--accept-new"]);
    let said = vpu.succeed(&[]);
    assert!(said.contains("1.10.37"), "{said}");
    assert_eq!(vpu.ssh("cat ~/share/Deployments | wc -l").trim(), "1");
}

#[test]
fn a_device_that_does_not_answer_is_a_failure_and_every_log_stays() {
    let home = tempfile::tempdir().expect("a home");
    let logs = home.path().join("o3r_logs/Deployments");
    fs::create_dir_all(&logs).expect("made");
    for number in 0..200 {
        fs::write(logs.join(format!("20.01.01_00.00.00+0000_{number}.log")), "old").expect("written");
    }
    // Nobody listens on port 1 of this computer.
    let mut command = Command::new(env!("CARGO_BIN_EXE_o3r-deploy"));
    let output = command.args(["--IP", "127.0.0.1", "--port", "1"]).env("HOME", home.path()).current_dir(home.path()).output();
    let output = output.expect("it runs");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("error: connect: ") && said.contains("127.0.0.1"), "{said}");
    let all = wait_for("the log", || Some(listing(&logs)).filter(|all| all.len() == 201));
    let newest = all.last().expect("there");
    assert!(fs::read_to_string(logs.join(newest)).expect("read").contains("connect"), "{newest}");
}
