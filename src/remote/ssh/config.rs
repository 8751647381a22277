//! Reads the settings for a host from `~/.ssh/config` as OpenSSH's own `ssh -G` reads it: `Host`, `Match`, `Include` and
//! all. Without that program the file has no effect. Tokens in `IdentityFile` are left as they are.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use super::{ConnectError, DEFAULT_PORT, Target};

/// The settings of the file; a setting that it does not have is what it would be without a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `HostName`, where the host is another one than that which was named.
    pub host_name: Option<String>,
    /// The user to log in as: `User`.
    pub user: Option<String>,
    /// The port of the host's sshd: `Port`.
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
    /// `ssh` finds the file wrong, or does not answer.
    pub async fn of(host: &str) -> Result<Self, ConnectError> {
        match std::env::home_dir().map(|home| home.join(".ssh/config")).filter(|file| file.is_file()) {
            Some(file) => Self::read(&file, host).await,
            None => Ok(Self::default()),
        }
    }

    /// Asks `ssh` for the settings that an existing file has for a host.
    ///
    /// # Errors
    /// As [`HostConfig::of`].
    pub async fn read(file: &Path, host: &str) -> Result<Self, ConnectError> {
        let Some(told) = ask(file, host).await? else { return Ok(Self::default()) };
        let mut config = parse(&told, host);
        // Where nothing is said `ssh` tells the name of this computer's user, which it may know where this program does not.
        if config.user.is_some() && !is_known_here() {
            let default = ask(Path::new("none"), host).await?.unwrap_or_default();
            config.user = config.user.filter(|user| value(&default, "user") != Some(user));
        }
        Ok(config)
    }
}

/// Maximum time that `ssh -G` may take: `Match exec` runs commands.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Returns the output of `ssh -G`; `None` where there is no such program.
async fn ask(file: &Path, host: &str) -> Result<Option<String>, ConnectError> {
    let mut command = Command::new("ssh");
    command.arg("-G").arg("-F").arg(file).arg("--").arg(host).stdin(Stdio::null()).kill_on_drop(true);
    let wrong = |reason| ConnectError::Config { path: file.to_owned(), reason };
    let output = match timeout(ANSWER_MAX, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(_)) => return Ok(None),
        Err(_) => {
            let seconds = ANSWER_MAX.as_secs();
            return Err(wrong(format!("`ssh -G {host}` does not answer within {seconds} s: does a `Match exec` wait?")));
        }
    };
    if !output.status.success() {
        return Err(wrong(crate::remote::last_lines(&output.stderr, 2).join("; ")));
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// The keys that OpenSSH tries where nothing is said.
const USUAL_KEYS: [&str; 7] = [
    "~/.ssh/id_rsa",
    "~/.ssh/id_dsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
    "~/.ssh/id_xmss",
];

fn values<'a>(told: &'a str, key: &str) -> Vec<&'a str> {
    let lines = told.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value.trim()).collect()
}

fn value<'a>(told: &'a str, key: &str) -> Option<&'a str> {
    values(told, key).into_iter().next().filter(|value| !value.is_empty() && *value != "none")
}

/// Reads the lines `key value` of `ssh -G`. What is as it is without a file is no wish of the user's.
pub(super) fn parse(told: &str, host: &str) -> HostConfig {
    let one = |key: &str| value(told, key).map(str::to_owned);
    let home = std::env::home_dir().unwrap_or_default();
    let path = |text: &str| match text.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(text),
    };
    let mut identities = values(told, "identityfile");
    if identities.len() > 1 && identities.iter().all(|file| USUAL_KEYS.contains(file)) {
        identities.clear();
    }
    HostConfig {
        host_name: one("hostname").filter(|name| name != host),
        user: one("user").filter(|user| !is_own_user(user)),
        port: one("port").and_then(|port| port.parse().ok()).filter(|port| *port != DEFAULT_PORT),
        identities: identities.into_iter().filter(|file| *file != "none").map(path).collect(),
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

/// Returns the name of this computer's user.
pub(super) fn own_user() -> Option<String> {
    let told = || ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    user_of_process().or_else(told).filter(|name| !name.is_empty())
}

/// Returns whether the name of this computer's user is known in the way in which `ssh` knows it.
fn is_known_here() -> bool {
    user_of_process().is_some()
}

/// Returns whether it is the name of this computer's user, on Windows also with the domain before it.
fn is_own_user(user: &str) -> bool {
    own_user().is_some_and(|own| {
        user == own || (cfg!(windows) && user.rsplit('\\').next().is_some_and(|last| last.eq_ignore_ascii_case(&own)))
    })
}

/// Returns the user of this process in `/etc/passwd`.
#[cfg(unix)]
fn user_of_process() -> Option<String> {
    let number = rustix::process::getuid().as_raw().to_string();
    let text = crate::small_file::read(Path::new("/etc/passwd")).ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines
        .find(|words| words.get(2).is_some_and(|word| *word == number))
        .and_then(|words| words.first().map(|name| (*name).to_owned()))
}

#[cfg(not(unix))]
fn user_of_process() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_the_defaults_was_said_by_the_user() {
        let me = own_user().unwrap_or_default();
        let default = format!(
            "user {me}\nhostname bench\nport 22\nidentitiesonly no\nidentityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n"
        );
        assert_eq!(parse(&default, "bench"), HostConfig::default());
        let told = "user oem\nhostname 192.168.0.69\nport 2222\nidentitiesonly yes\nidentityfile /keys/a b\nidentityfile /keys/c\nproxyjump me@gate:2200\nhostkeyalias bench1\n";
        assert_eq!(
            parse(told, "bench"),
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
