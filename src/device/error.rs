//! Why the configuration interface could not be used.

use std::fmt;

use crate::failure::{Explain, FailureKind};

/// Why the configuration interface could not be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// The configuration interface does not answer.
    #[error("the configuration interface at `{address}` does not answer: {reason}")]
    Unreachable {
        /// Address and port.
        address: String,
        /// Description of what happened instead.
        reason: String,
    },
    /// The device refused.
    #[error("the configuration interface refused `{method}`: {code}{}", if text.is_empty() { String::new() } else { format!(": {text}") })]
    Fault {
        /// The method called.
        method: &'static str,
        /// The kind of the refusal.
        code: FaultCode,
        /// The message of the device, control characters removed.
        text: String,
    },
    /// The answer does not come from a configuration interface.
    #[error("`{address}` answered `{method}` with something unexpected: {reason}")]
    NotAnAnswer {
        /// Address and port.
        address: String,
        /// The method called.
        method: &'static str,
        /// Description of what is wrong with the answer.
        reason: String,
    },
    /// The device took a value and gives back another.
    #[error("`{pointer}` was set to `{wanted}`, but the device says `{got}`")]
    NotTaken {
        /// JSON pointer of the setting.
        pointer: &'static str,
        /// The value that was written.
        wanted: String,
        /// The value that the device returns.
        got: String,
    },
    /// The device was not ready in time.
    #[error("the device was not ready in time: {last}")]
    NotReady {
        /// Last status of the device, or the reason why there is none.
        last: String,
    },
}

impl Explain for InterfaceError {
    fn kind(&self) -> FailureKind {
        FailureKind::ConfigurationInterface
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } => {
                "check the address, the cable and that this computer is in the device's network (a new device is at \
                 192.168.0.69); a device in recovery mode answers on port 8080 only"
            }
            Self::Fault { code: FaultCode(100_000), .. } => {
                "the device's firmware does not know this setting: is it recent enough?"
            }
            Self::Fault { code: FaultCode::PASSWORD, .. } => "the device has a password, and this is not it",
            Self::Fault { .. } => return None,
            Self::NotAnAnswer { .. } => "check that this is the address of an O3R VPU and of nothing else",
            Self::NotTaken { .. } => "another client may be changing the same setting: run the command again",
            Self::NotReady { .. } => {
                "a boot takes up to 200 s; if it goes on, look at the device's trace logs or power-cycle it"
            }
        };
        Some(hint.to_owned())
    }
}

/// The code of a fault. The list is ifm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultCode(pub i32);

impl FaultCode {
    /// The password is missing or another one.
    pub const PASSWORD: Self = Self(101_005);
}

impl fmt::Display for FaultCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            100_000 => "not found",
            101_000 => "invalid value",
            101_001 => "wrong type",
            101_002 => "out of range",
            101_003 => "read-only",
            101_005 => "password needed",
            _ => "unknown reason",
        };
        write!(formatter, "{name} (code {})", self.0)
    }
}
