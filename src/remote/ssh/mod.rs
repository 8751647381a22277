//! The device over SSH: one connection, made for a current-thread runtime, that carries commands and files.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use russh::keys::PublicKey;
use tokio::sync::watch;

use self::{
    dial::{Client, Dialer, Line, Traffic},
    host_key::HostKeys,
    sessions::Sessions,
};
use super::{Downloaded, Exit, FileRange, Get, Input, OnBytes, OnOutput, Remote, RemoteError, TarDownload, TarUpload};
use crate::{command::Command, secret::Secret};

mod agent;
mod config;
mod devices;
mod dial;
mod error;
mod exec;
mod frame;
mod host_key;
mod identity;
mod key_file;
mod known_hosts;
mod login;
mod password;
mod pieces;
mod rest;
mod room;
mod sessions;
mod silence;
mod stream;

pub use config::HostConfig;
pub use error::ConnectError;
pub use host_key::HostKeyVerdict;
pub use identity::{Identity, ensure_key, merge_authorized_keys, public_key_of};
pub use known_hosts::append;
pub use password::Password;

/// Understands a file of known host keys, and holds each entry against a name.
pub(crate) fn read_known_hosts(text: &str) {
    for known in known_hosts::parse(std::path::Path::new("known_hosts"), text) {
        known_hosts::matches(known.entry.host_patterns(), "[192.168.0.69]:2222");
    }
}

/// Understands what `ssh -G` says, and the jump hosts in it.
pub(crate) fn read_config(text: &str) {
    let said = config::parse(text, "device");
    for word in said.jump.iter().flat_map(|jump| jump.split(',')).chain(text.lines()) {
        config::jump(word);
    }
}

/// Unpacks an archive of the device's into the files that were asked for.
pub(crate) fn read_archive(bytes: &[u8], files: &[(String, PathBuf)]) {
    let files: Vec<_> = files.iter().map(|(remote, local)| Get { remote: remote.clone(), local: local.clone() }).collect();
    let _ = stream::unpack(&files, bytes, &AtomicU64::new(0));
}

/// The user and the port that are used where nothing else is configured.
const DEFAULT_USER: &str = "oem";
const DEFAULT_PORT: u16 = 22;

/// The device to connect to, and the ways to log in.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host name or address.
    pub address: String,
    /// The port of its sshd.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// The key to log in with, before all others.
    pub identity: Option<PathBuf>,
    /// The name under which known_hosts has the host, where it is another than the address.
    pub alias: Option<String>,
    /// The host through which it is reached.
    pub jump: Option<Box<Target>>,
    /// The treatment of a host key that is not the one pinned to the device's serial number.
    pub changed: Changed,
    /// The file with the host keys of devices by their serial numbers.
    pub devices: Option<PathBuf>,
    /// Whether a host key that is not known is accepted and remembered without a question.
    pub accept_new: bool,
    /// The password, tried after all keys.
    pub password: Option<Password>,
    /// Files with known host keys; the first takes new ones.
    pub known_hosts: Vec<PathBuf>,
    /// The identity that the device reports outside of the connection; it is waited for where it is needed.
    pub claim: watch::Receiver<Option<Claim>>,
    /// The agent's socket, on Windows its named pipe.
    pub agent: Option<PathBuf>,
    /// Private keys to try after the agent's; those that are missing are passed over.
    pub keys: Vec<PathBuf>,
    /// The key that `trust` makes: where it is named and missing, the device is not trusted yet.
    pub own_key: Option<PathBuf>,
}

/// The treatment of a host key that is not the one pinned to the device's serial number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changed {
    /// The host key is refused.
    #[default]
    Refuse,
    /// Somebody is asked who came to say so.
    Ask,
    /// The host key is accepted.
    Accept,
}

/// The identity that the device reports outside of the connection, without proof, while the connection is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Serial number of the device.
    pub serial: Option<String>,
    /// Whether it may still have the password of old firmware, which is then tried.
    pub old_firmware: bool,
}

impl Claim {
    /// Returns a claim that never comes.
    pub fn none() -> watch::Receiver<Option<Self>> {
        watch::channel(None).1
    }

    /// Returns a claim that has come.
    pub fn now(self) -> watch::Receiver<Option<Self>> {
        watch::channel(Some(self)).1
    }
}

impl Target {
    /// Returns the name of the host in known_hosts.
    fn host(&self) -> String {
        match &self.alias {
            Some(alias) => alias.to_ascii_lowercase(),
            None => known_hosts::name(&self.address, self.port),
        }
    }

    /// Adopts the settings of `~/.ssh/config` for this host where nothing else is configured: a user, a port and an
    /// identity that are already set are kept unless they are the defaults.
    ///
    /// # Errors
    /// A `ProxyJump` that is not understood.
    pub async fn with_config(mut self, mut said: HostConfig) -> Result<Self, ConnectError> {
        let named = self.address.clone();
        let jumps = said.jump.take();
        if self.user == DEFAULT_USER {
            self.user = said.user.take().unwrap_or(self.user);
        }
        let mut this = self.with(said);
        // The last of several is the nearest to the device.
        for word in jumps.iter().flat_map(|jumps| jumps.split(',')) {
            let mut jump = config::jump(word).ok_or_else(|| ConnectError::Jump { host: named.clone(), jump: word.into() })?;
            jump.known_hosts = this.known_hosts.clone();
            jump.accept_new = this.accept_new;
            let mut jump = jump.with_own_config().await?;
            jump.jump = this.jump.take();
            this.jump = Some(Box::new(jump));
        }
        Ok(this)
    }

    /// Adds the settings of `~/.ssh/config` to a jump host; its own jump hosts are in the list that names it.
    async fn with_own_config(mut self) -> Result<Self, ConnectError> {
        let mut said = HostConfig::of(&self.address).await?;
        if self.user.is_empty() {
            self.user = said.user.take().or_else(config::own_user).unwrap_or_default();
        }
        Ok(self.with(said))
    }

    /// Applies the settings of the user's configuration to any host, the device or a jump host.
    fn with(mut self, said: HostConfig) -> Self {
        self.address = said.host_name.unwrap_or(self.address);
        if self.port == DEFAULT_PORT {
            self.port = said.port.unwrap_or(self.port);
        }
        if said.identities_only {
            (self.agent, self.keys) = (None, Vec::new());
        }
        self.keys.splice(0..0, said.identities);
        self.alias = said.alias;
        self
    }

    /// Waits for the claim, or until it is known that there will be none.
    async fn claim(&self) -> Claim {
        let mut claim = self.claim.clone();
        let mut claim = claim.wait_for(Option::is_some).await.ok().and_then(|claim| claim.clone()).unwrap_or_default();
        claim.serial = claim.serial.filter(|serial| devices::is_serial(serial));
        claim
    }

    /// Creates the target for a device in its factory state, with the files of this computer's user: known hosts and keys
    /// in `~/.ssh`, and an agent. This is the one place that looks into the environment.
    pub fn new(address: impl Into<String>) -> Self {
        let directory = std::env::home_dir().map(|home| home.join(".ssh"));
        let own = |names: &[&str]| directory.iter().flat_map(|path| names.iter().map(|name| path.join(name))).collect();
        let own_key = directory.as_ref().map(|path| path.join("id_o3r"));
        let agent = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self {
            address: address.into(),
            port: 22,
            user: "oem".into(),
            identity: None,
            alias: None,
            jump: None,
            changed: Changed::Refuse,
            devices: std::env::home_dir().map(|home| home.join(".o3r-deploy/devices")),
            accept_new: false,
            password: None,
            known_hosts: own(&["known_hosts"]),
            claim: Claim::none(),
            agent: agent.or_else(|| cfg!(windows).then(|| r"\\.\pipe\openssh-ssh-agent".into())),
            keys: own(&["id_o3r", "id_ed25519", "id_ecdsa", "id_rsa"]),
            own_key,
        }
    }
}

/// Somebody who may be asked.
pub trait Ask {
    /// Yes or no; `None` when nobody can be asked.
    fn confirm(&mut self, question: &str) -> Option<bool>;

    /// Asks for a pass phrase or password; `None` when nobody can be asked.
    fn secret(&mut self, question: &str) -> Option<Secret>;
}

/// Maximum time that an answer of the device itself may take, and its maximum size in bytes.
const ASIDE: Duration = Duration::from_secs(3);
const ANSWER_LIMIT: u64 = 1 << 20;

/// A device that is logged in to.
pub struct Ssh {
    handle: russh::client::Handle<Client>,
    lost: watch::Receiver<Option<String>>,
    sessions: Sessions,
    user: String,
    /// Whether its login shell was seen to come to a command.
    shell_starts: AtomicBool,
    /// Whether docker did not answer when it was asked last.
    docker_missed: AtomicBool,
    traffic: Arc<Traffic>,
    host_key: PublicKey,
    host_keys: std::cell::RefCell<HostKeys>,
    host: String,
    may_change: bool,
    /// The way goes through it as long as the connection lives.
    _jump: Option<std::rc::Rc<Ssh>>,
}

/// Connects and logs in.
///
/// # Errors
/// The network, the host key or the login prevents the connection; the error has a hint.
pub async fn connect(target: &Target, ask: &mut dyn Ask) -> Result<Ssh, ConnectError> {
    let mut dialer = Dialer::new(target)?;
    let traffic = Arc::clone(&dialer.traffic);
    let Line { handle, lost, host_key } = login::login(&mut dialer, ask).await?;
    let (host_keys, jump) = (dialer.host_keys, dialer.jump);
    tracing::debug!(target: LOG, "connected to {}@{}:{}", target.user, target.address, target.port);
    Ok(Ssh {
        handle,
        lost,
        sessions: Sessions::default(),
        user: target.user.clone(),
        shell_starts: AtomicBool::new(false),
        docker_missed: AtomicBool::new(false),
        traffic,
        host_key,
        host_keys: host_keys.into(),
        host: target.host(),
        _jump: jump,
        may_change: target.changed != Changed::Refuse,
    })
}

/// The log target of commands and their output.
const LOG: &str = "o3r_deploy::remote";

impl Ssh {
    /// Returns the fingerprint of the device's host key, `SHA256:…`.
    pub fn host_key_fingerprint(&self) -> String {
        host_key::fingerprint(&self.host_key)
    }

    /// Returns the serial number of the device that answered at this address before, where it is another one than `serial`.
    pub fn device_before(&self, serial: &str) -> Option<String> {
        self.host_keys.borrow().before(Some(serial)).map(str::to_owned)
    }

    /// Returns the serial number to which the device's host key is pinned.
    pub fn device_of_key(&self) -> Option<String> {
        self.host_keys.borrow().devices.owner(&self.host_key).map(str::to_owned)
    }

    /// Pins the device's host key to its serial number.
    ///
    /// # Errors
    /// Another key is pinned to the number, or the number is not that of the key.
    pub fn pin(&self, serial: &str) -> Result<(), ConnectError> {
        if !devices::is_serial(serial) {
            return Ok(());
        }
        let (host, fingerprint) = (self.host.clone(), self.host_key_fingerprint());
        let mut host_keys = self.host_keys.borrow_mut();
        let devices = &host_keys.devices;
        match devices.owner(&self.host_key) {
            Some(is) if !devices.has(serial, &self.host_key) => {
                return Err(ConnectError::HostKeyOfAnother { host, fingerprint, says: serial.into(), is: is.into() });
            }
            None if devices.knows(serial) && !self.may_change => {
                return Err(ConnectError::HostKeyReplaced { host, serial: serial.into(), fingerprint });
            }
            _ => {}
        }
        let path = devices.file().map(std::path::Path::to_owned).unwrap_or_default();
        host_keys.pin(serial, &self.host_key).map_err(|source| ConnectError::KnownHosts { path, source })
    }

    /// Sends `request` to a port of the device's own loopback address, over this connection, and gives what comes back until it is
    /// closed; nothing when the device does not allow that, or takes longer than 3 s.
    pub async fn ask_inside(&self, port: u16, request: &[u8]) -> Option<Vec<u8>> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let asked = async {
            let channel = self.handle.channel_open_direct_tcpip("127.0.0.1", port.into(), "127.0.0.1", 0).await.ok()?;
            let mut stream = channel.into_stream();
            stream.write_all(request).await.ok()?;
            let mut answer = Vec::new();
            stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await.ok()?;
            Some(answer)
        };
        tokio::time::timeout(ASIDE, asked).await.ok().flatten()
    }

    /// Bytes received through the socket so far, with all that SSH adds.
    pub fn bytes_received(&self) -> u64 {
        self.traffic.received.load(Ordering::Relaxed)
    }

    /// Says goodbye and waits a moment until the connection is closed.
    pub async fn disconnect(self) {
        let goodbye = self.handle.disconnect(russh::Disconnect::ByApplication, "", "");
        let closed = async {
            // A connection that is gone already needs no goodbye.
            let _ = goodbye.await;
            self.lost().await
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
    }

    /// Waits until the connection is lost, and says why.
    async fn lost(&self) -> RemoteError {
        let mut lost = self.lost.clone();
        let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        RemoteError::Lost { reason: reason.unwrap_or_else(|| "it was closed".into()) }
    }
}

impl Remote for Ssh {
    fn bytes_sent(&self) -> u64 {
        self.traffic.sent.load(Ordering::Relaxed)
    }

    async fn exec(&self, command: &Command, input: Input, output: &mut OnOutput<'_>) -> Result<Exit, RemoteError> {
        exec::exchange(self, command, input, &mut |_| (), exec::Sink::Call(output)).await
    }

    async fn put(&self, taking: &TarUpload<'_>, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        stream::put(self, taking, progress).await
    }

    async fn append(&self, command: &Command, rest: &FileRange, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        rest::append(self, command, rest, progress).await
    }

    async fn get(&self, giving: &TarDownload<'_>, progress: &mut OnBytes<'_>) -> Result<Vec<Downloaded>, RemoteError> {
        stream::get(self, giving, progress).await
    }

    async fn take(&self, command: &Command, rest: &FileRange, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        rest::take(self, command, rest, progress).await
    }
}
