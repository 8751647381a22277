//! One version after another: what is back after one that does not run, and what can be gone back to. All of it is looked up by
//! docker on the device and in its files.

use std::time::{Duration, Instant};

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu},
    images::Image,
    state::State,
    witness::wait_for,
};

/// Seconds within which the previous version has to run again.
const BACK_WITHIN: f64 = 10.0;
/// Seconds for which an application that is replaced may be down: this one ends at once.
const DOWN_AT_MOST: f64 = 5.0;

const DEPLOYMENT: &str = "
application: app
logs: []
stamp: ''
transfers: { to_device: [{ local: ./settings, remote: ~/settings }] }
image: [{ source: ./app.tar, name: 'app:1' }]
compose: { file: ./docker-compose.yml, directory: ~/app, wait: 30, settle: 1 }
autostart: { enable: [{ service: app }] }
";

/// The compose file, with more lines of the service.
pub fn compose(more: &str) -> String {
    let volumes = "volumes: ['/home/oem/settings:/settings:ro', '/data']";
    format!(
        "version: '2.4'\nservices:\n  app:\n    image: app:1\n    container_name: app\n    env_file: app.env\n    {volumes}\n{more}"
    )
}

pub const SERVES: &str = "cat /settings/motto; echo kept >>/data/kept; sleep 100000";

/// Writes a first version; gives the ID of its image.
pub fn first_files(vpu: &Vpu, image: &Image, more: &str) -> String {
    vpu.write("o3r-deploy.yaml", DEPLOYMENT);
    vpu.write("settings/motto", "one\n");
    vpu.write("app.env", "VERSION=1\n");
    vpu.write("docker-compose.yml", compose(more));
    image.save(&vpu.home.path().join("app.tar"))
}

/// A healthy first version runs on the device; gives the ID of its image.
pub fn first_version(vpu: &Vpu) -> String {
    let id = first_files(vpu, &Image::new("app:1", SERVES).health("true"), "    restart: unless-stopped\n");
    vpu.succeed(&[]);
    runs(vpu, &id, "one");
    id
}

/// Writes a second version.
pub fn second_version(vpu: &Vpu, image: &Image, more: &str) -> String {
    vpu.write("settings/motto", "two\n");
    vpu.write("settings/new/file", "new\n");
    vpu.write("app.env", "VERSION=2\n");
    vpu.write("docker-compose.yml", compose(more));
    image.save(&vpu.home.path().join("app.tar"))
}

/// The application runs with this image and these settings.
#[track_caller]
pub fn runs(vpu: &Vpu, id: &str, motto: &str) {
    vpu.wait_for_container("app");
    assert_eq!(vpu.container("app", "{{.Image}}"), id);
    assert_eq!(vpu.root("docker image inspect --format '{{.Id}}' app:1").trim(), id);
    assert_eq!(vpu.root("docker exec app cat /settings/motto").trim(), motto);
    assert_eq!(vpu.root("cat /home/oem/settings/motto").trim(), motto);
}

/// What stays the same when an update fails: all but the container, which is made anew, and the images, of which the new one
/// stays for the next try; and the laptop, where the new version is.
pub fn lasting(vpu: &Vpu) -> State {
    let other = ["container ", "image ", "docker ", "network ", "here ", "process sleep"];
    vpu.whole_state().without(|line| other.iter().any(|kind| line.starts_with(kind)) || line.contains("/history.jsonl"))
}

/// The number before ` s` after `words`.
fn seconds(said: &str, words: &str) -> f64 {
    let rest = said.split(words).nth(1).unwrap_or_else(|| panic!("`{words}` in {said}"));
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("a number in {said}"))
}

/// A second version that fails so is put back.
#[track_caller]
fn fails_and_is_put_back(kind: Kind, image: &Image, more: &str, why: &str) {
    let vpu = Vpu::trusted(kind);
    let id = first_version(&vpu);
    let before = lasting(&vpu);
    second_version(&vpu, image, more);
    let begin = Instant::now();
    let (code, said) = vpu.run(&["--allow-architecture"]);
    eprintln!("{:.1} s in all: {said}", begin.elapsed().as_secs_f64());
    assert_eq!(code, 17, "{said}");
    assert!(said.contains(why), "{said}");
    let back = seconds(&said, "the previous version is back and runs, ");
    assert!(back <= BACK_WITHIN, "{back}");
    // At once, not only after a while.
    assert_eq!(vpu.container("app", "{{.State.Running}} {{.Image}}"), format!("true {id}"));
    runs(&vpu, &id, "one");
    assert_eq!(vpu.root("docker exec app sh -c 'echo $VERSION'").trim(), "1");
    assert_eq!(vpu.container("app", "{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
    assert!(vpu.root("docker exec app cat /data/kept").lines().count() > 1, "its data is still there");
    assert_eq!(vpu.root("docker container ls --all --quiet | wc -l").trim(), "1");
    assert_eq!(vpu.root("docker image ls --quiet o3r-deploy.previous"), "");
    assert_eq!(lasting(&vpu), before);
    let told = vpu.succeed(&["history", "--quiet"]);
    assert!(told.lines().last().is_some_and(|line| line.contains(" (rolled back)  app:1 ")), "{told}");
}

#[test]
fn a_version_that_is_not_healthy_is_put_back() {
    let image = Image::new("app:1", SERVES).health("echo ill; false");
    fails_and_is_put_back(OVP81X, &image, "", "container `app` is unhealthy");
}

#[test]
fn a_version_that_ends_is_put_back() {
    let image = Image::new("app:1", "echo 'no such camera'; exit 3");
    fails_and_is_put_back(OVP80X, &image, "", "| no such camera");
}

#[test]
fn a_version_that_restarts_in_a_loop_is_put_back() {
    let image = Image::new("app:1", "sleep 0.1; exit 7");
    fails_and_is_put_back(
        Kind { autostart: "b", ..OVP81X },
        &image,
        "    restart: always\n",
        "restarts in a loop (last exit code 7)",
    );
}

#[test]
fn a_version_whose_port_is_taken_is_put_back() {
    fails_and_is_put_back(OVP81X, &Image::new("app:1", SERVES), "    ports: ['80:80']\n", "address already in use");
}

#[test]
fn a_version_whose_image_is_broken_is_put_back() {
    let image = Image::new("app:1", SERVES).file("bin/busybox", 0o755, b"no program".to_vec());
    fails_and_is_put_back(OVP80X, &image, "", "");
}

#[test]
fn a_version_that_runs_replaces_the_one_before_which_is_kept() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        let first = first_version(&vpu);
        let second = second_version(&vpu, &Image::new("app:1", SERVES).health("sleep 0"), "");
        let said = vpu.succeed(&["--remove_images", "--yes"]);
        runs(&vpu, &second, "two");
        let down = seconds(&said, "down for ");
        eprintln!("down for {down} s");
        assert!(down <= DOWN_AT_MOST, "{down}");
        let kept = || vpu.root("docker image ls --no-trunc --format '{{.ID}}' o3r-deploy.previous").trim().to_owned();
        assert_eq!(kept(), first, "its image has a name");
        assert_eq!(vpu.root("cat /home/oem/.o3r-deploy/app/previous/files/home/oem/settings/motto"), "one\n");
        // No clean-up takes it, and a third version takes its place.
        vpu.write("settings/motto", "three\n");
        let third = Image::new("app:1", SERVES).health("sleep 0.01").save(&vpu.home.path().join("app.tar"));
        vpu.succeed(&["--remove_images", "--yes"]);
        runs(&vpu, &third, "three");
        assert_eq!(kept(), second);
        assert!(!vpu.root("docker image ls --all --quiet --no-trunc").contains(&first), "two versions are enough");
        let said = vpu.succeed(&[]);
        assert!(said.contains("nothing to change on the device"), "{said}");
    }
}

#[test]
fn rollback_goes_back_by_hand_and_forward_again_and_the_history_tells_it() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        let first = first_version(&vpu);
        let said = vpu.fails(15, &["rollback"]);
        assert!(said.contains("no version before the one that runs is kept for `app`"), "{said}");
        let second = second_version(&vpu, &Image::new("app:1", SERVES).health("sleep 0"), "");
        vpu.succeed(&[]);
        runs(&vpu, &second, "two");
        let files = || vpu.root("cd /home/oem && find app settings -type f -exec sha256sum {} + | sort");
        let of_second = files();
        let logs = || std::fs::read_dir(vpu.home.path().join("o3r_logs/Deployments")).expect("there are logs").count();
        let logs_before = logs();
        let said = vpu.succeed(&["rollback"]);
        eprintln!("{said}");
        assert_eq!(logs(), logs_before + 1, "a run like any other");
        assert!(seconds(&said, "is back and runs, after ") <= BACK_WITHIN, "{said}");
        runs(&vpu, &first, "one");
        assert_eq!(vpu.root("ls /home/oem/settings").trim(), "motto", "what came with the second version is gone");
        assert_eq!(vpu.container("app", "{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
        vpu.succeed(&["rollback"]);
        runs(&vpu, &second, "two");
        assert_eq!(files(), of_second);
        let told = vpu.succeed(&["history", "--quiet"]);
        let kinds: Vec<_> = told.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
        assert_eq!(kinds, ["deployment", "deployment", "rollback", "rollback"], "{told}");
        assert!(told.contains(&first[7..19]) && told.contains("from app.tar") && told.contains(" by "), "{told}");
        let said = vpu.succeed(&[]);
        assert!(said.contains("nothing to change on the device"), "{said}");
    }
}

/// A unit of autostart model A follows its containers and stops those of its project when they end. Once it began them, at the start
/// of the device, an update ends the ones it follows.
#[test]
fn what_the_autostart_has_started_is_replaced_and_stays() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    let begun = |id: &str, motto| {
        vpu.power_cut();
        wait_for("the unit", || (!vpu.root("pgrep -u oem -f 'docker-compose.* up' || true").is_empty()).then_some(()));
        runs(&vpu, id, motto);
    };
    // Longer than docker-compose takes to stop a container that does not listen.
    let lasts = |id: &str, motto| {
        std::thread::sleep(Duration::from_secs(15));
        runs(&vpu, id, motto);
        assert_eq!(vpu.container("app", "{{.RestartCount}}"), "0");
    };
    begun(&first, "one");
    let second = second_version(&vpu, &Image::new("app:1", SERVES).health("true"), "");
    vpu.succeed(&[]);
    lasts(&second, "two");
    begun(&second, "two");
    vpu.succeed(&["rollback"]);
    lasts(&first, "one");
}

/// What was on the device before this tool came has no record.
#[test]
fn rollback_goes_back_to_what_something_else_put_there() {
    let vpu = Vpu::trusted(OVP80X);
    let first = first_version(&vpu);
    vpu.root("rm -r /home/oem/.o3r-deploy/app");
    let second = second_version(&vpu, &Image::new("app:1", SERVES).health("sleep 0"), "");
    vpu.succeed(&[]);
    runs(&vpu, &second, "two");
    vpu.succeed(&["rollback"]);
    runs(&vpu, &first, "one");
    vpu.succeed(&["rollback"]);
    runs(&vpu, &second, "two");
}

/// A deployment that changes nothing but has one of two services to bring up again leaves the other alone when it cannot.
#[test]
fn a_service_that_runs_is_not_taken_down_with_one_that_does_not_come_back() {
    let vpu = Vpu::trusted(OVP81X);
    first_version(&vpu);
    let side = "  side:\n    image: app:1\n    container_name: side\n    volumes: ['/home/oem/share:/share']\n    command: sh -c 'cat /share/camera && sleep 100000'\n";
    vpu.write("docker-compose.yml", compose(side));
    vpu.root("mkdir -p /home/oem/share && touch /home/oem/share/camera && chown -R oem: /home/oem/share");
    vpu.succeed(&[]);
    let app = vpu.container("app", "{{.Id}}");
    vpu.root("rm /home/oem/share/camera && docker container restart --time 0 side >/dev/null");
    wait_for("its end", || (vpu.container("side", "{{.State.Status}}") == "exited").then_some(()));
    let (code, said) = vpu.run(&[]);
    assert_eq!(code, 10, "{said}");
    assert_eq!(vpu.container("app", "{{.State.Running}} {{.Id}}"), format!("true {app}"), "{said}");
}
