//! The sources of secret values: `!env NAME`, `!file PATH`, `!command "…"`, or the configuration file itself.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
    path::PathBuf,
    process::Stdio,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, EnumAccess, Error, VariantAccess, Visitor};

use super::LocalPath;
use crate::{
    failure::{Explain, FailureKind},
    secret::Secret,
};

/// The tags that have a meaning.
pub(super) const TAGS: [&str; 3] = ["env", "file", "command"];

/// The key in the schema of values that may bear a tag.
pub(super) const TAKES_TAGS: &str = "x-secret";

/// The largest value that is taken, in bytes.
const LARGEST: usize = 1 << 20;

/// Maximum number of bytes that are read from a file or a command: enough to show that a value is too long, a line break at
/// its end included.
const MOST_READ: u64 = LARGEST as u64 + 3;

/// The source of a secret value, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The value itself is given.
    Plain(Secret),
    /// An environment variable.
    Env(String),
    /// The content of a file, less a line break at its end.
    File(String),
    /// The standard output of a command, without a line break at its end.
    Command(String),
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Told;

        impl<'de> Visitor<'de> for Told {
            type Value = SecretSource;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, `!env`, `!file` or `!command`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Plain(Secret::new(text)))
            }

            fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<SecretSource, A::Error> {
                let (tag, value) = tagged.variant::<String>()?;
                let text = value.newtype_variant::<String>()?;
                match tag.trim_start_matches('!') {
                    "env" => Ok(SecretSource::Env(text)),
                    "file" => Ok(SecretSource::File(text)),
                    "command" => Ok(SecretSource::Command(text)),
                    other => Err(A::Error::unknown_variant(other, &TAGS)),
                }
            }
        }

        deserializer.deserialize_any(Told)
    }
}

impl JsonSchema for SecretSource {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-secret": true })
    }
}

/// A secret value that the deployment needs: its source, and the place where that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSecret {
    /// The source of the value.
    pub source: SecretSource,
    /// File, line and key that tell it.
    pub place: String,
    /// The directory at which a relative path starts.
    pub base: PathBuf,
}

/// A secret value that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct SecretError {
    place: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    #[error("`{path}` cannot be read: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{line}` cannot be run: {source}")]
    NotRun { line: String, source: io::Error },
    #[error("`{line}` failed: {status}")]
    Failed { line: String, status: std::process::ExitStatus },
    #[error("{0} gives no value")]
    Empty(String),
    #[error("{0} is not UTF-8 text, or holds a NUL character")]
    NotText(String),
    #[error("{0} gives more than 1 MiB")]
    TooMuch(String),
}

impl Explain for SecretError {
    fn kind(&self) -> FailureKind {
        match self.why {
            Why::File { .. } => FailureKind::LocalFile,
            _ => FailureKind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match &self.why {
            Why::NotSet(name) => format!("set it: `export {name}=…`"),
            Why::File { .. } => "relative paths start at the folder of the configuration file".into(),
            Why::NotRun { .. } | Why::Failed { .. } => {
                "run it by hand: it has to write the value to its standard output and to end with 0".into()
            }
            Why::Empty(_) | Why::NotText(_) | Why::TooMuch(_) => "a secret is a text of at most 1 MiB".into(),
        })
    }
}

impl WantedSecret {
    /// Describes what is waited for while the value is fetched.
    pub fn says(&self) -> String {
        match &self.source {
            SecretSource::Command(line) => format!("waiting for `{line}` ({})", self.place),
            _ => format!("waiting for the value of {}", self.place),
        }
    }

    /// Returns the command that gives the value, where one does.
    pub fn command(&self) -> Option<&str> {
        match &self.source {
            SecretSource::Command(line) => Some(line),
            _ => None,
        }
    }

    /// Fetches the value. From here on it is masked wherever this program writes.
    ///
    /// # Errors
    /// It cannot be had, or is none.
    pub fn value(&self) -> Result<Secret, SecretError> {
        let value = self.fetch().map_err(|why| SecretError { place: self.place.clone(), why })?;
        Ok(crate::secret::keep_from_sight(value))
    }

    fn fetch(&self) -> Result<Secret, Why> {
        let (bytes, from) = match &self.source {
            SecretSource::Plain(value) => (value.expose().to_owned().into_bytes(), "the value".to_owned()),
            SecretSource::Env(name) => {
                let value = std::env::var_os(name).ok_or_else(|| Why::NotSet(name.clone()))?;
                (value.into_encoded_bytes(), format!("the environment variable `{name}`"))
            }
            SecretSource::File(path) => {
                let bare = path.strip_prefix("./").unwrap_or(path);
                let path = LocalPath::resolve(bare, &self.base).unwrap_or_else(|_| path.into());
                let bytes = read(&path).map_err(|source| Why::File { path: path.clone(), source })?;
                (without_line_break(bytes), format!("`{}`", path.display()))
            }
            SecretSource::Command(line) => (without_line_break(self.run(line)?), format!("`{line}`")),
        };
        match String::from_utf8(bytes) {
            Ok(text) if text.is_empty() => Err(Why::Empty(from)),
            Ok(text) if text.len() > LARGEST => Err(Why::TooMuch(from)),
            Ok(text) if !text.contains('\0') => Ok(Secret::new(text)),
            _ => Err(Why::NotText(from)),
        }
    }

    /// Runs the command and returns its standard output; its standard error stays that of the terminal, where it may ask
    /// for a pass phrase.
    fn run(&self, line: &str) -> Result<Vec<u8>, Why> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut command = std::process::Command::new(shell);
        command.args([flag, line]).current_dir(&self.base).stdin(Stdio::inherit()).stderr(Stdio::inherit());
        let not_run = |source| Why::NotRun { line: line.into(), source };
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(not_run)?;
        let mut bytes = Vec::new();
        let read = child.stdout.take().map(|stdout| stdout.take(MOST_READ).read_to_end(&mut bytes));
        if bytes.len() as u64 == MOST_READ {
            // It may go on without end, or may have ended by itself just now.
            let _ = child.kill();
        }
        let status = child.wait().map_err(not_run)?;
        read.transpose().map_err(not_run)?;
        // One that wrote too much is told so, whatever became of it.
        if status.success() || bytes.len() as u64 == MOST_READ {
            Ok(bytes)
        } else {
            Err(Why::Failed { line: line.into(), status })
        }
    }
}

/// Reads a file, and of an endless one no more than shows that it is too long.
fn read(path: &std::path::Path) -> io::Result<Vec<u8>> {
    crate::small_file::check(path)?;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn without_line_break(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn value(line: &str) -> Result<String, String> {
        let source = SecretSource::Command(line.into());
        let wanted = WantedSecret { source, place: "o3r-deploy.yaml:1:1".into(), base: "/".into() };
        wanted.value().map(|value| value.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_command_writes_is_read_within_a_bound() {
        assert_eq!(value("printf 'two words\n'"), Ok("two words".into()));
        insta::assert_snapshot!(value("cat /dev/zero").expect_err("endless"), @"o3r-deploy.yaml:1:1: `cat /dev/zero` gives more than 1 MiB");
        insta::assert_snapshot!(value("echo half; exit 3").expect_err("failed"), @"o3r-deploy.yaml:1:1: `echo half; exit 3` failed: exit status: 3");
    }
}
