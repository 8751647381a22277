//! The refusals: actions that are not done because nobody agreed to them.

use crate::failure::{Explain, FailureKind};

/// Why something was not done that somebody has to agree to.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody could be asked.
    #[error("{0}, and nobody can be asked")]
    Unasked(String),
    /// Nobody could be asked whether to take the lock away from its owner.
    #[error("{0}, and nobody can be asked")]
    UnaskedLock(String),
    /// The answer was that it stays.
    #[error("{0}, and the answer was no")]
    NoLock(String),
    /// The answer was no.
    #[error("{0}, and the answer was no")]
    No(String),
    /// Nobody gave the device's password.
    #[error("the device takes a key only with its password, and nobody can be asked for it")]
    Password,
}

impl Explain for Refusal {
    fn kind(&self) -> FailureKind {
        FailureKind::NotConfirmed
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Password => "run it in a terminal, or set O3R_DEPLOY_DEVICE_PASSWORD".into(),
            Self::UnaskedLock(_) | Self::NoLock(_) => {
                "`--yes` takes it away without a question; a deployment that ends by itself lets go".into()
            }
            Self::Unasked(_) | Self::No(_) => "`--dry-run` shows what would go; `--yes` agrees".into(),
        })
    }
}
