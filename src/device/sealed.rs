//! Messages that only the device can read: libsodium's sealed boxes, in which a password travels over the plain HTTP of the
//! configuration interface. A device of firmware 1.21.6 and later that has a password takes new keys in no other way.
//!
//! The format is libsodium's `crypto_box_seal`: a fresh public key, and a box of X25519, XSalsa20 and Poly1305 whose nonce is
//! BLAKE2b of both public keys. What is put into it is as ifm's own client ifm3d has it since 1.6. The parts are RustCrypto's in
//! the versions that SSH brings along; its crate that joins them, `crypto_box`, would bring each a second time.

use blake2::{Blake2b, Digest, digest::consts::U24};
use curve25519_dalek::MontgomeryPoint;
use poly1305::{Poly1305, universal_hash::KeyInit};
use salsa20::{
    XSalsa20,
    cipher::{KeyIvInit, StreamCipher, consts::U10},
    hsalsa,
};
use serde_json::{Value, json};

use crate::secret::Secret;

/// The length of a public key and of a secret one, in bytes.
const KEY: usize = 32;

/// Returns the request that the device expects in the box: to merge `configuration` into its own.
pub(super) fn request(password: &Secret, configuration: &Value) -> Result<String, &'static str> {
    // No message is taken twice, whoever repeats it.
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|_| "this computer gives no random numbers")?;
    let nonce = base64::encode(&nonce);
    Ok(json!({ "request": "set_configuration", "nonce": nonce, "password": password.expose(), "configuration": configuration })
        .to_string())
}

/// Seals a message for the holder of a public key, both in base64 as the device has them.
pub(super) fn seal(message: &str, public_key: &str) -> Result<String, &'static str> {
    let recipient = base64::decode(public_key.trim()).and_then(|key| <[u8; KEY]>::try_from(key).ok());
    let recipient = recipient.ok_or("its public key is none")?;
    let mut secret = [0; KEY];
    getrandom::fill(&mut secret).map_err(|_| "this computer gives no random numbers")?;
    sealed(message.as_bytes(), recipient, secret).map(|sealed| base64::encode(&sealed)).ok_or("its public key is weak")
}

fn sealed(message: &[u8], recipient: [u8; KEY], secret: [u8; KEY]) -> Option<Vec<u8>> {
    let own = MontgomeryPoint::mul_base_clamped(secret).to_bytes();
    let shared = MontgomeryPoint(recipient).mul_clamped(secret).to_bytes();
    // A point of low order would make a key that everybody knows.
    if shared == [0; KEY] {
        return None;
    }
    let key = hsalsa::<U10>(&shared.into(), &[0; 16].into());
    let nonce = Blake2b::<U24>::new().chain_update(own).chain_update(recipient).finalize();
    let mut cipher = XSalsa20::new(&key, &nonce);
    let mut authentication = [0; KEY];
    cipher.apply_keystream(&mut authentication);
    let mut hidden = message.to_vec();
    cipher.apply_keystream(&mut hidden);
    let tag = Poly1305::new(&authentication.into()).compute_unpadded(&hidden);
    Some([&own[..], &tag[..], &hidden].concat())
}

/// Base64 as XML-RPC's own crate has it at hand.
mod base64 {
    use ::base64::{Engine, prelude::BASE64_STANDARD};

    pub(super) fn encode(bytes: &[u8]) -> String {
        BASE64_STANDARD.encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects the box that `crypto_box_seal` of libsodium 1.0.18 makes for the public key of the secret key 1, 2, … 32 and
    /// with the fresh secret key 7, 7, … 7; its `crypto_box_seal_open` opens it.
    #[test]
    fn it_is_what_libsodium_makes() {
        let recipient = MontgomeryPoint::mul_base_clamped(std::array::from_fn(|at| at as u8 + 1)).to_bytes();
        let sealed = sealed(b"keys for the device", recipient, [7; KEY]).expect("sealed");
        assert_eq!(
            base64::encode(&sealed),
            "E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe22ZXa0+eUeTsIa+6Qj/yNS6wNsgtCK2LU/llnuCW95pQoXYwg=="
        );
    }

    #[test]
    fn no_two_are_alike_and_what_is_no_key_is_refused() {
        let key = base64::encode(&MontgomeryPoint::mul_base_clamped([3; KEY]).to_bytes());
        let twice = [seal("x", &key), seal("x", &key)].map(|sealed| sealed.expect("sealed"));
        assert_ne!(twice[0], twice[1]);
        assert_eq!(twice[0].len(), (KEY + 16 + 1usize).div_ceil(3) * 4);
        assert_eq!(seal("x", "AAAA"), Err("its public key is none"));
        assert_eq!(seal("x", &base64::encode(&[0; KEY])), Err("its public key is weak"));
        let asked = |password: &str| request(&Secret::new(password), &json!({ "a": 1 })).expect("a request");
        assert_ne!(asked("p"), asked("p"), "each has a nonce of its own");
        let read: Value = serde_json::from_str(&asked("p\"")).expect("JSON");
        assert_eq!(
            (&read["password"], &read["request"], &read["configuration"]["a"]),
            (&json!("p\""), &json!("set_configuration"), &json!(1))
        );
    }
}
