//! The words of the command line, before and after clap parses them: options may stand before the subcommand, and errors
//! are also reported to a program that reads events.

use std::{ffi::OsString, process::ExitCode};

use super::session;
use crate::{
    failure::{Explain, FailureKind},
    report::Style,
};

/// Puts the options that stand before a subcommand behind it, where clap has them understood or refused.
pub(super) fn in_order(words: Vec<OsString>, command: &clap::Command) -> Vec<OsString> {
    let Some(at) = subcommand(&words, command) else { return words };
    let (before, after) = words.split_at(at);
    let (program, options) = before.split_at(before.len().min(1));
    let (name, rest) = after.split_at(1);
    [program, name, options, rest].concat()
}

/// Finds the subcommand behind options.
fn subcommand(words: &[OsString], command: &clap::Command) -> Option<usize> {
    let is_subcommand = |word: &OsString| word.to_str().is_some_and(|word| command.find_subcommand(word).is_some());
    let is_option = |word: &OsString| word.to_str().is_some_and(|word| word.starts_with("--"));
    let mut at = 1;
    while let Some(word) = words.get(at) {
        if is_subcommand(word) {
            return Some(at);
        }
        let option = word.to_str()?.strip_prefix("--").filter(|option| !option.is_empty())?;
        at += 1;
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let has_name = |argument: &&clap::Arg| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            argument.get_long() == Some(name) || aliases.contains(&name)
        };
        let argument = command.get_arguments().find(has_name)?;
        if value.is_none() && argument.get_action().takes_values() {
            at += 1;
            let takes_more = argument.get_num_args().is_some_and(|number| number.max_values() > 1);
            let goes_on = |word: &OsString| takes_more && !is_option(word) && !is_subcommand(word);
            while words.get(at).is_some_and(goes_on) {
                at += 1;
            }
        }
    }
    None
}

/// Options that are wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

impl Explain for Wrong {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("`o3r-deploy --help` and `o3r-deploy COMMAND --help` list the options".into())
    }
}

/// Shows what clap has to say, be it help or a mistake.
pub(super) fn refuse(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if error.use_stderr() && words.iter().any(|word| word == "--json") {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let said = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
        let dry_run = words.iter().any(|word| word == "plan" || word == "--dry-run" || word == "--dry_run");
        return (session::refuse_run(Style::Json, dry_run, Wrong(said).into()) as u8).into();
    }
    // What cannot be printed, nobody reads.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let words = in_order(words, &crate::cli::command_line());
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_before_a_subcommand_are_its_own() {
        for (line, expected) in [
            ("o3r-deploy --IP a doctor --json", "o3r-deploy doctor --IP a --json"),
            ("o3r-deploy --ip=a --port 2 verify --reboot", "o3r-deploy verify --ip=a --port 2 --reboot"),
            ("o3r-deploy --image a.tar b.tar plan", "o3r-deploy plan --image a.tar b.tar"),
            ("o3r-deploy --IP doctor --json", "o3r-deploy --IP doctor --json"),
            ("o3r-deploy --quiet --attach_to plan", "o3r-deploy --quiet --attach_to plan"),
            ("o3r-deploy --unknown doctor", "o3r-deploy --unknown doctor"),
            ("o3r-deploy plan --IP a", "o3r-deploy plan --IP a"),
            ("o3r-deploy", "o3r-deploy"),
        ] {
            assert_eq!(ordered(line), expected);
        }
    }

    #[test]
    fn option_that_means_nothing_to_a_subcommand_is_refused_wherever_it_stands() {
        use clap::Parser;
        let words = in_order(["o3r-deploy", "--make-room", "doctor"].map(OsString::from).to_vec(), &crate::cli::command_line());
        let error = crate::cli::Cli::try_parse_from(words).expect_err("it is refused");
        assert!(error.to_string().contains("unexpected argument '--make-room' found"), "{error}");
    }
}
