//! Questions to the person at the terminal, read key by key.
//!
//! Key by key because a line read in one piece cannot be given up: once the program catches Ctrl-C, the read goes on, and if it
//! does not, the terminal stays without echo. Here Ctrl-C restores the terminal first and then takes its usual course.

use console::{Key, Term};

use super::Question;
use crate::text::printable;

/// Asks on standard error and reads from the terminal, also where standard input is something else. `None` without a terminal,
/// and when the person gives up with Ctrl-C, Ctrl-D or Escape. Anything but `y` or `yes` answers a confirmation with `no`.
pub(super) fn ask(question: &Question) -> Option<String> {
    let terminal = Term::stderr();
    if !terminal.is_term() {
        return None;
    }
    let (text, suffix, shown) = match question {
        Question::Confirm(text) => (text, " [y/N] ", true),
        Question::Secret(text) => (text, ": ", false),
    };
    let text = text.lines().map(printable).collect::<Vec<_>>().join("\n");
    let answer = read(&terminal, &format!("{text}{suffix}"), shown);
    match (answer?, question) {
        (answer, Question::Secret(_)) => Some(answer),
        (answer, Question::Confirm(_)) => Some(agreed(&answer).to_owned()),
    }
}

fn agreed(answer: &str) -> &'static str {
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) { "yes" } else { "no" }
}

fn read(terminal: &Term, prompt: &str, shown: bool) -> Option<String> {
    let held = held::Terminal::hold()?;
    terminal.write_str(prompt).ok()?;
    let mut line = Line::default();
    let end = loop {
        let Ok(key) = terminal.read_key_raw() else { break End::GivenUp };
        let before = line.text.chars().count();
        if let Some(end) = line.key(&key) {
            break end;
        }
        if shown {
            // A terminal that went away is noticed by the next read.
            let _ = match (key, line.text.chars().count()) {
                (Key::Char(c), after) if after > before => terminal.write_str(&c.to_string()),
                (_, after) if after < before => terminal.clear_chars(before - after),
                _ => Ok(()),
            };
        }
    };
    let _ = terminal.write_line("");
    drop(held);
    match end {
        End::Entered => Some(line.text),
        End::GivenUp => None,
        End::Interrupted => {
            held::interrupt();
            None
        }
    }
}

/// The way in which the input of a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Entered,
    GivenUp,
    Interrupted,
}

/// The line as typed so far.
#[derive(Debug, Default)]
struct Line {
    text: String,
}

impl Line {
    /// Takes a key; tells when the line is at its end.
    fn key(&mut self, key: &Key) -> Option<End> {
        match key {
            Key::Enter => return Some(End::Entered),
            Key::CtrlC | Key::Char('\u{3}') => return Some(End::Interrupted),
            Key::Escape | Key::Char('\u{4}') => return Some(End::GivenUp),
            Key::Backspace => drop(self.text.pop()),
            // Ctrl-U clears the line, as everywhere.
            Key::Char('\u{15}') => self.text.clear(),
            Key::Char(c) if !c.is_control() => self.text.push(*c),
            _ => {}
        }
        None
    }
}

#[cfg(unix)]
mod held {
    //! The terminal while a line is typed: no echo, no line buffer, Ctrl-C a key like others, from the first key to the last.

    use std::{fs::File, io::IsTerminal, os::fd::AsFd};

    use rustix::{
        process::{Signal, getpid, kill_process},
        termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
    };

    pub(super) struct Terminal {
        // `None` stands for standard input; the keys are read from the same of the two.
        file: Option<File>,
        before: Termios,
    }

    impl Terminal {
        pub(super) fn hold() -> Option<Self> {
            let stdin = std::io::stdin();
            let file =
                if stdin.is_terminal() { None } else { Some(File::options().read(true).write(true).open("/dev/tty").ok()?) };
            let fd = file.as_ref().map_or(stdin.as_fd(), AsFd::as_fd);
            let before = tcgetattr(fd).ok()?;
            let mut held = before.clone();
            held.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
            tcsetattr(fd, OptionalActions::Drain, &held).ok()?;
            Some(Self { file, before })
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            let stdin = std::io::stdin();
            let fd = self.file.as_ref().map_or(stdin.as_fd(), AsFd::as_fd);
            let _ = tcsetattr(fd, OptionalActions::Drain, &self.before);
        }
    }

    /// Does what Ctrl-C would have done.
    pub(super) fn interrupt() {
        let _ = kill_process(getpid(), Signal::INT);
    }
}

#[cfg(not(unix))]
mod held {
    //! Elsewhere keys come one by one and without echo as they are.

    pub(super) struct Terminal;

    impl Terminal {
        pub(super) fn hold() -> Option<Self> {
            Some(Self)
        }
    }

    /// Does nothing here: Ctrl-C cancels the question, and with it the work that depends on it.
    pub(super) fn interrupt() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Key]) -> (String, Option<End>) {
        let mut line = Line::default();
        let end = keys.iter().find_map(|key| line.key(key));
        (line.text, end)
    }

    #[test]
    fn a_line_is_edited_and_entered() {
        let keys = [Key::Char('ü'), Key::Char('x'), Key::Backspace, Key::ArrowLeft, Key::Char(' '), Key::Enter, Key::Char('z')];
        assert_eq!(typed(&keys), ("ü ".into(), Some(End::Entered)));
        assert_eq!(typed(&[Key::Char('a'), Key::Char('\u{15}'), Key::Char('b')]), ("b".into(), None));
    }

    #[test]
    fn a_question_can_be_given_up() {
        assert_eq!(typed(&[Key::Char('y'), Key::CtrlC]).1, Some(End::Interrupted));
        assert_eq!(typed(&[Key::Char('\u{4}')]).1, Some(End::GivenUp));
        assert_eq!(typed(&[Key::Escape]).1, Some(End::GivenUp));
    }

    #[test]
    fn only_a_plain_yes_agrees() {
        assert_eq!(["y", "Y", " yes ", "", "n", "yep", "ja"].map(agreed), ["yes", "yes", "yes", "no", "no", "no", "no"]);
    }
}
