//! Takes the ends of files whose beginnings are here: all by one command, each behind a copy of its beginning.

use std::{fs::OpenOptions, io::Write};

use super::{
    RunError,
    fetch::{Error, local},
    staging::Arrival,
};
use crate::{
    command::{nonce, path_line},
    commands::files,
    remote::{Input, Remote, Stream},
};

/// Takes the ends of these files; gives those that came, and those that are not as they were when they were listed.
pub(super) async fn take<'a>(
    remote: &impl Remote,
    arrivals: Vec<Arrival<'a>>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Vec<Arrival<'a>>, Vec<Arrival<'a>>), Error> {
    let line = |arrival: &Arrival<'_>| format!("{} {}\n", arrival.have, path_line(&arrival.file.remote));
    let lines: String = arrivals.iter().map(line).collect();
    let mark = nonce();
    let mut ends = TailDownload {
        arrivals: &arrivals,
        mark: format!("{mark}\n").into_bytes(),
        read: Read::Line(Vec::new()),
        came: Vec::new(),
    };
    let mut failed = None;
    let mut output = |stream: Stream, bytes: &[u8]| {
        if stream == Stream::Stdout && failed.is_none() {
            failed = ends.feed(bytes, progress).err();
        }
    };
    remote.exec(&files::give_ends(&mark), Input::Bytes(lines.into_bytes()), &mut output).await?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut came = ends.came.into_iter();
    let (whole, others): (Vec<_>, Vec<_>) = arrivals.into_iter().partition(|_| came.next() == Some(true));
    // What comes whole is made of nothing that was here.
    Ok((whole, others.into_iter().map(|arrival| Arrival { have: 0, ..arrival }).collect()))
}

/// The parser of the command's output, which has for each file a line with the length of its end, the end, and a mark.
struct TailDownload<'w, 'a> {
    arrivals: &'w [Arrival<'a>],
    mark: Vec<u8>,
    read: Read,
    /// Whether each came, as far as is known.
    came: Vec<bool>,
}

enum Read {
    Line(Vec<u8>),
    /// The number of bytes to come for this file, before the mark.
    End(u64, std::fs::File),
    Mark(Vec<u8>),
    /// The output is not understood: a file became shorter while it was read.
    Nothing,
}

impl TailDownload<'_, '_> {
    fn feed(&mut self, mut bytes: &[u8], progress: &mut dyn FnMut(u64)) -> Result<(), RunError> {
        while !bytes.is_empty() {
            let Some(Arrival { place, .. }) = self.arrivals.get(self.came.len()) else { return Ok(()) };
            bytes = match std::mem::replace(&mut self.read, Read::Nothing) {
                Read::Nothing => return Ok(()),
                Read::Line(mut line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (more, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    line.extend_from_slice(more);
                    if end.is_none() {
                        self.read = Read::Line(line);
                        return Ok(());
                    }
                    let length = std::str::from_utf8(&line).ok().and_then(|line| line.parse().ok());
                    if line == b"-" {
                        self.came.push(false);
                        self.read = Read::Line(Vec::new());
                    } else if let Some(length) = length {
                        let target = local(place, OpenOptions::new().append(true).open(place))?;
                        self.read = Read::End(length, target);
                    }
                    rest.get(1..).unwrap_or_default()
                }
                Read::End(0, _) => {
                    self.read = Read::Mark(Vec::new());
                    bytes
                }
                Read::End(left, mut target) => {
                    let (more, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                    local(place, target.write_all(more))?;
                    progress(more.len() as u64);
                    self.read = Read::End(left - more.len() as u64, target);
                    rest
                }
                Read::Mark(mut seen) => {
                    let (more, rest) = bytes.split_at(bytes.len().min(self.mark.len() - seen.len()));
                    seen.extend_from_slice(more);
                    if seen == self.mark {
                        self.came.push(true);
                        self.read = Read::Line(Vec::new());
                    } else if self.mark.starts_with(&seen) {
                        self.read = Read::Mark(seen);
                    }
                    rest
                }
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::Download;

    /// Feeds what a command gave in pieces of each length; gives what came of each file, none where it did not.
    fn fed(folder: &Path, given: &str) -> Vec<Option<String>> {
        let files: [_; 3] = ["a", "b", "c"].map(|name| Download { local: folder.join(name), ..Download::default() });
        let mut all = Vec::new();
        for length in 1..given.len() {
            let mut arrivals = Vec::new();
            for file in &files {
                let place = file.local.with_extension("arrives");
                std::fs::write(&place, "old ").expect("written");
                arrivals.push(Arrival { file, place, have: 4, before: None });
            }
            let mut ends =
                TailDownload { arrivals: &arrivals, mark: b"=m=\n".into(), read: Read::Line(Vec::new()), came: Vec::new() };
            for piece in given.as_bytes().chunks(length) {
                ends.feed(piece, &mut |_| ()).expect("it can be written");
            }
            let text = |(index, arrival): (usize, &Arrival<'_>)| {
                (ends.came.get(index) == Some(&true)).then(|| std::fs::read_to_string(&arrival.place).expect("there"))
            };
            all.push(arrivals.iter().enumerate().map(text).collect::<Vec<_>>());
        }
        all.dedup();
        assert_eq!(all.len(), 1, "it does not matter how it is cut");
        all.remove(0)
    }

    #[test]
    fn each_end_goes_behind_its_beginning_and_what_became_shorter_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(fed(folder.path(), "3\nnew=m=\n-\n0\n=m=\n"), [some("old new"), None, some("old ")]);
        assert_eq!(fed(folder.path(), "1\nx=m=\n9\nshort=m=\n2\nyz=m=\n"), [some("old x"), None, None]);
        assert_eq!(fed(folder.path(), "1\nx=m=\nnonsense\n"), [some("old x"), None, None]);
        assert_eq!(fed(folder.path(), "5\nhalf"), [None, None, None]);
    }
}
