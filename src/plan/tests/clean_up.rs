//! Clean-up: what goes, what stays and why.

use super::{
    engine::{volume, wants_volume},
    *,
};
use crate::facts::DockerVolume;

fn all() -> CleanUp {
    CleanUp { containers: true, volumes: true, images: true, ..CleanUp::default() }
}

fn foreign(name: &str, image: &str) -> Container {
    Container { project: Some("theirs".into()), ..container(name, image) }
}

#[test]
fn an_empty_docker_has_nothing_to_remove_and_none_is_an_error() {
    let (wanted, mut facts) = (Deployment { clean_up: all(), ..nothing() }, device());
    insta::assert_snapshot!(shown(&wanted, &facts), @"clean_up: nothing to do: nothing to remove");
    facts.docker = None;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    DockerSilent: clean_up: docker does not answer on the device
    hint: after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device tells more, and a reboot starts it anew
    ");
}

#[test]
fn what_others_made_is_marked_and_what_is_kept_or_in_use_stays() {
    let (mut wanted, mut facts) = (Deployment { clean_up: all(), ..nothing() }, device());
    wanted.clean_up.keep = vec!["mosquitto*".into(), "localhost:5000/kept".into()];
    let docker = docker(&mut facts);
    docker.containers = vec![
        container("mine", "sha256:1"),
        Container { volumes: vec!["data".into()], ..foreign("mosquitto-1", "sha256:3") },
        Container { project: None, ..foreign("lonely", "sha256:2") },
    ];
    docker.volumes = vec![volume("data", "/x"), volume("share", "/y"), volume("loose", "/z")];
    docker.volumes.push(DockerVolume { project: Some("app".into()), ..volume("app_cache", "") });
    docker.images = vec![
        image_there("sha256:1", &["app:1"]),
        image_there("sha256:2", &["other:1", "other:latest"]),
        image_there("sha256:3", &["mosq:2"]),
        image_there("sha256:4", &["localhost:5000/kept:1"]),
    ];
    let record = Record {
        images: BTreeSet::from(["sha256:1".to_owned()]),
        volumes: BTreeSet::from(["share".to_owned()]),
        projects: BTreeSet::from(["app".to_owned()]),
        up: None,
    };
    facts.records.insert("app".into(), record);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    clean_up: remove 2 containers, 3 volumes, 2 images
      docker container rm --force -- mine lonely
      docker volume rm -- share loose app_cache
      docker image rm --force -- sha256:1 sha256:2
    foreign: container lonely
    foreign: volume loose
    foreign: image other:1
    warning: volume `data` stays: container `mosquitto-1` uses it
    warning: image `mosq:2` stays: container `mosquitto-1` uses it
    ");
    wanted.clean_up.only_this_application = true;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    clean_up: remove 1 container, 2 volumes, 1 image
      docker container rm --force -- mine
      docker volume rm -- share app_cache
      docker image rm --force -- sha256:1
    warning: volume `data` stays: container `mosquitto-1` uses it
    warning: image `other:1` stays: container `lonely` uses it
    warning: image `mosq:2` stays: container `mosquitto-1` uses it
    ");
}

#[test]
fn images_go_before_those_they_were_built_on_and_these_stay_while_one_needs_them() {
    let (mut wanted, mut facts) = (Deployment { clean_up: all(), ..nothing() }, device());
    let child = |id: &str, tags: &[&str], parent: &str| DockerImage { parent: Some(parent.into()), ..image_there(id, tags) };
    // By their IDs alone the order would be the wrong one.
    let base = image_there("sha256:9", &["base:1"]);
    let between = child("sha256:5", &[], "sha256:9");
    let top = child("sha256:1", &["top:1"], "sha256:5");
    docker(&mut facts).images = vec![base, between, top];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    clean_up: remove 2 images
      docker image rm --force -- sha256:1 sha256:9
    foreign: image top:1
    foreign: image base:1
    ");
    wanted.clean_up.keep = vec!["top".into()];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    clean_up: nothing to do: nothing to remove
    warning: image `base:1` stays: image `top:1` was built on it
    ");
}

#[test]
fn what_the_deployment_itself_wants_stays() {
    let (mut wanted, mut facts) = (Deployment { clean_up: all(), ..nothing() }, device());
    let text = "services: { web: { image: 'web:1' }, base: { image: 'pulled:2' } }";
    compose(&mut wanted, &mut facts, text);
    deployed(&mut facts, text, "base web");
    wants_volume(&mut wanted);
    put(&mut facts, "/home/oem/share", DIRECTORY);
    wanted.image = vec![crate::config::Image {
        source: crate::config::ImageSource::Here("web.tar".into()),
        name: None,
        metadata: crate::config::ImageMetadata::default(),
    }];
    facts.here.images = vec![local_image("sha256:web", "web:1")];
    facts.records.entry("app".into()).or_default().images.insert("sha256:web".into());
    let docker = docker(&mut facts);
    docker.containers = vec![container("web", "sha256:web"), container("base", "sha256:pulled")];
    docker.volumes = vec![volume("share", "/home/oem/share")];
    docker.images = vec![image_there("sha256:web", &["web:1"]), image_there("sha256:pulled", &["pulled:2"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    clean_up: nothing to do: nothing to remove
    volume: nothing to do: there already
    image: nothing to do: 1 image there already
    compose: nothing to do: base, web up to date
    ");
}

#[test]
fn a_volume_that_is_wanted_otherwise_goes_with_the_containers_that_use_it() {
    let (mut wanted, mut facts) = (Deployment { clean_up: all(), ..nothing() }, device());
    let text = "services: { web: { image: 'web:1' } }";
    compose(&mut wanted, &mut facts, text);
    deployed(&mut facts, text, "web");
    wants_volume(&mut wanted);
    let docker = docker(&mut facts);
    docker.containers = vec![Container { volumes: vec!["share".into()], ..container("web", "sha256:web") }];
    docker.volumes = vec![volume("share", "/home/oem/elsewhere")];
    docker.images = vec![image_there("sha256:web", &["web:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    clean_up: remove 1 container, 1 volume
      docker container rm --force -- web
      docker volume rm -- share
    volume: create share
      make /home/oem/share (mode 755)
      docker volume create --driver local --opt type=none --opt o=bind --opt device=/home/oem/share --label o3r-deploy.application=app -- share
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":[],"volumes":["share"],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}'
    compose: bring web up
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":["share"],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
    foreign: volume share
    "#);
}

#[test]
fn image_that_docker_would_prune_with_its_child_stays_where_it_is_wanted() {
    let (mut wanted, mut facts) = (Deployment { clean_up: all(), ..nothing() }, device());
    let child = |id: &str, tags: &[&str], parent: &str| DockerImage { parent: Some(parent.into()), ..image_there(id, tags) };
    // The image that is delivered is there without a name, below one that was built on it.
    wanted.image = vec![crate::config::Image {
        source: crate::config::ImageSource::Here("web.tar".into()),
        name: None,
        metadata: crate::config::ImageMetadata::default(),
    }];
    facts.here.images = vec![local_image("sha256:web", "web:1")];
    let images =
        vec![image_there("sha256:web", &[]), child("sha256:5", &[], "sha256:web"), child("sha256:1", &["top:1"], "sha256:5")];
    docker(&mut facts).images = images;
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    clean_up: nothing to do: nothing to remove
    image: tag web:1, which is there
      docker image tag -- sha256:web web:1
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":["sha256:web"],"volumes":[],"projects":[],"up":null}'
      sh -c '# notes a deployment in the history…' sh /home/oem/.o3r-deploy/app '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":[],"images":[{"id":"sha256:web","references":["web:1"],"archive":"web.tar"}],"result":"done"}'
    warning: image `top:1` stays: docker would remove image `sha256:web` with it
    "#);
}

#[test]
fn image_below_a_nameless_one_that_a_container_uses_stays() {
    let (wanted, mut facts) = (Deployment { clean_up: CleanUp { images: true, ..CleanUp::default() }, ..nothing() }, device());
    let child = |id: &str, tags: &[&str], parent: &str| DockerImage { parent: Some(parent.into()), ..image_there(id, tags) };
    docker(&mut facts).containers = vec![foreign("theirs", "sha256:5")];
    docker(&mut facts).images = vec![
        image_there("sha256:9", &["base:1"]),
        child("sha256:5", &[], "sha256:9"),
        child("sha256:1", &["top:1"], "sha256:5"),
    ];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    clean_up: remove 1 image
      docker image rm --force -- sha256:1
    foreign: image top:1
    warning: image `sha256:5` stays: container `theirs` uses it
    warning: image `base:1` stays: image `sha256:5` was built on it
    "#);
}
