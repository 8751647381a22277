//! Takes the ends of files whose beginnings are here: all by one command, each behind a copy of its beginning.

use std::{fs::OpenOptions, io::Write};

use super::{
    RunError,
    fetch::{Error, Way, begin, local, settle},
};
use crate::{
    command::path_line,
    commands::files,
    facts::nonce,
    remote::{Input, Remote, Stream},
};

/// Takes the ends of these files; gives those that are not as they were when they were listed.
pub(super) async fn take<'a>(
    remote: &impl Remote,
    ways: Vec<Way<'a>>,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Way<'a>>, Error> {
    let line = |(file, _): &Way<'_>| format!("{} {}\n", file.have(), path_line(&file.remote));
    let lines: String = ways.iter().map(line).collect();
    let mark = nonce();
    let mut ends = Ends { ways: &ways, mark: format!("{mark}\n").into_bytes(), read: Read::Line(Vec::new()), came: Vec::new() };
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
    let came = ends.came;
    let mut others = Vec::new();
    for (index, way) in ways.into_iter().enumerate() {
        if came.get(index) == Some(&true) { settle(way.0, &way.1)? } else { others.push(way) }
    }
    Ok(others)
}

/// What is read of the command's output, which has for each file a line with the length of its end, the end, and a mark.
struct Ends<'w, 'a> {
    ways: &'w [Way<'a>],
    mark: Vec<u8>,
    read: Read,
    /// Whether each came, as far as is known.
    came: Vec<bool>,
}

enum Read {
    Line(Vec<u8>),
    /// So many bytes into this file, and then the mark.
    End(u64, std::fs::File),
    Mark(Vec<u8>),
    /// What comes is not understood: a file became shorter while it was read.
    Nothing,
}

impl Ends<'_, '_> {
    fn feed(&mut self, mut bytes: &[u8], progress: &mut dyn FnMut(u64)) -> Result<(), RunError> {
        while !bytes.is_empty() {
            let Some((file, place)) = self.ways.get(self.came.len()) else { return Ok(()) };
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
                        begin(file, place, file.have())?;
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
    use crate::{facts::compare::Copy, plan::Fetching};

    /// Feeds what a command gave in pieces of each length; gives what came of each file, none where it did not.
    fn fed(folder: &Path, given: &str) -> Vec<Option<String>> {
        let fetching = |name: &str| {
            let path = folder.join(name);
            std::fs::write(&path, "old ").expect("written");
            let copy = Some(Copy { path: path.clone(), bytes: 4 });
            Fetching { remote: format!("/{name}"), local: path, mode: 0o644, size: 5, copy }
        };
        let files: Vec<_> = ["a", "b", "c"].map(fetching).into();
        let mut all = Vec::new();
        for length in 1..given.len() {
            let ways: Vec<_> = files.iter().map(|file| (file, file.local.with_extension("arrives"))).collect();
            let mut ends = Ends { ways: &ways, mark: b"=m=\n".into(), read: Read::Line(Vec::new()), came: Vec::new() };
            for piece in given.as_bytes().chunks(length) {
                ends.feed(piece, &mut |_| ()).expect("it can be written");
            }
            let text = |(index, (_, place)): (usize, &Way<'_>)| {
                (ends.came.get(index) == Some(&true)).then(|| std::fs::read_to_string(place).expect("there"))
            };
            all.push(ways.iter().enumerate().map(text).collect::<Vec<_>>());
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
