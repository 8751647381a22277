//! The problems of a configuration: all are reported at once, each with its place.

use std::{fmt, path::PathBuf};

use super::file::SIZE_LIMIT;
use crate::failure::{Explain, FailureKind};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `o3r-deploy.yaml:3:5: rename`, or an option as it is typed.
    pub place: String,
    /// Line and column in the file, counted from 1; `None` for options.
    pub location: Option<(usize, usize)>,
    /// Description of what is wrong, and of what was expected.
    pub text: String,
    /// The kind of the problem.
    pub kind: ProblemKind,
}

impl Problem {
    /// Creates a problem of a value at a place without line numbers.
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), location: None, text: text.into(), kind: ProblemKind::Said }
    }
}

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A value is wrong.
    Said,
    /// A key that there is not.
    UnknownKey,
    /// A file on this computer that is missing or cannot be read.
    LocalFile,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.text)
    }
}

/// Why there is no deployment to work on. Nothing has been touched when this is returned.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named is not there.
    #[error("there is no configuration file `{path}`", path = path.display())]
    Missing {
        /// Path of the missing file.
        path: PathBuf,
    },
    /// The directory named holds none.
    #[error("`{directory}` has no `o3r-deploy.yaml`", directory = directory.display())]
    NoneInside {
        /// Path of the directory.
        directory: PathBuf,
    },
    /// The file cannot be read.
    #[error("the configuration file `{path}` cannot be read: {source}", path = path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("the configuration file `{path}` is larger than {} KiB", SIZE_LIMIT >> 10, path = path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
    },
    /// Both spellings of the file are in one directory.
    #[error("`{first}` and `{second}` are both there", first = first.display(), second = second.display())]
    Ambiguous {
        /// Path of the first file.
        first: PathBuf,
        /// Path of the second file.
        second: PathBuf,
    },
    /// All that is wrong, one a line.
    #[error("{}", list(.0))]
    Wrong(Vec<Problem>),
}

/// Problems that are looked for at most in one place: whoever has more sees the rest the next time.
pub(super) const MOST: usize = 20;

fn list(problems: &[Problem]) -> String {
    if let [only] = problems {
        return only.to_string();
    }
    let at_least = if problems.len() >= MOST { "at least " } else { "" };
    let mut text = format!("{at_least}{} things are wrong in the configuration", problems.len());
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}

impl ConfigError {
    /// Returns the error with all problems, those of the options first, then those of the file from top to bottom.
    pub(super) fn wrong(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.location);
        Self::Wrong(problems)
    }

    /// Returns the problems; an empty list for other errors.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Wrong(problems) => problems,
            _ => &[],
        }
    }
}

impl Explain for ConfigError {
    fn details(&self) -> Vec<String> {
        let problems = self.problems();
        if problems.len() > 1 { problems.iter().map(ToString::to_string).collect() } else { Vec::new() }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Missing { .. } | Self::NoneInside { .. } | Self::Unreadable { .. } => FailureKind::LocalFile,
            Self::TooLarge { .. } | Self::Ambiguous { .. } => FailureKind::Usage,
            Self::Wrong(problems) if problems.iter().all(|problem| problem.kind == ProblemKind::LocalFile) => {
                FailureKind::LocalFile
            }
            Self::Wrong(_) => FailureKind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } | Self::NoneInside { .. } => {
                "name the file or its directory with `--config`; without one, options alone will do".into()
            }
            Self::Unreadable { .. } => "check that it is a file and that you may read it".into(),
            Self::TooLarge { .. } => "name an `o3r-deploy.yaml` with `--config`".into(),
            Self::Ambiguous { .. } => "name the one that counts with `--config`".into(),
            Self::Wrong(_) if self.kind() == FailureKind::LocalFile => {
                "relative paths start at the folder of the configuration file, those of options at the working directory".into()
            }
            Self::Wrong(problems) if problems.iter().any(|problem| problem.kind == ProblemKind::UnknownKey) => {
                "`o3r-deploy schema` prints every key, `o3r-deploy --help` every option".into()
            }
            Self::Wrong(problems) => {
                let option = problems.iter().find(|problem| problem.place.starts_with("--"))?;
                format!("`o3r-deploy --help` has an example of `{}`", option.place)
            }
        })
    }
}
