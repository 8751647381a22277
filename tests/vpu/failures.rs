//! What goes wrong before the device is changed: one line that names the stage and the thing, a hint, the documented exit code,
//! and device and home left as they were.

use std::{fs, process::Command};

use crate::{
    device::{OVP80X, OVP81X, Vpu, must},
    images::Image,
};

/// The bare command without what it does by itself.
const BARE: [&str; 3] = ["--dirs_to_make=", "--append_deployment_timestamp_to=", "--get_logs_from_vpu="];

pub fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BARE[..], more].concat()
}

/// Makes a key pair in the user's home; gives the public key.
fn new_key(vpu: &Vpu, name: &str) -> String {
    let path = vpu.home.path().join(name);
    must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&path));
    fs::read_to_string(path.with_extension("pub")).expect("the public key")
}

/// A text with its fingerprint masked.
fn masked(said: &str) -> String {
    let fingerprint = said.split("SHA256:").nth(1).and_then(|rest| rest.get(..43)).expect("a fingerprint");
    said.replace(fingerprint, "…")
}

#[test]
fn a_device_that_cannot_be_reached_or_logged_in_to_is_named_with_what_to_do() {
    let vpu = Vpu::trusted(OVP81X);
    insta::assert_snapshot!(vpu.refused(4, &["--IP", "nowhere.invalid"]), @"
    error: connect: `nowhere.invalid` is not a known host name: failed to lookup address information: Name or service not known
    hint: check the spelling, or give the address itself, as in `--IP 192.168.0.69`
    ");
    insta::assert_snapshot!(vpu.refused(4, &["--port", "1"]), @"
    error: connect: `ADDRESS` refuses connections on port 1
    hint: is the port right (`--port`), and is sshd up? a device that just started needs up to 200 s
    ");
    insta::assert_snapshot!(vpu.refused(4, &["--port", "80"]), @"
    error: connect: what answers at `ADDRESS` on port 80 does not speak SSH: it closed the connection
    hint: is the address right, and the port (`--port`, 22 on these devices)?
    ");
    insta::assert_snapshot!(vpu.refused(3, &["--identity", "no such key"]), @"
    error: connect: the key `HOME/no such key`: No such file or directory (os error 2)
    hint: name another with `--identity`, or make one with `o3r-deploy trust`
    ");
    vpu.write("not a key", "hello");
    insta::assert_snapshot!(vpu.refused(3, &["--identity", "not a key"]), @"
    error: connect: the key `HOME/not a key`: it is not a private key that can be read: Could not read key
    hint: name another with `--identity`, or make one with `o3r-deploy trust`
    ");

    // Keys of their own that the device does not know.
    let ssh = vpu.home.path().join(".ssh");
    fs::rename(ssh.join("id_o3r"), ssh.join("away")).expect("renamed");
    fs::rename(ssh.join("id_o3r.pub"), ssh.join("away.pub")).expect("renamed");
    insta::assert_snapshot!(vpu.refused(6, &[]), @"
    error: connect: `ADDRESS` accepts nothing that was tried to log in as `oem`: there is no key
    hint: `o3r-deploy trust --IP ADDRESS` gives the device a key of yours
    ");
    new_key(&vpu, "other key");
    insta::assert_snapshot!(masked(&vpu.refused(6, &["--identity", "other key"])), @"
    error: connect: `ADDRESS` accepts nothing that was tried to log in as `oem`: `HOME/other key` (SHA256:…)
    hint: `o3r-deploy trust --IP ADDRESS` gives the device a key of yours
    ");
}

#[test]
fn a_host_key_that_is_unknown_or_has_changed_is_refused_and_nothing_is_written() {
    let vpu = Vpu::trusted(OVP81X);
    let known = vpu.home.path().join(".ssh/known_hosts");
    fs::write(&known, "").expect("written");
    fs::remove_file(vpu.home.path().join(".o3r-deploy/devices")).expect("removed");
    insta::assert_snapshot!(masked(&vpu.refused(5, &[])), @"
    error: connect: the host key of `ADDRESS` is not known: SHA256:…
    hint: compare the fingerprint if you can; `--accept-new` accepts and remembers a key that is not known, and `o3r-deploy trust` sets up a new device
    ");

    // Another device is at the address.
    fs::write(&known, format!("{} {}", vpu.address, new_key(&vpu, "other"))).expect("written");
    for words in [&[][..], &["--accept-new", "--yes"]] {
        vpu.refused(5, words);
    }
    insta::assert_snapshot!(masked(&vpu.refused(5, &["--accept-new"])), @"
    error: connect: the host key of `ADDRESS` has changed to SHA256:… (another one stands in `HOME/.ssh/known_hosts`, line 1)
    hint: every new O3R device answers at the same address, so another device may simply be plugged in: if that is so, run `ssh-keygen -R 'ADDRESS'` and try again
    ");
}

#[test]
fn what_is_missing_here_is_named_before_the_device_is_touched() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.write("compose.yml", "services: {web: {image: 'x:1'}}");
    vpu.write("no compose.yml", "just text");
    let said = [
        vpu.refused(3, &["--transfers_to_vpu", "no such file,~/x"]),
        vpu.refused(3, &["--image", "./no such image.tar"]),
        vpu.refused(3, &["--docker_compose_to_initialize", "no such compose.yml"]),
        vpu.refused(3, &["--config", "no such folder"]),
        vpu.refused(2, &["--docker_compose_to_initialize", "no compose.yml"]),
        vpu.refused(2, &["--docker_compose_to_initialize", "compose.yml:nobody"]),
        vpu.refused(2, &["--transfers_to_vpu", "a,b,c"]),
        vpu.refused(2, &["--set_vpu_name", &"x".repeat(64)]),
    ];
    insta::assert_snapshot!(said.join("\n\n"), @r#"
    error: --transfers_to_vpu: `HOME/no such file` on this computer: there is no such file
    hint: relative paths start at the folder of the configuration file, those of options at the working directory

    error: image: there is neither a file nor an image `HOME/no such image.tar` on this computer
    hint: check the path; `docker image ls` lists the images that docker has here

    error: --docker_compose_to_initialize: `HOME/no such compose.yml` on this computer: there is no such file
    hint: relative paths start at the folder of the configuration file, those of options at the working directory

    error: there is no configuration file `HOME/no such folder`
    hint: name the file or its directory with `--config`; without one, options alone will do

    error: compose: docker-compose 1.29.2 on the device refuses the compose files: Top level object in 'HOME/no compose.yml' needs to be an object not '<class 'str'>'.
    hint: a compose file has `services:` at its top, and below that each service by its name

    error: compose: service `nobody` is not in the compose file; it has `web`
    hint: name one that it has, or none to bring up all

    error: --transfers_to_vpu: `a,b,c` is understood as 3 parts, `a`, `b`, `c`; expected `LOCAL,REMOTE`, such as `./config,~/share/config`; a `,` that belongs to a name stands in double quotes: '"a,b",c'
    hint: `o3r-deploy --help` has an example of `--transfers_to_vpu`

    error: rename: the name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` has 64 characters, and the device takes at most 63
    "#);
}

#[test]
fn a_wrong_configuration_is_told_whole_with_file_line_and_key() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.write(
        "o3r-deploy.yaml",
        "log: x\ndevice: {port: 0, user: a b}\ntransfers: {to_device: [{local: nowhere, remote: ~/x}]}\nimage:\n  - {source: x.tar, name: A b}\n",
    );
    insta::assert_snapshot!(vpu.refused(2, &[]), @"
    error: 4 things are wrong in the configuration
      o3r-deploy.yaml:1:1: log: there is no such key; did you mean `logs`?
      o3r-deploy.yaml:2:16: device.port: expected a number from 1 to 65535, found 0
      o3r-deploy.yaml:3:33: transfers.to_device[0].local: `HOME/nowhere` on this computer: there is no such file
      o3r-deploy.yaml:5:27: image[0].name: expected `name:tag` in lower case, such as `python_app:1.0`, found `A b`
    hint: `o3r-deploy schema` prints every key, `o3r-deploy --help` every option
    ");
    vpu.write("o3r-deploy.yaml", "device: [\n");
    insta::assert_snapshot!(vpu.refused(2, &[]), @"
    error: o3r-deploy.yaml:2:1: did not find expected node content, while parsing a flow node
    ");
}

#[test]
fn an_archive_that_is_no_image_for_this_device_is_refused_before_a_byte_is_sent() {
    let vpu = Vpu::trusted(OVP81X);
    let at = |name: &str| vpu.home.path().join(name);
    vpu.write("empty.tar", "");
    vpu.write("text.tar", "just text, and long enough not to be empty ".repeat(50));
    Image::new("app:1", "sleep 1000").save(&at("good.tar"));
    let good = fs::read(at("good.tar")).expect("read");
    vpu.write("half.tar", &good[..good.len() / 2]);
    must(Command::new("tar").args(["-cf", "other.tar", "text.tar"]).current_dir(vpu.home.path()));
    Image::new("app:1", "sleep 1000").architecture("s390x").save(&at("s390x.tar"));
    let image = |name: &str| vpu.refused(8, &["--image", name]);
    let said = ["./empty.tar", "./text.tar", "./half.tar", "./other.tar", "./s390x.tar"].map(image);
    insta::assert_snapshot!(said.join("\n\n"), @"
    error: image: `HOME/empty.tar` is not an image that can be loaded: it is empty
    hint: write or copy the archive again

    error: image: `HOME/text.tar` is not an image that can be loaded: it is not a tar archive
    hint: write the image with `docker save -o app.tar IMAGE`, or build it with `--output type=docker,dest=app.tar`

    error: image: `HOME/half.tar` is not an image that can be loaded: it is cut off
    hint: write or copy the archive again

    error: image: `HOME/other.tar` is not an image that can be loaded: it has neither `manifest.json` nor `index.json`, nor is it a root file system, for it has no programs
    hint: write the image with `docker save -o app.tar IMAGE`, or build it with `--output type=docker,dest=app.tar`

    error: image: image `app:1` is for linux/s390x, and the device is x86_64
    hint: build it with `docker buildx build --platform linux/arm64`, or pass `--allow-architecture` to try it all the same
    ");
}

#[test]
fn what_contradicts_the_device_is_refused_with_how_it_differs() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.write("file", "x");
    vpu.write("docker-compose.yml", "services: {web: {image: 'x:1'}}");
    vpu.ssh("mkdir -p ~/there ~/one && echo x > ~/plain && docker volume create -o type=none -o o=bind -o device=/home/oem/one data");
    let said = [
        vpu.refused(15, &words(&["--transfers_to_vpu", "file,~/elsewhere/", "--volume_to_setup", "/home/oem/two,data"])),
        vpu.refused(15, &words(&["--volume_to_setup", "/home/oem/two,data"])),
        vpu.refused(15, &words(&["--transfers_to_vpu", ".ssh,~/plain"])),
        vpu.refused(15, &words(&["--dirs_to_make", "~/plain"])),
        vpu.refused(15, &words(&["--transfers_from_vpu", "~/nothing here,got"])),
        vpu.refused(15, &words(&["--attach_to", "nobody"])),
        vpu.refused(15, &words(&["--image_to_import", "~/nothing.tar"])),
        vpu.refused(2, &words(&["--items_to_cleanup", "/usr/share"])),
    ];
    insta::assert_snapshot!(said.join("\n\n"), @"
    error: volume: volume `data` is there already and differs: it binds `/home/oem/one` and not `/home/oem/two`
    hint: choose another name, or remove it and what uses it with `--remove_running_containers --remove_volumes`

    error: volume: volume `data` is there already and differs: it binds `/home/oem/one` and not `/home/oem/two`
    hint: choose another name, or remove it and what uses it with `--remove_running_containers --remove_volumes`

    error: transfers: `/home/oem/plain` is there already and differs: it is no directory, and one is wanted
    hint: remove it with `--items_to_cleanup` in a run of its own, or choose another path

    error: directories: `/home/oem/plain` is there already and differs: it is no directory, and one is wanted
    hint: remove it with `--items_to_cleanup` in a run of its own, or choose another path

    error: transfers: `/home/oem/nothing here` is to be fetched and is not on the device
    hint: check the path: `~` is /home/oem there

    error: attach: there is no container `nobody` on the device, nor any other

    error: image: `/home/oem/nothing.tar` is not on the device
    hint: check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`

    error: leftovers: `/usr/share` is not removed: the device needs it
    hint: name what is inside it
    ");
}

#[test]
fn a_device_without_docker_or_autostart_says_which_stage_needs_it() {
    let vpu = Vpu::trusted(OVP80X);
    vpu.write("docker-compose.yml", "version: '2.4'\nservices: {web: {image: 'x:1'}}");
    vpu.write("new.yml", "services: {web: {image: 'x:1'}}");
    Image::new("app:1", "sleep 1000").save(&vpu.home.path().join("app.tar"));
    let mut said = vec![vpu.refused(15, &words(&["--docker_compose_to_initialize", "new.yml"]))];
    vpu.root("mkdir /away && mv /usr/lib/systemd/user/oem-dc* /away && systemctl stop docker.socket docker");
    said.extend([
        vpu.refused(15, &words(&["--image", "./app.tar"])),
        vpu.refused(15, &words(&["--docker_compose_to_initialize", "docker-compose.yml"])),
        vpu.refused(15, &words(&["--volume_to_setup", "~/data,data"])),
        vpu.refused(15, &words(&["--remove_images", "--yes"])),
    ]);
    vpu.root("systemctl start docker.socket docker");
    said.push(vpu.refused(15, &words(&["--enable_autostart", "~/x/docker-compose.yml:web"])));
    insta::assert_snapshot!(said.join("\n\n"), @r#"
    error: compose: docker-compose 1.25.4 on the device refuses the compose files: Unsupported config option for services: 'web'
      The Compose file 'HOME/new.yml' is invalid because:
      Unsupported config option for services: 'web'
    hint: this docker-compose takes no compose file without `version:`: begin it with `version: "2.4"`

    error: image: docker does not answer on the device
    hint: after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device tells more, and a reboot starts it anew

    error: compose: docker does not answer on the device
    hint: after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device tells more, and a reboot starts it anew

    error: volume: docker does not answer on the device
    hint: after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device tells more, and a reboot starts it anew

    error: clean_up: docker does not answer on the device
    hint: after a boot docker takes a while to start: run it again in a minute; `systemctl status docker` on the device tells more, and a reboot starts it anew

    error: autostart: the device has no autostart units (`oem-dc@` or `oem-dc-autostart`)
    hint: give the service `restart: unless-stopped` in its compose file: docker then starts it again
    "#);
}

#[test]
fn what_others_put_there_is_not_removed_unless_somebody_agrees() {
    let vpu = Vpu::trusted(OVP81X);
    let id = Image::new("theirs:1", "sleep 1000").save(&vpu.home.path().join("theirs.tar"));
    vpu.root("docker volume create data");
    let archive = fs::File::open(vpu.home.path().join("theirs.tar")).expect("read");
    must(
        vpu.ssh_command("docker image load --quiet && docker container run --detach --name bystander theirs:1").stdin(archive),
    );
    let all = ["--remove_running_containers", "--remove_volumes", "--remove_images"];
    let said = vpu.refused(11, &words(&all));
    insta::assert_snapshot!(said.replace(&vpu.serial(), "SERIAL"), @"
    error: clean_up: 1 container, 1 volume, 1 image that no deployment of o3r-deploy put there would be removed from device SERIAL at ADDRESS, and nobody can be asked
    hint: `--dry-run` shows what would go; `--yes` agrees
    ");
    assert!(vpu.root("docker image ls --quiet --no-trunc").contains(&id));
    vpu.succeed(&words(&[&all[..], &["--yes"]].concat()));
    assert_eq!(vpu.root("docker image ls --quiet; docker container ls --quiet; docker volume ls --quiet"), "");
}
