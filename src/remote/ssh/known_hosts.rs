//! The known_hosts format: which entries speak of a host, and adding one. Format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{
    PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns},
};
use sha1::Sha1;

use crate::{
    small_file::{self, LIST_LIMIT},
    text::fits,
};

/// One entry and where it stands.
#[derive(Clone, Debug)]
pub(super) struct KnownHost {
    pub(super) file: PathBuf,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) entry: Entry,
}

/// Reads the entries of a file that exists; lines that are none are passed over, as OpenSSH does.
///
/// # Errors
/// When the file exists and cannot be read.
pub(super) fn read(file: &Path) -> io::Result<Vec<KnownHost>> {
    match small_file::bytes(file, LIST_LIMIT) {
        Ok(bytes) => Ok(parse(file, &String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

pub(super) fn parse(file: &Path, text: &str) -> Vec<KnownHost> {
    let entry = |(index, line): (usize, &str)| {
        let line_of_words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let entry = (!line_of_words.starts_with('#')).then(|| line_of_words.parse().ok()).flatten()?;
        Some(KnownHost { file: file.to_owned(), line: index + 1, entry })
    };
    text.lines().enumerate().filter_map(entry).collect()
}

/// Returns the name of a host in the file: with its port in brackets unless that is 22.
pub(super) fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Returns whether an entry's patterns match the host `name`. One matching negation outweighs all other patterns.
pub(super) fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok())
        }
        HostPatterns::Patterns(patterns) => {
            let speaks = |pattern: &str| fits(&pattern.to_ascii_lowercase(), name);
            let refused = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(speaks);
            !refused && patterns.iter().any(|pattern| speaks(pattern))
        }
    }
}

/// Appends `key` as that of `host`. The file is created with mode 0600 and its directory with 0700 where they are missing.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, host: &str, port: u16, key: &PublicKey) -> io::Result<()> {
    append_named(path, &name(host, port), key)
}

/// Appends `key` like [`append`], for a host by its name in the file.
pub(super) fn append_named(path: &Path, name: &str, key: &PublicKey) -> io::Result<()> {
    let mut key = key.clone();
    key.set_comment("");
    let key = key.to_openssh().map_err(io::Error::other)?;
    append_line(path, &format!("{name} {}", key.trim_end()))
}

/// Appends a line to a private file.
pub(super) fn append_line(path: &Path, line: &str) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        private_directory(directory)?;
    }
    small_file::check_target(path)?;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let separator = if ends_in_newline(&mut file)? { "" } else { "\n" };
    file.write_all(format!("{separator}{line}\n").as_bytes())
}

fn ends_in_newline(file: &mut std::fs::File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Makes a directory that only its owner can enter, unless it is there.
pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("`{}` is no directory", path.display())));
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

    fn speaks(patterns: &str, host: &str, port: u16) -> bool {
        matches(&patterns.parse().unwrap(), &name(host, port))
    }

    #[test]
    fn a_host_is_matched_by_name_wildcard_port_and_hash() {
        assert!(speaks("192.168.0.69", "192.168.0.69", 22));
        assert!(!speaks("192.168.0.69", "192.168.0.69", 2222));
        assert!(speaks("a,[192.168.0.69]:2222", "192.168.0.69", 2222));
        assert!(speaks("192.168.0.*", "192.168.0.69", 22));
        assert!(speaks("192.168.0.?9", "192.168.0.69", 22));
        assert!(!speaks("192.168.0.?", "192.168.0.69", 22));
        assert!(!speaks("192.168.0.*,!192.168.0.69", "192.168.0.69", 22));
        assert!(speaks("VPU.example", "vpu.EXAMPLE", 22));
        let hashed = "|1|lcY/In3lsGnkJikLENb0DM70B/I=|Qs4e9Nr7mM6avuEv02fw2uFnwQo=";
        assert!(!speaks(hashed, "192.168.0.69", 22));
    }

    #[test]
    fn broken_lines_and_comments_are_passed_over_and_lines_are_counted() {
        let text = format!("# a comment\n\nnonsense\n  a\t{KEY} x # y\n@revoked b {KEY}\n");
        let lines: Vec<_> = parse(Path::new("f"), &text).into_iter().map(|known| known.line).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn appending_keeps_what_is_there_even_without_a_last_newline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/known_hosts");
        let key: PublicKey = KEY.parse().unwrap();
        append(&path, "a", 22, &key).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("a {KEY}\n"));
        std::fs::write(&path, "# no newline").unwrap();
        append(&path, "b", 2222, &key).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("# no newline\n[b]:2222 {KEY}\n"));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ssh/known_hosts");
        append(&path, "a", 22, &KEY.parse().unwrap()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }
}
