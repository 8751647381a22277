//! A value that must not be seen: it masks itself wherever it is shown.

use std::{borrow::Cow, fmt, sync::RwLock};

use mask::Mask;

mod mask;

/// A password or another value that reaches its destination and nothing else: `Debug` and `Display` print a mask, so that it
/// cannot enter a log, an event or an error by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the value into custody.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Secrets of which no text shows more than the mask.
static KNOWN: RwLock<Option<Mask>> = RwLock::new(None);

/// Registers a secret with [`masked`], because a container may print it. Gives it back.
pub fn keep_from_sight(secret: Secret) -> Secret {
    if let Ok(mut known) = KNOWN.write() {
        known.get_or_insert_default().add(secret.expose());
    }
    secret
}

/// Returns a text in which the mask stands in the place of each secret that is known, in whatever form it came.
pub fn masked(text: &str) -> Cow<'_, str> {
    match KNOWN.read() {
        Ok(known) => known.as_ref().map_or(text.into(), |known| known.masked(text)),
        Err(_) => text.into(),
    }
}

/// Returns a masked text of which the end is missing: a secret that may begin there is masked as well.
pub fn masked_beginning(text: &str) -> Cow<'_, str> {
    match KNOWN.read() {
        Ok(known) => known.as_ref().map_or(text.into(), |known| known.masked_beginning(text)),
        Err(_) => text.into(),
    }
}

/// Returns the length of the text, in bytes, that may be cut off and shown whatever comes next: no secret lies across its end.
pub fn settled(text: &str) -> usize {
    match KNOWN.read() {
        Ok(known) => known.as_ref().map_or(text.len(), |known| known.settled(text)),
        Err(_) => text.len(),
    }
}

/// The text that replaces a secret.
pub const MASK: &str = "‹secret›";

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "‹secret› ‹secret›");
        assert_eq!(secret.expose(), "hunter2");
    }
}
