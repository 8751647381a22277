//! Logging in: which keys and passwords are tried, and in which order.

use std::{path::Path, sync::Arc};

use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, KeyboardInteractiveAuthResponse},
    keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, agent::AgentIdentity},
};

use super::{
    Ask, ConnectError,
    agent::{self, Agent},
    dial::{Dialer, Line},
    host_key::fingerprint,
    key_file::{self, KeyFile},
};
use crate::{remote::printable, secret::Secret};

/// Number of times that a pass phrase or a password is asked for.
const PROMPTS: usize = 3;

/// Logs in over a new connection: the named key, the agent's, the usual keys, then passwords.
pub(super) async fn login(dialer: &mut Dialer<'_>, ask: &mut dyn Ask) -> Result<Line, ConnectError> {
    let mut tried = Vec::new();
    let identity = match &dialer.target.identity {
        Some(path) if dialer.target.own_key.as_ref() == Some(path) && !path.exists() => {
            tried.push(format!("`{}`, which is not there: the device is not trusted yet", path.display()));
            None
        }
        Some(path) => Some(key_file::named(path)?),
        None => None,
    };
    let line = dialer.dial(ask).await?;
    let mut login = Login { dialer, ask, line, methods: MethodSet::empty(), tried, offered: Vec::new() };
    if login.run(identity).await? {
        return Ok(login.line);
    }
    let Login { tried, dialer, .. } = login;
    let target = dialer.target;
    Err(ConnectError::NotAccepted { address: target.address.clone(), user: target.user.clone(), tried })
}

struct Login<'a, 'b> {
    dialer: &'a mut Dialer<'b>,
    ask: &'a mut dyn Ask,
    line: Line,
    /// The methods that the device accepts, as it reports them.
    methods: MethodSet,
    tried: Vec<String>,
    /// Keys that were tried, so that none is tried twice.
    offered: Vec<PublicKey>,
}

/// One way to log in.
enum AuthMethod<'a> {
    None,
    Key(&'a Arc<PrivateKey>),
    Certificate(&'a Arc<PrivateKey>, &'a Certificate),
    /// Asks whether the device would accept this key, without a signature.
    Probe(&'a PublicKey),
    /// Asks whether the device would accept this certificate, without a signature.
    ProbeCertificate(&'a Certificate),
    Agent(&'a mut Agent, &'a PublicKey),
    AgentCertificate(&'a mut Agent, &'a Certificate),
    Password(&'a Secret),
}

impl Login<'_, '_> {
    async fn run(&mut self, identity: Option<KeyFile>) -> Result<bool, ConnectError> {
        if self.attempt(AuthMethod::None).await? {
            return Ok(true);
        }
        if self.methods.contains(&MethodKind::PublicKey) {
            if let Some(key) = identity
                && self.key_file(key).await?
            {
                return Ok(true);
            }
            if self.agent().await? {
                return Ok(true);
            }
            for path in &self.dialer.target.keys {
                if let Some(key) = key_file::usual(path, &mut self.tried)
                    && self.key_file(key).await?
                {
                    return Ok(true);
                }
            }
        }
        self.passwords().await
    }

    async fn key_file(&mut self, file: KeyFile) -> Result<bool, ConnectError> {
        let shown = |key: Option<&PublicKey>| match key {
            Some(key) => format!("`{}` ({})", file.path.display(), fingerprint(key)),
            None => format!("`{}`", file.path.display()),
        };
        let new = file.public.as_ref().is_none_or(|public| self.is_new(public));
        if !new && file.certificate.is_none() {
            return Ok(false);
        }
        let key = match &file.key {
            Some(key) => Arc::clone(key),
            None => {
                if !self.is_wanted(&file, new).await? {
                    self.tried.push(shown(file.public.as_ref()));
                    return Ok(false);
                }
                let Some(key) = self.decrypt(&file.path) else {
                    self.tried.push(format!("{}, encrypted and not opened", shown(file.public.as_ref())));
                    return Ok(false);
                };
                Arc::new(key)
            }
        };
        if let Some(certificate) = &file.certificate {
            self.tried.push(format!("{} with its certificate", shown(Some(key.public_key()))));
            if self.attempt(AuthMethod::Certificate(&key, certificate)).await? {
                return Ok(true);
            }
        }
        if !new {
            return Ok(false);
        }
        self.tried.push(shown(Some(key.public_key())));
        self.attempt(AuthMethod::Key(&key)).await
    }

    /// Returns whether the device would accept an encrypted key, so that the user types no pass phrase for a key that is
    /// not accepted.
    async fn is_wanted(&mut self, file: &KeyFile, new: bool) -> Result<bool, ConnectError> {
        if let Some(certificate) = &file.certificate
            && self.attempt(AuthMethod::ProbeCertificate(certificate)).await?
        {
            return Ok(true);
        }
        match &file.public {
            Some(public) if new => self.attempt(AuthMethod::Probe(public)).await,
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    fn decrypt(&mut self, path: &Path) -> Option<PrivateKey> {
        for _ in 0..PROMPTS {
            let phrase = self.ask.secret(&format!("pass phrase of {}", path.display()))?;
            if let Some(key) = key_file::decrypt(path, &phrase) {
                return Some(key);
            }
        }
        None
    }

    async fn agent(&mut self) -> Result<bool, ConnectError> {
        let Some(mut agent) = agent::connect(self.dialer.target.agent.as_deref()).await else { return Ok(false) };
        for identity in agent::keys(&mut agent).await {
            let (key, comment) = match identity {
                AgentIdentity::PublicKey { key, comment } => (key, comment),
                AgentIdentity::Certificate { certificate, comment } => {
                    self.tried.push(format!("the certificate `{}` of the agent", printable(&comment)));
                    if self.attempt(AuthMethod::AgentCertificate(&mut agent, &certificate)).await? {
                        return Ok(true);
                    }
                    continue;
                }
            };
            if !self.is_new(&key) {
                continue;
            }
            self.tried.push(format!("`{}` of the agent ({})", printable(&comment), fingerprint(&key)));
            if self.attempt(AuthMethod::Agent(&mut agent, &key)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn passwords(&mut self) -> Result<bool, ConnectError> {
        if !self.methods.iter().any(|method| matches!(method, MethodKind::Password | MethodKind::KeyboardInteractive)) {
            return Ok(false);
        }
        let target = self.dialer.target;
        if let Some(password) = &target.password {
            self.tried.push("the password given".into());
            if self.attempt(AuthMethod::Password(&password.get().await?)).await? {
                return Ok(true);
            }
        }
        if target.claim().await.old_firmware {
            self.tried.push("the password of old firmware".into());
            if self.attempt(AuthMethod::Password(&Secret::new("oem"))).await? {
                return Ok(true);
            }
        }
        for _ in 0..PROMPTS {
            let Some(password) = self.ask.secret(&format!("password of {} on {}", target.user, target.address)) else { break };
            self.tried.push("a password".into());
            if self.attempt(AuthMethod::Password(&password)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_new(&mut self, key: &PublicKey) -> bool {
        let new = !self.offered.iter().any(|offered| offered.key_data() == key.key_data());
        if new {
            self.offered.push(key.clone());
        }
        new
    }

    /// Tries one way. A device that hung up, be it for too many tries or for a pass phrase that took long, is called again
    /// once, so that no later key is lost to the number of earlier ones.
    async fn attempt(&mut self, mut way: AuthMethod<'_>) -> Result<bool, ConnectError> {
        for _ in 0..2 {
            if self.line.handle.is_closed() {
                self.line = self.dialer.dial(self.ask).await?;
            }
            match self.once(&mut way).await {
                Ok(true) => return Ok(true),
                _ if self.line.handle.is_closed() => {}
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Returns the result of an attempt that the agent signed; `None` when it did not sign.
    fn signed<E: std::fmt::Display>(&mut self, result: Result<AuthResult, E>) -> Option<AuthResult> {
        result.map_err(|error| self.tried.push(format!("which did not sign: {error}"))).ok()
    }

    async fn once(&mut self, way: &mut AuthMethod<'_>) -> Result<bool, russh::Error> {
        let (user, handle) = (self.dialer.target.user.clone(), &mut self.line.handle);
        let result = match way {
            AuthMethod::None => handle.authenticate_none(user).await?,
            AuthMethod::Key(key) => {
                let hash = rsa_hash(handle, key.algorithm().is_rsa()).await?;
                handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(key), hash)).await?
            }
            AuthMethod::Certificate(key, certificate) => {
                handle.authenticate_openssh_cert(user, Arc::clone(key), certificate.clone()).await?
            }
            AuthMethod::Probe(key) => {
                let hash = rsa_hash(handle, key.algorithm().is_rsa()).await?;
                match handle.authenticate_publickey_with(user, key.clone(), hash, &mut agent::Probe).await {
                    Ok(result) => result,
                    Err(end) => return probed(end),
                }
            }
            AuthMethod::ProbeCertificate(certificate) => {
                let hash = rsa_hash(handle, certificate.algorithm().is_rsa()).await?;
                match handle.authenticate_certificate_with(user, certificate.clone(), hash, &mut agent::Probe).await {
                    Ok(result) => result,
                    Err(end) => return probed(end),
                }
            }
            AuthMethod::Agent(agent, key) => {
                let hash = rsa_hash(handle, key.algorithm().is_rsa()).await?;
                let result = handle.authenticate_publickey_with(user, key.clone(), hash, *agent).await;
                let Some(result) = self.signed(result) else { return Ok(false) };
                result
            }
            AuthMethod::AgentCertificate(agent, certificate) => {
                let hash = rsa_hash(handle, certificate.algorithm().is_rsa()).await?;
                let result = handle.authenticate_certificate_with(user, certificate.clone(), hash, *agent).await;
                let Some(result) = self.signed(result) else { return Ok(false) };
                result
            }
            AuthMethod::Password(password) if self.methods.contains(&MethodKind::Password) => {
                handle.authenticate_password(user, password.expose()).await?
            }
            AuthMethod::Password(password) => keyboard_interactive(handle, user, password).await?,
        };
        match result {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { remaining_methods, .. } => {
                if !remaining_methods.is_empty() {
                    self.methods = remaining_methods;
                }
                Ok(false)
            }
        }
    }
}

type Handle = russh::client::Handle<super::dial::Client>;

/// Returns the hash that an RSA key signs with: never SHA-1, which OpenSSH refuses since 8.8.
async fn rsa_hash(handle: &Handle, is_rsa: bool) -> Result<Option<HashAlg>, russh::Error> {
    if !is_rsa {
        return Ok(None);
    }
    let best = handle.best_supported_rsa_hash().await?;
    Ok(Some(best.flatten().unwrap_or(HashAlg::Sha512)))
}

/// Returns whether the device would have accepted the key that was probed.
fn probed(end: agent::ProbeEnd) -> Result<bool, russh::Error> {
    match end {
        agent::ProbeEnd::Wanted => Ok(true),
        agent::ProbeEnd::Closed => Err(russh::Error::SendError),
    }
}

/// Answers every question that hides its answer with the password.
async fn keyboard_interactive(handle: &mut Handle, user: String, password: &Secret) -> Result<AuthResult, russh::Error> {
    let mut response = handle.authenticate_keyboard_interactive_start(user, None).await?;
    // A server may go on asking; one that never ends is not one of ours.
    for _ in 0..PROMPTS {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers =
            prompts.iter().map(|prompt| if prompt.echo { String::new() } else { password.expose().to_owned() }).collect();
        response = handle.authenticate_keyboard_interactive_respond(answers).await?;
    }
    Ok(AuthResult::Failure { remaining_methods: MethodSet::empty(), partial_success: false })
}
