//! A version that is kept, confirmed, and put back; secrets. docker only notes what it is asked.

use o3r_deploy::{
    commands::files,
    release::{KeptLink, Snapshot, versions as swap},
};

use super::shell::{BOTH, Device, Userland};

const HOME: &str = "/home/oem/.o3r-deploy/app";
const ID: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn device(userland: Userland) -> Device {
    let device = Device::new(userland);
    device.stub("docker", r#"echo "$*" >>"$state/asked""#);
    device.write("/home/oem/settings/motto", "one");
    device
}

fn lines(id: &str) -> String {
    let head = "project app\ncompose docker-compose\nrecreate no\nfile /home/oem/app/docker-compose.yml\n";
    format!("{head}service app running always {id} app:1\nkeep /home/oem/settings/motto\nnew /home/oem/settings/more\n")
}

fn keep(device: &Device, id: &str) {
    device.must(&swap::keep(&swap::pending("app"), "app", ""), format!("{}end\n", lines(id)).as_bytes());
}

fn asked(device: &Device, what: &str) -> bool {
    device.state("asked").lines().any(|line| line.starts_with(what))
}

#[test]
fn what_arrives_in_part_is_no_version_that_is_kept() {
    for userland in BOTH {
        let device = device(userland);
        let whole = lines(ID);
        for end in whole.match_indices('\n').map(|(at, _)| at + 1).chain([0]) {
            let ran = device.run(&swap::keep(&swap::pending("app"), "app", ""), whole.get(..end).expect("ASCII").as_bytes());
            assert_eq!(ran.code, 1, "{userland:?} {ran:?}");
            assert!(!device.here(&format!("{HOME}/swap/state")).exists());
        }
        keep(&device, ID);
        let state = device.read(&format!("{HOME}/swap/state"));
        assert_eq!(state.lines().count(), lines(ID).lines().count() - 1, "{userland:?} {state}");
        let motto = device.here("/home/oem/settings/motto");
        assert_eq!(device.read(&format!("{HOME}/swap/files{}", motto.display())), "one");
        assert!(asked(&device, "image tag"), "{userland:?}");
        // Another try that is cut off takes nothing from it.
        device.run(&swap::keep(&swap::pending("app"), "app", ""), b"project other\n");
        assert_eq!(device.read(&format!("{HOME}/swap/state")), state);
    }
}

#[test]
fn the_version_is_confirmed_unless_the_guard_was_first() {
    for userland in BOTH {
        let device = device(userland);
        keep(&device, ID);
        device.write(&format!("{HOME}/swap/putting_back"), "boot 1 t");
        assert_eq!(device.run(&swap::settle("app", "{}", ""), b"").code, 3, "{userland:?}");
        std::fs::remove_file(device.here(&format!("{HOME}/swap/putting_back"))).expect("it was there");
        device.write(&format!("{HOME}/swap/armed"), "boot 1 t");
        // A power cut has left a version that nobody goes back to any more.
        device.write(&format!("{HOME}/before/state"), lines(OTHER).as_bytes());
        device.must(&swap::settle("app", "{}", "entry"), b"");
        assert_eq!(device.names(HOME), ["history.jsonl", "previous", "record.json"], "{userland:?}");
        assert!(asked(&device, &format!("image rm o3r-deploy.previous:app.{}", &OTHER[7..19])), "{userland:?}");
        assert!(!asked(&device, &format!("image rm o3r-deploy.previous:app.{}", &ID[7..19])), "{userland:?}");
        assert!(!device.names(&format!("{HOME}/previous")).contains(&"armed".to_owned()));
        // What something else put there has no record.
        device.must(&swap::settle("app", "", ""), b"");
        assert_eq!(device.names(HOME), ["history.jsonl", "previous"], "{userland:?}");
        assert_eq!(device.must(&swap::record("app"), b"").out, "");
    }
}

#[test]
fn files_are_put_back_and_what_is_new_goes_first() {
    for userland in BOTH {
        let device = device(userland);
        keep(&device, ID);
        // What arrives is renamed over the old name.
        device.write("/home/oem/settings/.new", "two");
        std::fs::rename(device.here("/home/oem/settings/.new"), device.here("/home/oem/settings/motto")).expect("renamed");
        device.write("/home/oem/settings/more", "more");
        let ran = device.must(&swap::put_back(&swap::pending("app"), ""), b"");
        assert!(!ran.out.contains("containers"), "they were never touched: {ran:?}");
        assert_eq!(device.read("/home/oem/settings/motto"), "one", "{userland:?}");
        assert_eq!(device.names("/home/oem/settings"), ["motto"]);
        assert!(!device.here(HOME).exists(), "{userland:?}");
        assert_eq!(device.run(&swap::put_back(&swap::pending("app"), ""), b"").code, 4);
    }
}

#[test]
fn a_secret_that_arrives_in_part_does_not_replace_the_one_before() {
    for userland in BOTH {
        let device = device(userland);
        let path = "/home/oem/app/secrets/token";
        device.must(&files::write_secret(path, 6), b"secret");
        assert_eq!((device.read(path).as_str(), device.mode(path)), ("secret", 0o600));
        for part in ["", "anot"] {
            assert_eq!(device.run(&files::write_secret(path, 7), part.as_bytes()).code, 1, "{userland:?}");
            assert_eq!(device.names("/home/oem/app/secrets"), ["token"]);
            assert_eq!(device.read(path), "secret");
        }
    }
}

#[test]
fn secrets_are_compared_all_at_once_by_their_digests() {
    use sha2::{Digest, Sha256};
    for userland in BOTH {
        let device = Device::new(userland);
        let paths = ["/home/oem/s/same", "/home/oem/s/a\\nb", "/home/oem/s/open", "/home/oem/s/gone"];
        for path in ["/home/oem/s/same", "/home/oem/s/a\nb", "/home/oem/s/open"] {
            device.must(&files::write_secret(path, 5), b"token");
        }
        std::fs::set_permissions(device.here("/home/oem/s/open"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("opened");
        let hex = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lines: Vec<_> = paths.iter().zip(["token", "other", "token", "token"]).collect();
        let input: String = lines.iter().map(|(path, content)| format!("{} {path}\n", hex(content))).collect();
        let ran = device.run(&files::compare_secrets(), input.as_bytes());
        assert_eq!(ran.out, "same\nother\nother\nnone\n", "{userland:?}");
    }
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("read").trim().to_owned()
}

/// Runs the guard that was left, as systemd does at a start of the device.
fn start_guard(device: &Device) {
    let guard = format!("{HOME}/swap/guard");
    device.must(&o3r_deploy::command::Command::new("sh").args([guard.as_str(), "0", "0", "/tmp/o3r-deploy"]), b"");
}

fn replace(device: &Device, path: &str, content: &str) {
    device.write("/home/oem/.incoming", content);
    std::fs::rename(device.here("/home/oem/.incoming"), device.here(path)).expect("renamed");
}

#[test]
fn guard_puts_files_back_at_the_next_boot_from_the_first_change_on() {
    for userland in BOTH {
        let device = device(userland);
        keep(&device, ID);
        let unit = "/home/oem/.config/systemd/user/default.target.wants/o3r-deploy-guard-app.service";
        assert!(device.link(unit).is_some(), "{userland:?}");
        replace(&device, "/home/oem/settings/motto", "two");
        // In the same boot it leaves the update to its deployer.
        start_guard(&device);
        assert_eq!(device.read("/home/oem/settings/motto"), "two", "{userland:?}");
        let armed = device.read(&format!("{HOME}/swap/armed"));
        device.write(&format!("{HOME}/swap/armed"), armed.replace(&boot(), "another-boot"));
        device.stub("docker-compose", r#"echo "$*" >>"$state/composed""#);
        start_guard(&device);
        assert_eq!(device.read("/home/oem/settings/motto"), "one", "{userland:?}");
        assert!(device.state("composed").contains(" up --detach "), "docker may have started a mixture: {userland:?}");
        assert!(!device.here(HOME).exists() && device.link(unit).is_none(), "{userland:?}");
    }
}

#[test]
fn guard_of_a_first_version_removes_its_containers_and_nothing_else() {
    for userland in BOTH {
        let device = device(userland);
        device.stub("docker", r#"echo "$*" >>"$state/asked"; case "$*" in *'.ID}} {{.Label'*) echo 'c1 web' ;; esac"#);
        let first = swap::first("app");
        let state = b"project app\ncompose docker-compose\nrecreate no\nfile /home/oem/app/docker-compose.yml\nend\n";
        device.must(&swap::keep(&first, "app", ""), state);
        device.must(&swap::begin(&first, 600), b"");
        device.must(&swap::put_back(&first, ""), b"");
        assert!(asked(&device, "container rm --force c1"), "{userland:?}");
        assert!(!device.here(HOME).exists(), "{userland:?}");
        assert_eq!(device.read("/home/oem/settings/motto"), "one");
        // Once confirmed it is no version that can be gone back to. The guard of the first try may still be at work on its device.
        let device = self::device(userland);
        device.must(&swap::keep(&first, "app", ""), state);
        device.must(&swap::begin(&first, 600), b"");
        device.must(&swap::settle("app", "{}", "{}"), b"");
        assert_eq!(device.names(HOME), ["history.jsonl", "record.json"], "{userland:?}");
    }
}

#[test]
fn identical_file_is_not_put_back() {
    use std::os::unix::fs::MetadataExt;
    for userland in BOTH {
        let device = device(userland);
        keep(&device, ID);
        // Where no hard link can be made, what is kept is a copy.
        let motto = device.here("/home/oem/settings/motto");
        let kept = device.here(&format!("{HOME}/swap/files{}", motto.display()));
        std::fs::remove_file(&kept).expect("it was there");
        std::fs::copy(&motto, &kept).expect("copied");
        std::fs::create_dir(device.here("/home/oem/settings/more")).expect("made");
        let before = std::fs::metadata(&motto).expect("there").ino();
        device.must(&swap::put_back(&swap::pending("app"), ""), b"");
        assert_eq!(std::fs::metadata(&motto).expect("there").ino(), before, "{userland:?}");
        assert_eq!(device.names("/home/oem/settings"), ["more", "motto"], "a directory is none of the update's");
        assert!(!device.here(HOME).exists(), "{userland:?}");
    }
}

#[test]
fn snapshot_is_kept_and_told_again_as_the_program_reads_it() {
    for userland in BOTH {
        let device = device(userland);
        let odd = "/home/oem/settings/a\\b\nc d";
        device.write(odd, "odd");
        let snapshot = Snapshot {
            project: "app".into(),
            files: vec!["/home/oem/app/docker-compose.yml".into()],
            replaced: vec![odd.into()],
            new: vec!["/home/oem/settings/more\\".into()],
            units: vec![("oem-dc@app.service".into(), true)],
            links: vec![KeptLink { place: "/usr/share/oem/docker/compose/app".into(), target: None }],
            stamp: Some(("/home/oem/share/my stamps".into(), "26.11.25".into())),
            ..Snapshot::default()
        };
        device.must(&swap::keep(&swap::pending("app"), "app", ""), format!("{}end\n", snapshot.text()).as_bytes());
        let kept = Snapshot { replaced: Vec::new(), ..snapshot.clone() };
        let text = device.must(&swap::look("app"), b"").out;
        let lines: Vec<_> = text.trim_end_matches('\n').split('\n').skip(1).collect();
        // What is replaced lies beside it, under its name.
        assert_eq!(Snapshot::parse(lines), Ok(kept), "{userland:?}");
        assert_eq!(device.read(&format!("{HOME}/swap/files{}", device.here(odd).display())), "odd", "{userland:?}");
        // One that a newer program has kept is refused, and nothing is touched.
        let newer = device.read(&format!("{HOME}/swap/state")).replacen("format 1", "format 2", 1);
        device.write(&format!("{HOME}/swap/state"), newer);
        let ran = device.run(&swap::put_back(&swap::pending("app"), ""), b"");
        assert!(ran.code == 5 && ran.err.contains("kept by a newer o3r-deploy (format 2)"), "{userland:?} {ran:?}");
        assert!(device.here(&format!("{HOME}/swap/state")).exists());
    }
}

#[test]
fn history_tells_how_attempts_ended() {
    for userland in BOTH {
        let device = device(userland);
        let attempt = |at: &str| {
            let entry = format!(r#"{{"at":"{at}"}}"#);
            device.must(&swap::keep(&swap::pending("app"), "app", &entry), format!("{}end\n", lines(ID)).as_bytes());
        };
        attempt("1");
        device.must(&swap::put_back(&swap::pending("app"), ""), b"");
        attempt("2");
        // Over another connection it is the same attempt.
        attempt("2");
        attempt("3");
        device.stub("docker-compose", "exit 0");
        device.must(&swap::begin(&swap::pending("app"), 600), b"");
        device.must(&swap::put_back(&swap::pending("app"), ""), b"");
        let history = device.read(&format!("{HOME}/history.jsonl"));
        let told = r#"{"at":"1","result":"failed"} {"at":"2","result":"interrupted"} {"at":"3","result":"rolled back"}"#;
        assert_eq!(history.lines().collect::<Vec<_>>().join(" "), told, "{userland:?}");
    }
}

#[test]
fn stamp_of_what_did_not_stay_goes_on_the_way_back() {
    for userland in BOTH {
        for version in [swap::pending("app"), swap::first("app")] {
            let device = device(userland);
            let lines = format!("{}stamp /home/oem/my notes\nstamp 26.11.25_one\n", lines(ID));
            device.must(&swap::keep(&version, "app", r#"{"at":"one"}"#), format!("{lines}end\n").as_bytes());
            device.write("/home/oem/my notes", "26.11.24_before\n26.11.25_one\n26.11.25_one more\n");
            device.must(&swap::put_back(&version, ""), b"");
            assert_eq!(device.read("/home/oem/my notes"), "26.11.24_before\n26.11.25_one more\n", "{userland:?}");
            assert_eq!(
                device.read(&format!("{HOME}/history.jsonl")),
                "{\"at\":\"one\",\"result\":\"failed\"}\n",
                "{userland:?}"
            );
            // What stayed is gone back from later: it was a deployment all the same.
            device.must(&swap::keep(&swap::pending("app"), "app", ""), format!("{lines}end\n").as_bytes());
            device.write("/home/oem/my notes", "26.11.25_one\n");
            device.must(&swap::settle("app", "{}", ""), b"");
            device.must(&swap::put_back(&swap::previous("app"), ""), b"");
            assert_eq!(device.read("/home/oem/my notes"), "26.11.25_one\n", "{userland:?}");
        }
    }
}

#[test]
fn interim_names_of_docker_compose_are_put_right() {
    let old = "759893e426a5000000000000";
    let list = |names: &str| {
        format!(
            r#"echo "$*" >>"$state/asked"; case "$*" in *'{{{{.ID}}}} {{{{.Names}}}}'*) printf '{names}' ;; *--filter?name=*) echo half ;; *inspect*) exit 1 ;; esac"#
        )
    };
    for userland in BOTH {
        let device = device(userland);
        device.stub("docker", &list(&format!("{old} 759893e426a5_app\\nc2 app\\nc3 000000000000_other\\n")));
        device.must(&o3r_deploy::commands::systemd::release("app", "/home/oem/app/docker-compose.yml"), b"");
        assert!(asked(&device, "container rm --force half"), "{userland:?}");
        assert!(asked(&device, &format!("container rename {old} app")), "{userland:?}");
        assert!(!asked(&device, "container rename c3"), "a name that only looks so: {userland:?}");
    }
}

#[test]
fn files_are_put_back_in_directories_that_are_closed_to_their_owner() {
    for userland in BOTH {
        let device = device(userland);
        device.write("/home/oem/settings/more/closed/kept", "one");
        let mode = |path: &str, mode: u32| {
            std::fs::set_permissions(device.here(path), std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("allowed");
        };
        let state = "project app\ncompose docker-compose\nrecreate no\nfile /home/oem/app/docker-compose.yml\n\
             keep /home/oem/settings/motto\nkeep /home/oem/settings/more/closed/kept\nnew /home/oem/settings/new/file\n\
             new /home/oem/settings/more/closed/new\nmade /home/oem/settings/new\nmode 711 /home/oem/settings/more\nend\n";
        for path in ["/home/oem", "/home/oem/settings", "/home/oem/settings/more", "/home/oem/settings/more/closed"] {
            device.open(path);
        }
        mode("/home/oem/settings/more", 0o711);
        let device_user = device.unprivileged();
        let device = &device_user;
        own(device);
        device.must(&swap::keep(&swap::pending("app"), "app", ""), state.as_bytes());
        let sends = "cd /home/oem/settings && echo two >motto.new && mv motto.new motto && echo two >more/closed/x && \
             mv more/closed/x more/closed/kept && echo two >more/closed/new && mkdir new && echo two >new/file && \
             chmod 555 new more/closed && chmod 755 more && chmod 555 .";
        device.must(&o3r_deploy::command::Command::new("sh").args(["-c", sends]), b"");
        device.must(&swap::put_back(&swap::pending("app"), ""), b"");
        assert_eq!(device.read("/home/oem/settings/motto"), "one", "{userland:?}");
        assert_eq!(device.read("/home/oem/settings/more/closed/kept"), "one", "{userland:?}");
        assert_eq!(device.names("/home/oem/settings"), ["more", "motto"], "{userland:?}");
        assert_eq!(device.names("/home/oem/settings/more/closed"), ["kept"], "{userland:?}");
        let modes =
            ["/home/oem/settings", "/home/oem/settings/more", "/home/oem/settings/more/closed"].map(|path| device.mode(path));
        assert_eq!(modes, [0o555, 0o711, 0o555], "{userland:?}");
        assert!(!device.here(HOME).exists(), "{userland:?}");
    }
}

/// Gives all that is in the home to the user who is not root.
fn own(device: &Device) {
    if rustix::process::getuid().is_root() {
        let home = device.here("/home/oem").display().to_string();
        let paths = [home, device.here("/state").display().to_string()];
        assert!(
            std::process::Command::new("chown").args(["-R", "65534:65534"]).args(paths).status().expect("it runs").success()
        );
    }
}
