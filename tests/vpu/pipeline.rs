//! Every stage of one deployment, on every kind of device. What it did is looked up on the device by other means than the
//! program's own; then the device reboots, and the same deployment finds nothing to do.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    device::{BUSYBOX, Kind, OVP80X, OVP81X, Vpu},
    images::Image,
    witness::listing,
};

const DEPLOYMENT: &str = r#"
application: app
logs: [{ remote: ~/share/logs, local: ./logs }]
rename: "bench ü 7"
clean_up: { containers: true, volumes: true, images: true, keep: ["keep*"] }
mount_usb: true
directories: [~/share, "~/my data/deep"]
transfers:
  from_device:
    - { remote: ~/share/results, local: ./results }
    - { remote: ~/share/one.txt, local: ./fetched/ }
  to_device:
    - { local: ./tree, remote: ~/share/tree }
    - { local: ./single file.sh, remote: ~/share/files/ }
volume: [{ name: share, path: ~/share }]
image: [{ source: ./app.tar, name: "app:1" }]
leftovers: [~/share/old]
compose: { file: ./docker-compose.yml, directory: ~/app, wait: 60, settle: 1 }
autostart: { enable: [{ service: app }], disable: [keep_app] }
attach: { container: app, until: "app ready" }
"#;

const COMPOSE: &str = r#"
version: "2.4"
services:
  app:
    image: app:1
    container_name: app
    restart: unless-stopped
    env_file: app.env
    volumes: ["share:/share", "./settings:/settings:ro"]
volumes: { share: { external: true } }
"#;

/// Says what it was given, in its output and in its log.
const APP: &str = "mkdir -p /share/logs/app
echo \"run with $GREETING and $(cat /settings/motto)\" | tee -a /share/logs/app/app.log
touch /tmp/ready
echo app ready
sleep 100000";

#[test]
fn every_stage_is_true_on_an_ovp81x_with_template_units_and_outlives_reboots() {
    every_stage(OVP81X);
}

#[test]
fn every_stage_is_true_on_an_ovp80x_with_one_unit_and_outlives_reboots() {
    every_stage(OVP80X);
}

#[test]
fn every_stage_is_true_on_an_ovp81x_with_one_unit_and_outlives_reboots() {
    every_stage(Kind { autostart: "b", ..OVP81X });
}

#[test]
fn every_stage_is_true_on_a_busybox_with_template_units_and_outlives_reboots() {
    every_stage(Kind { autostart: "a", ..BUSYBOX });
}

fn every_stage(kind: Kind) {
    let vpu = Vpu::trusted(kind);
    let image = write_deployment(&vpu);
    prepare_device(&vpu, kind);

    let (device, laptop) = (vpu.state(), listing(vpu.home.path()));
    let said = vpu.succeed(&["--dry-run"]);
    assert!(said.contains("docker volume create"), "{said}");
    assert_eq!((vpu.state(), listing(vpu.home.path())), (device, laptop), "a dry run changes nothing");

    vpu.succeed(&["--yes"]);
    check_files(&vpu);
    check_docker(&vpu, &image);
    check_autostart(&vpu, kind);
    check_laptop(&vpu);
    assert_eq!(vpu.name(), "bench ü 7");

    let before = vpu.state();
    let said = vpu.succeed(&[]);
    assert!(said.contains("nothing to change on the device"), "{said}");
    assert_eq!(vpu.state(), before, "the second deployment changes nothing");

    for cut in [Vpu::reboot, Vpu::power_cut] {
        let start = vpu.container("app", "{{.State.StartedAt}}");
        cut(&vpu);
        assert_ne!(vpu.wait_for_container("app"), start, "it was started anew");
        assert_eq!(vpu.name(), "bench ü 7");
        assert_eq!(vpu.container("keep_app", "{{.State.Running}}"), "false", "what was disabled stays off");
    }
    assert_eq!(vpu.ssh("cat ~/share/logs/app/app.log"), "run with hello world and per aspera\n".repeat(3));
}

/// Writes the deployment and all it names; gives the image's ID.
fn write_deployment(vpu: &Vpu) -> String {
    vpu.write("o3r-deploy.yaml", DEPLOYMENT);
    vpu.write("docker-compose.yml", COMPOSE);
    vpu.write("app.env", "GREETING=hello world\n");
    vpu.write("settings/motto", "per aspera");
    vpu.write("tree/a.txt", "a");
    vpu.write("tree/empty", "");
    vpu.write("tree/in here/ü $(x).txt", "odd");
    fs::create_dir(vpu.home.path().join("tree/nothing inside")).expect("made");
    let script = vpu.write("single file.sh", "#!/bin/sh\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o750)).expect("set");
    Image::new("app:1", APP).health("test -e /tmp/ready").save(&vpu.home.path().join("app.tar"))
}

/// A device with a past: files, logs, and containers that others deployed, of which one is to stay and no longer start by
/// itself.
fn prepare_device(vpu: &Vpu, kind: Kind) {
    for name in ["stranger", "keep"] {
        let archive = vpu.home.path().join(format!("{name}.tar"));
        Image::new(&format!("{name}:1"), &format!("echo {name}; sleep 100000")).save(&archive);
        vpu.load_image(&archive);
    }
    vpu.ssh(
        r#"
        mkdir -p ~/share/results/deep ~/share/old ~/share/logs/earlier ~/keep_app
        printf 1 >~/share/results/1; printf 2 >"$HOME/share/results/deep/2 ü"; printf one >~/share/one.txt
        chmod 640 ~/share/results/1; printf x >~/share/old/x; echo earlier >~/share/logs/earlier/e.log
        printf '%s\n' 'version: "2.4"' 'services:' '  keep: {image: "keep:1", container_name: keep_app, restart: always}' >~/keep_app/docker-compose.yml
        cd ~/keep_app && docker-compose up -d && docker run --detach --name stranger stranger:1
        docker volume create stranger_data && docker volume create keep_data
        "#,
    );
    if kind.autostart == "a" {
        vpu.ssh("ln -s ~/keep_app /usr/share/oem/docker/compose/keep_app && systemctl --user enable oem-dc@keep_app");
    }
    // Reading this directory is what has autofs mount a stick; here it is told by the time of the last access.
    vpu.root("mkdir -p /run/media/system/STICK && mount -t tmpfs -o strictatime tmpfs /run/media/system/STICK");
    vpu.root("touch -a -d '2001-01-01 UTC' /run/media/system/STICK");
}

fn check_files(vpu: &Vpu) {
    assert_eq!(
        vpu.root("cd /home/oem/share && find tree files -printf '%p %y %m\\n' | sort"),
        "\
files d 755
files/single file.sh f 750
tree d 755
tree/a.txt f 644
tree/empty f 644
tree/in here d 755
tree/in here/ü $(x).txt f 644
tree/nothing inside d 755
"
    );
    assert_eq!(vpu.ssh("cat ~/share/tree/a.txt ~/share/tree/in*/*"), "aodd");
    assert_eq!(vpu.ssh("cat ~/app/app.env ~/app/settings/motto"), "GREETING=hello world\nper aspera");
    assert_eq!(vpu.ssh("ls -a ~/app"), ".\n..\napp.env\ndocker-compose.yml\nsettings\n");
    assert_eq!(vpu.ssh("test -d ~/my\\ data/deep; test -e ~/share/old || echo gone"), "gone\n");
    assert_ne!(vpu.root("stat -c %X /run/media/system/STICK").trim(), "978307200", "the stick was touched");
}

fn check_docker(vpu: &Vpu, image: &str) {
    let format = "{{.Image}} {{.State.Health.Status}} {{.HostConfig.RestartPolicy.Name}}";
    assert_eq!(vpu.container("app", format), format!("{image} healthy unless-stopped"));
    assert_eq!(vpu.root("docker container ls --all --format '{{.Names}}' | sort"), "app\nkeep_app\n");
    assert_eq!(vpu.root("docker image ls --format '{{.Repository}}:{{.Tag}}' | sort"), "app:1\nkeep:1\n");
    assert_eq!(vpu.root("docker image inspect --format '{{.Id}}' app:1").trim(), image);
    assert_eq!(vpu.root("docker volume ls --quiet | sort"), "keep_data\nshare\n");
    let options =
        vpu.root("docker volume inspect --format '{{.Driver}} {{.Options.type}} {{.Options.o}} {{.Options.device}}' share");
    assert_eq!(options.trim(), "local none bind /home/oem/share");
}

fn check_autostart(vpu: &Vpu, kind: Kind) {
    if kind.autostart == "a" {
        assert_eq!(
            vpu.ssh("systemctl --user is-enabled oem-dc@app; readlink /usr/share/oem/docker/compose/app"),
            "\
enabled\n/home/oem/app\n"
        );
        assert_eq!(vpu.ssh("systemctl --user is-enabled oem-dc@keep_app || true"), "disabled\n");
    } else {
        assert_eq!(vpu.ssh("systemctl --user is-enabled oem-dc-autostart"), "enabled\n");
    }
    assert_eq!(vpu.container("keep_app", "{{.HostConfig.RestartPolicy.Name}} {{.State.Running}}"), "no true");
}

fn check_laptop(vpu: &Vpu) {
    let home = vpu.home.path();
    let stamp = vpu.ssh("cat ~/share/Deployments");
    let stem = stamp.trim_end();
    assert!(home.join(format!("o3r_logs/Deployments/{stem}.log")).is_file(), "one line, the stem of the log: {stamp}");
    let read = |path: &str| fs::read_to_string(home.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!((read("results/1"), read("results/deep/2 ü"), read("fetched/one.txt")), ("1".into(), "2".into(), "one".into()));
    let mode = fs::metadata(home.join("results/1")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let serial = vpu.serial();
    // One folder for the device, before it had its name and after.
    assert_eq!(listing(&home.join("logs")), [format!("sn{serial}/logs/app/app.log"), format!("sn{serial}/logs/earlier/e.log")]);
    assert_eq!(read(&format!("logs/sn{serial}/logs/earlier/e.log")), "earlier\n");
    assert_eq!(read(&format!("logs/sn{serial}/logs/app/app.log")), "run with hello world and per aspera\n");
    assert_eq!(read(&format!("o3r_logs/Deployments/{stem}_app.log")), "run with hello world and per aspera\napp ready\n");
}
