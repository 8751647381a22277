//! Keys of this tool's own: made, read, and added to a device's list without losing others.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
};

use russh::keys::{
    Algorithm, PrivateKey, PublicKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};

use super::{ConnectError, known_hosts::private_directory};
use crate::small_file;

/// A key pair on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The private key's file.
    pub path: PathBuf,
    /// The public key, as one line of authorized_keys without its newline.
    pub public_key: String,
    /// Whether it was made just now.
    pub created: bool,
}

/// Returns the key pair at `path`; where there is none, creates an ed25519 key in OpenSSH's format with mode 0600, and a
/// `.pub` file beside it.
///
/// # Errors
/// [`ConnectError::Identity`] when it cannot be read, [`ConnectError::NotMade`] when it cannot be written. An existing file is never
/// overwritten.
pub fn ensure_key(path: &Path) -> Result<Identity, ConnectError> {
    if path.exists() {
        return Ok(Identity { path: path.to_owned(), public_key: public_key_of(path)?, created: false });
    }
    match create(path) {
        Ok(public_key) => Ok(Identity { path: path.to_owned(), public_key, created: true }),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => ensure_key(path),
        Err(source) => Err(ConnectError::NotMade { path: path.to_owned(), source }),
    }
}

fn create(path: &Path) -> io::Result<String> {
    let pair = Ed25519Keypair::random(&mut russh::keys::key::safe_rng());
    let mut key = PrivateKey::from(pair);
    key.set_comment("o3r-deploy");
    let private = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    let public = key.public_key().to_openssh().map_err(io::Error::other)?;
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        private_directory(directory)?;
    }
    // Written whole under another name first: who comes at the same time reads all of it, and no file is overwritten.
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(private.as_bytes())?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    small_file::write(&beside(path), format!("{public}\n"))?;
    Ok(public)
}

/// Returns the public key of the private key at `path`, as one line of authorized_keys without its newline: from the `.pub`
/// file beside it, else from the private key itself, where OpenSSH's format has it even when encrypted.
///
/// # Errors
/// [`ConnectError::Identity`] when neither can be read.
pub fn public_key_of(path: &Path) -> Result<String, ConnectError> {
    if let Ok(text) = small_file::read(&beside(path))
        && text.parse::<PublicKey>().is_ok()
    {
        return Ok(text.trim().to_owned());
    }
    let text = small_file::read(path).map_err(|error| unusable(path, error))?;
    let key = match PrivateKey::from_openssh(&text) {
        Ok(key) => key.public_key().clone(),
        Err(_) => russh::keys::decode_secret_key(&text, None).map_err(|error| unusable(path, error))?.public_key().clone(),
    };
    key.to_openssh().map_err(|error| unusable(path, error))
}

/// Returns the path of the public key's file: `.pub` is appended.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".pub");
    name.into()
}

fn unusable(path: &Path, error: impl ToString) -> ConnectError {
    ConnectError::Identity { path: path.to_owned(), reason: error.to_string() }
}

/// Adds `key` to a list of authorized keys; `None` when it is in already. Keys are compared by their data, not by their
/// comment, and whatever else the list holds stays as it is.
pub fn merge_authorized_keys(existing: &str, key: &str) -> Option<String> {
    let wanted = key.trim();
    if existing.lines().any(|line| same_key(line, wanted)) {
        return None;
    }
    let kept = existing.trim_end_matches(['\n', '\r']);
    Some(if kept.is_empty() { wanted.to_owned() } else { format!("{kept}\n{wanted}") })
}

/// Returns whether a line has this key. A line may begin with options, so its key is the word after the name of the type.
fn same_key(line: &str, key: &str) -> bool {
    let data = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let at = words.iter().position(|word| Algorithm::new(word).is_ok_and(|name| !matches!(name, Algorithm::Other(_))))?;
        words.get(at..at + 2).map(<[_]>::to_vec)
    };
    !line.trim_start().starts_with('#') && data(line).is_some_and(|found| data(key) == Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const SECOND: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ssh/id_o3r");
        let made = ensure_key(&path).unwrap();
        assert!(made.created && made.public_key.starts_with("ssh-ed25519 ") && made.public_key.ends_with(" o3r-deploy"));
        assert_eq!(ensure_key(&path).unwrap(), Identity { created: false, ..made.clone() });
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::remove_file(beside(&path)).unwrap();
        assert_eq!(public_key_of(&path).unwrap(), made.public_key);
    }

    #[test]
    fn key_is_one_for_all_that_make_it_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ssh/id_o3r");
        let threads: Vec<_> =
            std::iter::repeat_n(path, 8).map(|path| std::thread::spawn(move || ensure_key(&path).unwrap())).collect();
        let keys: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(keys.iter().filter(|key| key.created).count(), 1);
        let words = |key: &Identity| key.public_key.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
        assert!(keys.iter().all(|key| words(key) == words(&keys[0])));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id_o3r");
        std::fs::write(&path, "mine").unwrap();
        assert!(ensure_key(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_key_is_added_once_and_others_stay() {
        assert_eq!(merge_authorized_keys("", &format!("{FIRST} me\n")), Some(format!("{FIRST} me")));
        let list = format!("# ours\n{SECOND} other\n");
        assert_eq!(merge_authorized_keys(&list, FIRST), Some(format!("# ours\n{SECOND} other\n{FIRST}")));
        assert_eq!(merge_authorized_keys(&format!("{list}{FIRST} another comment"), &format!("{FIRST} me")), None);
        assert_eq!(merge_authorized_keys(&format!("no-pty,command=\"a b\" {FIRST} x"), FIRST), None);
        assert!(merge_authorized_keys(&format!("#{FIRST}"), FIRST).is_some());
    }
}
