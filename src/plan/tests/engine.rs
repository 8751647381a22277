//! Volumes and images.

use super::*;
use crate::{
    config::{Image, ImageMetadata, ImageSource, Volume},
    facts::{Archive, DockerVolume},
};

pub(super) fn volume(name: &str, path: &str) -> DockerVolume {
    let options = [("type", "none"), ("o", "bind"), ("device", path)];
    DockerVolume {
        name: name.into(),
        driver: "local".into(),
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        project: None,
        application: None,
    }
}

pub(super) fn wants_volume(wanted: &mut Deployment) {
    wanted.volume = vec![Volume { name: "share".into(), path: remote("~/share") }];
}

fn image(source: ImageSource, name: Option<&str>) -> Image {
    Image { source, name: name.map(str::to_owned), metadata: ImageMetadata::default() }
}

pub(super) fn wants_image(wanted: &mut Deployment, facts: &mut Facts) {
    wanted.image = vec![image(ImageSource::Here("app.tar".into()), Some("app:1"))];
    facts.here.images = vec![local_image("sha256:new", "app:1")];
}

fn remembered(facts: &mut Facts, ids: &[&str]) {
    facts.records.entry("app".into()).or_default().images = ids.iter().map(|id| (*id).to_owned()).collect();
}

#[test]
fn a_volume_is_created_with_its_directory() {
    let (mut wanted, facts) = (nothing(), device());
    wants_volume(&mut wanted);
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    volume: create share
      make /home/oem/share (mode 755)
      docker volume create --driver local --opt type=none --opt o=bind --opt device=/home/oem/share --label o3r-deploy.application=app -- share
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":[],"volumes":["share"],"projects":[],"up":null}'
    "#);
}

#[test]
fn an_identical_volume_is_left_and_a_different_one_is_an_error_that_says_how() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_volume(&mut wanted);
    docker(&mut facts).volumes = vec![volume("share", "/home/oem/share")];
    put(&mut facts, "/home/oem/share", DIRECTORY);
    insta::assert_snapshot!(shown(&wanted, &facts), @"volume: nothing to do: there already");
    // A deployment that was cut off has made it and did not come to note it.
    docker(&mut facts).volumes = vec![DockerVolume { application: Some("app".into()), ..volume("share", "/home/oem/share") }];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    volume: there already
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":[],"volumes":["share"],"projects":[],"up":null}'
    "#);
    docker(&mut facts).volumes = vec![volume("share", "/home/oem/other")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: volume: volume `share` is there already and differs: it binds `/home/oem/other` and not `/home/oem/share`
    hint: choose another name, or remove it and what uses it with `--remove_running_containers --remove_volumes`
    ");
    docker(&mut facts).volumes = vec![DockerVolume { options: BTreeMap::new(), ..volume("share", "") }];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: volume: volume `share` is there already and differs: it is no bind volume
    hint: choose another name, or remove it and what uses it with `--remove_running_containers --remove_volumes`
    ");
    facts.docker = None;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    DockerSilent: volume: docker does not answer on the device
    hint: after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device tells more, and a reboot starts it anew
    ");
}

#[test]
fn an_image_is_sent_tagged_or_left() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_image(&mut wanted, &mut facts);
    docker(&mut facts).images = vec![image_there("sha256:old", &["app:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    image: send app:1: 1.0 MB in 1 layer; about 0.2 to 4.3 s
      stream layers 1..1 of app:1 (1.0 MB) into docker image load --quiet
      sh -c '# writes a file…' sh /home/oem/.o3r-deploy/app/record.json '{"images":["sha256:new"],"volumes":[],"projects":[],"up":null}'
      sh -c '# notes a deployment in the history…' sh /home/oem/.o3r-deploy/app '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":[],"images":[{"id":"sha256:new","references":["app:1"],"archive":"app.tar"}],"result":"done"}'
    "#);
    remembered(&mut facts, &["sha256:new"]);
    docker(&mut facts).images.push(image_there("sha256:new", &["app:0"]));
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    image: tag app:1, which is there
      docker image tag -- sha256:new app:1
      sh -c '# notes a deployment in the history…' sh /home/oem/.o3r-deploy/app '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":[],"images":[{"id":"sha256:new","references":["app:1"],"archive":"app.tar"}],"result":"done"}'
    "#);
    docker(&mut facts).images = vec![image_there("sha256:new", &["app:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @"image: nothing to do: 1 image there already");
}

#[test]
fn an_image_of_another_architecture_is_refused_unless_an_emulator_or_the_user_allows_it() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_image(&mut wanted, &mut facts);
    facts.here.images[0].platform = Platform::linux("amd64");
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Image: image: image `app:1` is for linux/amd64, and the device is aarch64
    hint: build it with `docker buildx build --platform linux/arm64`, or pass `--allow-architecture` to try it all the same
    ");
    let allowed = PlanContext { allow_architecture: true, ..PlanContext::default() };
    assert!(plan(&wanted, &facts, &allowed).is_ok());
    facts.emulators = vec!["qemu-x86_64".into()];
    assert!(shown(&wanted, &facts).starts_with("image: send app:1"));
}

#[test]
fn image_that_docker_does_not_take_is_refused_before_it_is_sent() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_image(&mut wanted, &mut facts);
    facts.here.images[0].layers = vec![("sha256:a".into(), 1000); 125];
    assert!(shown(&wanted, &facts).starts_with("image: send app:1"));
    facts.here.images[0].layers = vec![("sha256:a".into(), 1000); 126];
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    Image: image: image `app:1` has 126 layers, and docker takes at most 125
    hint: join `RUN` and `COPY` lines, or copy all into a last stage: `FROM scratch` and `COPY --from=build / /`
    ");
    wants_image(&mut wanted, &mut facts);
    facts.here.images[0].references = vec!["[::1]:5000/app:1".into()];
    insta::assert_snapshot!(shown(&wanted, &facts), @"
    Image: image: `[::1]:5000/app:1` names a registry by its IPv6 address, which the device's docker 20.10.25 does not read
    hint: name the registry by a host name, or docker 25.0 or later is needed there
    ");
    docker(&mut facts).version = "26.1.5".into();
    assert!(shown(&wanted, &facts).starts_with("image: send [::1]:5000/app:1"));
    docker(&mut facts).containerd_store = true;
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    Conflict: image: the device's docker keeps images in containerd's store, into which images cannot be delivered
    hint: set `"features": {"containerd-snapshotter": false}` in /etc/docker/daemon.json on the device and restart its docker
    "#);
}

#[test]
fn image_without_a_name_is_sent_with_a_warning() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_image(&mut wanted, &mut facts);
    facts.here.images[0].references = Vec::new();
    let plan = plan(&wanted, &facts, &PlanContext::default()).expect("a plan");
    insta::assert_snapshot!(plan.warnings.join("\n"), @"the image of `app.tar` has no name, so no compose file can name it: give it one with `--image app.tar,NAME:TAG` or `name:`");
}

#[test]
fn first_forecast_for_a_device_is_a_range() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_image(&mut wanted, &mut facts);
    assert!(shown(&wanted, &facts).contains("; about 0.2 to 4.3 s\n"), "{}", shown(&wanted, &facts));
    let known = PlanContext {
        speeds: crate::delivery::Speeds { link: Some(1_000_000), unpack: Some(10_000_000), cut: false },
        ..PlanContext::default()
    };
    let plan = plan(&wanted, &facts, &known).expect("a plan");
    let said = &plan.stages.iter().find(|stage| stage.stage == crate::stage::Stage::Image).expect("the stage").says;
    assert!(said.ends_with("; about 1.2 s"), "{said}");
}

#[test]
fn an_archive_on_the_device_is_loaded_unless_its_images_are_there() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.image = vec![image(ImageSource::OnDevice(remote("~/app.tar")), Some("app:1"))];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: image: `/home/oem/app.tar` is not on the device
    hint: check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`
    ");
    facts.archives.insert("/home/oem/app.tar".into(), Archive::Images(vec!["sha256:new".into(), "sha256:two".into()]));
    docker(&mut facts).images = vec![image_there("sha256:new", &["app:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    image: load /home/oem/app.tar
      sh -c '# loads an image archive that is on the device, unless its image is there…' sh /home/oem/app.tar app:1
      sh -c '# notes a deployment in the history…' sh /home/oem/.o3r-deploy/app '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":[],"images":[{"id":"","references":["app:1"],"archive":"app.tar"}],"result":"done"}'
    "#);
    docker(&mut facts).images.push(image_there("sha256:two", &[]));
    insta::assert_snapshot!(shown(&wanted, &facts), @"image: nothing to do: 1 image there already");
    facts.archives.insert("/home/oem/app.tar".into(), Archive::Oci);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Image: image: `/home/oem/app.tar` on the device is an OCI archive, which its docker does not load
    hint: send it from this computer with `--image`, which rewrites it on the way
    ");
}

#[test]
fn an_archive_that_is_sent_anew_is_not_judged_by_the_old_one() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.image = vec![image(ImageSource::OnDevice(remote("~/app.tar")), None)];
    let transfer = crate::config::Transfer { local: "app.tar".into(), remote: remote("~/app.tar") };
    wanted.transfers.to_device.push(transfer);
    facts.here.sources.insert("app.tar".into(), Source::File(local("app.tar", "new")));
    put(&mut facts, "/home/oem/app.tar", Some("old"));
    facts.archives.insert("/home/oem/app.tar".into(), Archive::Images(vec!["sha256:old".into()]));
    docker(&mut facts).images = vec![image_there("sha256:old", &["app:1"])];
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    transfers: 1 of 1 file to the device
      send app.tar -> /home/oem/app.tar (3 B)
    image: load /home/oem/app.tar
      sh -c '# loads an image archive that is on the device, unless its image is there…' sh /home/oem/app.tar ''
      sh -c '# notes a deployment in the history…' sh /home/oem/.o3r-deploy/app '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":[],"images":[{"id":"","references":[],"archive":"app.tar"}],"result":"done"}'
    "#);
}

#[test]
fn a_root_file_system_is_imported_once_with_what_it_does_not_say_itself() {
    let (mut wanted, mut facts) = (nothing(), device());
    let mut rootfs = image(ImageSource::OnDevice(remote("~/root.tar")), Some("app:1"));
    rootfs.metadata = ImageMetadata {
        command: vec!["python3".into(), "it's \"it\"".into()],
        environment: vec!["A=$x \"y\" \\".into()],
        entrypoint: vec!["/init".into()],
        working_directory: Some("/app dir".into()),
    };
    wanted.image = vec![rootfs];
    facts.archives.insert("/home/oem/root.tar".into(), Archive::RootFileSystem("abc".into()));
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    image: load /home/oem/root.tar
      sh -c '# loads an image archive that is on the device, unless its image is there…' sh /home/oem/root.tar app:1 'ENV A="\$x \"y\" \\"' 'ENTRYPOINT ["/init"]' 'CMD ["python3","it'\''s \"it\""]' 'WORKDIR /app dir'
      sh -c '# notes a deployment in the history…' sh /home/oem/.o3r-deploy/app '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":[],"images":[{"id":"","references":["app:1"],"archive":"root.tar"}],"result":"done"}'
    "#);
    docker(&mut facts).images = vec![DockerImage { archive: Some("abc".into()), ..image_there("sha256:1", &["app:1"]) }];
    insta::assert_snapshot!(shown(&wanted, &facts), @"image: nothing to do: 1 image there already");
}

#[test]
fn volume_whose_directory_is_gone_gets_it_again() {
    let (mut wanted, mut facts) = (nothing(), device());
    wants_volume(&mut wanted);
    // An update that made both was taken back: the volume stays in docker, and no container starts that mounts it.
    docker(&mut facts).volumes = vec![volume("share", "/home/oem/share")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    volume: make /home/oem/share
      make /home/oem/share (mode 755)
    ");
}
