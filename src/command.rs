//! A command line for the device, built from words and never from text: quoting happens here and nowhere else.

use std::time::Duration;

use crate::secret::{MASK, Secret};

/// Maximum time that a short command may be silent, unless it has a limit of its own.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Maximum time that a command may be silent that reads or writes much of the disk, or flushes all of it (`sync`).
pub const DISK_SILENCE_MAX: Duration = Duration::from_secs(900);

/// A command as the device's login shell will read it: one program and its words, each quoted.
///
/// A script is a constant text that takes its values as `$1`, `$2`, …: no value is ever pasted into shell text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    words: Vec<Word>,
    private: bool,
    silence: Silence,
}

/// The limit of the time in which a command neither gives output nor takes the input that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The command may be silent for this time.
    Limit(Duration),
    /// The command may be silent as long as docker on the device answers, because docker does its work.
    Docker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Plain(String),
    /// Shared functions, and the script that uses them.
    Script(&'static str, &'static str),
    Secret(Secret),
}

impl Command {
    /// Starts a command with its program.
    pub fn new(program: impl Into<String>) -> Self {
        Self { words: vec![Word::Plain(program.into())], silence: Silence::Limit(SILENCE_MAX), private: false }
    }

    /// Allows it to be silent for so long.
    pub fn silent_for(mut self, limit: Duration) -> Self {
        self.silence = Silence::Limit(limit);
        self
    }

    /// Allows it to be silent as long as docker answers.
    pub fn waits_for_docker(mut self) -> Self {
        self.silence = Silence::Docker;
        self
    }

    /// Returns how long it may be silent.
    pub fn silence(&self) -> Silence {
        self.silence
    }

    /// Runs `script` with `sh`; the words that follow are its `$1`, `$2`, ….
    pub fn script(script: &'static str) -> Self {
        Self::new("sh").arg("-c").push(Word::Script("", script)).arg("sh")
    }

    /// Runs `script` with `sh`, with the shared functions of `prelude`.
    pub fn script_with(prelude: &'static str, script: &'static str) -> Self {
        Self::new("sh").arg("-c").push(Word::Script(prelude, script)).arg("sh")
    }

    /// Keeps its output out of the log: there may be secrets in it.
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Returns whether its output is kept out of the log.
    pub const fn is_private(&self) -> bool {
        self.private
    }

    fn push(mut self, word: Word) -> Self {
        self.words.push(word);
        self
    }

    /// Adds a text that is a script itself, or a part of one, and is kept on the device.
    pub fn text(self, script: &'static str) -> Self {
        self.push(Word::Script("", script))
    }

    /// Adds one word to the command.
    pub fn arg(self, word: impl Into<String>) -> Self {
        self.push(Word::Plain(word.into()))
    }

    /// Adds several words.
    pub fn args<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.words.extend(words.into_iter().map(|word| Word::Plain(word.into())));
        self
    }

    /// Adds a word that is masked wherever people read it.
    pub fn secret(self, word: Secret) -> Self {
        self.push(Word::Secret(word))
    }

    /// Returns the command line that is sent to the device.
    pub fn line(&self) -> String {
        self.render(|word| match word {
            Word::Plain(text) => quote(text),
            Word::Script(prelude, text) => quote(&format!("{prelude}{text}")),
            Word::Secret(secret) => quote(secret.expose()),
        })
    }

    /// Returns the command line that is shown to users: secrets are masked, and a script is replaced by its first comment
    /// line, which says what it does.
    pub fn shown(&self) -> String {
        self.render(|word| match word {
            Word::Plain(text) => quote(text),
            Word::Script(_, text) => format!("'{}…'", script_title(text)),
            Word::Secret(_) => MASK.to_owned(),
        })
    }

    fn render(&self, word: impl Fn(&Word) -> String) -> String {
        self.words.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

fn script_title(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Paths for a command's standard input: one a line, backslash and line break escaped as `printf %b` reads them. Not every
/// device has an `xargs` that takes NUL between them.
pub fn path_lines<'a>(paths: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    paths.into_iter().map(|path| path_line(path) + "\n").collect::<String>().into_bytes()
}

/// Returns a path as it is written in such a line.
pub fn path_line(path: &str) -> String {
    path.replace('\\', r"\\").replace('\n', r"\n")
}

/// Words for a script that takes them in with `eval "set -- …"`, all on one line: a line break in them is `$n`.
pub fn eval_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| quote(word).replace('\n', r#"'"$n"'"#)).collect::<Vec<_>>().join(" ")
}

/// Returns a word that nothing on the device can know beforehand: it marks an answer, or the sections of one.
pub fn nonce() -> String {
    use std::hash::{BuildHasher, Hasher};
    let word = || std::hash::RandomState::new().build_hasher().finish();
    format!("@{:016x}{:016x}@", word(), word())
}

/// Quotes one word for a POSIX shell. NUL cannot stand in an argument and is dropped: callers refuse it where text comes in.
pub fn quote(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\0', "").replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_nothing_else_is() {
        let command = Command::new("docker").args(["tag", "a b", "it's", "$(reboot)", "", "-f\n~"]);
        assert_eq!(command.line(), "docker tag 'a b' 'it'\\''s' '$(reboot)' '' '-f\n~'");
    }

    #[test]
    fn a_script_is_shown_by_its_first_line_and_sent_whole() {
        let command = Command::script("# says hello\necho \"$1\"").arg("a b");
        assert_eq!(command.line(), "sh -c '# says hello\necho \"$1\"' sh 'a b'");
        assert_eq!(command.shown(), "sh -c '# says hello…' sh 'a b'");
    }

    #[test]
    fn a_secret_is_sent_and_not_shown() {
        let command = Command::new("login").secret(Secret::new("hunter2"));
        assert_eq!(command.line(), "login hunter2");
        assert_eq!(command.shown(), "login ‹secret›");
    }

    #[test]
    fn a_line_of_words_is_taken_in_as_they_were() {
        let words = ["a", "", "it's", "two\nlines\n", "$(id)", "\\", "$n", "-f *"];
        let line = eval_line(words);
        assert!(!line.contains('\n'), "{line}");
        let script = "n='\n'\nline=$(cat)\neval \"set -- $line\"\nprintf '%s\\0' \"$@\"";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), line.as_bytes()).expect("fed");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), words.join("\0") + "\0");
    }

    #[test]
    fn a_real_shell_gives_every_word_back_unchanged() {
        let words =
            ["", "a", "-rf", "a b", "'", "''", "\"", "$HOME", "`id`", "\\", "a\nb", "ü°", "*", "~", "#", "!", "\u{7f}\u{1}"];
        let line = Command::new("printf").arg("%s\\0").args(words).line();
        let output = std::process::Command::new("sh").arg("-c").arg(line).output().expect("sh runs");
        let back: Vec<_> =
            output.stdout.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        assert_eq!(back.iter().take(words.len()).collect::<Vec<_>>(), words.iter().collect::<Vec<_>>());
    }
}
