//! Finds the beginning of a command's own output: after a mark that the login shell prints just before it starts the
//! command. Output before the mark comes from others: `~/.bashrc`, `~/.ssh/rc`, a shell without its locale.

use crate::{
    command::{Command, nonce},
    remote::Stream,
};

/// The most that is kept of what others said on one stream, in bytes.
const BEFORE_MAX: usize = 8 << 10;

/// The beginnings of both streams of one command.
pub(super) struct Frame {
    mark: String,
    stdout: Beginning,
    stderr: Beginning,
}

#[derive(Default)]
struct Beginning {
    found: bool,
    /// The last of what came before the mark.
    before: Vec<u8>,
}

impl Frame {
    /// Makes one with a mark of its own.
    pub(super) fn new() -> Self {
        Self { mark: nonce(), stdout: Beginning::default(), stderr: Beginning::default() }
    }

    /// Returns the line for the wire: the mark on both streams, and then the command in the place of the shell.
    pub(super) fn line(&self, command: &Command) -> String {
        let mark = &self.mark;
        format!("echo {mark};echo {mark} >&2;exec {}", command.line())
    }

    /// Returns what of a piece is the command's own.
    pub(super) fn own<'a>(&mut self, stream: Stream, piece: &'a [u8]) -> &'a [u8] {
        let mark = format!("{}\n", self.mark);
        let beginning = if stream == Stream::Stdout { &mut self.stdout } else { &mut self.stderr };
        beginning.own(mark.as_bytes(), piece)
    }

    /// Returns whether the shell has started the command.
    pub(super) fn has_begun(&self) -> bool {
        self.stdout.found
    }

    /// Returns what others said, on both streams.
    pub(super) fn before(&self) -> Vec<u8> {
        [self.stdout.before.as_slice(), self.stderr.before.as_slice()].concat()
    }
}

impl Beginning {
    fn own<'a>(&mut self, mark: &[u8], piece: &'a [u8]) -> &'a [u8] {
        if self.found {
            return piece;
        }
        // The mark may come in two pieces.
        let known = self.before.len();
        self.before.extend_from_slice(piece);
        if let Some(at) = self.before.windows(mark.len()).position(|window| window == mark) {
            self.found = true;
            self.before.truncate(at);
            return piece.get((at + mark.len()).saturating_sub(known)..).unwrap_or_default();
        }
        self.before.drain(..self.before.len().saturating_sub(BEFORE_MAX));
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_begins_behind_the_mark_however_it_is_cut() {
        let whole = |mark: &str| format!("hello\n-bash: warning{mark}\nown\n{mark}\n");
        for size in 1..60 {
            let mut frame = Frame::new();
            let (text, mark) = (whole(&frame.mark), frame.mark.clone());
            let own: Vec<u8> =
                text.as_bytes().chunks(size).flat_map(|piece| frame.own(Stream::Stdout, piece).to_vec()).collect();
            assert_eq!(String::from_utf8(own).expect("text"), format!("own\n{mark}\n"));
            assert!(frame.has_begun() && !frame.stderr.found);
            assert_eq!(frame.before(), b"hello\n-bash: warning");
        }
    }

    #[test]
    fn noise_without_end_is_kept_within_a_bound() {
        let mut frame = Frame::new();
        for _ in 0..100 {
            assert_eq!(frame.own(Stream::Stderr, &[b'x'; 1000]), b"");
        }
        assert_eq!(frame.before().len(), BEFORE_MAX);
        assert_eq!(frame.own(Stream::Stderr, format!("{}\nown", frame.mark.clone()).as_bytes()), b"own");
    }

    #[test]
    fn a_real_shell_prints_the_mark_on_both_streams_before_the_command() {
        let mut frame = Frame::new();
        let line = frame.line(&Command::script("# says two things\nprintf out; printf err >&2"));
        let output = std::process::Command::new("sh").arg("-c").arg(line).output().expect("sh runs");
        assert_eq!(frame.own(Stream::Stdout, &output.stdout), b"out");
        assert_eq!(frame.own(Stream::Stderr, &output.stderr), b"err");
    }
}
