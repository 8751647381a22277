//! Compose files mean what they mean to docker-compose on the device: what runs is looked up by docker there.

use crate::{
    device::{OVP80X, OVP81X, Vpu},
    images::Image,
};

const SLEEPS: &str = "sleep 100000";

/// A folder with a deployment of the application `app`.
fn deployment(vpu: &Vpu, yaml: &str, files: &[(&str, &str)]) {
    vpu.write("o3r-deploy.yaml", format!("application: app\nlogs: []\nstamp: ''\ndirectories: []\n{yaml}"));
    for (name, text) in files {
        vpu.write(name, *text);
    }
}

fn image(vpu: &Vpu, reference: &str, script: &str) -> String {
    Image::new(reference, script).save(&vpu.home.path().join("app.tar"))
}

/// A layout as in many repositories: the compose file below a directory of its own, variables in paths, a `.env`.
fn layout(vpu: &Vpu) {
    image(vpu, "acme/app:1.0", SLEEPS);
    let compose = "version: '2.4'\nservices:\n  web:\n    image: docker.io/acme/app:${TAG:-1.0}\n    build: ./image\n    \
                   container_name: web\n    restart: always\n    env_file: ['${STAGE:-prod}.env']\n    \
                   environment: {MODE: '${MODE}', OTHER: '${OTHER}'}\n    volumes: ['../src:/src:ro', '${CONF:-./conf}:/conf:ro']\n";
    deployment(
        vpu,
        "image: [{source: app.tar}]\ncompose: {file: docker/prod.yml, settle: 0, set: {OTHER: other}}\nautostart: {enable: [{service: app}]}\n",
        &[
            ("docker/prod.yml", compose),
            ("docker/.env", "MODE=seen\n"),
            ("docker/prod.env", "FROM=file\n"),
            ("docker/conf/setting", "one\n"),
            ("src/code", "two\n"),
        ],
    );
}

/// The application of `layout` runs as it is written.
#[track_caller]
fn layout_runs(vpu: &Vpu) {
    vpu.wait_for_container("web");
    let seen = vpu.root("docker exec web sh -c 'echo $MODE $OTHER $FROM; cat /conf/setting /src/code'");
    assert_eq!(seen, "seen other file\none\ntwo\n");
    let labels = "{{index .Config.Labels \"com.docker.compose.project\"}}";
    assert_eq!(vpu.container("web", labels), "app");
    assert_eq!(vpu.root("docker container ls --all --quiet | wc -l").trim(), "1");
}

#[test]
fn project_means_the_same_to_plan_deployment_and_next_boot() {
    let vpu = Vpu::trusted(OVP81X);
    layout(&vpu);
    let said = vpu.succeed(&["--allow-architecture"]);
    assert!(!said.contains("warning: docker-compose"), "{said}");
    layout_runs(&vpu);
    assert_eq!(vpu.ssh("cat app/docker/.env"), "MODE=seen\nOTHER=other\nCOMPOSE_FILE=prod.yml\nCOMPOSE_PROJECT_NAME=app\n");
    let started = vpu.container("web", "{{.Id}} {{.State.StartedAt}}");
    let said = vpu.succeed(&["--allow-architecture"]);
    assert!(said.contains("web up to date"), "{said}");
    assert_eq!(vpu.container("web", "{{.Id}} {{.State.StartedAt}}"), started, "nothing was made anew");
    assert_eq!(vpu.root("ls -A /tmp | grep compose || true"), "", "the staging directory is gone");
    // What autostart starts is what was deployed.
    vpu.power_cut();
    layout_runs(&vpu);
    vpu.root("until su oem -c 'XDG_RUNTIME_DIR=/run/user/989 systemctl --user is-active oem-dc@app' | grep -qx active; do sleep 0.2; done");
    layout_runs(&vpu);
    // A `.env` that goes here goes there, and what a variable says from then on is told.
    std::fs::remove_file(vpu.home.path().join("docker/.env")).expect("removed");
    let said = vpu.succeed(&["--allow-architecture"]);
    assert!(said.contains("warning: docker-compose: The MODE variable is not set."), "{said}");
    assert_eq!(vpu.root("docker exec web sh -c 'echo .$MODE.'").trim(), "..");
}

#[test]
fn project_means_the_same_to_docker_compose_1_25() {
    let vpu = Vpu::trusted(OVP80X);
    layout(&vpu);
    vpu.succeed(&["--allow-architecture"]);
    layout_runs(&vpu);
    let said = vpu.succeed(&["--allow-architecture"]);
    assert!(said.contains("web up to date"), "{said}");
    vpu.power_cut();
    layout_runs(&vpu);
}

#[test]
fn second_version_under_the_same_tag_runs_however_the_image_is_named() {
    let vpu = Vpu::trusted(OVP81X);
    for reference in ["docker.io/acme/app:1.0", "acme/app:${TAG:-1.0}"] {
        let compose = format!("version: '2.4'\nservices: {{web: {{image: '{reference}', container_name: web}}}}\n");
        let yaml = "image: [{source: app.tar}]\ncompose: {file: docker-compose.yml, settle: 0}\nclean_up: {images: true}\n";
        deployment(&vpu, yaml, &[("docker-compose.yml", &compose)]);
        for script in [format!("echo one {reference}; {SLEEPS}"), format!("echo two {reference}; {SLEEPS}")] {
            let id = image(&vpu, "acme/app:1.0", &script);
            vpu.succeed(&["--allow-architecture", "--yes"]);
            assert_eq!(vpu.container("web", "{{.Image}}"), id, "{reference}");
            assert_eq!(vpu.root("docker image inspect --format '{{.Id}}' acme/app:1.0").trim(), id, "{reference}");
        }
    }
}

#[test]
fn services_whose_profile_the_env_file_enables_count() {
    let vpu = Vpu::trusted(OVP81X);
    image(&vpu, "app:1.0", "exit 1");
    let compose = "services: {job: {image: 'app:1.0', container_name: job, profiles: [prod]}}\n";
    let yaml = "image: [{source: app.tar}]\ncompose: {file: docker-compose.yml, settle: 0, wait: 20}\n";
    deployment(&vpu, yaml, &[("docker-compose.yml", compose), (".env", "COMPOSE_PROFILES=prod\n")]);
    let said = vpu.fails(10, &["--allow-architecture"]);
    assert!(said.contains("`job`"), "{said}");
    // Without a profile there is nothing to bring up, which is not well.
    vpu.write(".env", "");
    let said = vpu.fails(2, &["--allow-architecture"]);
    assert!(said.contains("no service to bring up"), "{said}");
    // The file of the deployment says it, too.
    image(&vpu, "app:1.0", SLEEPS);
    deployment(&vpu, &yaml.replace("wait: 20", "profiles: [prod]"), &[]);
    vpu.succeed(&["--allow-architecture"]);
    assert_eq!(vpu.container("job", "{{.State.Running}}"), "true");
}

#[test]
fn folder_is_read_as_docker_compose_reads_it_and_layers_keep_their_names() {
    let vpu = Vpu::trusted(OVP81X);
    image(&vpu, "app:1.0", SLEEPS);
    let base = "version: '2.4'\nservices: {web: {image: 'app:1.0', container_name: web}}\n";
    let layer = "version: '2.4'\nservices: {web: {environment: {LAYER: prod}}}\n";
    deployment(
        &vpu,
        "image: [{source: app.tar}]\ncompose: {file: stack, settle: 0}\nautostart: {enable: [{service: app}]}\n",
        &[
            ("stack/docker-compose.yml", base),
            ("stack/prod-docker-compose.yml", layer),
            ("stack/.env", "COMPOSE_FILE=docker-compose.yml:prod-docker-compose.yml\n"),
        ],
    );
    vpu.succeed(&["--allow-architecture"]);
    let files = vpu.ssh("cd app && ls -A && cat .env");
    assert_eq!(
        files,
        ".env\ndocker-compose.yml\nprod-docker-compose.yml\nCOMPOSE_FILE=docker-compose.yml:prod-docker-compose.yml\n"
    );
    vpu.power_cut();
    vpu.wait_for_container("web");
    assert_eq!(vpu.root("docker exec web sh -c 'echo $LAYER'").trim(), "prod");
    assert_eq!(vpu.root("docker container ls --all --quiet | wc -l").trim(), "1");
}

#[test]
fn what_docker_compose_refuses_is_refused_in_its_words_before_anything_changes() {
    let vpu = Vpu::trusted(OVP81X);
    let yaml = "rename: other\ncompose: {file: docker-compose.yml, settle: 0}\n";
    for (text, code, words) in [
        ("a: [b\n", 2, "while parsing a flow sequence"),
        ("services:\n", 2, ""),
        ("name: other\nservices: {web: {image: 'a:1'}}\n", 2, "take `name:` out of the compose file"),
        ("version: '2.4'\nservices: {web: {image: 'a:1', env_file: [{path: x, required: false}]}}\n", 2, "env_file"),
        ("version: '2.4'\nservices: {web: {image: 'a:${X:?say which}'}}\n", 2, "say which"),
        ("version: '2.4'\nservices: {web: {image: 'a:1', imagee: x}}\n", 15, "imagee"),
        ("version: '2.4'\nservices: {web: {image: 'a:1', depends_on: [db]}}\n", 2, "db"),
        ("version: '2.4'\nservices: {web: {build: .}}\n", 2, "`build:` and no `image:`"),
    ] {
        deployment(&vpu, yaml, &[("docker-compose.yml", text)]);
        let said = vpu.refused(code, &["--allow-architecture"]);
        assert!(said.contains(words), "{text}: {said}");
    }
    // What it takes, a reader of one's own might not.
    image(&vpu, "app:1.0", SLEEPS);
    let taken = "\u{feff}version: '2.4'\r\nx-a: &a {restart: always}\r\nx-b: &b {container_name: web}\r\nservices:\r\n  web:\r\n    \
                 <<: *a\r\n    <<: *b\r\n    image: none:1\r\n    image: app:1.0\r\n";
    deployment(
        &vpu,
        "image: [{source: app.tar}]\ncompose: {file: docker-compose.yml, settle: 0}\n",
        &[("docker-compose.yml", taken)],
    );
    vpu.succeed(&["--allow-architecture"]);
    assert_eq!(vpu.container("web", "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}"), "true always");
}

#[test]
fn autostart_of_another_copy_of_the_compose_file_is_one_project_or_refused() {
    let vpu = Vpu::trusted(OVP81X);
    image(&vpu, "app:1.0", SLEEPS);
    let compose = "version: '2.4'\nservices: {web: {image: 'app:1.0', container_name: web}}\n";
    let yaml = "image: [{source: app.tar}]\ntransfers: {to_device: [{local: copy.yml, remote: '~/docker-compose.yml'}]}\n\
                compose: {file: docker-compose.yml, settle: 0}\nautostart: {enable: [{service: app, file: '~/docker-compose.yml'}]}\n";
    deployment(&vpu, yaml, &[("docker-compose.yml", compose), ("copy.yml", &compose.replace("web", "other"))]);
    let said = vpu.refused(2, &["--allow-architecture"]);
    assert!(said.contains("autostart would start `/home/oem/docker-compose.yml` as the project `oem`"), "{said}");
    vpu.write("copy.yml", compose);
    vpu.succeed(&["--allow-architecture"]);
    vpu.power_cut();
    vpu.wait_for_container("web");
    assert_eq!(
        vpu.root("docker container ls --all --format '{{.Names}} {{.Label \"com.docker.compose.project\"}}'").trim(),
        "web app"
    );
}

#[test]
fn environments_of_compose_files_stay_out_of_logs_and_caches() {
    let vpu = Vpu::trusted(OVP81X);
    image(&vpu, "app:1.0", SLEEPS);
    let compose = "version: '2.4'\nservices: {web: {image: 'app:1.0', env_file: app.env, environment: {A: planted-one}}}\n";
    deployment(
        &vpu,
        "image: [{source: app.tar}]\ncompose: {file: docker-compose.yml, settle: 0}\n",
        &[("docker-compose.yml", compose), ("app.env", "B=planted-two\n"), (".env", "C=planted-three\n")],
    );
    let said = vpu.succeed(&["--allow-architecture", "--log_level", "DEBUG"]);
    assert!(!said.contains("planted"), "{said}");
    let found = std::process::Command::new("grep")
        .args(["-rlE", "planted-(one|two|three)", "o3r_logs", ".cache"])
        .current_dir(vpu.home.path())
        .output()
        .expect("grep runs");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}
