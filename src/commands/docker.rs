//! Commands to the device's docker.

use crate::{
    command::{Command, DISK_SILENCE_MAX},
    facts::{APPLICATION_LABEL, CONTAINER_FORMAT},
};

/// The repository of the intermediate images of deliveries. Nothing else has this name, and none is left after a delivery.
pub const PARTIAL: &str = "o3r-deploy.partial";

fn docker(words: &[&str]) -> Command {
    Command::new("docker").args(words.iter().copied()).waits_for_docker()
}

/// Asks whether docker answers.
pub fn version() -> Command {
    docker(&["version", "--format", "{{.Server.Version}}"])
}

/// Removes containers, running ones too.
pub fn remove_containers(names: &[String]) -> Command {
    docker(&["container", "rm", "--force", "--"]).args(names)
}

/// Removes volumes.
pub fn remove_volumes(names: &[String]) -> Command {
    docker(&["volume", "rm", "--"]).args(names)
}

/// Removes images with all their references.
pub fn remove_images(ids: &[String]) -> Command {
    docker(&["image", "rm", "--force", "--"]).args(ids)
}

/// Creates a volume that binds `path`.
pub fn create_bind_volume(name: &str, path: &str, application: &str) -> Command {
    docker(&["volume", "create", "--driver", "local", "--opt", "type=none", "--opt", "o=bind", "--opt"])
        .arg(format!("device={path}"))
        .arg("--label")
        .arg(format!("{APPLICATION_LABEL}={application}"))
        .arg("--")
        .arg(name)
}

/// Reads and forgets: what is sent to it tells how fast the link is.
pub fn nowhere() -> Command {
    Command::script(include_str!("scripts/forget.sh"))
}

/// Loads an image archive from standard input.
pub fn load() -> Command {
    docker(&["image", "load", "--quiet"])
}

/// The directory on the device in which image archives arrive that take long.
const ARRIVING: &str = "/home/oem/.o3r-deploy/.arriving";

/// Loads an image archive that is put together from the contents of `roots` in the image `base`, and steps on standard input,
/// compressed with gzip: lines `<skip> <copy> <insert>` of bytes, each followed by the bytes to insert.
/// `parcel` tells several of them apart.
pub fn rebuild(parcel: usize, base: &str, roots: &[String]) -> Command {
    Command::script(concat!(include_str!("scripts/rebuild.sh"), include_str!("scripts/exact.sh")))
        .waits_for_docker()
        .arg(parcel.to_string())
        .arg(base)
        .args(roots)
}

/// Prefix of the names of the containers from which images are read; none is left after a delivery.
pub const BASE: &str = "o3r-deploy.base.";

/// Returns the directory in which an archive arrives, by its `name`.
pub fn arriving(name: &str) -> String {
    format!("{ARRIVING}/{name}")
}

/// Prints how many bytes have arrived in a directory, or `loaded` when they are loaded; waits while they are being loaded.
pub fn received(directory: &str) -> Command {
    Command::script(include_str!("scripts/received.sh")).waits_for_docker().arg(directory)
}

/// Writes standard input, compressed with gzip, into files of 4 MiB in a directory, after the existing ones, and flushes
/// each of them; once they have `size` bytes, loads the image and removes them.
pub fn receive(directory: &str, size: u64) -> Command {
    Command::script(concat!(include_str!("scripts/receive.sh"), include_str!("scripts/exact.sh")))
        .waits_for_docker()
        .arg(directory)
        .arg(size.to_string())
}

/// Removes the intermediate images and files of deliveries.
pub fn remove_partial() -> Command {
    Command::script(include_str!("scripts/remove_partial.sh")).waits_for_docker().arg(PARTIAL).arg(ARRIVING)
}

/// Removes the intermediate images and files after a delivery, then prints the IDs of images, one per line.
pub fn settle(images: &[String]) -> Command {
    Command::script(include_str!("scripts/settle.sh")).waits_for_docker().arg(PARTIAL).arg(ARRIVING).args(images)
}

/// Loads or imports an archive that is on the device already and gives it `name`, unless its image is there.
pub fn load_on_device(path: &str, name: &str, changes: &[String]) -> Command {
    Command::script(include_str!("scripts/load_on_device.sh")).waits_for_docker().arg(path).arg(name).args(changes)
}

/// Gives an image a reference.
pub fn tag(id: &str, reference: &str) -> Command {
    docker(&["image", "tag", "--"]).arg(id).arg(reference)
}

/// Describes containers as JSON.
pub fn inspect_container(name: &str) -> Command {
    docker(&["container", "inspect", "--format"]).text(CONTAINER_FORMAT).arg("--").arg(name)
}

/// Describes the containers of a compose project as JSON; nothing when there are none.
pub fn inspect_project(project: &str) -> Command {
    Command::script(include_str!("scripts/inspect_project.sh")).waits_for_docker().arg(project).text(CONTAINER_FORMAT)
}

/// Prints the last `lines` lines of a container's output.
pub fn last_output(container: &str, lines: u32) -> Command {
    Command::script(include_str!("scripts/last_output.sh")).waits_for_docker().arg(container).arg(lines.to_string())
}

/// Follows a container's output since a time by the device's clock, until it ends. Reads logs, so that a connection that
/// drops cannot reach the container.
pub fn follow(container: &str, since: &str) -> Command {
    Command::script(include_str!("scripts/follow.sh")).waits_for_docker().arg(container).arg(since)
}

/// Prints a container's output from one time to another, or to now, by the device's clock; exit code 3 where its log driver
/// keeps none.
pub fn output(container: &str, since: &str, until: Option<&str>) -> Command {
    Command::script(include_str!("scripts/output.sh")).waits_for_docker().arg(container).arg(since).args(until)
}

/// Stops a container as it wishes to be stopped.
pub fn stop(container: &str) -> Command {
    docker(&["container", "stop", "--"]).arg(container)
}

/// Looks for what often goes wrong. With the file `hold_off` an application holds updates off, where there is one.
pub fn examine(hold_off: &str) -> Command {
    Command::script_with(include_str!("scripts/within.sh"), include_str!("scripts/diagnose.sh"))
        .silent_for(DISK_SILENCE_MAX)
        .arg(hold_off)
}

/// Sets the restart policy of containers.
pub fn set_restart_policy(policy: &str, containers: &[String]) -> Command {
    docker(&["container", "update", "--restart", policy, "--"]).args(containers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn removal_names_what_goes_and_takes_no_name_for_an_option() {
        assert_eq!(remove_containers(&names(&["a", "-f"])).line(), "docker container rm --force -- a -f");
        assert_eq!(remove_volumes(&names(&["v"])).line(), "docker volume rm -- v");
        assert_eq!(remove_images(&names(&["sha256:1"])).line(), "docker image rm --force -- sha256:1");
    }

    #[test]
    fn a_bind_volume_is_created_with_its_path_and_its_application() {
        assert_eq!(
            create_bind_volume("share", "/home/oem/my share", "app").line(),
            "docker volume create --driver local --opt type=none --opt o=bind --opt 'device=/home/oem/my share' \
             --label o3r-deploy.application=app -- share"
        );
    }

    #[test]
    fn an_image_is_loaded_tagged_and_read_back() {
        assert_eq!(load().line(), "docker image load --quiet");
        assert_eq!(tag("sha256:1", "app:1").line(), "docker image tag -- sha256:1 app:1");
        assert_eq!(
            settle(&names(&["app:1"])).shown(),
            "sh -c '# removes what a delivery needed on its way and prints the IDs of its images…' sh o3r-deploy.partial \
             /home/oem/.o3r-deploy/.arriving app:1"
        );
    }

    #[test]
    fn scripts_are_shown_by_what_they_do() {
        assert_eq!(follow("app", "17").shown(), "sh -c '# follows a container'\\''s output…' sh app 17".replace("'\\''", "'"));
        assert_eq!(output("app", "17", None).shown(), "sh -c '# prints a container's output between two times…' sh app 17");
        assert_eq!(
            inspect_project("p").shown(),
            "sh -c '# describes the containers of a compose project…' sh p '{{/* container */ -}}…'"
        );
    }

    #[test]
    fn a_restart_policy_is_set_for_all_at_once() {
        assert_eq!(set_restart_policy("no", &names(&["a", "b"])).line(), "docker container update --restart no -- a b");
    }
}
