//! A password to log in with, which is fetched when no key was accepted, and not before.

use std::{fmt, sync::Arc};

use super::ConnectError;
use crate::{
    failure::Explain,
    secret::{MASK, Secret},
};

type Fetch = dyn Fn() -> Result<Secret, Box<dyn Explain>> + Send + Sync;

/// A password, or the way to it.
#[derive(Clone)]
pub struct Password(Arc<Fetch>);

impl Password {
    /// Creates a password that is known already.
    pub fn new(secret: Secret) -> Self {
        Self(Arc::new(move || Ok(secret.clone())))
    }

    /// Creates a password that `fetch` returns; it may run a command and wait for the user.
    pub fn fetched(fetch: impl Fn() -> Result<Secret, Box<dyn Explain>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fetch))
    }

    pub(super) async fn get(&self) -> Result<Secret, ConnectError> {
        let fetch = Arc::clone(&self.0);
        let fetched = tokio::task::spawn_blocking(move || fetch()).await;
        fetched.expect("fetching does not panic and is not aborted").map_err(ConnectError::Password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}
