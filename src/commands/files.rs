//! Commands that touch the device's file system.

use crate::command::Command;

/// The directory, beside the files it will replace, in which what is sent arrives.
pub const INCOMING: &str = ".o3r-deploy-incoming";

/// Makes directories with all above them.
pub fn make_directories(paths: &[String]) -> Command {
    Command::new("mkdir").args(["-p", "--"]).args(paths)
}

/// Gives paths their permission bits.
pub fn set_mode<'a>(mode: u32, paths: impl IntoIterator<Item = &'a String>) -> Command {
    Command::new("chmod").arg(format!("{mode:o}")).arg("--").args(paths)
}

/// Removes directories, but none that holds anything.
pub fn remove_empty_directories(paths: &[String]) -> Command {
    Command::new("rmdir").arg("--").args(paths)
}

/// Appends a line to a file, makes the file's directory if need be, and flushes it to the disk.
pub fn append_line(file: &str, line: &str) -> Command {
    Command::script(include_str!("scripts/append_line.sh")).arg(file).arg(line)
}

/// Replaces a file's content whole: to a temporary name, flushed, renamed.
pub fn write_file(file: &str, content: &str) -> Command {
    Command::script(include_str!("scripts/write_file.sh")).arg(file).arg(content)
}

/// Writes its standard input to a file that only the user may read. A secret is never a word of a command.
pub fn write_secret(file: &str) -> Command {
    Command::script(include_str!("scripts/write_secret.sh")).arg(file)
}

/// Compares its standard input with such a file: 0 the same, 3 another, 4 none.
pub fn compare_secret(file: &str) -> Command {
    Command::script(include_str!("scripts/compare_secret.sh")).arg(file)
}

/// Removes such a file.
pub fn remove_secret(file: &str) -> Command {
    Command::script(include_str!("scripts/remove_secret.sh")).arg(file)
}

/// Removes files and trees.
pub fn remove(paths: &[String]) -> Command {
    Command::new("rm").args(["-rf", "--"]).args(paths)
}

/// Makes an empty incoming directory in each of the directories on standard input (see [`crate::command::path_lines`]).
pub fn prepare_incoming() -> Command {
    Command::script(include_str!("scripts/prepare_incoming.sh")).arg(INCOMING)
}

/// Flushes what arrived, moves it into its place in each of the directories on standard input, and flushes again.
pub fn commit_incoming() -> Command {
    Command::script(include_str!("scripts/commit_incoming.sh")).arg(INCOMING)
}

/// Removes the incoming directories in the directories on standard input, with all that is in them.
pub fn abandon_incoming() -> Command {
    Command::script(include_str!("scripts/abandon_incoming.sh")).arg(INCOMING)
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
        assert_eq!(remove_empty_directories(&["/a".into()]).line(), "rmdir -- /a");
    }

    #[test]
    fn scripts_are_shown_by_what_they_do() {
        assert_eq!(append_line("/f", "x").shown(), "sh -c '# appends a line to a file…' sh /f x");
        assert_eq!(commit_incoming().shown(), "sh -c '# moves what arrived into its place…' sh .o3r-deploy-incoming");
    }

    #[test]
    fn incoming_files_replace_old_ones_and_leave_nothing_behind() {
        let home = std::env::temp_dir().join(format!("o3r-files-{}", std::process::id()));
        std::fs::create_dir_all(home.join("d")).expect("made");
        std::fs::write(home.join("d/-old"), "old").expect("written");
        let directory = home.join("d").display().to_string();
        let run = |command: &Command| {
            let mut child = std::process::Command::new("sh")
                .arg("-c")
                .arg(command.line())
                .stdin(std::process::Stdio::piped())
                .spawn()
                .expect("sh runs");
            std::io::Write::write_all(&mut child.stdin.take().expect("piped"), format!("{directory}\n").as_bytes())
                .expect("fed");
            assert!(child.wait().expect("ends").success());
        };
        run(&prepare_incoming());
        std::fs::write(home.join("d").join(INCOMING).join("-old"), "new").expect("written");
        std::fs::write(home.join("d").join(INCOMING).join(".hidden\nname"), "new").expect("written");
        run(&commit_incoming());
        assert_eq!(std::fs::read(home.join("d/-old")).expect("there"), b"new");
        assert_eq!(std::fs::read(home.join("d/.hidden\nname")).expect("there"), b"new");
        assert!(!home.join("d").join(INCOMING).exists());
        std::fs::remove_dir_all(&home).expect("removed");
    }
}
