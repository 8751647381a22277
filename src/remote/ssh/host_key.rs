//! Whether the key that a device shows is its own: decided here and nowhere else.

use std::path::PathBuf;

use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, Marker},
};

use super::{
    Ask, ConnectError, Target,
    known_hosts::{self, KnownHost},
};

/// What is known of the key that a device shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// It is the device's.
    Known,
    /// Nothing is known of it.
    Unknown {
        /// Whether keys of other types are known for this host. They are asked for first, so a device that does not show one of
        /// them is hardly the same.
        other_type: bool,
    },
    /// Another key of this type is known for this host.
    Changed {
        /// The file that says so.
        file: PathBuf,
        /// Its line, counted from 1.
        line: usize,
    },
    /// It is marked as revoked.
    Revoked,
}

/// What is known of one host's keys. A later source, as keys pinned to serial numbers, joins in [`HostKeys::judge`].
#[derive(Clone, Debug)]
pub(super) struct HostKeys {
    entries: Vec<KnownHost>,
    accepted: Option<PublicKey>,
}

impl HostKeys {
    /// Reads what the files say of the target.
    pub(super) fn read(target: &Target) -> Result<Self, ConnectError> {
        let mut entries = Vec::new();
        for file in &target.known_hosts {
            entries.extend(known_hosts::read(file).map_err(|source| ConnectError::KnownHosts { path: file.clone(), source })?);
        }
        Ok(Self::of(entries, &known_hosts::name(&target.address, target.port)))
    }

    fn of(mut entries: Vec<KnownHost>, host: &str) -> Self {
        entries.retain(|known| known_hosts::matches(known.entry.host_patterns(), host));
        Self { entries, accepted: None }
    }

    /// Decides about a key. An entry marked `@cert-authority` speaks of certificates, which are not asked for.
    pub(super) fn judge(&self, key: &PublicKey) -> HostKeyVerdict {
        let same = |entry: &Entry| entry.public_key().key_data() == key.key_data();
        if self.entries.iter().any(|known| known.entry.marker() == Some(&Marker::Revoked) && same(&known.entry)) {
            return HostKeyVerdict::Revoked;
        }
        let accepted = self.accepted.as_ref().is_some_and(|accepted| accepted.key_data() == key.key_data());
        if accepted || self.plain().any(|known| same(&known.entry)) {
            return HostKeyVerdict::Known;
        }
        match self.plain().find(|known| known.entry.public_key().algorithm() == key.algorithm()) {
            Some(known) => HostKeyVerdict::Changed { file: known.file.clone(), line: known.line },
            None => HostKeyVerdict::Unknown { other_type: self.plain().any(|known| is_spoken(&known.entry)) },
        }
    }

    /// The algorithms to ask the device for, those of known keys first. RSA never signs with SHA-1.
    pub(super) fn preferred_algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = ALGORITHMS.to_vec();
        algorithms.sort_by_key(|algorithm| !self.plain().any(|known| same_type(algorithm, &known.entry)));
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
        target: &Target,
        ask: &mut dyn Ask,
    ) -> Result<(), ConnectError> {
        let host = known_hosts::name(&target.address, target.port);
        let fingerprint = fingerprint(key);
        let other_type = match verdict {
            HostKeyVerdict::Known => false,
            HostKeyVerdict::Unknown { other_type } => other_type,
            HostKeyVerdict::Changed { file, line } => {
                let default = target.known_hosts.first() == Some(&file);
                return Err(ConnectError::HostKeyChanged { host, fingerprint, file, line, default });
            }
            HostKeyVerdict::Revoked => return Err(ConnectError::HostKeyRevoked { host, fingerprint }),
        };
        let known = if other_type { ", though by keys of another type" } else { "" };
        let question = format!(
            "the host key of {host} is not known{known}: {} {fingerprint}; is this the device, and is its key to be remembered?",
            key.algorithm()
        );
        let accepted = (target.accept_new && !other_type) || ask.confirm(&question) == Some(true);
        if !accepted {
            return Err(ConnectError::HostKeyUnknown { host, fingerprint, other_type });
        }
        if let Some(path) = target.known_hosts.first() {
            known_hosts::append(path, &target.address, target.port, key)
                .map_err(|source| ConnectError::KnownHosts { path: path.clone(), source })?;
        }
        self.accepted = Some(key.clone());
        Ok(())
    }
}

/// The fingerprint as OpenSSH shows it, `SHA256:…`.
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
    let known = entry.public_key().algorithm();
    *algorithm == known || (matches!(algorithm, Algorithm::Rsa { .. }) && matches!(known, Algorithm::Rsa { .. }))
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
        HostKeys::of(known_hosts::parse(Path::new("file"), text), "192.168.0.69")
    }

    fn judge(text: &str, key: &str) -> HostKeyVerdict {
        keys(text).judge(&key.parse().unwrap())
    }

    #[test]
    fn a_key_is_known_unknown_changed_or_revoked() {
        assert_eq!(judge("", FIRST), HostKeyVerdict::Unknown { other_type: false });
        assert_eq!(judge(&format!("10.0.0.1 {FIRST}\n"), FIRST), HostKeyVerdict::Unknown { other_type: false });
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
        assert_eq!(judge(&text, FIRST), HostKeyVerdict::Unknown { other_type: true });
        let first = keys(&text).preferred_algorithms().first().cloned();
        assert_eq!(first, Some(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }));
        assert_eq!(keys("").preferred_algorithms().first(), Some(&Algorithm::Ed25519));
    }

    #[test]
    fn a_certificate_authority_vouches_for_no_plain_key() {
        assert_eq!(judge(&format!("@cert-authority * {FIRST}\n"), FIRST), HostKeyVerdict::Unknown { other_type: false });
    }
}
