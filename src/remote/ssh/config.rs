//! What `~/.ssh/config` says of a host, as OpenSSH's own `ssh -G` reads it: `Host`, `Match`, `Include` and all. Without that program
//! the file says nothing here. It leaves tokens in `IdentityFile` as they are.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{ConnectError, Target};

/// What the file says; what it does not say is what it would be without a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `HostName`, where the host is another one than that which was named.
    pub host_name: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `IdentityFile`, in their order.
    pub identities: Vec<PathBuf>,
    /// `IdentitiesOnly`: no other keys are tried.
    pub identities_only: bool,
    /// `HostKeyAlias`: the name under which known_hosts has the host.
    pub alias: Option<String>,
    /// `ProxyJump`, as it is written.
    pub jump: Option<String>,
}

impl HostConfig {
    /// Asks `ssh` what the file `~/.ssh/config` says of a host.
    ///
    /// # Errors
    /// What `ssh` finds wrong with the file.
    pub fn of(host: &str) -> Result<Self, ConnectError> {
        let file = std::env::home_dir().map(|home| home.join(".ssh/config"));
        file.filter(|file| file.is_file()).map_or_else(|| Ok(Self::default()), |file| Self::read(&file, host))
    }

    /// The same of a file that is there.
    ///
    /// # Errors
    /// As [`HostConfig::of`].
    pub fn read(file: &Path, host: &str) -> Result<Self, ConnectError> {
        // What both say is OpenSSH's own default and no wish of the user's.
        Ok(match (ask(file, host)?, ask(Path::new("none"), host)?) {
            (Some(told), Some(default)) => parse(&told, &default, host),
            _ => Self::default(),
        })
    }
}

/// What `ssh` says; nothing where there is no such program.
fn ask(file: &Path, host: &str) -> Result<Option<String>, ConnectError> {
    let mut command = Command::new("ssh");
    command.arg("-G").arg("-F").arg(file).arg("--").arg(host).stdin(Stdio::null());
    let Ok(output) = command.output() else { return Ok(None) };
    if !output.status.success() {
        let reason = crate::remote::last_lines(&output.stderr, 2).join("; ");
        return Err(ConnectError::Config { path: file.to_owned(), reason });
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Reads the lines `key value` of `ssh -G`.
pub(super) fn parse(told: &str, default: &str, host: &str) -> HostConfig {
    let values = |text: &str, key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.filter(|(name, _)| *name == key).map(|(_, value)| value.trim().to_owned()).collect()
    };
    let set = |key: &str| {
        let (told, default) = (values(told, key), values(default, key));
        if told == default { Vec::new() } else { told }
    };
    let one = |key: &str| set(key).into_iter().next().filter(|value| !value.is_empty() && value != "none");
    let home = std::env::home_dir().unwrap_or_default();
    let path = |text: String| match text.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(text),
    };
    HostConfig {
        host_name: one("hostname").filter(|name| name != host),
        user: one("user"),
        port: one("port").and_then(|port| port.parse().ok()),
        identities: set("identityfile").into_iter().filter(|file| file != "none").map(path).collect(),
        identities_only: one("identitiesonly").is_some_and(|value| value == "yes"),
        alias: one("hostkeyalias"),
        jump: one("proxyjump"),
    }
}

/// Reads `[user@]host[:port]` or `ssh://[user@]host[:port]`; the user is empty where none is named.
pub(super) fn jump(word: &str) -> Option<Target> {
    let word = word.trim();
    let word = word.strip_prefix("ssh://").unwrap_or(word);
    let (user, place) = word.rsplit_once('@').unwrap_or(("", word));
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map_or(Some(22), |port| port.parse().ok())?;
    let fits = !host.is_empty() && !host.starts_with('-');
    // The devices' pins are no business of a jump host.
    fits.then(|| Target { user: user.into(), port, devices: None, ..Target::new(host) })
}

/// The name of this computer's user.
pub(super) fn own_user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_the_defaults_was_said_by_the_user() {
        let default = "user me\nhostname bench\nport 22\nidentitiesonly no\nidentityfile ~/.ssh/id_rsa\n";
        assert_eq!(parse(default, default, "bench"), HostConfig::default());
        let told = "user oem\nhostname 192.168.0.69\nport 2222\nidentitiesonly yes\nidentityfile /keys/a b\nidentityfile /keys/c\nproxyjump me@gate:2200\nhostkeyalias bench1\n";
        assert_eq!(
            parse(told, default, "bench"),
            HostConfig {
                host_name: Some("192.168.0.69".into()),
                user: Some("oem".into()),
                port: Some(2222),
                identities: vec!["/keys/a b".into(), "/keys/c".into()],
                identities_only: true,
                alias: Some("bench1".into()),
                jump: Some("me@gate:2200".into()),
            }
        );
    }

    #[test]
    fn a_jump_host_is_read_with_user_and_port() {
        let read = |word: &str| jump(word).map(|target| (target.user, target.address, target.port));
        assert_eq!(read("gate"), Some((String::new(), "gate".into(), 22)));
        assert_eq!(read(" ssh://me@gate:2200"), Some(("me".into(), "gate".into(), 2200)));
        assert_eq!(read("me@[fe80::1]:2200"), Some(("me".into(), "fe80::1".into(), 2200)));
        assert_eq!((read("gate:x"), read("-oProxyCommand=x"), read("")), (None, None, None));
    }
}
