//! Images that are on the device, and the output of containers.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use o3r_deploy::commands::docker;

use super::shell::{BOTH, Device, Userland, all};

const ID: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

/// Knows the images that `$state/images` lists, loads what is loaded, and notes what it was asked.
const DOCKER: &str = r#"echo "$*" >>"$state/asked"
case "$1 $2" in
  "image inspect") shift 4; for id do grep -qx "$id" "$state/images" 2>/dev/null || exit 1; done ;;
  "image load") cat "$state/loads" >>"$state/images"; echo "Loaded image: app:1" ;;
  "image ls") cat "$state/imported" 2>/dev/null ;;
esac
exit 0"#;

fn device(userland: Userland) -> Device {
    let device = Device::new(userland);
    device.stub("docker", DOCKER);
    device
}

/// A tar archive, packed by the real `tar`.
fn archive(device: &Device, members: &[(&str, &str)], options: &str) {
    let packed = tempfile::tempdir().expect("a directory");
    for (name, content) in members {
        std::fs::create_dir_all(packed.path().join(name).parent().expect("below")).expect("made");
        std::fs::write(packed.path().join(name), content).expect("written");
    }
    let mut tar = std::process::Command::new("tar");
    tar.arg(options)
        .arg(device.here("/home/oem/x.tar"))
        .arg("-C")
        .arg(packed.path())
        .args(members.iter().map(|(name, _)| *name));
    assert!(tar.status().expect("tar runs").success());
}

fn manifest(configs: &[String]) -> String {
    let entries: Vec<_> =
        configs.iter().map(|config| format!(r#"{{"Config":"{config}","RepoTags":["a:1"],"Layers":["l"]}}"#)).collect();
    format!("[{}]", entries.join(","))
}

fn asked(device: &Device, what: &str) -> Vec<String> {
    device.state("asked").lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
}

#[test]
fn archives_of_every_docker_are_loaded_once_and_named() {
    let names = [format!("{ID}.json"), format!("blobs/sha256/{ID}"), format!("sha256:{ID}")];
    for userland in BOTH {
        for (config, options) in names.iter().zip(["-cf", "-czf", "-cf"]) {
            let device = device(userland);
            archive(&device, &[("manifest.json", &manifest(std::slice::from_ref(config))), ("l", "layer")], options);
            std::fs::write(device.here("/state/loads"), format!("sha256:{ID}\n")).expect("written");
            let load = docker::load_on_device("/home/oem/x.tar", "name:1", &[]);
            device.must(&load, b"");
            device.must(&load, b"");
            assert_eq!(asked(&device, "image load").len(), 1, "{userland:?} {config}");
            assert_eq!(asked(&device, "image tag").last(), Some(&format!("image tag sha256:{ID} name:1")), "{userland:?}");
        }
    }
}

#[test]
fn an_archive_of_two_images_is_there_only_when_both_are() {
    for userland in BOTH {
        let device = device(userland);
        archive(&device, &[("manifest.json", &manifest(&[format!("{ID}.json"), format!("{TWO}.json")]))], "-cf");
        std::fs::write(device.here("/state/images"), format!("sha256:{TWO}\n")).expect("written");
        std::fs::write(device.here("/state/loads"), format!("sha256:{ID}\n")).expect("written");
        device.must(&docker::load_on_device("/home/oem/x.tar", "", &[]), b"");
        assert_eq!(asked(&device, "image load").len(), 1, "{userland:?}");
        assert_eq!(asked(&device, "image tag").len(), 0, "{userland:?}");
    }
}

#[test]
fn a_load_that_does_not_bring_the_image_is_a_failure() {
    for userland in BOTH {
        let device = device(userland);
        archive(&device, &[("manifest.json", &manifest(&[format!("{ID}.json")]))], "-cf");
        std::fs::write(device.here("/state/loads"), "").expect("written");
        assert_ne!(device.run(&docker::load_on_device("/home/oem/x.tar", "a:1", &[]), b"").code, 0, "{userland:?}");
    }
}

#[test]
fn a_root_file_system_is_imported_with_each_change_as_one_word_and_only_once() {
    for userland in BOTH {
        let device = device(userland);
        device.stub("docker", &format!("if [ \"$1\" = import ]; then printf '%s\\n' \"$@\" >\"$state/words\"; fi\n{DOCKER}"));
        archive(&device, &[("bin/app", "x")], "-cf");
        let changes = ["CMD [\"a b\"]".to_owned(), "ENV A=\"$(id)\"".to_owned()];
        let load = docker::load_on_device("/home/oem/x.tar", "root:1", &changes);
        device.must(&load, b"");
        let words = device.state("words");
        let words: Vec<_> = words.lines().collect();
        assert_eq!(words.get(..5), Some(["import", "--change", "CMD [\"a b\"]", "--change", "ENV A=\"$(id)\""].as_slice()));
        assert!(words.get(6).is_some_and(|label| label.starts_with("LABEL o3r-deploy.archive=")), "{words:?}");
        assert_eq!(words.last(), Some(&"root:1"), "{userland:?}");
        std::fs::write(device.here("/state/imported"), format!("sha256:{ID}\nsha256:{TWO}\n")).expect("written");
        device.must(&load, b"");
        assert_eq!(asked(&device, "import").len(), 1, "{userland:?}");
        assert_eq!(asked(&device, "image tag"), [format!("image tag sha256:{ID} root:1")], "{userland:?}");
    }
}

#[test]
fn what_the_devices_docker_cannot_load_is_refused_by_name() {
    for userland in BOTH {
        let device = device(userland);
        archive(&device, &[("oci-layout", "{}"), ("index.json", "{}")], "-czf");
        let ran = device.run(&docker::load_on_device("/home/oem/x.tar", "", &[]), b"");
        assert!(ran.code == 1 && ran.err.contains("an OCI archive"), "{userland:?} {ran:?}");
        let ran = device.run(&docker::load_on_device("/home/oem/none.tar", "", &[]), b"");
        assert!(ran.code == 1 && ran.err.contains("/home/oem/none.tar: no such file"), "{userland:?} {ran:?}");
    }
}

/// Follows `container` with the device's standard input left open, as a deployer does.
fn follow(device: &Device) -> (String, String, Duration) {
    let begin = Instant::now();
    let mut child = device.start(&docker::follow("web", "17"));
    let stdin = child.stdin.take();
    // The output has to end with the container: sshd waits for that.
    let (out, err) = (all(child.stdout.take()), all(child.stderr.take()));
    child.wait().expect("it ends");
    drop(stdin);
    (out, err, begin.elapsed())
}

#[test]
fn following_ends_with_the_container_although_the_deployer_is_still_there() {
    let stub =
        "case $* in *LogConfig*) echo json-file ;; *tail*) ;; *--since\\ 17*) echo one; echo two >&2; printf last ;; esac";
    for userland in BOTH {
        let device = Device::new(userland);
        device.stub("docker", stub);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(follow(&device)));
        let ended = receiver.recv_timeout(Duration::from_secs(20));
        let (out, err, _) = ended.unwrap_or_else(|_| panic!("{userland:?}: it goes on after the container ended"));
        assert_eq!((out.as_str(), err.as_str()), ("one\nlast", "two\n"), "{userland:?}");
    }
}

#[test]
fn following_ends_with_the_deployer_although_the_container_goes_on() {
    let stub = "case $* in *LogConfig*) echo json-file ;; *tail*) ;; *follow*) echo $$ >\"$state/pid\"; echo begun; exec sleep 600 ;; esac";
    for userland in BOTH {
        let device = Device::new(userland);
        device.stub("docker", stub);
        let mut child = device.start(&docker::follow("web", "17"));
        let mut out = child.stdout.take().expect("piped");
        let mut first = [0; 6];
        std::io::Read::read_exact(&mut out, &mut first).expect("it has begun");
        child.stdin.take().expect("piped").flush().expect("open until here");
        child.wait().expect("it ends");
        let pid: i32 = device.state("pid").trim().parse().expect("a number");
        let gone = || {
            !std::path::Path::new(&format!("/proc/{pid}/cmdline")).exists()
                || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty())
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !gone() {
            assert!(Instant::now() < deadline, "{userland:?}: the follower is left behind");
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_docker_does_not_read_back_comes_from_the_journal_or_by_attaching() {
    for userland in BOTH {
        let device = Device::new(userland);
        let unreadable = "*logs*) echo 'configured logging driver does not support reading' >&2; exit 1 ;;";
        device.stub("docker", &format!("case $* in *LogConfig*) echo journald ;; {unreadable} *wait*) sleep 1 ;; esac"));
        device.stub("journalctl", "echo \"$*\"; exec sleep 600");
        let (out, _, took) = follow(&device);
        assert_eq!(out, "--follow --no-tail --output cat --since @17 CONTAINER_NAME=web\n", "{userland:?}");
        assert!(took < Duration::from_secs(60), "it ends with the container");
        device.stub("docker", &format!("case $* in *LogConfig*) echo none ;; {unreadable} *attach*) echo \"$*\" ;; esac"));
        let (out, _, _) = follow(&device);
        assert_eq!(out, "container attach --no-stdin --sig-proxy=false web\n", "{userland:?}");
        device.stub("journalctl", "echo \"$*\"");
        let last = device.must(&docker::last_output("web", 20), b"");
        assert_eq!(last.out, "--no-pager --output cat --lines 20 CONTAINER_NAME=web\n", "{userland:?}");
    }
}

#[test]
fn a_container_that_is_not_there_is_not_followed() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.stub("docker", "echo 'Error: No such container: web' >&2; exit 1");
        let ran = device.run(&docker::follow("web", "17"), b"");
        assert!(ran.code == 1 && ran.err.contains("No such container"), "{userland:?} {ran:?}");
    }
}
