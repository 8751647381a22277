//! Makes an SSH connection to an address and checks its host key; it does not log in yet.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use russh::{
    Preferred, cipher,
    client::{self, DisconnectReason, Handle},
    keys::{PublicKey, PublicKeyOrCertificate},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

use super::{
    Ask, ConnectError, Ssh, Target,
    host_key::{HostKeyVerdict, HostKeys},
};

/// Maximum time to connect, and the same for the key exchange.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without data after which the device is asked whether it is alive, [`KEEPALIVES`] times.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVES: usize = 3;
/// A blocked write sends no keepalives, so it has a limit of its own; below the 30 s after which a stall must be noticed.
const STALLED_AFTER: Duration = Duration::from_secs(25);

/// Bytes that went through the socket.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// A connection to a device whose host key is agreed on.
pub(super) struct Line {
    pub(super) handle: Handle<Client>,
    /// Why the connection ended, once it has.
    pub(super) lost: watch::Receiver<Option<String>>,
    pub(super) host_key: PublicKey,
}

/// Makes connections to one device: the first, and more where a login needs them.
pub(super) struct Dialer<'a> {
    pub(super) target: &'a Target,
    pub(super) host_keys: HostKeys,
    pub(super) traffic: Arc<Traffic>,
    /// The jump host, once it is logged in to.
    pub(super) jump: Option<std::rc::Rc<Ssh>>,
}

enum Refusal {
    HostKey(PublicKey, HostKeyVerdict),
    Other(ConnectError),
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        Self::Other(error)
    }
}

impl<'a> Dialer<'a> {
    pub(super) fn new(target: &'a Target) -> Result<Self, ConnectError> {
        Ok(Self { target, host_keys: HostKeys::read(target)?, traffic: Arc::default(), jump: None })
    }

    /// Connects. A host key that is not known ends the connection, so that a slow answer meets no time limit of the device's,
    /// and makes a second one where it is accepted.
    pub(super) async fn dial(&mut self, ask: &mut dyn Ask) -> Result<Line, ConnectError> {
        if let (Some(jump), None) = (&self.target.jump, &self.jump) {
            self.jump = Some(std::rc::Rc::new(Box::pin(super::connect(jump, ask)).await?));
        }
        loop {
            match self.handshake().await {
                Ok(line) => return Ok(line),
                Err(Refusal::HostKey(_, HostKeyVerdict::Replaced { serial })) if self.host_keys.prefer_types_of(&serial) => {}
                Err(Refusal::HostKey(key, verdict)) => {
                    let claim = self.target.claim().await;
                    self.host_keys.settle(&key, verdict, (self.target, claim.serial.as_deref()), ask)?;
                }
                Err(Refusal::Other(error)) => return Err(error),
            }
        }
    }

    async fn handshake(&self) -> Result<Line, Refusal> {
        let (read, write): (Half<dyn AsyncRead + Send + Unpin>, Half<dyn AsyncWrite + Send + Unpin>) = match &self.jump {
            Some(jump) => {
                let (read, write) = tokio::io::split(through(jump, self.target).await?);
                (Box::new(read), Box::new(write))
            }
            None => {
                let (read, write) = connect_tcp(self.target).await?.into_split();
                (Box::new(read), Box::new(write))
            }
        };
        let (lost_sender, lost) = watch::channel(None);
        let seen = Arc::default();
        let client = Client {
            host_keys: self.host_keys.clone(),
            target: self.target.clone(),
            seen: Arc::clone(&seen),
            lost: lost_sender,
        };
        let read = BufReader::with_capacity(64 << 10, Counted { inner: read, traffic: Arc::clone(&self.traffic) });
        let wire = tokio::io::join(read, Counted { inner: write, traffic: Arc::clone(&self.traffic) });
        let result = timeout(CONNECT_TIMEOUT, client::connect_stream(Arc::new(self.config()), wire, client)).await;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (address, port) = (self.target.address.clone(), self.target.port);
        let not_ssh = |reason: String| Refusal::Other(ConnectError::NotSsh { address: address.clone(), port, reason });
        match (result, seen) {
            (Ok(Ok(handle)), Some((host_key, _))) => Ok(Line { handle, lost, host_key }),
            (Ok(Err(russh::Error::UnknownKey)), Some((key, verdict))) => Err(Refusal::HostKey(key, verdict)),
            (Ok(Err(russh::Error::Version)), _) => Err(not_ssh("its first line is not an SSH server's".into())),
            (Ok(Err(russh::Error::HUP | russh::Error::IO(_) | russh::Error::Disconnect)), None) => {
                Err(not_ssh("it closed the connection".into()))
            }
            (Err(_), None) => Err(not_ssh(format!("timed out after {} s", CONNECT_TIMEOUT.as_secs()))),
            (Err(_), Some(_)) => Err(ConnectError::NoAnswer { address, port, reason: "it fell silent".into() }.into()),
            (Ok(Err(error)), _) => Err(ConnectError::Handshake { address, reason: error.to_string() }.into()),
            (Ok(Ok(_)), None) => Err(ConnectError::Handshake { address, reason: "it showed no host key".into() }.into()),
        }
    }

    fn config(&self) -> client::Config {
        client::Config {
            window_size: 2 << 20,
            preferred: Preferred {
                key: self.host_keys.preferred_algorithms().into(),
                cipher: ciphers().into(),
                ..Preferred::DEFAULT
            },
            keepalive_interval: Some(KEEPALIVE_INTERVAL),
            keepalive_max: KEEPALIVES,
            inactivity_timeout: Some(STALLED_AFTER),
            nodelay: true,
            ..client::Config::default()
        }
    }
}

/// Returns the ciphers in the order of preference: AES-GCM first where this computer has instructions for it, else
/// chacha20.
fn ciphers() -> Vec<cipher::Name> {
    let gcm = [cipher::AES_128_GCM, cipher::AES_256_GCM];
    let others = [cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];
    let mut ciphers = vec![cipher::CHACHA20_POLY1305];
    let at = if has_aes_instructions() { 0 } else { 1 };
    ciphers.splice(at..at, gcm);
    ciphers.extend(others);
    ciphers
}

fn has_aes_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// One direction of the way to the device.
type Half<T> = Box<T>;

/// Opens a channel through a jump host.
async fn through(jump: &Ssh, target: &Target) -> Result<russh::ChannelStream<client::Msg>, ConnectError> {
    let opening = jump.handle.channel_open_direct_tcpip(target.address.clone(), target.port.into(), "127.0.0.1", 0);
    let no_way = |reason: String| {
        let jump = target.jump.as_ref().map(|jump| jump.address.clone()).unwrap_or_default();
        ConnectError::NoWay { jump, address: target.address.clone(), port: target.port, reason }
    };
    match timeout(CONNECT_TIMEOUT, opening).await {
        Ok(Ok(channel)) => Ok(channel.into_stream()),
        Ok(Err(error)) => Err(no_way(error.to_string())),
        Err(_) => Err(no_way(format!("timed out after {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

async fn connect_tcp(target: &Target) -> Result<TcpStream, ConnectError> {
    let (address, port) = (target.address.clone(), target.port);
    let no_answer = |reason: String| ConnectError::NoAnswer { address: address.clone(), port, reason };
    let too_long = |_| no_answer(format!("timed out after {} s", CONNECT_TIMEOUT.as_secs()));
    let found = timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((target.address.as_str(), port))).await;
    let addresses = found.map_err(too_long)?.map_err(|source| ConnectError::Name { address: address.clone(), source })?;
    let mut last = no_answer("the name stands for no address".into());
    for socket_address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(socket_address)).await {
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(|error| no_answer(error.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                last = ConnectError::Refused { address: address.clone(), port };
            }
            Ok(Err(error)) => last = no_answer(error.to_string()),
            Err(elapsed) => last = too_long(elapsed),
        }
    }
    Err(last)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALLED_AFTER))?;
    Ok(())
}

/// The handler of what the connection asks of this side.
pub(super) struct Client {
    host_keys: HostKeys,
    target: Target,
    seen: Arc<Mutex<Option<(PublicKey, HostKeyVerdict)>>>,
    lost: watch::Sender<Option<String>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Certificates are not asked for.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let verdict = self.host_keys.judge(key, self.target.claim().await.serial.as_deref());
        let known = verdict == HostKeyVerdict::Known;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.clone(), verdict));
        Ok(known)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let reason = match reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the device ended it: {}", info.message),
            DisconnectReason::Error(russh::Error::HUP | russh::Error::Disconnect) => "the device closed it".into(),
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                format!("the device did not answer for {} s", KEEPALIVE_INTERVAL.as_secs() * (KEEPALIVES as u64 + 1))
            }
            DisconnectReason::Error(russh::Error::InactivityTimeout) => {
                format!("the device took nothing for {} s", STALLED_AFTER.as_secs())
            }
            // Reading and writing see the same end, each in its own words.
            DisconnectReason::Error(russh::Error::IO(error)) if has_ended(&error) => "it ended in the middle".into(),
            DisconnectReason::Error(error) => error.to_string(),
        };
        self.lost.send_replace(Some(reason));
        Ok(())
    }
}

fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Counts what passes through one half of the socket.
struct Counted<T> {
    inner: T,
    traffic: Arc<Traffic>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.traffic.received.fetch_add(buf.filled().len().saturating_sub(before) as u64, Ordering::Relaxed);
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &result {
            self.traffic.sent.fetch_add(*written as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_ciphers_come_first_and_none_is_lost() {
        let ciphers = ciphers();
        assert_eq!(ciphers.len(), 6);
        let first = if has_aes_instructions() { cipher::AES_128_GCM } else { cipher::CHACHA20_POLY1305 };
        assert_eq!(ciphers.first(), Some(&first));
    }
}
