//! Judges what is inside a device that lets this computer in.

use super::{
    Check, DeviceView, Examined, State,
    judge::{Verdict, attention, fine, unknown, wrong},
};
use crate::{
    facts::{AutostartModel, Container, ContainerState, Docker, Facts, Health, STORE_HINT},
    text::{bytes, count},
};

/// Time in seconds for which a restart by docker counts as recent: restart loops may be slow.
const RECENT_RESTART: i64 = 600;

/// Number of restarts by docker that count as a loop when the last one is recent.
const LOOP_RESTARTS: u64 = 3;

/// Returns the verdict of a check that needs the facts of the device.
pub(super) fn inside(check: Check, seen: &DeviceView, facts: &Facts) -> Verdict {
    let docker = facts.docker.as_ref();
    match check {
        Check::Clock => clock(facts.clock, seen.now),
        Check::Disk => disk(facts),
        Check::Inodes => inodes(facts),
        Check::Docker => match docker {
            Some(docker) if docker.containerd_store => wrong(
                format!("{}, which keeps images in containerd's store: they cannot be delivered", docker.version),
                STORE_HINT,
            ),
            Some(docker) => {
                let (containers, images) = (count(docker.containers.len(), "container"), count(docker.images.len(), "image"));
                fine(format!("{}, {containers}, {images}", docker.version))
            }
            None => wrong(
                "docker does not answer on the device",
                "after a boot it takes a while, `systemctl status docker` on the device tells more; with `oem-dc-autostart` disabled it starts when it is first used: try again in a minute",
            ),
        },
        Check::Architecture => match facts.machine.as_str() {
            "aarch64" => fine("aarch64: images for linux/arm64 run"),
            machine if facts.emulators.iter().any(|name| name == "qemu-aarch64") => {
                fine(format!("{machine}, which emulates aarch64"))
            }
            machine => attention(machine, "images for linux/arm64 do not run here: is this a VPU?"),
        },
        Check::Compose => match &facts.compose {
            Some(tool) if tool.needs_version() => attention(
                format!("docker-compose {}", tool.version()),
                "it takes no compose file without `version:`: begin the file with `version: \"2.4\"`",
            ),
            Some(tool) => fine(tool.version()),
            None => wrong("neither `docker-compose` nor `docker compose`", "the firmware is not one of a VPU, or damaged"),
        },
        Check::Autostart => autostart(facts),
        Check::Lingering => match (seen.examined.linger, facts.autostart) {
            (Some(true), _) => fine("oem's units start without a login"),
            (Some(false), AutostartModel::None) => {
                attention("oem's units start at a login only", "nothing is started by them here")
            }
            (Some(false), _) => {
                wrong("oem's units start at a login only", "`loginctl enable-linger oem` on the device, as its firmware has it")
            }
            (None, _) => unknown(),
        },
        Check::LogDriver | Check::PortConflicts | Check::GpuRuntime if !seen.examined.knows_docker() => without_docker(),
        Check::LogDriver => log_driver(&seen.examined),
        Check::PortConflicts => port_conflicts(&seen.examined),
        Check::GpuRuntime => match seen.examined.nvidia {
            Some(true) => fine("docker has the runtime `nvidia`; a service asks for it with `runtime: nvidia`"),
            Some(false) => attention("docker has no runtime `nvidia`", "a service with `runtime: nvidia` does not start here"),
            None => unknown(),
        },
        Check::Files => match seen.examined.foreign {
            Some(0) => fine("all below share belongs to this user"),
            Some(number) => attention(
                format!("{} of somebody else below share", count(usize::try_from(number).unwrap_or(usize::MAX), "file")),
                "a container made them as root: have it run as 989:987, or change them from within a container",
            ),
            None => unknown(),
        },
        Check::Locks => match (&seen.lock, &seen.examined.held) {
            (Some(who), _) if seen.guard => attention(
                format!("the device is at work by itself: {who}"),
                "wait: it is done within some minutes, and a deployment waits for it",
            ),
            (Some(who), _) => {
                attention(format!("a deployment is under way: {who}"), "wait with `--lock-wait`; `o3r-deploy unlock` ends it")
            }
            (None, Some(process)) => attention(
                format!("the application holds updates off (process {process})"),
                "it lets go when it may be disturbed; `--force` goes on",
            ),
            (None, None) => fine("no deployment is under way, and the application does not hold updates off"),
        },
        _ => match docker {
            Some(docker) => containers(check, docker, facts.clock),
            None => without_docker(),
        },
    }
}

/// Returns the verdict of a check that only docker can answer, when docker does not answer.
fn without_docker() -> Verdict {
    (State::Unknown, "docker does not answer".into(), String::new())
}

fn clock(device: u64, now: u64) -> Verdict {
    let off = device.abs_diff(now);
    if off < 120 {
        return fine("the device's clock is right");
    }
    let advice =
        "it has no clock that outlives a power cut: turn on SNTP, and never judge logs by their times; TLS registries fail";
    attention(format!("the device's clock is {} off", span(off)), advice)
}

/// Formats a time in seconds in the largest unit that it fills.
fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "second"));
    count(usize::try_from(seconds / unit).unwrap_or(usize::MAX), name)
}

fn disk(facts: &Facts) -> Verdict {
    let shown =
        |(name, room): (&String, &crate::facts::Room)| format!("{} of {} free in {name}", bytes(room.bytes), bytes(room.size));
    let all = facts.room.iter().map(shown).collect::<Vec<_>>().join(", ");
    let low = facts.room.values().any(|room| room.bytes < (200 << 20).min(room.size / 10));
    match (facts.room.is_empty(), low) {
        (true, _) => unknown(),
        (_, true) => {
            wrong(all, "`--make-room` or `--remove_images` remove images that nobody needs, `--items_to_cleanup` files")
        }
        _ => fine(all),
    }
}

fn inodes(facts: &Facts) -> Verdict {
    let counted: Vec<_> = facts.room.iter().filter_map(|(name, room)| Some((name, room.inodes?))).collect();
    let all = counted.iter().map(|(name, free)| format!("{free} free in {name}")).collect::<Vec<_>>().join(", ");
    match (counted.is_empty(), counted.iter().any(|(_, free)| *free < 1000)) {
        (true, _) => fine("as many as are needed"),
        (_, true) => wrong(all, "many small files use them up: remove old logs, or images that nobody needs"),
        _ => fine(all),
    }
}

fn autostart(facts: &Facts) -> Verdict {
    let comes_back = |policy: &str| matches!(policy, "always" | "unless-stopped");
    let docker = facts.docker.as_ref();
    let policies =
        docker.into_iter().flat_map(|docker| &docker.containers).filter(|container| comes_back(&container.restart_policy));
    let names = policies.map(|container| container.name.clone()).collect::<Vec<_>>().join(", ");
    match facts.autostart {
        AutostartModel::None => {
            wrong("there are neither `oem-dc@` nor `oem-dc-autostart`", "give services `restart: unless-stopped`")
        }
        AutostartModel::Single { enabled: false } if !names.is_empty() => attention(
            format!("`oem-dc-autostart` is disabled: {names} come back only when docker is first used"),
            "tell `autostart:` in the file, or `--enable_autostart`",
        ),
        AutostartModel::Single { enabled } => {
            fine(format!("`oem-dc-autostart`, {}", if enabled { "enabled" } else { "disabled" }))
        }
        AutostartModel::Template if names.is_empty() => fine("`oem-dc@<service>`"),
        AutostartModel::Template => attention(
            format!("back by restart policy, whether `oem-dc@` is enabled or not: {names}"),
            "`docker update --restart=no NAME` on the device, where a disabled application comes back",
        ),
    }
}

fn log_driver(examined: &Examined) -> Verdict {
    let silent: Vec<_> =
        examined.containers.iter().filter(|(driver, ..)| driver == "none").map(|(_, name, _)| name.clone()).collect();
    match (&examined.driver, silent.is_empty()) {
        (None, _) => unknown(),
        (Some(driver), true) => fine(format!("`{driver}`")),
        (_, false) => attention(
            format!("no output is kept of {}", silent.join(", ")),
            "their log driver is `none`: attaching shows nothing of before; take `logging: {driver: journald}`",
        ),
    }
}

fn port_conflicts(examined: &Examined) -> Verdict {
    let taken = |why: &str| ["already allocated", "already in use"].iter().any(|words| why.contains(words));
    let named: Vec<_> =
        examined.containers.iter().filter(|(.., why)| taken(why)).map(|(_, name, why)| format!("{name}: {why}")).collect();
    if named.is_empty() {
        return fine("no container failed for a port");
    }
    wrong(
        named.join("; "),
        "two containers, or a container and the device, want the same port: give one of them another under `ports:`",
    )
}

/// Returns why a container is at fault although it may run at this moment: docker restarts it, or docker-compose was
/// interrupted.
fn restarts(container: &Container, clock: u64) -> Option<String> {
    let Container { name, restarts, .. } = container;
    let recent = container.seconds_since_start(clock).filter(|age| *age < RECENT_RESTART);
    match (container.state, recent) {
        _ if container.has_interim_name() => container.fault(clock).map(|fault| format!("{name} {fault}")),
        (ContainerState::Restarting, _) if *restarts >= LOOP_RESTARTS => {
            Some(format!("{name} restarts in a loop ({restarts} restarts, last exit code {})", container.exit_code))
        }
        (ContainerState::Running, Some(age)) if *restarts >= LOOP_RESTARTS => {
            Some(format!("{name} restarts in a loop ({restarts} restarts, the last one {age} s ago)"))
        }
        (ContainerState::Restarting, _) | (ContainerState::Running, Some(_)) if *restarts > 0 => {
            container.fault(clock).map(|fault| format!("{name} {fault}"))
        }
        _ => None,
    }
}

/// Describes why a container is not healthy, with the last output of its health check.
fn health(container: &Container) -> Option<String> {
    let is_ill = matches!(container.health, Some(Health::Unhealthy | Health::Starting));
    let said = container.check.as_ref().map(|check| check.shown().join(" ")).filter(|_| is_ill);
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    is_ill.then(|| format!("{} is not healthy{said}", container.name))
}

fn containers(check: Check, docker: &Docker, clock: u64) -> Verdict {
    let faults = |fault: &dyn Fn(&Container) -> Option<String>| {
        docker.containers.iter().filter_map(fault).collect::<Vec<_>>().join("; ")
    };
    match check {
        Check::Restarts => {
            let found = faults(&|container| restarts(container, clock));
            let advice = "`docker logs NAME` on the device, or `--attach_to NAME`, shows why; `exec format error` means another processor; \
                          a container whose name begins with an ID is made anew by the next deployment";
            if found.is_empty() { fine("no container restarts in a loop") } else { wrong(found, advice) }
        }
        Check::Health => {
            let found = faults(&health);
            let advice = "its health check fails or has not passed yet: `wait:` of `compose` gives it more time";
            if found.is_empty() { fine("no container is unhealthy") } else { attention(found, advice) }
        }
        _ => {
            let shown = |volume: &crate::facts::DockerVolume| {
                let device = volume.options.get("device").map(|device| format!(" ({device})")).unwrap_or_default();
                format!("{}{device}", volume.name)
            };
            let all = docker.volumes.iter().map(shown).collect::<Vec<_>>().join(", ");
            fine(if all.is_empty() {
                "none".into()
            } else {
                format!("{all}; one that is wanted otherwise goes with `--remove_volumes`")
            })
        }
    }
}
