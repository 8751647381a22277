//! A version that runs at first and not for long: it is seen within the settling time, whatever goes on meanwhile. What is said of
//! health is what was seen.

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu},
    images::Image,
    swap::{SERVES, compose, first_version, lasting, runs, second_version},
};

/// A second version whose program ends after some seconds is put back.
#[track_caller]
fn loops_and_is_put_back(vpu: &Vpu, first: &str, seconds: u32) {
    let before = lasting(vpu);
    let image = Image::new("app:1", &format!("sleep {seconds}; echo 'no camera'; exit 1"));
    second_version(vpu, &image, "    restart: always\n");
    let (code, said) = vpu.run(&[]);
    assert_eq!(code, 17, "{seconds} s: {said}");
    assert!(said.contains("and was started again (last exit code 1); the previous version is back and runs"), "{said}");
    assert!(said.contains("app runs after") && said.contains("| no camera") && !said.contains("healthy"), "{said}");
    runs(vpu, first, "one");
    assert_eq!(vpu.container("app", "{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
    assert_eq!(lasting(vpu), before);
}

/// Has the settling time as it is by default.
fn default_settle(vpu: &Vpu, more: &str) {
    let text = std::fs::read_to_string(vpu.home.path().join("o3r-deploy.yaml")).expect("it is there");
    vpu.write("o3r-deploy.yaml", text.replace(", settle: 1", "") + more);
}

#[test]
fn update_to_a_crash_loop_of_some_seconds_is_put_back() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    default_settle(&vpu, "");
    for seconds in [3, 8, 12] {
        loops_and_is_put_back(&vpu, &first, seconds);
    }
}

#[test]
fn first_deployment_of_a_crash_loop_fails_and_is_taken_down() {
    let vpu = Vpu::trusted(OVP80X);
    Image::new("web:1", "sleep 5; exit 7").save(&vpu.home.path().join("web.tar"));
    vpu.write("compose.yml", "version: '2.4'\nservices: {web: {image: 'web:1', container_name: web, restart: always}}\n");
    vpu.write(
        "o3r-deploy.yaml",
        "application: app\nlogs:\nstamp:\nimage: [{source: ./web.tar}]\ncompose: {file: compose.yml}\n",
    );
    let said = vpu.fails(10, &[]);
    assert!(said.contains("and was started again (last exit code 7)"), "{said}");
    assert_eq!(vpu.root("docker container ls --all --quiet"), "");
}

/// The output is shown at once; the autostart that was set meanwhile goes with the version.
#[test]
fn update_that_ends_while_its_output_is_shown_is_put_back_with_its_autostart() {
    let vpu = Vpu::trusted(OVP81X);
    let first = first_version(&vpu);
    vpu.ssh("systemctl --user disable oem-dc@app 2>/dev/null; rm -rf /usr/share/oem/docker/compose/app; rmdir -p ~/.config/systemd/user 2>/dev/null; true");
    default_settle(&vpu, "attach: { container: app }\n");
    let before = lasting(&vpu);
    let image = Image::new("app:1", "echo hello; sleep 6; echo bye; exit 3");
    second_version(&vpu, &image, "    restart: unless-stopped\n");
    let mut program = vpu.start(&[]);
    program.wait_until_it_says("hello");
    // The guard waits for its deployer, whose lock is there still.
    assert_eq!(vpu.root("pgrep -u oem -f swap/guard | wc -l").trim(), "1");
    let (code, said) = program.end();
    assert_eq!(code, 17, "{said}");
    assert!(said.contains("enable app"), "it was enabled before the end: {said}");
    runs(&vpu, &first, "one");
    assert_eq!(lasting(&vpu), before);
}

#[test]
fn wait_of_a_second_does_for_what_runs_and_the_way_back_has_a_wait_of_its_own() {
    let vpu = Vpu::trusted(OVP80X);
    let first = first_version(&vpu);
    let text = std::fs::read_to_string(vpu.home.path().join("o3r-deploy.yaml")).expect("it is there");
    vpu.write("o3r-deploy.yaml", text.replace("wait: 30", "wait: 1"));
    second_version(&vpu, &Image::new("app:1", SERVES).health("sleep 5"), "");
    let (code, said) = vpu.run(&[]);
    assert_eq!(code, 17, "{said}");
    assert!(said.contains("container `app` is not healthy yet, after 1 s; the previous version is back"), "{said}");
    runs(&vpu, &first, "one");
    vpu.write("o3r-deploy.yaml", text.replace("wait: 30", "wait: 3"));
    let second = second_version(&vpu, &Image::new("app:1", SERVES), "");
    vpu.succeed(&[]);
    runs(&vpu, &second, "two");
}

#[test]
fn service_that_does_its_work_once_is_no_failure_and_said_to_have_completed() {
    for kind in [OVP81X, Kind { autostart: "b", ..OVP81X }] {
        let vpu = Vpu::trusted(kind);
        Image::new("web:1", "sleep 100000").save(&vpu.home.path().join("web.tar"));
        let once = |restart: &str| {
            let once = format!(
                "once: {{image: 'web:1', container_name: once, restart: '{restart}', command: sh -c 'sleep 1; exit 0'}}"
            );
            format!("version: '2.4'\nservices:\n  web: {{image: 'web:1', container_name: web}}\n  {once}\n")
        };
        vpu.write("compose.yml", once("no"));
        let file = |more: &str| {
            format!(
                "application: app\nlogs:\nstamp:\nimage: [{{source: ./web.tar}}]\ncompose: {{file: compose.yml, settle: 3{more}}}\n"
            )
        };
        vpu.write("o3r-deploy.yaml", file(""));
        let said = vpu.succeed(&[]);
        assert!(said.contains("web runs; once completed after") && !said.contains("healthy"), "{said}");
        assert!(vpu.succeed(&["verify"]).contains("`app` runs: 1 container"));
        vpu.write("o3r-deploy.yaml", file(", completes: [once]"));
        vpu.succeed(&[]);
        assert!(vpu.succeed(&[]).contains("nothing to change on the device"), "it has done its work");
        vpu.write("o3r-deploy.yaml", file(", completes: [nobody]"));
        assert!(vpu.fails(2, &[]).contains("service `nobody` is not in the compose file"));
    }
}

#[test]
fn last_output_of_the_health_check_is_shown_and_masked() {
    let vpu = Vpu::trusted(OVP81X);
    Image::new("web:1", "sleep 100000")
        .health("echo Traceback; cat /run/secrets/token; echo 'ZeroDivisionError: division by zero'; exit 1")
        .save(&vpu.home.path().join("web.tar"));
    let service = "web: {image: 'web:1', container_name: web, volumes: ['./secrets:/run/secrets:ro']}";
    vpu.write("compose.yml", format!("version: '2.4'\nservices: {{{service}}}\n"));
    vpu.write("token", "a most secret word\n");
    vpu.write(
        "o3r-deploy.yaml",
        "application: app\nlogs:\nstamp:\nimage: [{source: ./web.tar}]\ncompose: {file: compose.yml, secrets: {token: !file token}}\n",
    );
    for words in [&[][..], &["--json"]] {
        let (code, said) = vpu.run(words);
        assert_eq!(code, 10, "{said}");
        assert!(said.contains("ZeroDivisionError: division by zero") && said.contains("‹secret›"), "{said}");
        assert!(!said.contains("most secret"), "{said}");
    }
    // One that is ill after it was deployed.
    let image = Image::new("web:1", "sleep 100000").health("echo 'no camera'; test ! -e /ill");
    image.save(&vpu.home.path().join("web.tar"));
    vpu.write("compose.yml", compose("").replace("app:1", "web:1").replace("    env_file: app.env\n", ""));
    vpu.write(
        "o3r-deploy.yaml",
        "application: app\nlogs:\nstamp:\nimage: [{source: ./web.tar}]\ncompose: {file: compose.yml, settle: 1}\n",
    );
    vpu.ssh("mkdir -p ~/settings && echo one >~/settings/motto");
    let said = vpu.succeed(&[]);
    assert!(said.contains("app up and healthy after"), "{said}");
    assert!(vpu.succeed(&["verify"]).contains("`app` runs and is healthy: 1 container"));
    vpu.root("docker exec app touch /ill");
    crate::witness::wait_for("bad health", || (vpu.container("app", "{{.State.Health.Status}}") == "unhealthy").then_some(()));
    for command in ["verify", "doctor"] {
        let said = vpu.run(&[command]).1;
        assert!(said.contains("its health check ended with exit code 1:") && said.contains("| no camera"), "{said}");
    }
}
