//! An SSH server that takes one password and keeps all that it was given: sshd would take the system's own.

use std::sync::{Arc, Mutex};

use russh::{
    MethodKind, MethodSet,
    keys::{Algorithm, PrivateKey},
    server::{Auth, Config, Handler, Response, run_stream},
};

/// A running server; its thread ends with the test.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// The passwords given since the last call.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Starts one on a free port.
pub fn start(method: MethodKind, right: &'static str) -> Server {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let config = Arc::new(Config {
        methods: MethodSet::from(&[method][..]),
        keys: vec![PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()],
        auth_rejection_time: std::time::Duration::ZERO,
        ..Config::default()
    });
    let session = Session { method, right, seen: Arc::clone(&seen) };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (config, session) = (Arc::clone(&config), session.clone());
                tokio::spawn(async move {
                    if let Ok(running) = run_stream(config, stream, session).await {
                        let _ = running.await;
                    }
                });
            }
        });
    });
    Server { port, seen }
}

#[derive(Clone)]
struct Session {
    method: MethodKind,
    right: &'static str,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Session {
    /// No, and the same method may be tried again.
    fn again(&self) -> Auth {
        Auth::Reject { proceed_with_methods: Some(MethodSet::from(&[self.method][..])), partial_success: false }
    }

    fn judge(&self, password: &str) -> Auth {
        self.seen.lock().unwrap().push(password.to_owned());
        if password == self.right { Auth::Accept } else { self.again() }
    }
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(self.again())
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.judge(password))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response.and_then(|mut answers| answers.next()) {
            Some(answer) => Ok(self.judge(&String::from_utf8_lossy(&answer))),
            None => Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            }),
        }
    }
}
