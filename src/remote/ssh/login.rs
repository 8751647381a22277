//! Logging in: which keys and passwords are tried, and in which order.

use std::{path::Path, sync::Arc};

use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, KeyboardInteractiveAuthResponse},
    keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, agent::AgentIdentity},
};

use super::{
    Ask, ConnectError,
    agent::{self, Agent},
    dial::{Dialer, Line},
    host_key::fingerprint,
    key_file::{self, KeyFile},
};
use crate::{remote::printable, secret::Secret};

/// How often a pass phrase or a password is asked for.
const PROMPTS: usize = 3;

/// Logs in over a new connection: the named key, the agent's, the usual keys, then passwords.
pub(super) async fn login(dialer: &mut Dialer<'_>, ask: &mut dyn Ask) -> Result<Line, ConnectError> {
    let identity = match &dialer.target.identity {
        Some(path) => Some(key_file::named(path)?),
        None => None,
    };
    let line = dialer.dial(ask).await?;
    let mut login = Login { dialer, ask, line, methods: MethodSet::empty(), tried: Vec::new(), offered: Vec::new() };
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
    /// What the device said it takes.
    methods: MethodSet,
    tried: Vec<String>,
    /// Keys that were tried, so that none is tried twice.
    offered: Vec<PublicKey>,
}

/// One way to log in.
enum Way<'a> {
    None,
    Key(&'a Arc<PrivateKey>),
    /// Asks whether the device would accept this key, without a signature.
    Probe(&'a PublicKey),
    Agent(&'a mut Agent, &'a PublicKey),
    Password(&'a Secret),
}

impl Login<'_, '_> {
    async fn run(&mut self, identity: Option<KeyFile>) -> Result<bool, ConnectError> {
        if self.attempt(Way::None).await? {
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
        if let Some(public) = &file.public
            && !self.is_new(public)
        {
            return Ok(false);
        }
        if let Some(key) = &file.key {
            self.tried.push(shown(Some(key.public_key())));
            return self.attempt(Way::Key(key)).await;
        }
        // Nobody types a pass phrase for a key that the device does not want.
        if let Some(public) = &file.public
            && !self.attempt(Way::Probe(public)).await?
        {
            self.tried.push(shown(file.public.as_ref()));
            return Ok(false);
        }
        let Some(key) = self.decrypt(&file.path) else {
            self.tried.push(format!("{}, encrypted and not opened", shown(file.public.as_ref())));
            return Ok(false);
        };
        self.tried.push(shown(Some(key.public_key())));
        self.attempt(Way::Key(&Arc::new(key))).await
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
            let AgentIdentity::PublicKey { key, comment } = identity else { continue };
            if !self.is_new(&key) {
                continue;
            }
            self.tried.push(format!("`{}` of the agent ({})", printable(&comment), fingerprint(&key)));
            if self.attempt(Way::Agent(&mut agent, &key)).await? {
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
            if self.attempt(Way::Password(password)).await? {
                return Ok(true);
            }
        }
        if target.claim().await.old_firmware {
            self.tried.push("the password of old firmware".into());
            if self.attempt(Way::Password(&Secret::new("oem"))).await? {
                return Ok(true);
            }
        }
        for _ in 0..PROMPTS {
            let Some(password) = self.ask.secret(&format!("password of {} on {}", target.user, target.address)) else { break };
            self.tried.push("a password".into());
            if self.attempt(Way::Password(&password)).await? {
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
    async fn attempt(&mut self, mut way: Way<'_>) -> Result<bool, ConnectError> {
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

    async fn once(&mut self, way: &mut Way<'_>) -> Result<bool, russh::Error> {
        let (user, handle) = (self.dialer.target.user.clone(), &mut self.line.handle);
        let result = match way {
            Way::None => handle.authenticate_none(user).await?,
            Way::Key(key) => {
                let hash = rsa_hash(handle, key.public_key()).await?;
                handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(key), hash)).await?
            }
            Way::Probe(key) => {
                let hash = rsa_hash(handle, key).await?;
                match handle.authenticate_publickey_with(user, key.clone(), hash, &mut agent::Probe).await {
                    Ok(result) => result,
                    Err(agent::ProbeEnd::Wanted) => return Ok(true),
                    Err(agent::ProbeEnd::Closed) => return Err(russh::Error::SendError),
                }
            }
            Way::Agent(agent, key) => {
                let hash = rsa_hash(handle, key).await?;
                match handle.authenticate_publickey_with(user, key.clone(), hash, *agent).await {
                    Ok(result) => result,
                    Err(error) => {
                        self.tried.push(format!("which did not sign: {error}"));
                        return Ok(false);
                    }
                }
            }
            Way::Password(password) if self.methods.contains(&MethodKind::Password) => {
                handle.authenticate_password(user, password.expose()).await?
            }
            Way::Password(password) => keyboard_interactive(handle, user, password).await?,
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

/// The hash that an RSA key signs with: never SHA-1, which OpenSSH refuses since 8.8.
async fn rsa_hash(handle: &Handle, key: &PublicKey) -> Result<Option<HashAlg>, russh::Error> {
    if !key.algorithm().is_rsa() {
        return Ok(None);
    }
    let best = handle.best_supported_rsa_hash().await?;
    Ok(Some(best.flatten().unwrap_or(HashAlg::Sha512)))
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
