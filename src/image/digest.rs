//! SHA-256 digests as docker writes them: `sha256:` and 64 hexadecimal digits.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// A text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest")]
pub struct DigestError(String);

macro_rules! digest {
    ($(#[$text:meta])* $name:ident) => {
        $(#[$text])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Returns the digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self::finish(Sha256::new_with_prefix(bytes))
            }

            /// Returns the digest of the data that a hasher was given.
            pub(super) fn finish(hasher: Sha256) -> Self {
                Self(hasher.finalize().into())
            }

            /// Returns the 64 hexadecimal digits, without `sha256:`.
            pub fn hex(&self) -> String {
                self.0.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "sha256:{}", self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                parse(text).map(Self).ok_or_else(|| DigestError(text.chars().take(80).collect()))
            }
        }
    };
}

digest! {
    /// The ID of an image in docker: the digest of its configuration, byte for byte.
    ImageId
}
digest! {
    /// The digest of a layer's uncompressed tar archive.
    DiffId
}
digest! {
    /// A layer on a certain chain of parents: what docker's layer store is keyed by.
    ChainId
}
digest! {
    /// The digest of a blob in an OCI archive, as it is stored there.
    BlobId
}

/// Parses a digest with or without its prefix, which podman leaves out.
fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if digits.len() != 64 || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Returns the chain ID of each layer, from the bottom: that of the lowest is its diff ID, every other is the digest of its
/// parent's chain ID, a space and its own diff ID (OCI image specification, "Layer ChainID").
pub fn chain_ids(diff_ids: &[DiffId]) -> Vec<ChainId> {
    let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = match chain.last() {
            None => ChainId(diff_id.0),
            Some(parent) => ChainId::of(format!("{parent} {diff_id}").as_bytes()),
        };
        chain.push(id);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let id = ImageId::of(b"");
        assert_eq!(id.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.hex().parse(), Ok(id));
        for wrong in ["", "sha256:", "sha256:E3", "sha512:00", &"g".repeat(64), &"ä".repeat(32)] {
            assert!(wrong.parse::<ImageId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_chain_id_names_the_layer_and_all_below_it() {
        let (a, b) = (DiffId::of(b"a"), DiffId::of(b"b"));
        let chain = chain_ids(&[a, b, b]);
        assert_eq!(chain[0].hex(), a.hex());
        assert_eq!(chain[1], ChainId::of(format!("{a} {b}").as_bytes()));
        assert_eq!(chain[2], ChainId::of(format!("{} {b}", chain[1]).as_bytes()));
        assert_ne!(chain_ids(&[b, a])[1], chain[1]);
        assert!(chain_ids(&[]).is_empty());
    }
}
