//! The errors of a connection, and their hints.

use std::{io, path::PathBuf};

use crate::failure::{Explain, FailureKind};

/// Why the device could not be reached or logged in to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name stands for no address.
    #[error("`{address}` is not a known host name: {source}")]
    Name {
        /// Name of the host that is not found.
        address: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// `~/.ssh/config` is wrong.
    #[error("`{path}` is wrong: {reason}", path = path.display())]
    Config {
        /// Path of the file.
        path: PathBuf,
        /// The error message of `ssh`.
        reason: String,
    },
    /// A jump host that is not understood.
    #[error("`ProxyJump {jump}` of `{host}` in ~/.ssh/config is not understood")]
    Jump {
        /// The host that is reached through it.
        host: String,
        /// The value of `ProxyJump`.
        jump: String,
    },
    /// The jump host does not let anything through.
    #[error("the jump host `{jump}` opens no way to `{address}` on port {port}: {reason}")]
    NoWay {
        /// Name of the jump host.
        jump: String,
        /// Address that was to be reached.
        address: String,
        /// The port there.
        port: u16,
        /// The reason that the jump host gave.
        reason: String,
    },
    /// The device is there, but nothing listens on the port.
    #[error("`{address}` refuses connections on port {port}")]
    Refused {
        /// Address of the device.
        address: String,
        /// Port on the device.
        port: u16,
    },
    /// Nobody answers.
    #[error("`{address}` does not answer on port {port}: {reason}")]
    NoAnswer {
        /// Address of the device.
        address: String,
        /// Port on the device.
        port: u16,
        /// The error of the operating system, or the time that was waited.
        reason: String,
    },
    /// Something answers that does not speak SSH.
    #[error("what answers at `{address}` on port {port} does not speak SSH: {reason}")]
    NotSsh {
        /// Address of the server.
        address: String,
        /// Port on the server.
        port: u16,
        /// Description of how it was recognised.
        reason: String,
    },
    /// An SSH server with which no connection can be agreed on.
    #[error("the SSH server at `{address}` and this program cannot agree on how to talk: {reason}")]
    Handshake {
        /// Address of the server.
        address: String,
        /// Description of what failed.
        reason: String,
    },
    /// The host key is not known, and nobody vouched for it.
    #[error("the host key of `{host}` is not known{}: {fingerprint}", if *.other_type { " (keys of other types are)" } else { "" })]
    HostKeyUnknown {
        /// The host as known_hosts names it.
        host: String,
        /// Fingerprint of the host key: `SHA256:…`.
        fingerprint: String,
        /// Whether keys of other types are known for the host.
        other_type: bool,
    },
    /// Another host key is known for this address.
    #[error("the host key of `{host}` has changed to {fingerprint} (another one stands in `{path}`, line {line})", path = file.display())]
    HostKeyChanged {
        /// The host as known_hosts names it.
        host: String,
        /// `SHA256:…` of the key it shows now.
        fingerprint: String,
        /// The file with the other key.
        file: PathBuf,
        /// Line of the other key, counted from 1.
        line: usize,
        /// Whether it is the file that is appended to, the user's own.
        default: bool,
    },
    /// Another host key is pinned to the device's serial number.
    #[error("device {serial} at `{host}` shows another host key than before: {fingerprint}")]
    HostKeyReplaced {
        /// The host as known_hosts names it.
        host: String,
        /// The device's serial number.
        serial: String,
        /// `SHA256:…` of the key it shows now.
        fingerprint: String,
    },
    /// The host key is that of another device than the serial number says.
    #[error("what answers at `{host}` says that it is device {says}, and shows the host key of device {is}: {fingerprint}")]
    HostKeyOfAnother {
        /// The host as known_hosts names it.
        host: String,
        /// Fingerprint of the host key: `SHA256:…`.
        fingerprint: String,
        /// The serial number that it says.
        says: String,
        /// The one that its key is pinned to.
        is: String,
    },
    /// Port 80 and the device that is logged in to say different serial numbers.
    #[error("port 80 of `{address}` says that it is device {outside}, and the device logged in to is {inside}")]
    TwoDevices {
        /// Address of the device.
        address: String,
        /// Serial number that port 80 reports.
        outside: String,
        /// Serial number that the device reports over the connection.
        inside: String,
    },
    /// The host key is marked as revoked.
    #[error("the host key of `{host}` is marked as revoked: {fingerprint}")]
    HostKeyRevoked {
        /// The host as known_hosts names it.
        host: String,
        /// Fingerprint of the host key: `SHA256:…`.
        fingerprint: String,
    },
    /// A known_hosts file could not be read or written.
    #[error("the known host keys in `{path}`: {source}", path = path.display())]
    KnownHosts {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The named key cannot be used.
    #[error("the key `{path}`: {reason}", path = path.display())]
    Identity {
        /// Path of the key.
        path: PathBuf,
        /// Description of why it cannot be used.
        reason: String,
    },
    /// A key cannot be made.
    #[error("the key `{path}` cannot be made: {source}", path = path.display())]
    NotMade {
        /// Path of the key.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The password cannot be had.
    #[error("{0}")]
    Password(Box<dyn Explain>),
    /// The device accepts nothing that was offered.
    #[error("`{address}` accepts nothing that was tried to log in as `{user}`: {}", if tried.is_empty() { "there is no key".to_owned() } else { tried.join(", ") })]
    NotAccepted {
        /// Address of the device.
        address: String,
        /// The user to log in as.
        user: String,
        /// Each key with its fingerprint, and each other way.
        tried: Vec<String>,
    },
}

impl Explain for ConnectError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Jump { .. } | Self::Config { .. } => FailureKind::Usage,
            Self::NoWay { .. }
            | Self::Name { .. }
            | Self::Refused { .. }
            | Self::NoAnswer { .. }
            | Self::NotSsh { .. }
            | Self::Handshake { .. } => FailureKind::Unreachable,
            Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyReplaced { .. }
            | Self::HostKeyOfAnother { .. }
            | Self::TwoDevices { .. }
            | Self::HostKeyRevoked { .. } => FailureKind::HostKey,
            Self::KnownHosts { .. } | Self::Identity { .. } | Self::NotMade { .. } => FailureKind::LocalFile,
            Self::Password(why) => why.kind(),
            Self::NotAccepted { .. } => FailureKind::Authentication,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => "check the spelling, or give the address itself, as in `--IP 192.168.0.69`".into(),
            Self::Config { .. } => "`ssh -G HOST` says the same: correct the file".into(),
            Self::Jump { .. } => "it has the form `[user@]host[:port]`, several with commas between them".into(),
            Self::NoWay { .. } => "does the device answer there, and does the jump host's sshd allow forwarding?".into(),
            Self::Refused { .. } => {
                "is the port right (`--port`), and is sshd up? a device that just started needs up to 200 s".into()
            }
            Self::NoAnswer { .. } => "check power and cable, that this computer has an address in the device's network (for \
                                      192.168.0.69 as 192.168.0.2, but not that very one), and, from firmware 1.21.6 on, that \
                                      the device's firewall lets port 22 through"
                .into(),
            Self::NotSsh { .. } => "is the address right, and the port (`--port`, 22 on these devices)?".into(),
            Self::Handshake { .. } => "is this an O3R device?".into(),
            Self::HostKeyUnknown { host, other_type: true, .. } => format!(
                "it may be another device: answer the question at a terminal, or forget the old keys with `ssh-keygen -R \
                 {}`",
                quoted(host)
            ),
            Self::HostKeyUnknown { .. } => {
                "compare the fingerprint if you can; `--accept-new` accepts and remembers a key that \
                                            is not known, and `o3r-deploy trust` sets up a new device"
                    .into()
            }
            Self::HostKeyChanged { host, file, default, .. } => {
                let file = if *default { String::new() } else { format!("-f {} ", quoted(&file.display().to_string())) };
                format!(
                    "every new O3R device answers at the same address, so another device may simply be plugged in: if that is \
                     so, run `ssh-keygen {file}-R {}` and try again",
                    quoted(host)
                )
            }
            Self::HostKeyReplaced { .. } => {
                "a firmware update or a factory reset changes it: if there was one, run `o3r-deploy \
                                             trust`, which asks; if not, do not go on"
                    .into()
            }
            Self::HostKeyOfAnother { .. } | Self::TwoDevices { .. } => {
                "somebody pretends to be a device, or two of them have the same address: do not go on before you know which"
                    .into()
            }
            Self::HostKeyRevoked { .. } => "somebody marked it `@revoked`: ask why before anything else".into(),
            Self::KnownHosts { .. } => "the file is only read and appended to: check its owner and mode".into(),
            Self::Identity { .. } => "name another with `--identity`, or make one with `o3r-deploy trust`".into(),
            Self::NotMade { .. } => "check the folder that it goes into, or name another place with `--identity`".into(),
            Self::Password(why) => return why.hint(),
            Self::NotAccepted { address, .. } => format!("`o3r-deploy trust --IP {address}` gives the device a key of yours"),
        })
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
