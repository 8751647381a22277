//! Image references: the grammar of docker's `distribution/reference`, and when two spellings mean the same.

use std::{fmt, str::FromStr};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A tagged image reference. `python_app`, `python_app:latest` and `docker.io/library/python_app:latest` are equal; it is
/// shown in docker's short form, `python_app:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: String,
}

/// Why a text is no reference an image can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("an image reference must not be empty")]
    Empty,
    /// Docker's limit.
    #[error("the image reference is longer than {LONGEST_NAME} characters")]
    TooLong,
    /// A digest names content; it cannot be given.
    #[error("`{0}` has a digest: an image can be given a tag only")]
    Digest(String),
    /// The part before the first slash.
    #[error("`{0}` is no registry: expected a host name with an optional port")]
    Registry(String),
    /// The name itself.
    #[error("`{0}` is no image name: expected lower-case letters and digits, with `.`, `_` or `-` between them")]
    Repository(String),
    /// What follows the last colon.
    #[error(
        "`{0}` is no tag: expected letters, digits, `.`, `_` and `-`, at most {LONGEST_TAG}, beginning with none of `.` and `-`"
    )]
    Tag(String),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > LONGEST_NAME + 1 + LONGEST_TAG {
            return Err(ReferenceError::TooLong);
        }
        if text.contains('@') {
            return Err(ReferenceError::Digest(text.into()));
        }
        let (registry, rest) = split_registry(text);
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, DEFAULT_TAG));
        if !is_tag(tag) {
            return Err(ReferenceError::Tag(tag.into()));
        }
        if !is_registry(registry) {
            return Err(ReferenceError::Registry(registry.into()));
        }
        let digits_only = repository.len() == 64 && repository.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !repository.split('/').all(is_component) || digits_only {
            return Err(ReferenceError::Repository(repository.into()));
        }
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(ReferenceError::TooLong);
        }
        let repository = match registry == DEFAULT_REGISTRY && !repository.contains('/') {
            true => format!("library/{repository}"),
            false => repository.to_owned(),
        };
        Ok(Self { registry: registry.into(), repository, tag: tag.into() })
    }
}

/// Docker takes what stands before the first slash for a registry only if it cannot be a name.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase() => {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label) && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Runs of letters and digits, between each two of them one of `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().next_back()) else { return false };
    let mut separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    is_word(first)
        && is_word(last)
        && separators.all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    text.len() <= LONGEST_TAG
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !text.is_empty()
        && !text.starts_with(['.', '-'])
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, repository, tag } = self;
        if registry != DEFAULT_REGISTRY {
            return write!(formatter, "{registry}/{repository}:{tag}");
        }
        let short = repository.strip_prefix("library/").filter(|short| !short.contains('/')).unwrap_or(repository);
        write!(formatter, "{short}:{tag}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Reference>().map_or_else(|error| error.to_string(), |reference| reference.to_string())
    }

    #[test]
    fn the_spellings_of_one_image_are_equal() {
        for text in ["x", "x:latest", "library/x", "docker.io/x", "docker.io/library/x:latest", "index.docker.io/library/x"] {
            assert_eq!(text.parse::<Reference>(), "x".parse(), "{text}");
            assert_eq!(shown(text), "x:latest");
        }
        assert_ne!("x:1".parse::<Reference>(), "x".parse());
        assert_ne!("a/x".parse::<Reference>(), "x".parse());
    }

    #[test]
    fn registry_path_and_tag_are_told_apart() {
        assert_eq!(shown("localhost/x"), "localhost/x:latest");
        assert_eq!(shown("host:5000/team/app:1.2"), "host:5000/team/app:1.2");
        assert_eq!(shown("192.168.0.1:5000/app"), "192.168.0.1:5000/app:latest");
        assert_eq!(shown("team/app"), "team/app:latest");
        assert_eq!(shown("x:A_b.c-D"), "x:A_b.c-D");
        assert_eq!(shown("a__b/c--d/e.f_g"), "a__b/c--d/e.f_g:latest");
        assert_eq!(shown("Host/x"), "Host/x:latest");
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        let long = "a".repeat(256);
        let digits = "0".repeat(64);
        let tag = format!("x:{}", "t".repeat(129));
        for text in [
            "",
            "X",
            "a b",
            "-x",
            "x-",
            "a..b",
            "a___b",
            "a/",
            "/a",
            "a//b",
            "x:",
            "x:-a",
            "x:.a",
            "x:a b",
            "x:ä",
            "$(id)",
            "x\n",
            "a.b:/x",
            "a.b:80x/x",
            ".a/x",
            "x@sha256:00",
            "C:\\x.tar",
            "../x",
            "~/x",
            &long,
            &digits,
            &tag,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_shown_form_is_read_back_as_the_same() {
        let (names, tags) =
            (["a", "a/b", "h:1/a", "h.x/a/b", "localhost/library/a", "docker.io/a/b"], ["", ":1", ":v1.0-rc_2"]);
        for text in names.iter().flat_map(|name| tags.iter().map(move |tag| format!("{name}{tag}"))) {
            let reference: Reference = text.parse().expect("a reference");
            assert_eq!(reference.to_string().parse(), Ok(reference), "{text}");
        }
    }
}
