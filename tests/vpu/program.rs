//! The program while it runs: for what happens to it meanwhile.

use std::{
    fs::File,
    process::{Child, Command},
};

use crate::{
    device::{Vpu, must},
    witness::wait_for,
};

/// The program under test, running. It is killed when this is dropped.
pub struct Program {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Vpu {
    /// Starts the program.
    pub fn start(&self, words: &[&str]) -> Program {
        let said = tempfile::NamedTempFile::new().expect("a file");
        // Opened once more: both streams append, so that neither writes over the other.
        let open = || File::options().append(true).open(said.path()).expect("opened");
        let child = self.command(words).stdout(open()).stderr(open()).spawn().expect("it starts");
        Program { child, said }
    }
}

impl Program {
    /// All that it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8(std::fs::read(self.said.path()).expect("read")).expect("UTF-8")
    }

    /// Waits until it has said something.
    pub fn wait_until_it_says(&mut self, text: &str) {
        wait_for(&format!("`{text}` said"), || {
            if self.said().contains(text) {
                return Some(());
            }
            assert!(self.child.try_wait().expect("asked").is_none(), "it ended without `{text}`: {}", self.said());
            None
        });
    }

    /// Whether it runs still.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }

    /// Sends it a signal, `INT` for Ctrl-C.
    pub fn signal(&self, name: &str) {
        must(Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()));
    }

    /// Sends it a signal unless it has ended.
    pub fn signal_if_running(&mut self, name: &str) {
        if self.runs() {
            self.signal(name);
        }
    }

    /// Waits for its end; gives its exit code and all that it said.
    pub fn end(mut self) -> (i32, String) {
        let status = wait_for("the program's end", || self.child.try_wait().expect("asked"));
        (status.code().unwrap_or(-1), self.said())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
