//! Takes apart what options put into one word: `FROM,TO`, `REMOTE>LOCAL`, `A,B,C`, `FILE:SERVICE`.
//!
//! A part that holds the separator is written in double quotes (a quote in it doubled, and nothing else special), or with a
//! backslash before the separator. Any other backslash is itself, for it stands in Windows paths; spaces are never removed.

/// Text that cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// A quote without its end.
    #[error("in `{text}` a double quote is opened and not closed")]
    OpenQuote {
        /// The whole text.
        text: String,
    },
    /// Text between a closing quote and the next separator.
    #[error("in `{text}` something stands between a closing double quote and the next `{separator}`")]
    AfterQuote {
        /// The whole text.
        text: String,
        /// The character that separates parts.
        separator: char,
    },
    /// Too many or too few parts.
    #[error("`{text}` is understood as {}; expected `{}`, such as `{}`{}", shown(.parts), .form.says, .form.example, advice(.text, .parts, .form))]
    Count {
        /// The whole text.
        text: String,
        /// The parts as they were understood.
        parts: Vec<String>,
        /// The form that was expected.
        form: Form,
    },
}

/// The form of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The form, as in the help.
    pub says: &'static str,
    /// An example of a value in this form.
    pub example: &'static str,
    /// The character that separates parts.
    pub separator: char,
}

fn shown(parts: &[String]) -> String {
    let list: Vec<_> = parts.iter().map(|part| format!("`{part}`")).collect();
    match parts.len() {
        1 => format!("one part, {}", list.concat()),
        count => format!("{count} parts, {}", list.join(", ")),
    }
}

/// Returns a hint that uses the user's own words.
fn advice(text: &str, parts: &[String], form: &Form) -> String {
    let separator = form.separator;
    match parts {
        [first @ .., last] if first.len() > 1 => {
            let quoted = join(&[first.join(&separator.to_string()), last.clone()], separator);
            format!("; a `{separator}` that belongs to a name stands in double quotes: '{quoted}'")
        }
        _ if text.contains(&format!("\\{separator}")) => {
            format!("; a backslash before `{separator}` makes it part of the name: put that name in double quotes")
        }
        _ => String::new(),
    }
}

/// Takes `text` apart at each `separator`.
///
/// # Errors
/// Quotes that do not pair.
pub fn split(text: &str, separator: char) -> Result<Vec<String>, PairError> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut characters = text.chars().peekable();
    loop {
        if part.is_empty() && characters.next_if_eq(&'"').is_some() {
            loop {
                match characters.next() {
                    Some('"') if characters.next_if_eq(&'"').is_some() => part.push('"'),
                    Some('"') => break,
                    Some(character) => part.push(character),
                    None => return Err(PairError::OpenQuote { text: text.to_owned() }),
                }
            }
            if characters.peek().is_some_and(|next| *next != separator) {
                return Err(PairError::AfterQuote { text: text.to_owned(), separator });
            }
        }
        match characters.next() {
            Some('\\') => part.push(characters.next_if(|next| *next == separator || *next == '"').unwrap_or('\\')),
            Some(character) if character == separator => parts.push(std::mem::take(&mut part)),
            Some(character) => part.push(character),
            None => {
                parts.push(part);
                return Ok(parts);
            }
        }
    }
}

/// Puts parts together so that [`split`] gives them back.
pub fn join<T: AsRef<str>>(parts: &[T], separator: char) -> String {
    let quoted = |part: &str| {
        let harmless = !part.contains([separator, '"']) && !part.ends_with('\\');
        if harmless { part.to_owned() } else { format!("\"{}\"", part.replace('"', "\"\"")) }
    };
    parts.iter().map(|part| quoted(part.as_ref())).collect::<Vec<_>>().join(&separator.to_string())
}

/// Takes a word apart that has exactly two parts.
///
/// # Errors
/// Another number of parts; quotes that do not pair.
pub fn pair(text: &str, form: Form) -> Result<(String, String), PairError> {
    match <[String; 2]>::try_from(split(text, form.separator)?) {
        Ok([first, second]) => Ok((first, second)),
        Err(parts) => Err(PairError::Count { text: text.to_owned(), parts, form }),
    }
}

/// Takes a word apart whose second part may be left out.
///
/// # Errors
/// More than two parts; quotes that do not pair.
pub fn one_or_two(text: &str, form: Form) -> Result<(String, Option<String>), PairError> {
    let mut parts = split(text, form.separator)?;
    let second = if parts.len() == 2 { parts.pop() } else { None };
    match <[String; 1]>::try_from(parts) {
        Ok([first]) => Ok((first, second)),
        Err(parts) => Err(PairError::Count { text: text.to_owned(), parts, form }),
    }
}

/// Takes `FILE:SERVICE` apart at its last colon. A colon with a slash or backslash behind it belongs to the path, as a drive's
/// does.
pub fn file_and_service(text: &str) -> (String, Option<String>) {
    match text.rsplit_once(':') {
        Some((file, service)) if !service.contains(['/', '\\']) => (file.to_owned(), Some(service.to_owned())),
        _ => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: Form = Form { says: "FROM,TO", example: "./config,~/share/config", separator: ',' };
    const LOGS: Form = Form { says: "REMOTE>LOCAL", example: "~/share/logs>~/logs", separator: '>' };

    fn two(text: &str) -> (String, String) {
        pair(text, FORM).expect("a pair")
    }

    fn strings(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn commas_are_quoted_or_escaped() {
        assert_eq!(two(r#""a,b",c"#), strings("a,b", "c"));
        assert_eq!(two(r"a\,b,c"), strings("a,b", "c"));
        assert_eq!(two(r#""a""b,c",d"#), strings("a\"b,c", "d"));
        assert_eq!(two(r#"a"b,c"#), strings("a\"b", "c"));
    }

    #[test]
    fn spaces_stay_where_they_are() {
        assert_eq!(two("my file, ~/share/my file"), strings("my file", " ~/share/my file"));
    }

    #[test]
    fn windows_paths_are_themselves() {
        assert_eq!(two(r"C:\x\y,~/y"), strings(r"C:\x\y", "~/y"));
        assert_eq!(two(r"\\server\share,~/y"), strings(r"\\server\share", "~/y"));
        assert_eq!(two(r#""C:\x\",~/y"#), strings(r"C:\x\", "~/y"));
        assert_eq!(pair(r"~/logs>C:\logs", LOGS), Ok(strings("~/logs", r"C:\logs")));
    }

    #[test]
    fn a_colon_of_a_drive_or_a_path_separates_nothing() {
        let taken = |text| {
            let (file, service) = file_and_service(text);
            (file, service.unwrap_or_else(|| "none".into()))
        };
        assert_eq!(taken(r"C:\x\docker-compose.yml"), strings(r"C:\x\docker-compose.yml", "none"));
        assert_eq!(taken(r"C:\x\docker-compose.yml:app"), strings(r"C:\x\docker-compose.yml", "app"));
        assert_eq!(taken("C:/x/docker-compose.yml"), strings("C:/x/docker-compose.yml", "none"));
        assert_eq!(taken("~/a:b/docker-compose.yml"), strings("~/a:b/docker-compose.yml", "none"));
        assert_eq!(taken("~/a:b/docker-compose.yml:app"), strings("~/a:b/docker-compose.yml", "app"));
        assert_eq!(taken("./docker-compose.yml"), strings("./docker-compose.yml", "none"));
    }

    #[test]
    fn a_second_part_may_be_left_out_where_the_form_says_so() {
        assert_eq!(one_or_two("a.tar", FORM), Ok(("a.tar".into(), None)));
        assert_eq!(one_or_two("a.tar,a:1", FORM), Ok(("a.tar".into(), Some("a:1".into()))));
        assert!(one_or_two("a,b,c", FORM).is_err());
    }

    #[test]
    fn a_wrong_number_of_parts_is_refused_with_what_was_understood() {
        let said = |text| pair(text, FORM).expect_err("it is refused").to_string();
        insta::assert_snapshot!(said("a"), @"`a` is understood as one part, `a`; expected `FROM,TO`, such as `./config,~/share/config`");
        insta::assert_snapshot!(said("a,b,c"), @r#"`a,b,c` is understood as 3 parts, `a`, `b`, `c`; expected `FROM,TO`, such as `./config,~/share/config`; a `,` that belongs to a name stands in double quotes: '"a,b",c'"#);
        insta::assert_snapshot!(said(r"C:\a\,b"), @r"`C:\a\,b` is understood as one part, `C:\a,b`; expected `FROM,TO`, such as `./config,~/share/config`; a backslash before `,` makes it part of the name: put that name in double quotes");
        insta::assert_snapshot!(said("\"a,b"), @r#"in `"a,b` a double quote is opened and not closed"#);
        insta::assert_snapshot!(said("\"a\"b,c"), @r#"in `"a"b,c` something stands between a closing double quote and the next `,`"#);
    }

    proptest! {
        #[test]
        fn any_pair_survives_being_put_together_and_taken_apart(first: String, second: String) {
            prop_assert_eq!(two(&join(&[&first, &second], ',')), (first.clone(), second.clone()));
            prop_assert_eq!(pair(&join(&[&first, &second], '>'), LOGS), Ok((first, second)));
        }

        #[test]
        fn pairs_of_awkward_characters_survive_too(first in r#"[,"\\> a:~/]{0,12}"#, second in r#"[,"\\> a:~/]{0,12}"#) {
            prop_assert_eq!(two(&join(&[&first, &second], ',')), (first, second));
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text: String) {
            let _ = (split(&text, ','), file_and_service(&text));
        }
    }
}
