//! A value that must not be seen: it masks itself wherever it is shown.

use std::fmt;

/// A password or another value that reaches its destination and nothing else: `Debug` and `Display` print a mask, so that it
/// cannot enter a log, an event or an error by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the value into custody.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Secrets of which no text shows more than the mask, each in every form in which it may come back from the device.
static KNOWN: std::sync::RwLock<Vec<String>> = std::sync::RwLock::new(Vec::new());

/// What is shorter is part of too much else.
const SHORTEST: usize = 4;

/// From here on [`masked`] knows this secret: a container may print it, and docker shows the environment of containers.
pub fn keep_from_sight(secret: &Secret) {
    let Ok(mut known) = KNOWN.write() else { return };
    let json = |line: &str| serde_json::to_string(line).map(|text| text.trim_matches('"').to_owned()).unwrap_or_default();
    // Docker's JSON has these escaped as well.
    let docker = |line: &str| json(line).replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    for line in secret.expose().lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
        // As an environment file has it, the name is no secret.
        let value = line.split_once('=').map_or(line, |(_, value)| value.trim()).trim_matches(['"', '\'']);
        for form in [line, value, &json(line), &docker(line), &json(value), &docker(value)] {
            if form.len() >= SHORTEST && !known.iter().any(|known| known == form) {
                known.push(form.to_owned());
            }
        }
    }
    // A longer one may hold a shorter one.
    known.sort_by_key(|form| std::cmp::Reverse(form.len()));
}

/// A text in which the mask stands in the place of each secret that is known.
pub fn masked(text: &str) -> std::borrow::Cow<'_, str> {
    let Ok(known) = KNOWN.read() else { return text.into() };
    let mut shown = std::borrow::Cow::Borrowed(text);
    for form in known.iter() {
        if shown.contains(form.as_str()) {
            shown = shown.replace(form.as_str(), MASK).into();
        }
    }
    shown
}

/// What stands in a text in the place of a secret.
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
    fn a_secret_that_comes_back_is_masked_in_every_form() {
        keep_from_sight(&Secret::new("TOKEN=\"s3cr&t/one\"\nabc\nsecond line\\"));
        assert_eq!(masked(r#"{"Env":["TOKEN=s3cr\u0026t/one","second line\\"]}"#), r#"{"Env":["TOKEN=‹secret›","‹secret›"]}"#);
        assert_eq!(masked("s3cr&t/one abc TOKEN"), "‹secret› abc TOKEN");
    }

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "‹secret› ‹secret›");
        assert_eq!(secret.expose(), "hunter2");
    }
}
