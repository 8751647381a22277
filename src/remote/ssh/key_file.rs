//! Private keys in files, as far as they can be read without asking anybody.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use russh::keys::{self, Certificate, PrivateKey, decode_secret_key};

use super::{ConnectError, identity};
use crate::{secret::Secret, small_file};

/// A private key's file.
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// The key, unless it is encrypted.
    pub(super) key: Option<Arc<PrivateKey>>,
    /// The public key, where it can be read.
    pub(super) public: Option<keys::PublicKey>,
    /// The certificate of the key: the file beside it whose name ends in `-cert.pub`, as in OpenSSH.
    pub(super) certificate: Option<Certificate>,
}

/// Reads the key that the user named, which must exist.
pub(super) fn named(path: &Path) -> Result<KeyFile, ConnectError> {
    load(path).map_err(|error| {
        let reason = match error {
            keys::Error::IO(error) => error.to_string(),
            error => format!("it is not a private key that can be read: {error}"),
        };
        ConnectError::Identity { path: path.to_owned(), reason }
    })
}

/// Reads a key that may exist; one that exists and cannot be read is added to `tried`.
pub(super) fn usual(path: &Path, tried: &mut Vec<String>) -> Option<KeyFile> {
    match load(path) {
        Ok(file) => Some(file),
        Err(keys::Error::IO(error)) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            tried.push(format!("`{}`, which cannot be read: {error}", path.display()));
            None
        }
    }
}

fn load(path: &Path) -> Result<KeyFile, keys::Error> {
    let text = small_file::read(path)?;
    let key = match decode_secret_key(&text, None) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) if is_encrypted(&text, &error) => None,
        Err(error) => return Err(error),
    };
    let public = match &key {
        Some(key) => Some(key.public_key().clone()),
        None => identity::public_key_of(path).ok().and_then(|line| line.parse().ok()),
    };
    let certificate =
        certificate(path).filter(|vouching| public.as_ref().is_none_or(|public| public.key_data() == vouching.public_key()));
    Ok(KeyFile { path: path.to_owned(), key, public, certificate })
}

fn certificate(path: &Path) -> Option<Certificate> {
    let mut name = path.file_name()?.to_owned();
    name.push("-cert.pub");
    Certificate::from_openssh(small_file::read(&path.with_file_name(name)).ok()?.trim()).ok()
}

/// Returns whether a key is encrypted, which in older formats only the text shows.
fn is_encrypted(text: &str, error: &keys::Error) -> bool {
    matches!(error, keys::Error::KeyIsEncrypted)
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
        || text.contains("ENCRYPTED")
}

/// Opens an encrypted key; `None` when the pass phrase is wrong.
pub(super) fn decrypt(path: &Path, phrase: &Secret) -> Option<PrivateKey> {
    decode_secret_key(&small_file::read(path).ok()?, Some(phrase.expose())).ok()
}
