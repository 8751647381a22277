//! Plans, made from wishes and facts by hand and shown whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use super::{Plan, PlanContext, plan};
use crate::{
    config::{Attach, Autostart, AutostartService, CleanUp, Compose, ComposeFiles, Deployment, Device, RemotePath, Transfers},
    facts::{
        AutostartModel, ComposeTool, Container, ContainerState, Docker, DockerImage, Facts, PathFact, PathKind, Record,
        ServiceFact,
        compose::LocalCompose,
        here::{LocalFile, LocalImage, Source},
    },
    image::Platform,
};

mod application;
mod autostart;
mod clean_up;
mod engine;
mod files;
mod properties;
mod room;

/// Returns a deployment that wants nothing.
fn nothing() -> Deployment {
    Deployment {
        application: Some("app".into()),
        log_dir: None,
        device: Device { address: "192.168.0.69".into(), port: 22, user: "oem".into(), identity: None },
        hold_off: None,
        password: None,
        secrets: BTreeMap::new(),
        logs: Vec::new(),
        rename: None,
        clean_up: CleanUp::default(),
        mount_usb: false,
        directories: Vec::new(),
        stamp: None,
        transfers: Transfers::default(),
        volume: Vec::new(),
        image: Vec::new(),
        leftovers: Vec::new(),
        compose: None,
        autostart: Autostart::default(),
        attach: None,
    }
}

/// Returns a new device: docker is empty, and oem's home directory too.
fn device() -> Facts {
    let mut facts = Facts {
        serial: Some("000201234175".into()),
        interface_answers: true,
        machine: "aarch64".into(),
        clock: 1_582_000_000,
        docker: Some(Docker { version: "20.10.25".into(), ..Docker::default() }),
        compose: Some(ComposeTool::Hyphen("1.29.2".into())),
        autostart: AutostartModel::Template,
        ..Facts::default()
    };
    put(&mut facts, "/home", DIRECTORY);
    put(&mut facts, "/home/oem", DIRECTORY);
    facts
}

const DIRECTORY: Option<&str> = None;

/// Adds a file with this content, or a directory, to the device.
fn put(facts: &mut Facts, path: &str, content: Option<&str>) {
    let fact = match content {
        None => PathFact { kind: PathKind::Directory, mode: 0o755, size: 4096, readable: false, own: true, sha256: None },
        Some(text) => {
            let sha256 = Some(digest(text));
            PathFact { kind: PathKind::File, mode: 0o644, size: text.len() as u64, readable: true, own: false, sha256 }
        }
    };
    facts.paths.insert(path.into(), fact);
}

fn digest(text: &str) -> String {
    use sha2::Digest;
    crate::facts::here::hexadecimal(&sha2::Sha256::digest(text))
}

fn remote(path: &str) -> RemotePath {
    RemotePath::new(path).expect("a path")
}

/// Returns a file on this computer.
fn local(name: &str, content: &str) -> LocalFile {
    let size = content.len() as u64;
    LocalFile { path: name.into(), mode: 0o644, size, digests: BTreeMap::from([(size, digest(content))]) }
}

fn local_image(id: &str, reference: &str) -> LocalImage {
    let layers = vec![("sha256:layer".to_owned(), 1_000_000)];
    let references = vec![reference.into()];
    LocalImage { source: 0, id: id.into(), platform: Platform::linux("arm64"), references, layers, unpacked: vec![2_500_000] }
}

fn image_there(id: &str, tags: &[&str]) -> DockerImage {
    DockerImage { id: id.into(), tags: tags.iter().map(|tag| (*tag).into()).collect(), ..DockerImage::default() }
}

/// Returns a running container of the project `app`.
fn container(name: &str, image: &str) -> Container {
    Container {
        id: format!("id-{name}"),
        name: name.into(),
        image: image.into(),
        project: Some("app".into()),
        service: Some(name.into()),
        state: ContainerState::Running,
        health: None,
        check: None,
        exit_code: 0,
        restarts: 0,
        started_at: "2020-02-18T04:26:40Z".into(),
        restart_policy: "unless-stopped".into(),
        volumes: Vec::new(),
        reference: String::new(),
        project_files: Vec::new(),
    }
}

fn docker(facts: &mut Facts) -> &mut Docker {
    facts.docker.as_mut().expect("the device has docker")
}

/// Wants the compose project of this text, and has it here.
fn compose(wanted: &mut Deployment, facts: &mut Facts, text: &str) {
    let files = ComposeFiles::Here { files: vec!["docker-compose.yml".into()], directory: remote("~/app") };
    wanted.compose = Some(Compose {
        files,
        services: Vec::new(),
        profiles: None,
        set: BTreeMap::new(),
        wait: Duration::from_secs(60),
        settle: Duration::from_secs(10),
        completes: Vec::new(),
    });
    let sources = BTreeMap::from([("docker-compose.yml".to_owned(), Source::File(local("docker-compose.yml", text)))]);
    let mut project = LocalCompose::understood(text);
    (project.sources, project.digest) = (sources, digest(text));
    facts.here.compose = Some(project);
}

/// Changes the device to its state after a deployment of the local compose file: its files exist, and the record names it.
fn deployed(facts: &mut Facts, text: &str, services: &str) {
    put(facts, "/home/oem/app", DIRECTORY);
    put(facts, "/home/oem/app/docker-compose.yml", Some(text));
    let model = facts.here.compose.as_ref().and_then(LocalCompose::model).map(serde_json::to_string);
    let model = model.expect("a project").expect("JSON");
    let up = Some(format!("{} {services}", digest(&format!("{}  {model}", digest(text)))));
    let record = Record { projects: BTreeSet::from(["app".to_owned()]), up, ..Record::default() };
    facts.records.insert("app".into(), record);
}

fn made(wanted: &Deployment, facts: &Facts) -> Plan {
    let circumstances = PlanContext { stem: "26.11.21_07.00.00+0100".into(), ..PlanContext::default() };
    plan(wanted, facts, &circumstances).expect("a plan")
}

/// Returns the plan as it is shown, or the error of planning.
fn shown(wanted: &Deployment, facts: &Facts) -> String {
    let circumstances = PlanContext { stem: "26.11.21_07.00.00+0100".into(), ..PlanContext::default() };
    let plan = match plan(wanted, facts, &circumstances) {
        Ok(plan) => plan,
        Err(failure) => {
            let hint = failure.error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            return format!("{:?}: {failure}{hint}", failure.kind());
        }
    };
    let mut text = String::new();
    for stage in plan.shown() {
        let idle = if stage.steps.is_empty() { "nothing to do: " } else { "" };
        let _ = writeln!(text, "{}: {idle}{}", stage.stage, stage.says);
        stage.steps.iter().for_each(|step| text += &format!("  {step}\n"));
    }
    plan.foreign.iter().for_each(|thing| text += &format!("foreign: {thing}\n"));
    plan.warnings.iter().for_each(|warning| text += &format!("warning: {warning}\n"));
    text.truncate(text.trim_end().len());
    text
}

#[test]
fn nothing_wanted_is_nothing_planned() {
    assert_eq!(made(&nothing(), &device()), Plan::default());
}

#[test]
fn a_service_of_autostart_has_the_compose_file_of_the_deployment_unless_it_names_another() {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1' } }");
    wanted.autostart.enable = vec![AutostartService { service: "app".into(), file: None }];
    wanted.attach = Some(Attach { container: "web".into(), run_duration: None, until: None, stop_upon_exit: false });
    docker(&mut facts).images.push(image_there("sha256:1", &["web:1"]));
    facts.services.insert("app".into(), ServiceFact::default());
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    compose: bring web up
      make /home/oem/app (mode 755)
      send docker-compose.yml -> /home/oem/app/docker-compose.yml (37 B)
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
    autostart: enable app
      sh -c '# enables a service and links its compose file…' sh app /home/oem/app/docker-compose.yml /usr/share/oem/docker/compose directory
    attach: show the output of `web`
      follow the output of `web`
    "#);
}
