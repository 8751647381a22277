//! Lets the connection ask the user through the report.

use crate::{
    remote::ssh::Ask,
    report::{Question, Report},
    secret::{Secret, keep_from_sight},
};

/// A report that can be asked on behalf of the connection.
pub(crate) struct AskReport<'a>(pub(crate) &'a mut dyn Report);

impl Ask for AskReport<'_> {
    fn confirm(&mut self, question: &str) -> Option<bool> {
        self.0.ask(&Question::Confirm(question.into())).map(|answer| answer == "yes")
    }

    fn secret(&mut self, question: &str) -> Option<Secret> {
        self.0.ask(&Question::Secret(question.into())).map(|answer| keep_from_sight(Secret::new(answer)))
    }
}
