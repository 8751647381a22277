//! Commands that touch the device's file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::{
    command::{Command, DISK_SILENCE_MAX, path_line},
    facts::compare::BLOCK,
};

pub use crate::facts::compare::INCOMING;

/// Makes directories with all above them.
pub fn make_directories(paths: &[String]) -> Command {
    Command::new("mkdir").args(["-p", "--"]).args(paths)
}

/// Gives paths their permission bits.
pub fn set_mode<'a>(mode: u32, paths: impl IntoIterator<Item = &'a String>) -> Command {
    Command::new("chmod").arg(format!("{mode:o}")).arg("--").args(paths)
}

/// Lets the owner of directories write into them.
pub fn open<'a>(paths: impl IntoIterator<Item = &'a String>) -> Command {
    Command::new("chmod").arg("u+rwx").arg("--").args(paths)
}

/// Removes directories, but none that holds anything.
pub fn remove_empty_directories(paths: &[String]) -> Command {
    Command::new("rmdir").arg("--").args(paths)
}

/// Appends a line to a file, makes the file's directory if need be, and flushes it to the disk.
pub fn append_line(file: &str, line: &str) -> Command {
    Command::script(include_str!("scripts/append_line.sh")).silent_for(DISK_SILENCE_MAX).arg(file).arg(line)
}

/// Replaces a file's content whole: to a temporary name, flushed, renamed.
pub fn write_file(file: &str, content: &str) -> Command {
    Command::script(include_str!("scripts/write_file.sh")).silent_for(DISK_SILENCE_MAX).arg(file).arg(content)
}

/// Writes its standard input, `size` bytes, to a file that only the user may read. A secret is never a word of a command.
pub fn write_secret(file: &str, size: usize) -> Command {
    Command::script(include_str!("scripts/write_secret.sh")).silent_for(DISK_SILENCE_MAX).arg(file).arg(size.to_string())
}

/// Compares such files with digests on its standard input, lines of a SHA-256 and a path (see [`path_line`]): prints `same`,
/// `other` or `none` for each.
pub fn compare_secrets() -> Command {
    Command::script(include_str!("scripts/compare_secrets.sh"))
}

/// Removes such a file.
pub fn remove_secret(file: &str) -> Command {
    Command::script(include_str!("scripts/remove_secret.sh")).arg(file)
}

/// Removes files and trees.
pub fn remove(paths: &[String]) -> Command {
    Command::new("rm").silent_for(DISK_SILENCE_MAX).args(["-rf", "--"]).args(paths)
}

/// The part of receiving files that a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// Takes in a tar archive, below the incoming directories.
    Take,
    /// Flushes what arrived, moves it into its place, and flushes again.
    Place,
    /// Both parts, one after the other.
    Both,
}

/// The places where files arrive and how they are treated, as [`receive`] reads it before the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Directories that get an incoming directory, and whether one that is there is kept with what is in it.
    pub places: BTreeMap<String, bool>,
    /// Files that an earlier run left in incoming directories and that are of no use.
    pub stale: Vec<String>,
    /// Directories into which their owner cannot write before he has let himself.
    pub open: BTreeSet<String>,
    /// Permission bits that directories get in the end: one that is read-only would take no files.
    pub modes: Vec<(String, u32)>,
}

impl Arrival {
    /// Returns the lines, and the empty one that ends them.
    pub fn head(&self) -> Vec<u8> {
        let places = self.places.iter().map(|(path, kept)| (if *kept { "kept" } else { "fresh" }.to_owned(), path));
        let open = self.open.iter().map(|path| ("open".to_owned(), path));
        let stale = self.stale.iter().map(|path| ("stale".to_owned(), path));
        let modes = self.modes.iter().map(|(path, mode)| (format!("{mode:03o}"), path));
        let lines: String =
            open.chain(places).chain(stale).chain(modes).map(|(word, path)| format!("{word} {}\n", path_line(path))).collect();
        (lines + "\n").into_bytes()
    }
}

/// Takes files in. Standard input has [`Arrival::head`], and behind it the archive.
pub fn receive(part: Receive) -> Command {
    let part = match part {
        Receive::Take => "take",
        Receive::Place => "place",
        Receive::Both => "both",
    };
    Command::script(include_str!("scripts/take_in.sh")).silent_for(DISK_SILENCE_MAX).arg(INCOMING).arg(part)
}

/// Takes a piece of a large file in from its standard input, of which `have` bytes are there already; what lies between them and the
/// piece becomes a hole. The last piece comes with the mode.
pub fn append(path: &str, have: u64, range: &Range<u64>, mode: Option<u32>) -> Command {
    let mode = mode.map(|mode| format!("{mode:o}")).unwrap_or_default();
    let words = [path.to_owned(), have.to_string(), range.start.to_string(), range.end.to_string(), mode];
    Command::script(include_str!("scripts/take_rest.sh")).silent_for(DISK_SILENCE_MAX).args(words)
}

/// Removes the incoming directories in the directories on standard input, with all that is in them.
pub fn abandon_incoming() -> Command {
    Command::script(include_str!("scripts/abandon_incoming.sh")).silent_for(DISK_SILENCE_MAX).arg(INCOMING)
}

/// Gives files as tar archives. Standard input has their paths, relative to `/`, one a line (see [`path_line`]); one that ends
/// with `/.` is a whole tree.
pub fn give() -> Command {
    Command::script(include_str!("scripts/give_files.sh")).silent_for(DISK_SILENCE_MAX)
}

const GIVE_ENDS: &str = concat!(include_str!("scripts/give_ends.sh"), include_str!("scripts/range.sh"));

/// Prints the rest of files, from lengths that are given before their paths on standard input: the number of bytes on a
/// line, the bytes, and `mark` on a line; `-` for a file that does not exist any more or has become shorter.
pub fn give_ends(mark: &str) -> Command {
    Command::script(GIVE_ENDS).silent_for(DISK_SILENCE_MAX).arg(mark)
}

/// Gives one file, from a multiple of [`BLOCK`] on: `p` and the bytes, or `z` and the bytes compressed where it has large holes.
pub fn give_rest(path: &str, from: u64) -> Command {
    let words = [path.to_owned(), (from / BLOCK * BLOCK).to_string()];
    Command::script(include_str!("scripts/give_rest.sh")).silent_for(DISK_SILENCE_MAX).args(words)
}

/// Has external storage mounted and prints where.
pub fn mount_usb() -> Command {
    Command::script(include_str!("scripts/mount_usb.sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_never_an_option() {
        assert_eq!(make_directories(&["/home/oem/-p".into()]).line(), "mkdir -p -- /home/oem/-p");
        assert_eq!(remove(&["/home/oem/a b".into()]).line(), "rm -rf -- '/home/oem/a b'");
        assert_eq!(set_mode(0o750, &["/a".to_owned()]).line(), "chmod 750 -- /a");
        assert_eq!(
            give_rest("/a b", (3 << 20) + 1).shown(),
            "sh -c '# gives a large file, or the rest of one…' sh '/a b' 3145728"
        );
        assert_eq!(remove_empty_directories(&["/a".into()]).line(), "rmdir -- /a");
    }

    #[test]
    fn scripts_are_shown_by_what_they_do() {
        assert_eq!(append_line("/f", "x").shown(), "sh -c '# appends a line to a file…' sh /f x");
        assert_eq!(append("/f", 3, &(5..7), Some(0o644)).shown(), "sh -c '# takes a piece of a large file…' sh /f 3 5 7 644");
    }

    #[test]
    fn what_arrives_is_told_line_by_line() {
        let arrival = Arrival {
            places: [("/a b".to_owned(), false), ("/c\nd".to_owned(), true)].into(),
            open: ["/a b".to_owned()].into(),
            stale: vec!["/c\nd/x\\".into()],
            modes: vec![("/a b/e".into(), 0o55)],
        };
        assert_eq!(arrival.head(), b"open /a b\nfresh /a b\nkept /c\\nd\nstale /c\\nd/x\\\\\n055 /a b/e\n\n");
        assert_eq!(
            receive(Receive::Both).shown(),
            "sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming both"
        );
    }
}
