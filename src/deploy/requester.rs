//! The requester of a deployment: this process, as the lock of the device and the history know it.

use super::LockSettings;
use crate::{
    config::Deployment,
    plan::application_name,
    run::{LockRequest, Owner},
};

/// Returns this process as an owner of the lock that `does` something with the application.
pub(crate) fn owner(wanted: &Deployment, does: &str) -> Owner {
    let process = std::process::id();
    Owner {
        user: user(),
        host: host(),
        process,
        life: life(process).unwrap_or_default(),
        since: jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S%:z").to_string(),
        what: format!("{does} `{}`", application_name(wanted)),
        guard: false,
    }
}

/// Returns how the lock is to be taken.
pub(crate) fn wish<'a>(wanted: &Deployment, settings: &LockSettings, owner: &'a Owner) -> LockRequest<'a> {
    let hold_off = wanted.hold_off.as_ref().filter(|_| !settings.ignore_hold_off);
    LockRequest {
        owner,
        token: token().to_owned(),
        hold_off: hold_off.map(|path| path.as_str().to_owned()),
        wait: settings.wait,
        is_dead,
    }
}

/// Returns this process's token for the lock: it is the same over another connection, so that the process takes its own
/// lock again.
fn token() -> &'static str {
    use std::hash::{BuildHasher, Hasher};
    static TOKEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let word = || std::hash::RandomState::new().build_hasher().finish();
    TOKEN.get_or_init(|| format!("{:016x}{:016x}", word(), word()))
}

/// Returns whether an owner is a process of this same computer that has ended.
pub(crate) fn is_dead(owner: &Owner) -> bool {
    let (Some(here), Some(place)) = (life(std::process::id()), owner.life.rsplit_once(' ').map(|(place, _)| place)) else {
        return false;
    };
    let same = here.rsplit_once(' ').is_some_and(|(here, _)| here == place);
    same && owner.process != 0 && life(owner.process).is_none_or(|life| life != owner.life)
}

/// Returns the place and time at which a process of this computer began: the computer's boot, the namespace of the process
/// number, ticks since the boot.
#[cfg(target_os = "linux")]
fn life(process: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the 20th field after it is the beginning.
    let began = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{} {} {began}", boot.trim(), namespace.display()))
}

/// Returns `None`: on other systems a dead process is recognised only by its silence.
#[cfg(not(target_os = "linux"))]
fn life(_: u32) -> Option<String> {
    None
}

/// Returns who deploys, as `user@host`.
pub(crate) fn by() -> String {
    format!("{}@{}", user(), host())
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn user() -> String {
    #[cfg(unix)]
    let number = || format!("uid{}", rustix::process::getuid().as_raw());
    #[cfg(not(unix))]
    let number = || "unknown".to_owned();
    set("USER").or_else(|| set("USERNAME")).or_else(|| set("LOGNAME")).unwrap_or_else(number)
}

fn host() -> String {
    #[cfg(unix)]
    let name = Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
    #[cfg(not(unix))]
    let name = set("COMPUTERNAME");
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_computer_that_has_ended_is_known_to_be_dead() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().expect("it starts");
        let process = child.id();
        let owner = Owner { process, life: life(process).expect("it lives"), ..Owner::default() };
        assert!(!is_dead(&owner));
        let elsewhere = Owner { life: "other-boot pid:[1] 5".into(), ..owner.clone() };
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(is_dead(&owner), "it has ended");
        assert!(!is_dead(&elsewhere), "a process of another computer is not known here");
        assert!(!is_dead(&Owner::default()));
    }
}
