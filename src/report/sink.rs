//! Writers that outlive their reader: a closed pipe ends the output, not the run.

use std::io::Write;

use crate::secret::masked;

/// Lines for one stream, each flushed at once. After the first failure (a reader that went away) nothing more is tried.
pub(super) struct Sink {
    stream: Box<dyn Write + Send>,
    closed: bool,
}

impl Sink {
    pub(super) fn new(stream: impl Write + Send + 'static) -> Self {
        Self { stream: Box::new(stream), closed: false }
    }

    pub(super) fn line(&mut self, line: &str) {
        if !self.closed {
            // In one piece, so that lines of several writers do not mix.
            let written = self.stream.write_all(format!("{}\n", masked(line)).as_bytes()).and_then(|()| self.stream.flush());
            self.closed = written.is_err();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A writer whose text can be looked at.
    #[derive(Clone, Default)]
    pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("the text").clone()).expect("UTF-8")
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("the text").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut sink = Sink::new(writer);
        sink.line("one");
        sink.line("two");
        assert!(sink.closed);
    }
}
