//! A device for unit tests: it notes every command and transfer, and answers from a list.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{Exit, Get, Got, Input, OnBytes, OnOutput, Put, Remote, RemoteError, Stream};
use crate::command::Command;

/// What a command says and how it ends.
#[derive(Clone)]
pub struct Answer {
    output: Vec<(Stream, Vec<u8>)>,
    end: End,
}

#[derive(Clone)]
enum End {
    Exit(Exit),
    Lost,
    /// Something happens here, and the command goes on for ever.
    Never(Rc<dyn Fn()>),
}

/// Ends well, with these pieces on standard output.
pub fn says(pieces: &[&[u8]]) -> Answer {
    Answer { output: pieces.iter().map(|piece| (Stream::Stdout, piece.to_vec())).collect(), end: End::Exit(Exit::Code(0)) }
}

/// Ends with this exit code, and a last line on standard error.
pub fn fails(code: u32, line: &str) -> Answer {
    Answer { output: vec![(Stream::Stderr, format!("{line}\n").into_bytes())], end: End::Exit(Exit::Code(code)) }
}

/// Ends with this exit code and says nothing.
pub fn ends(code: u32) -> Answer {
    Answer { output: Vec::new(), end: End::Exit(Exit::Code(code)) }
}

/// The connection breaks.
pub fn breaks() -> Answer {
    Answer { output: Vec::new(), end: End::Lost }
}

/// Does not end; `then` happens meanwhile.
pub fn hangs(then: impl Fn() + 'static) -> Answer {
    Answer { output: Vec::new(), end: End::Never(Rc::new(then)) }
}

impl Answer {
    /// The same, with another piece of output at the end.
    #[must_use]
    pub fn and(mut self, stream: Stream, piece: &[u8]) -> Self {
        self.output.push((stream, piece.to_vec()));
        self
    }
}

/// A device that is not there.
#[derive(Default)]
pub struct Fake {
    log: RefCell<Vec<String>>,
    answers: RefCell<Vec<(&'static str, Answer)>>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Fake {
    /// The next command (or transfer: `put`, `get`) that holds `needle` is answered so; what has no answer ends well and says
    /// nothing.
    #[must_use]
    pub fn on(self, needle: &'static str, answer: Answer) -> Self {
        self.answers.borrow_mut().push((needle, answer));
        self
    }

    /// It has this file.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    /// All that was asked of it, one a line.
    pub fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    fn note(&self, line: String) -> Option<Answer> {
        let mut answers = self.answers.borrow_mut();
        let at = answers.iter().position(|(needle, _)| line.contains(needle));
        self.log.borrow_mut().push(line);
        at.map(|at| answers.remove(at).1)
    }

    async fn end(&self, end: End) -> Result<Exit, RemoteError> {
        match end {
            End::Exit(exit) => Ok(exit),
            End::Lost => Err(RemoteError::Lost { reason: "the cable was pulled".into() }),
            End::Never(then) => {
                then();
                std::future::pending().await
            }
        }
    }
}

impl Remote for Fake {
    async fn exec(&self, command: &Command, input: Input, output: &mut OnOutput<'_>) -> Result<Exit, RemoteError> {
        let fed = match &input {
            Input::Bytes(bytes) => format!(" <<< {}", String::from_utf8_lossy(bytes).trim_end().replace('\n', " ")),
            Input::Empty | Input::Pieces(_) => String::new(),
        };
        let answer = self.note(format!("{}{fed}", command.shown())).unwrap_or_else(|| says(&[]));
        for (stream, piece) in &answer.output {
            output(*stream, piece);
        }
        // Docker reads all of an image, and someone who follows nothing.
        if let (Input::Pieces(mut pieces), true) = (input, command.shown().contains("load")) {
            while let Some(piece) = pieces.recv().await {
                piece.map_err(RemoteError::Input)?;
            }
        }
        self.end(answer.end).await
    }

    async fn put(&self, files: &[Put], progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        for file in files {
            let line = format!("put {} -> {} ({:o})", file.local.display(), file.remote, file.mode);
            if let Some(answer) = self.note(line) {
                self.end(answer.end).await?;
            }
            progress(1);
        }
        Ok(())
    }

    fn bytes_sent(&self) -> u64 {
        0
    }

    async fn get(&self, files: &[Get], progress: &mut OnBytes<'_>) -> Result<Vec<Got>, RemoteError> {
        let mut got = Vec::new();
        for file in files {
            if let Some(answer) = self.note(format!("get {}", file.remote)) {
                self.end(answer.end).await?;
            }
            got.push(match self.files.get(&file.remote) {
                None => Got::Vanished,
                Some(content) => {
                    std::fs::write(&file.local, content).expect("the directory is there");
                    progress(content.len() as u64);
                    Got::Bytes(content.len() as u64)
                }
            });
        }
        Ok(got)
    }
}
