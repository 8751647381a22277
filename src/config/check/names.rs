//! Checks the names of applications, volumes, images, services and users. Each check returns what was expected, if a name
//! is invalid.

use regex_lite::Regex;

use crate::reference::Reference;

/// The result of a check: an error describes what was expected.
pub(super) type Expected = Result<(), &'static str>;

fn fits(pattern: &str, text: &str, expected: &'static str) -> Expected {
    let pattern = Regex::new(&format!(r"\A(?:{pattern})\z")).expect("the patterns below are constants that tests read");
    if pattern.is_match(text) { Ok(()) } else { Err(expected) }
}

/// Checks the name of a compose project; source: the Compose specification, "top-level name".
pub(super) fn application(text: &str) -> Expected {
    fits("[a-z0-9][a-z0-9_-]{0,62}", text, "lower-case letters, digits, `_` and `-`, the first a letter or digit, 63 at most")
}

/// Returns the valid project name nearest to a folder's name, as docker compose makes one; `None` where nothing is left.
pub fn nearest_application(text: &str) -> Option<String> {
    let kept: String = text.to_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    let name: String = kept.trim_start_matches(['_', '-']).chars().take(63).collect();
    (!name.is_empty()).then_some(name)
}

/// Checks the name of a volume or container; source: docker's `RestrictedNamePattern`.
pub(super) fn docker(text: &str) -> Expected {
    fits("[a-zA-Z0-9][a-zA-Z0-9_.-]*", text, "letters, digits, `_`, `.` and `-`, the first a letter or digit")
}

/// Checks the name of an image that is delivered.
pub(super) fn image(text: &str) -> Expected {
    Reference::tagged(text).map(drop).map_err(|_| "`name:tag` in lower case, such as `python_app:1.0`")
}

/// Checks the name of a service of a compose file; source: the Compose specification's schema.
pub(super) fn service(text: &str) -> Expected {
    fits("[a-zA-Z0-9._][a-zA-Z0-9._-]*", text, "letters, digits, `_`, `.` and `-`, the first not a `-`")
}

/// Checks the name of a variable of a compose file; source: the Compose specification, "Interpolation".
pub(super) fn compose_variable(text: &str) -> Expected {
    fits("[a-zA-Z_][a-zA-Z0-9_]*", text, "letters, digits and `_`, the first no digit, for it names a variable")
}

/// Checks the part of a unit's name after `oem-dc@`, which is also the name of a directory; source: systemd.unit(5).
pub(super) fn unit(text: &str) -> Expected {
    fits("[a-zA-Z0-9_][a-zA-Z0-9_.:-]{0,199}", text, "letters, digits, `_`, `.`, `:` and `-`, for it names a systemd unit")
}

/// Checks the name of a file with a secret.
pub(super) fn secret(text: &str) -> Expected {
    fits("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,199}", text, "letters, digits, `_`, `.` and `-`, for it names a file below `secrets`")
}

/// Checks a host name or an address.
pub(super) fn address(text: &str) -> Expected {
    fits(r"[a-zA-Z0-9_\[:][a-zA-Z0-9_.:%\]-]{0,254}", text, "a host name or an address, such as `192.168.0.69`")
}

/// Checks the name of a user.
pub(super) fn user(text: &str) -> Expected {
    fits("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,31}", text, "a user's name, such as `oem`")
}

/// Checks the name of a device: one line. The packet by which devices are found has room for 255 bytes.
pub(super) fn device(text: &str) -> Expected {
    let fits = text.len() <= 255 && !text.chars().any(char::is_control) && !text.trim().is_empty();
    if fits { Ok(()) } else { Err("one line of at most 255 bytes") }
}

/// Checks an environment variable of the form `NAME=value`.
pub(super) fn variable(text: &str) -> Expected {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() && !text.contains('\0') && !name.contains(char::is_whitespace) => Ok(()),
        _ => Err("`NAME=value`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_named_as_docker_compose_names_projects() {
        assert_eq!(application("python_app"), Ok(()));
        for text in ["", "Python", "-a", "a b", "a\n", "ä"] {
            assert!(application(text).is_err(), "{text:?}");
        }
        assert_eq!(nearest_application("_My App.2"), Some("myapp2".into()));
        assert_eq!(nearest_application("…"), None);
    }

    #[test]
    fn image_references_are_told_from_other_text() {
        for text in [
            "python_app",
            "python_app:1.0",
            "a/b/c:latest",
            "localhost:5000/a",
            "[::1]:5000/a:1",
            "192.168.0.1:5000/a-b__c.d:T_1.x",
            "a--b",
        ] {
            assert_eq!(image(text), Ok(()), "{text}");
        }
        for text in ["", "Python", "a b", "a:", "a:1:2", "/a", "a/", "a_:1", "-a", "a:b/c", "a@sha256:00", "a\n", "$(id)"] {
            assert!(image(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_cannot_be_options_paths_or_several_words() {
        for text in ["", "-a", "a b", "a/b", "a\nb", "$(id)", "é"] {
            for check in [docker, unit, user, address] {
                assert!(check(text).is_err(), "{text:?}");
            }
        }
        for text in ["192.168.0.69", "vpu-1.local", "::1", "[fe80::1%eth0]"] {
            assert_eq!(address(text), Ok(()), "{text}");
        }
        assert!(service("a/b").is_err() && service("").is_err() && service("a.b").is_ok());
    }

    #[test]
    fn a_device_name_is_one_line() {
        assert_eq!(device("python bench"), Ok(()));
        assert!(device("a\nb").is_err() && device(&"x".repeat(256)).is_err() && device(" ").is_err());
    }

    #[test]
    fn a_variable_has_a_name() {
        assert!(variable("A=").is_ok() && variable("A=b=c").is_ok());
        assert!(variable("A").is_err() && variable("=b").is_err());
    }
}
