//! A version that is kept, confirmed, and put back; secrets. docker only notes what it is asked.

use o3r_deploy::commands::{files, swap};

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
    device.must(&swap::keep("app"), format!("{}end\n", lines(id)).as_bytes());
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
            let ran = device.run(&swap::keep("app"), whole.get(..end).expect("ASCII").as_bytes());
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
        device.run(&swap::keep("app"), b"project other\n");
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
        let ran = device.must(&swap::put_back(&swap::pending("app")), b"");
        assert!(!ran.out.contains("containers"), "they were never touched: {ran:?}");
        assert_eq!(device.read("/home/oem/settings/motto"), "one", "{userland:?}");
        assert_eq!(device.names("/home/oem/settings"), ["motto"]);
        assert!(!device.here(HOME).exists(), "{userland:?}");
        assert_eq!(device.run(&swap::put_back(&swap::pending("app")), b"").code, 4);
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
