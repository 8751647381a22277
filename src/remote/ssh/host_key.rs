//! Whether the key that a device shows is its own: decided here and nowhere else.

use std::{io, path::PathBuf};

use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, Marker},
};

use super::{
    Ask, Changed, ConnectError, Target,
    devices::Devices,
    known_hosts::{self, KnownHost},
};

/// The verdict about the key that a device shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// The key is the one known for the device.
    Known,
    /// The key is not known.
    Unknown {
        /// Whether keys of other types are known for this host. They are asked for first, so a device that does not show one of
        /// them is hardly the same.
        other_type: bool,
        /// The device that answered at this address before, where it is another one.
        before: Option<String>,
    },
    /// Another key is pinned to the device's serial number.
    Replaced {
        /// The serial number.
        serial: String,
    },
    /// The key is that of another device than the serial number says.
    Mismatch {
        /// The serial number that it says.
        says: String,
        /// The one that the key is pinned to.
        is: String,
    },
    /// Another key of this type is known for this host.
    Changed {
        /// The file that says so.
        file: PathBuf,
        /// Line of the other key, counted from 1.
        line: usize,
    },
    /// The key is marked as revoked.
    Revoked,
}

/// The known keys of one host, by its name and by its serial number.
#[derive(Clone, Debug)]
pub(super) struct HostKeys {
    entries: Vec<KnownHost>,
    pub(super) devices: Devices,
    host: String,
    accepted: Option<PublicKey>,
    /// Types to ask for before all others.
    prefer: Vec<Algorithm>,
}

impl HostKeys {
    /// Reads what the files say of the target.
    pub(super) fn read(target: &Target) -> Result<Self, ConnectError> {
        let mut entries = Vec::new();
        for file in &target.known_hosts {
            entries.extend(known_hosts::read(file).map_err(|source| ConnectError::KnownHosts { path: file.clone(), source })?);
        }
        let unreadable = |source| ConnectError::KnownHosts { path: target.devices.clone().unwrap_or_default(), source };
        let devices = Devices::read(target.devices.as_deref()).map_err(unreadable)?;
        Ok(Self::of(entries, devices, target.host()))
    }

    fn of(mut entries: Vec<KnownHost>, devices: Devices, host: String) -> Self {
        entries.retain(|known| known_hosts::matches(known.entry.host_patterns(), &host));
        Self { entries, devices, host, accepted: None, prefer: Vec::new() }
    }

    /// Decides about a key that a device shows which reports, without proof, this serial number. The report can only cause
    /// a key to be refused or asked about: it never makes an unknown key known.
    pub(super) fn judge(&self, key: &PublicKey, serial: Option<&str>) -> HostKeyVerdict {
        let same = |entry: &Entry| entry.public_key().key_data() == key.key_data();
        // An entry marked `@cert-authority` speaks of certificates, which are not asked for.
        if self.entries.iter().any(|known| known.entry.marker() == Some(&Marker::Revoked) && same(&known.entry)) {
            return HostKeyVerdict::Revoked;
        }
        if self.accepted.as_ref().is_some_and(|accepted| accepted.key_data() == key.key_data()) {
            return HostKeyVerdict::Known;
        }
        match (serial, self.devices.owner(key)) {
            (Some(says), Some(is)) if says != is && !self.devices.has(says, key) => {
                return HostKeyVerdict::Mismatch { says: says.into(), is: is.into() };
            }
            (_, Some(_)) => return HostKeyVerdict::Known,
            (Some(serial), None) if self.devices.knows(serial) => return HostKeyVerdict::Replaced { serial: serial.into() },
            (_, None) => {}
        }
        if self.plain().any(|known| same(&known.entry)) {
            return HostKeyVerdict::Known;
        }
        // Keys of devices that are known by their serial numbers say nothing of one that has another number.
        let strange = |known: &&KnownHost| serial.is_none() || self.devices.owner(&known.entry.public_key().clone()).is_none();
        match self.plain().filter(strange).find(|known| known.entry.public_key().algorithm() == key.algorithm()) {
            Some(known) => HostKeyVerdict::Changed { file: known.file.clone(), line: known.line },
            None => HostKeyVerdict::Unknown {
                other_type: self.plain().filter(strange).any(|known| is_spoken(&known.entry)),
                before: self.before(serial).map(str::to_owned),
            },
        }
    }

    /// Returns the device that answered at this address before, if it is another one.
    pub(super) fn before(&self, serial: Option<&str>) -> Option<&str> {
        self.devices.last_at(&self.host).filter(|before| serial.is_some_and(|serial| serial != *before))
    }

    /// Asks for the types of key that are pinned to a serial number, before it is believed that its key has changed; tells whether
    /// that makes a difference.
    pub(super) fn prefer_types_of(&mut self, serial: &str) -> bool {
        let first = self.preferred_algorithms().into_iter().next();
        self.prefer = self.devices.algorithms(serial);
        self.preferred_algorithms().into_iter().next() != first
    }

    /// Pins the key to the device's serial number.
    pub(super) fn pin(&mut self, serial: &str, key: &PublicKey) -> io::Result<()> {
        self.devices.pin(serial, key, &self.host)
    }

    /// Returns the algorithms to ask the device for, those of known keys first. RSA never signs with SHA-1.
    pub(super) fn preferred_algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = ALGORITHMS.to_vec();
        let pinned = |algorithm: &Algorithm| self.prefer.iter().any(|prefer| is_same_type(algorithm, prefer));
        algorithms.sort_by_key(|algorithm| (!pinned(algorithm), !self.plain().any(|known| same_type(algorithm, &known.entry))));
        algorithms
    }

    fn plain(&self) -> impl Iterator<Item = &KnownHost> {
        self.entries.iter().filter(|known| known.entry.marker().is_none())
    }

    /// Deals with a key that is not known: accepts and records it where the user agrees, refuses it otherwise.
    pub(super) fn settle(
        &mut self,
        key: &PublicKey,
        verdict: HostKeyVerdict,
        (target, serial): (&Target, Option<&str>),
        ask: &mut dyn Ask,
    ) -> Result<(), ConnectError> {
        let host = target.host();
        let fingerprint = fingerprint(key);
        let (other_type, before) = match verdict {
            HostKeyVerdict::Known => (false, None),
            HostKeyVerdict::Unknown { other_type, before } => (other_type, before),
            HostKeyVerdict::Replaced { serial } => return self.replace(key, serial, target, ask),
            HostKeyVerdict::Mismatch { says, is } => {
                return Err(ConnectError::HostKeyOfAnother { host, fingerprint, says, is });
            }
            HostKeyVerdict::Changed { file, line } => {
                let default = target.known_hosts.first() == Some(&file);
                return Err(ConnectError::HostKeyChanged { host, fingerprint, file, line, default });
            }
            HostKeyVerdict::Revoked => return Err(ConnectError::HostKeyRevoked { host, fingerprint }),
        };
        let known = if other_type { ", though by keys of another type" } else { "" };
        let who = match (serial, before) {
            (Some(serial), Some(before)) => {
                format!("it says that it is device {serial}, which is not known, and device {before} answered there last; ")
            }
            (Some(serial), None) => format!("it says that it is device {serial}; "),
            (None, _) => String::new(),
        };
        let question = format!(
            "the host key of {host} is not known{known}: {} {fingerprint}; {who}is this the device, and is its key to be remembered?",
            key.algorithm()
        );
        let accepted = (target.accept_new && !other_type) || ask.confirm(&question) == Some(true);
        if !accepted {
            return Err(ConnectError::HostKeyUnknown { host, fingerprint, other_type });
        }
        self.accept(key, target)
    }

    /// Handles a key that is not the one pinned to the device: it is refused, unless the user confirms that it is the new
    /// one.
    fn replace(&mut self, key: &PublicKey, serial: String, target: &Target, ask: &mut dyn Ask) -> Result<(), ConnectError> {
        let (host, fingerprint) = (target.host(), fingerprint(key));
        let question = format!(
            "device {serial} at {host} shows another host key than before: {} {fingerprint}; a firmware update or a factory reset \
             changes it, and so does somebody who pretends to be the device; is it to be remembered as the new one?",
            key.algorithm()
        );
        let accepted = match target.changed {
            Changed::Refuse => false,
            Changed::Ask => ask.confirm(&question) == Some(true),
            Changed::Accept => true,
        };
        if accepted { self.accept(key, target) } else { Err(ConnectError::HostKeyReplaced { host, serial, fingerprint }) }
    }

    fn accept(&mut self, key: &PublicKey, target: &Target) -> Result<(), ConnectError> {
        if let Some(path) = target.known_hosts.first() {
            known_hosts::append_named(path, &target.host(), key)
                .map_err(|source| ConnectError::KnownHosts { path: path.clone(), source })?;
        }
        self.accepted = Some(key.clone());
        Ok(())
    }
}

/// Returns the fingerprint as OpenSSH shows it, `SHA256:…`.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

fn same_type(algorithm: &Algorithm, entry: &Entry) -> bool {
    is_same_type(algorithm, &entry.public_key().algorithm())
}

fn is_same_type(algorithm: &Algorithm, known: &Algorithm) -> bool {
    algorithm == known || (matches!(algorithm, Algorithm::Rsa { .. }) && matches!(known, Algorithm::Rsa { .. }))
}

fn is_spoken(entry: &Entry) -> bool {
    ALGORITHMS.iter().any(|algorithm| same_type(algorithm, entry))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FIRST: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const SECOND: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn keys(text: &str) -> HostKeys {
        HostKeys::of(known_hosts::parse(Path::new("file"), text), Devices::default(), "192.168.0.69".into())
    }

    fn judge(text: &str, key: &str) -> HostKeyVerdict {
        keys(text).judge(&key.parse().unwrap(), None)
    }

    #[test]
    fn a_key_is_known_unknown_changed_or_revoked() {
        assert_eq!(judge("", FIRST), HostKeyVerdict::Unknown { other_type: false, before: None });
        assert_eq!(judge(&format!("10.0.0.1 {FIRST}\n"), FIRST), HostKeyVerdict::Unknown { other_type: false, before: None });
        assert_eq!(judge(&format!("192.168.0.69 {FIRST}\n"), FIRST), HostKeyVerdict::Known);
        assert_eq!(
            judge(&format!("#\n192.168.0.* {SECOND}\n"), FIRST),
            HostKeyVerdict::Changed { file: "file".into(), line: 2 }
        );
        assert_eq!(judge(&format!("192.168.0.69 {FIRST}\n@revoked * {FIRST}\n"), FIRST), HostKeyVerdict::Revoked);
    }

    #[test]
    fn several_keys_may_be_known_for_one_address() {
        assert_eq!(judge(&format!("192.168.0.69 {SECOND}\n192.168.0.69 {FIRST}\n"), FIRST), HostKeyVerdict::Known);
    }

    #[test]
    fn a_key_of_another_type_is_unknown_and_the_known_type_is_asked_for_first() {
        let text = format!("192.168.0.69 {ECDSA}\n");
        assert_eq!(judge(&text, FIRST), HostKeyVerdict::Unknown { other_type: true, before: None });
        let first = keys(&text).preferred_algorithms().first().cloned();
        assert_eq!(first, Some(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }));
        assert_eq!(keys("").preferred_algorithms().first(), Some(&Algorithm::Ed25519));
    }

    #[test]
    fn a_certificate_authority_vouches_for_no_plain_key() {
        assert_eq!(
            judge(&format!("@cert-authority * {FIRST}\n"), FIRST),
            HostKeyVerdict::Unknown { other_type: false, before: None }
        );
    }

    #[test]
    fn a_device_is_known_by_its_serial_number_and_key_wherever_it_answers() {
        let key = |text: &str| text.parse::<PublicKey>().unwrap();
        // The first device was here last, by known_hosts too.
        let mut known = keys(&format!("192.168.0.69 {FIRST}\n"));
        known.pin("1", &key(FIRST)).unwrap();
        let unknown = |before: Option<&str>| HostKeyVerdict::Unknown { other_type: false, before: before.map(str::to_owned) };
        assert_eq!(known.judge(&key(FIRST), Some("1")), HostKeyVerdict::Known);
        assert_eq!(known.judge(&key(FIRST), None), HostKeyVerdict::Known, "a silent interface is no reason to doubt the key");
        // Another device, which is asked about, by its name.
        assert_eq!(known.judge(&key(SECOND), Some("2")), unknown(Some("1")));
        known.pin("2", &key(SECOND)).unwrap();
        assert_eq!(known.judge(&key(SECOND), Some("2")), HostKeyVerdict::Known);
        assert_eq!((known.before(Some("1")), known.before(Some("2"))), (Some("2"), None));
        // The same device with another key.
        let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        assert_eq!(known.judge(&key(other), Some("1")), HostKeyVerdict::Replaced { serial: "1".into() });
        // A serial number that is not that of the key.
        for says in ["1", "3"] {
            let mismatch = HostKeyVerdict::Mismatch { says: says.into(), is: "2".into() };
            assert_eq!(known.judge(&key(SECOND), Some(says)), mismatch);
        }
    }

    #[test]
    fn nothing_that_is_said_of_a_serial_number_makes_a_key_known() {
        let key = |text: &str| text.parse::<PublicKey>().unwrap();
        let mut known = keys(&format!("192.168.0.69 {FIRST}\n"));
        // The key of known_hosts is not known to belong to a device: whoever shows another one may pretend anything.
        assert!(matches!(known.judge(&key(SECOND), Some("2")), HostKeyVerdict::Changed { .. }));
        known.pin("1", &key(FIRST)).unwrap();
        for says in [None, Some("1"), Some("2")] {
            assert_ne!(known.judge(&key(SECOND), says), HostKeyVerdict::Known, "{says:?}");
        }
    }

    #[test]
    fn the_type_that_is_pinned_to_a_device_is_asked_for_before_its_key_counts_as_changed() {
        let mut known = keys(&format!("192.168.0.69 {ECDSA}\n"));
        known.pin("1", &FIRST.parse().unwrap()).unwrap();
        assert!(known.prefer_types_of("1"));
        assert_eq!(known.preferred_algorithms().first(), Some(&Algorithm::Ed25519));
        assert!(!known.prefer_types_of("1"));
    }
}
