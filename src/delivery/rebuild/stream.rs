//! The words for the device that rebuild a stream: what to skip and to copy of the base, and what to put behind it.
//!
//! Each step is a line `<skip> <copy> <insert>`, three numbers of bytes, followed by the bytes to insert.

use std::io::{self, Write};

use super::matching::Run;

/// Takes the whole stream and hands on its steps.
pub struct Steps<'a, W> {
    out: W,
    runs: std::slice::Iter<'a, Run>,
    next: Option<Run>,
    total: u64,
    /// Number of bytes of the stream that have come.
    position: u64,
    /// Number of bytes of the base that the steps have used.
    read: u64,
    /// Number of the next bytes that are in the base and need not be sent.
    dropping: u64,
}

impl<'a, W: Write> Steps<'a, W> {
    /// Begins a stream of `total` bytes.
    ///
    /// # Errors
    /// The error of writing to `out`.
    pub fn new(runs: &'a [Run], total: u64, mut out: W) -> io::Result<Self> {
        let mut runs = runs.iter();
        let next = runs.next().copied();
        let first = next.map_or(total, |run| run.at);
        if first > 0 {
            writeln!(out, "0 0 {first}")?;
        }
        Ok(Self { out, runs, next, total, position: 0, read: 0, dropping: 0 })
    }

    fn step(&mut self, run: Run) -> io::Result<()> {
        self.next = self.runs.next().copied();
        let end = run.at + run.length;
        let insert = self.next.map_or(self.total, |next| next.at) - end;
        writeln!(self.out, "{} {} {insert}", run.from - self.read, run.length)?;
        self.read = run.from + run.length;
        self.dropping = run.length;
        Ok(())
    }
}

impl<W: Write> Write for Steps<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(run) = self.next.filter(|run| run.at == self.position) {
            self.step(run)?;
        }
        let length = bytes.len() as u64;
        let taken = match (self.dropping, self.next) {
            (0, None) => length,
            (0, Some(next)) => length.min(next.at - self.position),
            (dropping, _) => length.min(dropping),
        };
        if self.dropping > 0 {
            self.dropping -= taken;
        } else {
            self.out.write_all(bytes.get(..usize::try_from(taken).unwrap_or(bytes.len())).unwrap_or(bytes))?;
        }
        self.position += taken;
        Ok(usize::try_from(taken).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_say_what_to_skip_to_copy_and_to_insert() {
        let runs =
            [Run { at: 3, from: 10, length: 4 }, Run { at: 7, from: 20, length: 2 }, Run { at: 12, from: 22, length: 1 }];
        let mut out = Vec::new();
        let mut steps = Steps::new(&runs, 15, &mut out).expect("memory takes all");
        for piece in b"abcDEFGHIjklMno".chunks(4) {
            steps.write_all(piece).expect("memory takes all");
        }
        assert_eq!(String::from_utf8(out).expect("text"), "0 0 3\nabc10 4 0\n6 2 3\njkl0 1 2\nno");
    }
}
