//! The compose project and whose output is shown.

use super::*;
use crate::compose::Answer;

const WEB: &str = "services: { web: { image: 'web:1' } }";

/// Returns a deployment that wants `WEB`, and a device that has `web:1`.
fn web() -> (Deployment, Facts) {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, WEB);
    docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
    (wanted, facts)
}

/// Returns the same deployment, with the facts after it was deployed.
fn web_running() -> (Deployment, Facts) {
    let (wanted, mut facts) = web();
    deployed(&mut facts, WEB, "web");
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    (wanted, facts)
}

/// Adds another file with this content to the compose project.
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
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
    "#);
}

#[test]
fn a_second_deployment_has_nothing_to_do() {
    let (wanted, facts) = web_running();
    insta::assert_snapshot!(shown(&wanted, &facts), @"compose: nothing to do: web up to date");
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
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      should it not: put the version that runs now back
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
    "#);
}

#[test]
fn containers_are_made_anew_when_a_file_that_they_have_bound_is_another() {
    let text = "services: { web: { image: 'web:1', volumes: ['/stage/here/config:/config', '/home/oem/one.conf:/one.conf'] } }";
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
    image: send web:1: 1.0 MB in 1 layer; about 0.2 to 4.3 s
      keep the version that runs, for the way back: 1 container, 0 files
      stream layers 1..1 of web:1 (1.0 MB) into docker image load --quiet
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":["sha256:new"],"volumes":[],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}'
    compose: bring web up
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      should it not: put the version that runs now back
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":["sha256:new"],"volumes":[],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[{"id":"sha256:new","references":["web:1"],"archive":"web.tar"}],"result":"done"}'
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

/// Makes docker-compose refuse the project.
fn refused(facts: &mut Facts, tool: &str, lines: &[&str]) {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let answer = Answer { tool: tool.into(), project: Err(lines), warnings: Vec::new() };
    facts.here.compose.as_mut().expect("a project").answer = Some(answer);
}

#[test]
fn refusal_of_docker_compose_is_the_refusal_of_the_plan() {
    let (wanted, mut facts) = web();
    let lines = ["The Compose file '/here/c.yml' is invalid because:", "Unsupported config option for services: 'web'"];
    refused(&mut facts, "hyphen 1.25.4", &lines);
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    Conflict: compose: docker-compose 1.25.4 on the device refuses the compose files: Unsupported config option for services: 'web'
    hint: this docker-compose takes no compose file without `version:`: begin it with `version: "2.4"`
    "#);
    refused(&mut facts, "plugin 2.26.1", &["required variable X is missing a value: say which"]);
    insta::assert_snapshot!(shown(&wanted, &facts), @"Usage: compose: docker compose 2.26.1 on the device refuses the compose files: required variable X is missing a value: say which");
    facts.compose = None;
    insta::assert_snapshot!(shown(&wanted, &facts), @"Conflict: compose: the device has neither `docker-compose` nor `docker compose`");
}

#[test]
fn warnings_of_docker_compose_are_warnings_of_the_plan() {
    let (wanted, mut facts) = web_running();
    let answer = facts.here.compose.as_mut().and_then(|compose| compose.answer.as_mut()).expect("an answer");
    answer.warnings = vec!["The MODE variable is not set.".into()];
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    compose: nothing to do: web up to date
    warning: docker-compose: The MODE variable is not set.
    ");
}

#[test]
fn service_whose_image_is_unknown_is_brought_up() {
    for reference in ["docker.io/library/web:1", "web:1"] {
        let (mut wanted, mut facts) = (nothing(), device());
        let text = format!("services: {{ web: {{ image: '{reference}' }} }}");
        compose(&mut wanted, &mut facts, &text);
        deployed(&mut facts, &text, "web");
        docker(&mut facts).images = vec![image_there("sha256:new", &["web:1"])];
        docker(&mut facts).containers = vec![container("web", "sha256:old")];
        assert!(shown(&wanted, &facts).starts_with("compose: bring web up"), "{reference}");
        docker(&mut facts).containers = vec![container("web", "sha256:new")];
        assert!(shown(&wanted, &facts).starts_with("compose: nothing to do"), "{reference}");
        docker(&mut facts).images.clear();
        assert!(shown(&wanted, &facts).starts_with("compose: bring web up"), "{reference}");
    }
}

#[test]
fn project_without_a_service_to_bring_up_is_refused() {
    let (mut wanted, mut facts) = (nothing(), device());
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1', profiles: [prod] } }");
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    Usage: compose: the compose files have no service to bring up
    hint: `compose.profiles` enables those that have a profile; `compose.services` names some
    ");
}

#[test]
fn build_that_nobody_runs_is_refused() {
    let (mut wanted, mut facts) = (nothing(), device());
    let text = "services: { web: { build: { context: /stage/here } } }";
    compose(&mut wanted, &mut facts, text);
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    Usage: compose: service `web` has `build:` and no `image:`, and nothing is built on the device
    hint: build its image on this computer and deliver it as `app_web`, or give `web` another name by `image:`
    ");
    docker(&mut facts).images = vec![image_there("sha256:web", &["app_web:latest"])];
    assert!(shown(&wanted, &facts).starts_with("compose: bring web up"), "an image under the name of the build will do");
}

#[test]
fn number_of_containers_is_compared() {
    let (mut wanted, mut facts) = (nothing(), device());
    let text = "services: { web: { image: 'web:1', scale: 2 } }";
    compose(&mut wanted, &mut facts, text);
    deployed(&mut facts, text, "web");
    docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    assert!(shown(&wanted, &facts).starts_with("compose: bring web up"));
    docker(&mut facts).containers.push(container("web", "sha256:web"));
    assert!(shown(&wanted, &facts).starts_with("compose: nothing to do"));
}

#[test]
fn env_file_that_is_no_longer_here_is_removed_and_kept_for_the_way_back() {
    let (wanted, mut facts) = web_running();
    put(&mut facts, "/home/oem/app/.env", Some("COMPOSE_PROFILES=old"));
    let shown = shown(&wanted, &facts);
    assert!(shown.contains("remove /home/oem/app/.env, which is no longer part of the deployment"), "{shown}");
    let plan = made(&wanted, &facts);
    let keeps = plan.stages.iter().flat_map(|stage| &stage.actions).any(|action| match action {
        crate::plan::Action::Keep(keeping) => keeping.snapshot.replaced.contains(&"/home/oem/app/.env".to_owned()),
        _ => false,
    });
    assert!(keeps, "{plan:?}");
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
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"39df324e88d1b02e716a1f1d14b4f6359c4dbb956b186b2e0a20fead930a08ab web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
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
        profiles: None,
        set: BTreeMap::new(),
        wait: Duration::from_secs(60),
        settle: Duration::from_secs(10),
        completes: Vec::new(),
    });
    wanted.autostart.enable = vec![AutostartService { service: "other".into(), file: None }];
    let probe = crate::plan::questions(&wanted, &facts.here);
    assert!(probe.paths.contains("/home/oem/other/my.yml"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: compose: `/home/oem/other/my.yml` is not on the device
    hint: check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`
    ");
    facts.here.compose = Some(LocalCompose::understood(WEB));
    put(&mut facts, "/home/oem/other/my.yml", Some(WEB));
    docker(&mut facts).images = vec![image_there("sha256:web", &["web:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    compose: bring web up
      sh -c '# ends what else works on the containers of an application…' sh other /home/oem/other/my.yml
      docker-compose --project-name other --project-directory /home/oem/other --file /home/oem/other/my.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["other"],"up":"9f1d6470d6606cee76c825f4b9228ee4b2065c204da6ee39f9a1078d1389aebe web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
    autostart: enable other
      sh -c '# enables a service and links its compose file…' sh other /home/oem/other/my.yml /usr/share/oem/docker/compose file
    "#);
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
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1', volumes: ['/stage/here/data:/data'] } }");
    let missing = ["app.env", "data"].map(|name| (name.to_owned(), "/here/docker-compose.yml".into()));
    let project = facts.here.compose.as_mut().expect("a project");
    (project.missing, project.made) = (missing.into(), ["data".to_owned()].into());
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
