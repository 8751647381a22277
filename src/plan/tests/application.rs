//! The compose project and whose output is shown.

use super::*;

const WEB: &str = "services: { web: { image: 'web:1' } }";

/// `WEB` is wanted, and `web:1` is there.
fn web() -> (Deployment, Facts) {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, WEB);
    docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
    (wanted, facts)
}

/// The same, after its deployment.
fn web_running() -> (Deployment, Facts) {
    let (wanted, mut facts) = web();
    deployed(&mut facts, WEB, "web");
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    (wanted, facts)
}

/// Has the compose project send another file, and says what it says.
fn with_file(facts: &mut Facts, name: &str, content: &str) {
    let sources = &mut facts.here.compose.as_mut().expect("a project").sources;
    sources.insert(name.into(), Source::File(local(name, content)));
}

#[test]
fn a_first_deployment_sends_the_project_and_brings_it_up() {
    let (wanted, facts) = web();
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    compose: bring web up
      make /home/oem/app (mode 755)
      send docker-compose.yml -> /home/oem/app/docker-compose.yml (37 B)
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"f1957bcec3e0f32cbe2b1ee7f336ef47bcd5011d5497d2f7a19da4b2e6e450fd web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[]}'
    "#);
}

#[test]
fn a_second_deployment_has_nothing_to_do() {
    let (wanted, facts) = web_running();
    insta::assert_snapshot!(shown(&wanted, &facts), @"compose: nothing to do: web up as wanted");
}

#[test]
fn whatever_does_not_run_as_wanted_is_brought_up_again() {
    let changes: [fn(&mut Container); 4] = [
        |container| container.state = ContainerState::Exited,
        |container| container.image = "sha256:old".into(),
        |container| container.health = Some(crate::facts::Health::Starting),
        |container| container.service = Some("gone".into()),
    ];
    for change in changes {
        let (wanted, mut facts) = web_running();
        change(&mut docker(&mut facts).containers[0]);
        let shown = shown(&wanted, &facts);
        assert!(shown.starts_with("compose: bring web up\n") && !shown.contains("--force-recreate"), "{shown}");
    }
}

#[test]
fn a_changed_compose_file_leaves_it_to_docker_compose_what_is_made_anew() {
    let (wanted, mut facts) = web_running();
    put(&mut facts, "/home/oem/app/docker-compose.yml", Some("old"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    compose: bring web up
      keep the version that runs, for the way back: 1 container, 1 file
      send docker-compose.yml -> /home/oem/app/docker-compose.yml (37 B)
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      should it not: put the version that runs now back
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"f1957bcec3e0f32cbe2b1ee7f336ef47bcd5011d5497d2f7a19da4b2e6e450fd web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[]}'
    "#);
}

#[test]
fn containers_are_made_anew_when_a_file_that_they_have_bound_is_another() {
    let text = "services: { web: { image: 'web:1', volumes: ['./config:/config', '/home/oem/one.conf:/one.conf'] } }";
    let anew = |change: fn(&mut Deployment, &mut Facts)| {
        let (mut wanted, mut facts) = (nothing(), device());
        compose(&mut wanted, &mut facts, text);
        deployed(&mut facts, text, "web");
        docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
        docker(&mut facts).containers = vec![container("web", "sha256:web")];
        change(&mut wanted, &mut facts);
        shown(&wanted, &facts).contains("--force-recreate")
    };
    assert!(!anew(|_, _| ()));
    assert!(anew(|_, facts| with_file(facts, "config/a", "new")));
    assert!(!anew(|_, facts| with_file(facts, "README", "new")));
    assert!(anew(|wanted, facts| {
        wanted.transfers.to_device.push(crate::config::Transfer { local: "x".into(), remote: remote("~/one.conf") });
        facts.here.sources.insert("x".into(), Source::File(local("x", "new")));
    }));
}

#[test]
fn an_image_that_comes_with_the_deployment_is_neither_missing_nor_the_old_one() {
    let (mut wanted, mut facts) = web_running();
    wanted.image = vec![crate::config::Image {
        source: crate::config::ImageSource::Here("web.tar".into()),
        name: None,
        metadata: crate::config::ImageMetadata::default(),
    }];
    facts.here.images = vec![local_image("sha256:new", "web:1")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    image: send web:1: 1.0 MB in 1 layer; about 0.2 s
      keep the version that runs, for the way back: 1 container, 0 files
      stream layers 1..1 of web:1 (1.0 MB) into docker image load --quiet
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":["sha256:new"],"volumes":[],"projects":["app"],"up":"f1957bcec3e0f32cbe2b1ee7f336ef47bcd5011d5497d2f7a19da4b2e6e450fd web"}'
    compose: bring web up
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      should it not: put the version that runs now back
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":["sha256:new"],"volumes":[],"projects":["app"],"up":"f1957bcec3e0f32cbe2b1ee7f336ef47bcd5011d5497d2f7a19da4b2e6e450fd web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[{"id":"sha256:new","references":["web:1"],"archive":"web.tar"}]}'
    "#);
}

#[test]
fn an_image_that_nobody_brings_is_a_warning() {
    let (wanted, mut facts) = web();
    docker(&mut facts).images.clear();
    assert!(shown(&wanted, &facts).ends_with("\nwarning: image `web:1` is not on the device: its docker will try to pull it"));
}

#[test]
fn a_service_that_the_file_does_not_have_is_refused() {
    let (mut wanted, facts) = web();
    wanted.compose.as_mut().expect("wanted").services = vec!["webb".into()];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Usage: compose: service `webb` is not in the compose file; it has `web`
    hint: name one that it has, or none to bring up all
    ");
}

#[test]
fn services_with_profiles_are_not_expected_unless_they_are_named() {
    let (mut wanted, mut facts) = (nothing(), device());
    let text = "services: { web: { image: 'web:1' }, debug: { image: 'web:1', profiles: [debug] } }";
    compose(&mut wanted, &mut facts, text);
    assert!(shown(&wanted, &facts).starts_with("compose: bring web up\n"));
    wanted.compose.as_mut().expect("wanted").services = vec!["debug".into()];
    assert!(shown(&wanted, &facts).starts_with("compose: bring debug up\n"));
}

#[test]
fn a_file_without_version_is_refused_by_an_old_docker_compose_alone() {
    let (wanted, mut facts) = web();
    facts.compose = Some(ComposeTool::Hyphen("1.25.4".into()));
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    Conflict: compose: the device's docker-compose 1.25.4 takes no compose file without `version:`
    hint: begin the compose file with `version: "2.4"`
    "#);
    facts.compose = Some(ComposeTool::Plugin("2.20.0".into()));
    assert!(shown(&wanted, &facts).contains("docker compose --project-name app"));
    facts.compose = None;
    insta::assert_snapshot!(shown(&wanted, &facts), @"Conflict: compose: the device has neither `docker-compose` nor `docker compose`");
}

#[test]
fn a_name_that_a_container_of_others_has_is_refused_unless_clean_up_frees_it() {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1', container_name: web } }");
    docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
    docker(&mut facts).containers = vec![Container { project: Some("compose".into()), ..container("web", "sha256:web") }];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: compose: container `web` is there already and differs: it belongs to project `compose` and not to `app`
    hint: remove it with `--remove_running_containers`, or give the service another `container_name`
    ");
    wanted.clean_up.containers = true;
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    clean_up: remove 1 container
      docker container rm --force -- web
    compose: bring web up
      make /home/oem/app (mode 755)
      send docker-compose.yml -> /home/oem/app/docker-compose.yml (58 B)
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"f73409ee566ca1490936022f96d43e12956380373ce8b6c3e36d35333c538f8a web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[]}'
    foreign: container web
    "#);
}

#[test]
fn a_compose_file_on_the_device_is_read_there() {
    let (mut wanted, mut facts) = (nothing(), device());
    let files = ComposeFiles::OnDevice(remote("~/other/my.yml"));
    wanted.compose = Some(Compose {
        files,
        services: Vec::new(),
        wait: Duration::from_secs(60),
        settle: Duration::from_secs(10),
        completes: Vec::new(),
    });
    wanted.autostart.enable = vec![AutostartService { service: "other".into(), file: None }];
    let probe = crate::plan::questions(&wanted, &facts.here);
    assert!(probe.texts.contains("/home/oem/other/my.yml") && probe.paths.contains("/home/oem/other/my.yml"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: compose: `/home/oem/other/my.yml` is not on the device
    hint: check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`
    ");
    facts.texts.insert("/home/oem/other/my.yml".into(), WEB.into());
    put(&mut facts, "/home/oem/other/my.yml", Some(WEB));
    docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    compose: bring web up
      sh -c '# ends what else works on the containers of an application…' sh other /home/oem/other/my.yml
      docker-compose --project-name other --file /home/oem/other/my.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["other"],"up":"f1957bcec3e0f32cbe2b1ee7f336ef47bcd5011d5497d2f7a19da4b2e6e450fd web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[]}'
    autostart: enable other
      sh -c '# enables a service and links its compose file…' sh other /home/oem/other/my.yml /usr/share/oem/docker/compose
    "#);
}

#[test]
fn what_lies_outside_the_projects_directory_is_refused() {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1', env_file: ../secret.env } }");
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Usage: compose: the compose file names `../secret.env`, which is outside its own directory
    hint: move it beside the compose file
    ");
}

#[test]
fn a_container_to_attach_to_has_to_be_there_unless_compose_makes_it() {
    let (mut wanted, mut facts) = (nothing(), device());
    let (run_duration, until) = (Some(Duration::from_secs(90)), Some("ready".to_owned()));
    wanted.attach = Some(Attach { container: "web".into(), run_duration, until, stop_upon_exit: true });
    insta::assert_snapshot!(shown(&wanted, &facts), @"Conflict: attach: there is no container `web` on the device, nor any other");
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    attach: show the output of `web`
      follow the output of `web`, for 1 min 30 s at most, until a line matches `ready`
      docker container stop -- web
      docker container rm --force -- web
    ");
    assert!(made(&wanted, &facts).changes_device());
    wanted.clean_up.containers = true;
    assert!(shown(&wanted, &facts).contains("there is no container `web`"));
}

#[test]
fn what_the_compose_file_names_is_here_or_there_or_brought_by_something() {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1', env_file: app.env, volumes: ['./data:/data'] } }");
    let missing = ["app.env", "data"].map(|name| (name.to_owned(), "/here/docker-compose.yml".into()));
    facts.here.compose.as_mut().expect("a project").missing = missing.into();
    let probe = crate::plan::questions(&wanted, &facts.here);
    assert!(probe.paths.contains("/home/oem/app/app.env") && probe.paths.contains("/home/oem/app/data"));
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    LocalFile: compose: `app.env`, which `/here/docker-compose.yml` names, is neither on this computer nor at `/home/oem/app/app.env` on the device
    hint: put it beside the compose file; `transfers:`, `compose: secrets:` or `directories:` may bring it, too
    ");
    put(&mut facts, "/home/oem/app/app.env", Some("A=1"));
    let warned =
        "warning: `data`, which `/here/docker-compose.yml` binds, is nowhere: docker makes an empty directory of root's";
    assert!(shown(&wanted, &facts).contains(warned), "{}", shown(&wanted, &facts));
    wanted.directories = vec![remote("~/app/data")];
    let said = shown(&wanted, &facts);
    assert!(said.contains("compose: bring web up") && !said.contains(warned), "another stage makes it");
    facts.paths.remove("/home/oem/app/app.env");
    let transfer = crate::config::Transfer { local: "/here/app.env".into(), remote: remote("~/app/") };
    facts.here.sources.insert(transfer.local.clone(), Source::File(local("app.env", "A=1")));
    wanted.transfers.to_device = vec![transfer];
    assert!(shown(&wanted, &facts).contains("compose: bring web up"), "a transfer brings it");
}
