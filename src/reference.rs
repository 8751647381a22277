//! Image references: the grammar of docker's `distribution/reference`, and when two spellings mean the same.

use std::{fmt, str::FromStr};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// An image reference. `python_app`, `python_app:latest` and `docker.io/library/python_app:latest` are equal; it is shown in
/// docker's short form, `python_app:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    /// Only a reference with a digest may have none.
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no image reference, or none that an image can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The reference is empty.
    #[error("an image reference must not be empty")]
    Empty,
    /// Docker's limit.
    #[error("the image reference is longer than {LONGEST_NAME} characters")]
    TooLong,
    /// The part after `@` is not a digest.
    #[error("`{0}` is not a digest: expected `sha256:` and 64 hexadecimal digits")]
    Digest(String),
    /// A digest names content; it cannot be given.
    #[error("`{0}` has a digest: an image can be given a tag only")]
    Untaggable(String),
    /// The part before the first slash.
    #[error("`{0}` is not a registry: expected a host name or an address with an optional port")]
    Registry(String),
    /// The name itself.
    #[error("`{0}` is not an image name: expected lower-case letters and digits, with `.`, `_` or `-` between them")]
    Repository(String),
    /// The part after the last colon is not a tag.
    #[error(
        "`{0}` is no tag: expected letters, digits, `.`, `_` and `-`, at most {LONGEST_TAG}, beginning with none of `.` and `-`"
    )]
    Tag(String),
}

impl Reference {
    /// Reads a reference that an image can be given: a name with a tag, `latest` where none is written.
    ///
    /// # Errors
    /// A text that is no reference, and one with a digest.
    pub fn tagged(text: &str) -> Result<Self, ReferenceError> {
        text.parse().and_then(|reference: Self| match reference.digest {
            None => Ok(reference),
            Some(_) => Err(ReferenceError::Untaggable(text.into())),
        })
    }

    /// Returns the reference in the form in which docker lists it, or the text itself where it is none.
    pub fn normalised(text: &str) -> String {
        text.parse::<Self>().map_or_else(|_| text.to_owned(), |reference| reference.to_string())
    }

    /// Returns the name in docker's short form, without tag and digest.
    pub fn name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        let short = self.repository.strip_prefix("library/").filter(|short| !short.contains('/'));
        short.unwrap_or(&self.repository).to_owned()
    }

    /// Returns the tag; `None` for one with a digest alone.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest; `None` where the reference has only a tag.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Returns whether its registry is an IPv6 address, which docker accepts since 25.0.
    pub fn has_ipv6_registry(&self) -> bool {
        self.registry.starts_with('[')
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
        if named.len() > LONGEST_NAME + 1 + LONGEST_TAG {
            return Err(ReferenceError::TooLong);
        }
        if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
            return Err(ReferenceError::Digest(digest.into()));
        }
        let (registry, rest) = split_registry(named);
        let (repository, tag) = rest.rsplit_once(':').map_or((rest, None), |(repository, tag)| (repository, Some(tag)));
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
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
        let tag = tag.or(digest.is_none().then_some(DEFAULT_TAG)).map(str::to_owned);
        Ok(Self { registry: registry.into(), repository, tag, digest: digest.map(str::to_owned) })
    }
}

/// Splits the registry from a name: docker takes the part before the first slash for a registry only if it cannot be a
/// name.
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
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok() && !address.contains('.');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
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

/// Returns whether a text is a digest: SHA-256 in full, other algorithms as the grammar has them.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else { return false };
    let is_hexadecimal = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let is_name = !algorithm.is_empty() && algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_hexadecimal && is_name && if algorithm == "sha256" { digits.len() == 64 } else { digits.len() >= 32 }
}

fn is_tag(text: &str) -> bool {
    text.len() <= LONGEST_TAG
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !text.is_empty()
        && !text.starts_with(['.', '-'])
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(formatter, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
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
        assert_eq!(shown("[::1]:5000/app"), "[::1]:5000/app:latest");
        assert_eq!(shown("[2001:db8::1]/team/app:1"), "[2001:db8::1]/team/app:1");
        assert_eq!(shown("team/app"), "team/app:latest");
        assert_eq!(shown("x:A_b.c-D"), "x:A_b.c-D");
        assert_eq!(shown("a__b/c--d/e.f_g"), "a__b/c--d/e.f_g:latest");
        assert_eq!(shown("Host/x"), "Host/x:latest");
    }

    #[test]
    fn digest_is_kept_and_names_content_instead_of_a_tag() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let reference: Reference = format!("docker.io/library/x@{digest}").parse().expect("a reference");
        assert_eq!(reference.to_string(), format!("x@{digest}"));
        assert_eq!((reference.tag(), reference.digest()), (None, Some(digest.as_str())));
        assert_eq!(shown(&format!("h:1/a/x:1@{digest}")), format!("h:1/a/x:1@{digest}"));
        assert_ne!(Ok(reference), "x".parse());
        let refused = Reference::tagged(&format!("x:1@{digest}")).expect_err("a digest cannot be given");
        assert_eq!(refused.to_string(), format!("`x:1@{digest}` has a digest: an image can be given a tag only"));
        assert_eq!(Reference::tagged("x"), "x".parse());
    }

    #[test]
    fn text_that_is_no_reference_is_left_as_it_is() {
        assert_eq!(Reference::normalised("docker.io/library/x"), "x:latest");
        assert_eq!(Reference::normalised("${IMAGE}"), "${IMAGE}");
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
            "x@",
            "@sha256:00",
            "[::1:5000/x",
            "[::1]5000/x",
            "[::1]:/x",
            "[]/x",
            "[::1]",
            "[x]/x",
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
        let (names, tags) = (
            ["a", "a/b", "h:1/a", "h.x/a/b", "localhost/library/a", "docker.io/a/b", "[::1]:1/a", "[::1]/a/b"],
            ["", ":1", ":v1.0-rc_2"],
        );
        for text in names.iter().flat_map(|name| tags.iter().map(move |tag| format!("{name}{tag}"))) {
            let reference: Reference = text.parse().expect("a reference");
            assert_eq!(reference.to_string().parse(), Ok(reference), "{text}");
        }
    }
}
