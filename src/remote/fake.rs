//! A device for unit tests: it notes every command and transfer, and answers from a list.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{
    Downloaded, Exit, FileRange, Input, OnBytes, OnOutput, Output, Remote, RemoteError, Stream, TarDownload, TarUpload,
};
use crate::command::Command;

/// The output of a command, and the way in which it ends.
#[derive(Clone)]
pub struct Answer {
    output: Vec<(Stream, Vec<u8>)>,
    end: End,
}

#[derive(Clone)]
enum End {
    Exit(Exit),
    Lost,
    /// The function is called, and the command never ends.
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

/// Returns an answer that breaks the connection.
pub fn breaks() -> Answer {
    Answer { output: Vec::new(), end: End::Lost }
}

/// Does not end; `then` happens meanwhile.
pub fn hangs(then: impl Fn() + 'static) -> Answer {
    Answer { output: Vec::new(), end: End::Never(Rc::new(then)) }
}

impl Answer {
    /// Returns the same answer with another piece of output at the end.
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
    /// Sets the answer to the next command (or transfer: `put`, `get`) that contains `needle`; commands without an answer
    /// succeed without output.
    #[must_use]
    pub fn on(self, needle: &'static str, answer: Answer) -> Self {
        self.answers.borrow_mut().push((needle, answer));
        self
    }

    /// Adds a file to the device.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    /// Returns all requests, one per line.
    pub fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    fn note(&self, line: String) -> Option<Answer> {
        let mut answers = self.answers.borrow_mut();
        let at = answers.iter().position(|(needle, _)| line.contains(needle));
        self.log.borrow_mut().push(line);
        at.map(|at| answers.remove(at).1)
    }

    /// Checks that a command that puts or gets files succeeds.
    async fn ended(&self, command: &Command, answer: Option<Answer>) -> Result<(), RemoteError> {
        let Some(answer) = answer else { return Ok(()) };
        let stderr = answer.output.iter().flat_map(|(_, piece)| piece.clone()).collect();
        let exit = self.end(answer.end).await?;
        Output { exit, stdout: Vec::new(), stderr }.success(command).map(|_| ())
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
        let shown = command.shown();
        // A guard is left with the device's clock for an answer.
        let usual = || says(if shown.contains("# arms the guard") { &[b"1582000000\n"] } else { &[] });
        let answer = self.note(format!("{shown}{fed}")).unwrap_or_else(usual);
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

    async fn put(&self, taking: &TarUpload<'_>, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        let head = String::from_utf8_lossy(&taking.head);
        let answer = self.note(format!("{} <<< {}", taking.command.shown(), head.trim_end().replace('\n', ", ")));
        for (path, mode) in taking.directories {
            self.log.borrow_mut().push(format!("put directory {path} ({mode:o})"));
        }
        for file in taking.files {
            let line = format!("put {} -> {} ({:o})", file.local.display(), file.remote, file.mode);
            if let Some(answer) = self.note(line) {
                self.end(answer.end).await?;
            }
            progress(1);
        }
        for (path, target) in taking.links {
            self.log.borrow_mut().push(format!("put link {path} -> {target}"));
        }
        self.ended(taking.command, answer).await
    }

    fn bytes_sent(&self) -> u64 {
        0
    }

    async fn append(&self, command: &Command, rest: &FileRange, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        let answer = self.note(command.shown());
        progress(rest.to - rest.from);
        self.ended(command, answer).await
    }

    async fn get(&self, giving: &TarDownload<'_>, progress: &mut OnBytes<'_>) -> Result<Vec<Downloaded>, RemoteError> {
        let names = String::from_utf8_lossy(&giving.input).trim_end().replace('\n', " ");
        let answer = self.note(format!("{} <<< {names}", giving.command.shown()));
        let mut got = Vec::new();
        for file in giving.files {
            if let Some(answer) = self.note(format!("get {}", file.remote)) {
                self.end(answer.end).await?;
            }
            got.push(match self.files.get(&file.remote) {
                None => Downloaded::Vanished,
                Some(content) => {
                    std::fs::write(&file.local, content).expect("the directory is there");
                    progress(content.len() as u64);
                    Downloaded::Bytes(content.len() as u64)
                }
            });
        }
        self.ended(giving.command, answer).await?;
        Ok(got)
    }

    async fn take(&self, command: &Command, rest: &FileRange, progress: &mut OnBytes<'_>) -> Result<(), RemoteError> {
        let answer = self.note(command.shown());
        let mut came = std::fs::read(&rest.local).unwrap_or_default();
        came.resize(usize::try_from(rest.from).expect("it is small"), 0);
        let content = self.files.get(&rest.remote).cloned().unwrap_or_default();
        let (from, to) = (came.len(), usize::try_from(rest.to).expect("it is small"));
        let end = answer.as_ref().is_none_or(|answer| matches!(answer.end, End::Exit(Exit::Code(0))));
        // What is lost breaks off in the middle.
        came.extend_from_slice(content.get(from..if end { to } else { from.midpoint(to) }).unwrap_or_default());
        std::fs::write(&rest.local, &came).expect("the directory is there");
        progress(came.len() as u64 - rest.from);
        self.ended(command, answer).await
    }
}
