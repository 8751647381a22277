//! Judges the way to the device and what it says of itself; what is inside is the business of [`inside`].

use std::cmp::Ordering;

use super::{Check, DeviceView, State, inside::inside};

/// The state, the text of the finding, and the advice.
pub(super) type Verdict = (State, String, String);

pub(super) fn fine(found: impl Into<String>) -> Verdict {
    (State::Fine, found.into(), String::new())
}

pub(super) fn attention(found: impl Into<String>, advice: &str) -> Verdict {
    (State::Attention, found.into(), advice.into())
}

pub(super) fn wrong(found: impl Into<String>, advice: &str) -> Verdict {
    (State::Wrong, found.into(), advice.into())
}

pub(super) fn unknown() -> Verdict {
    (State::Unknown, "not known: the device could not be asked".into(), String::new())
}

/// Returns the verdict of a check.
pub(super) fn judge(check: Check, seen: &DeviceView) -> Verdict {
    match check {
        Check::Address | Check::Port | Check::Ssh | Check::HostKey | Check::Key => way(check, seen),
        Check::Interface => match &seen.identity {
            Some(identity) => fine(format!("port 80 answers: serial number {}", identity.serial)),
            None => attention(
                "port 80 does not answer",
                "the device may just have started; in recovery mode only port 8080 answers",
            ),
        },
        Check::Firewall => match seen.firewall {
            Some(true) => {
                wrong("the device's firewall is on", "let port 22 through, or set `/device/network/firewall/active` to false")
            }
            Some(false) => fine("off"),
            None if seen.identity.is_some() => fine("the firmware has none"),
            None => (State::Unknown, "port 80 does not tell".into(), String::new()),
        },
        Check::Firmware => match seen.identity.as_ref().and_then(|identity| identity.firmware.as_ref()) {
            Some(firmware) => fine(firmware.to_string()),
            None => (State::Unknown, "port 80 does not tell".into(), String::new()),
        },
        Check::Name => match seen.identity.as_ref().map(|identity| identity.name.as_str()) {
            Some("") => attention(
                "the device has no name",
                "`--set_vpu_name` gives it one and saves it, so that a reboot does not lose it",
            ),
            Some(name) => fine(format!("`{name}`")),
            None => (State::Unknown, "port 80 does not tell".into(), String::new()),
        },
        _ => match &seen.facts {
            Some(facts) => inside(check, seen, facts),
            None => unknown(),
        },
    }
}

/// Returns the verdict of a check of the way to the device: the failed check, those before it, which passed, and those
/// after it, which are unknown.
fn way(check: Check, seen: &DeviceView) -> Verdict {
    let Some(missing) = &seen.connection else { return fine("as it should be") };
    match (check as u8).cmp(&(missing.check as u8)) {
        Ordering::Less if missing.tried => fine("as it should be"),
        Ordering::Less => {
            (State::Unknown, "not tried: something on this computer has to be put right first".into(), String::new())
        }
        Ordering::Equal => wrong(missing.why.clone(), &missing.hint),
        Ordering::Greater => unknown(),
    }
}
