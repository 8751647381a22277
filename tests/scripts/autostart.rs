//! What starts by itself, from every state that a device may be in.

use o3r_deploy::commands::systemd::{self, ServiceLink};

use super::shell::{BOTH, Device, Ran, Userland};

const PLACE: &str = "/usr/share/oem/docker/compose/app";
const FILE: &str = "/home/oem/app/docker-compose.yml";

/// Keeps which unit is enabled, and notes what it was asked.
const SYSTEMCTL: &str = r#"echo "$*" >>"$state/asked"
case "$*" in
  *" enable "*) : >"$state/enabled" ;;
  *" disable "*) rm -f "$state/enabled" ;;
  *is-enabled*) if [ -e "$state/enabled" ]; then echo enabled; else echo disabled; exit 1; fi ;;
esac"#;

/// Has two containers of the project `app`, and keeps their restart policies.
const DOCKER: &str = r#"case "$*" in
  *"container ls"*project=app) echo c1; echo c2 ;;
  *"container update --restart"*) echo "$4" >"$state/$5" ;;
  *"container inspect"*) eval "id=\${$#}"; cat "$state/$id" 2>/dev/null || echo always ;;
esac"#;

fn device(userland: Userland) -> Device {
    let device = Device::new(userland);
    device.stub("systemctl", SYSTEMCTL);
    device.stub("docker", DOCKER);
    device.write(FILE, "services: {}");
    device.write("/home/oem/app/my.yml", "services: {}");
    device
}

fn enable(device: &Device, file: &str) -> Ran {
    let link = if file.ends_with("/docker-compose.yml") { ServiceLink::Directory } else { ServiceLink::File };
    device.run(&systemd::enable_service("app", file, link), b"")
}

#[test]
fn the_directory_is_linked_from_every_state_in_which_nothing_is_lost() {
    type Before = fn(&Device);
    let states: [(&str, Before); 6] = [
        ("no link", |_| ()),
        ("right link", |device| device.make_link("/home/oem/app", PLACE)),
        ("wrong link", |device| {
            device.write("/home/oem/other/docker-compose.yml", "");
            device.make_link("/home/oem/other", PLACE);
        }),
        ("link to nothing", |device| device.make_link("/home/oem/gone", PLACE)),
        ("directory with a link", |device| {
            std::fs::create_dir(device.here(PLACE)).expect("made");
            device.make_link("/home/oem/app/my.yml", &format!("{PLACE}/docker-compose.yml"));
        }),
        ("empty directory", |device| std::fs::create_dir(device.here(PLACE)).expect("made")),
    ];
    for userland in BOTH {
        for (state, before) in states {
            let device = device(userland);
            before(&device);
            let ran = enable(&device, FILE);
            assert_eq!(ran.code, 0, "{userland:?} {state}: {ran:?}");
            assert_eq!(device.link(PLACE).as_deref(), Some("/home/oem/app"), "{userland:?} {state}");
            assert!(device.state("asked").contains("--user enable oem-dc@app.service"), "{userland:?} {state}");
            assert_eq!(device.names("/home/oem/app"), ["docker-compose.yml", "my.yml"], "{userland:?} {state}");
            if state == "wrong link" {
                assert_eq!(device.names("/home/oem/other"), ["docker-compose.yml"], "nothing was put behind the old link");
            }
        }
    }
}

#[test]
fn a_file_of_another_name_is_linked_itself_from_every_state() {
    type Before = fn(&Device);
    let states: [(&str, Before); 4] = [
        ("no link", |_| ()),
        ("directory link", |device| device.make_link("/home/oem/app", PLACE)),
        ("right link", |device| {
            std::fs::create_dir(device.here(PLACE)).expect("made");
            device.make_link("/home/oem/app/my.yml", &format!("{PLACE}/docker-compose.yml"));
        }),
        ("wrong link", |device| {
            std::fs::create_dir(device.here(PLACE)).expect("made");
            device.make_link("/home/oem/gone.yml", &format!("{PLACE}/docker-compose.yml"));
        }),
    ];
    for userland in BOTH {
        for (state, before) in states {
            let device = device(userland);
            before(&device);
            let ran = enable(&device, "/home/oem/app/my.yml");
            assert_eq!(ran.code, 0, "{userland:?} {state}: {ran:?}");
            let link = device.link(&format!("{PLACE}/docker-compose.yml"));
            assert_eq!(link.as_deref(), Some("/home/oem/app/my.yml"), "{userland:?} {state}");
            assert_eq!(device.read(FILE), "services: {}", "{userland:?} {state}");
        }
    }
}

#[test]
fn files_of_their_own_are_never_removed_and_nothing_else_is_touched_then() {
    for userland in BOTH {
        for name in ["docker-compose.yml", ".env", "notes"] {
            let device = device(userland);
            device.write(&format!("{PLACE}/{name}"), "own");
            if name != "docker-compose.yml" {
                device.make_link("/home/oem/app/my.yml", &format!("{PLACE}/docker-compose.yml"));
            }
            let before = device.names(PLACE);
            let ran = enable(&device, FILE);
            assert!(ran.code == 1 && ran.err.contains("in the way"), "{userland:?} {name}: {ran:?}");
            assert_eq!(device.names(PLACE), before, "{userland:?} {name}");
            assert_eq!(device.state("asked"), "", "{userland:?} {name}");
        }
        let device = device(userland);
        device.write(&format!("{PLACE}/docker-compose.yml"), "own");
        let ran = enable(&device, "/home/oem/app/my.yml");
        assert!(ran.code == 1 && ran.err.contains("no link"), "{userland:?} {ran:?}");
        assert_eq!(device.read(&format!("{PLACE}/docker-compose.yml")), "own");
    }
}

#[test]
fn enabling_is_read_back() {
    for userland in BOTH {
        let device = device(userland);
        device.stub("systemctl", "case $* in *is-enabled*) echo disabled; exit 1 ;; esac");
        let ran = enable(&device, FILE);
        assert!(ran.code == 1 && ran.err.contains("oem-dc@app is not enabled"), "{userland:?} {ran:?}");
        device.stub("systemctl", "echo 'Failed to connect to bus' >&2; exit 1");
        let ran = enable(&device, FILE);
        assert!(ran.code == 1 && ran.err.contains("Failed to connect to bus"), "{userland:?} {ran:?}");
        let ran = enable(&device, "/home/oem/none.yml");
        assert!(ran.code == 1 && ran.err.contains("/home/oem/none.yml: no such file"), "{userland:?} {ran:?}");
    }
}

#[test]
fn a_disabled_service_does_not_come_back_by_its_containers_policy_either() {
    for userland in BOTH {
        let device = device(userland);
        enable(&device, FILE);
        device.must(&systemd::disable_service("app", "app"), b"");
        assert_eq!((device.state("c1"), device.state("c2")), ("no\n".into(), "no\n".into()), "{userland:?}");
        assert!(!device.here("/state/enabled").exists());
        device.stub("docker", "case $* in *update*) ;; *inspect*) echo always ;; *) echo c1 ;; esac");
        assert_ne!(device.run(&systemd::disable_service("app", "app"), b"").code, 0, "{userland:?}");
        device.stub("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
        let ran = device.run(&systemd::disable_service("app", "app"), b"");
        assert!(ran.code != 0 && ran.err.contains("Docker daemon"), "{userland:?} {ran:?}");
    }
}

#[test]
fn with_the_one_unit_the_policies_are_set_and_read_back() {
    for userland in BOTH {
        let device = device(userland);
        std::fs::write(device.here("/state/c1"), "on-failure\n").expect("written");
        device.must(&systemd::enable_single("app"), b"");
        assert_eq!(device.state("c1"), "unless-stopped\n", "{userland:?}");
        assert_eq!(device.state("c2"), "", "`always` is left as it is");
        let ran = device.run(&systemd::enable_single("other"), b"");
        assert!(ran.code == 1 && ran.err.contains("project other has no containers"), "{userland:?} {ran:?}");
        device.must(&systemd::disable_single("app"), b"");
        assert_eq!((device.state("c1"), device.state("c2")), ("no\n".into(), "no\n".into()), "{userland:?}");
        device.must(&systemd::disable_single("lonely"), b"");
        assert_eq!(device.state("lonely"), "no\n", "a container without project, {userland:?}");
    }
}
