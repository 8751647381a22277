//! The file that takes the output of an attached container.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Event, Question, Report, log_file::private};

/// Writes attached output, line by line as it comes. The file is made with the first line; what cannot be written is said once
/// in the log.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    file: State,
}

#[derive(Debug)]
enum State {
    NotYet,
    Open(File),
    Failed,
}

impl OutputFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: State::NotYet }
    }

    /// Returns the path of the output file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if let State::NotYet = self.file {
            self.file = State::Open(private(File::options().append(true).create(true)).open(&self.path)?);
        }
        match &mut self.file {
            State::Open(file) => file.write_all(format!("{}\n", crate::secret::masked(line)).as_bytes()),
            State::NotYet | State::Failed => Ok(()),
        }
    }
}

impl Report for OutputFile {
    fn event(&mut self, event: &Event) {
        if let Event::Output { line } = event
            && let Err(error) = self.line(line)
        {
            tracing::warn!("the output file `{}` cannot be written: {error}", self.path.display());
            self.file = State::Failed;
        }
    }

    fn ask(&mut self, _question: &Question) -> Option<String> {
        None
    }
}
