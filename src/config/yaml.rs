//! Reads YAML into a value, within bounds: aliases cannot make a small file explode.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_yaml::{
    Mapping, Value,
    value::{Tag, TaggedValue},
};

use super::secret_source::TAGS;

/// Maximum size of a file once its aliases are replaced: the bytes of its text, and two for each value. A file without
/// aliases cannot reach it, for it may not be larger than [`super::file::SIZE_LIMIT`].
const EXPANDED_LIMIT: usize = 4 << 20;

const TOO_MUCH: &str = "its aliases make more of it than any deployment needs";

/// Text that is no YAML, or not within bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    /// Line and column, counted from 1, where they are known.
    pub location: Option<(usize, usize)>,
    /// Description of what is wrong.
    pub text: String,
}

impl From<serde_yaml::Error> for YamlError {
    fn from(error: serde_yaml::Error) -> Self {
        let text = match without_location(&error.to_string()) {
            text if text.starts_with("repetition limit") => TOO_MUCH.into(),
            text if text.starts_with("recursion limit") => "it is nested too deeply".into(),
            text => text,
        };
        Self { location: error.location().map(|at| (at.line(), at.column())), text }
    }
}

/// Removes the location that the parser puts into its text, because it is shown before the text.
fn without_location(text: &str) -> String {
    let Some((before, after)) = text.split_once(" at line ") else { return text.to_owned() };
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = after.strip_prefix(" column ").unwrap_or(after).trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{after}")
}

/// Names the one mistake whose message leads nobody to it.
fn with_advice(mut error: YamlError, text: &str) -> YamlError {
    let line = error.location.and_then(|(line, _)| text.lines().nth(line.saturating_sub(1))).unwrap_or_default();
    if line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t') {
        error.text.push_str("; the line begins with a tab, and YAML takes only spaces there");
    }
    error
}

/// Reads one document; nothing, and comments alone, are `null`. Anchors, aliases and merge keys (`<<`) are resolved.
pub(super) fn read(text: &str) -> Result<Value, YamlError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Null);
    }
    let left = Cell::new(EXPANDED_LIMIT);
    let read = Reader { left: &left }.deserialize(serde_yaml::Deserializer::from_str(text));
    let mut value = read.map_err(|error| with_advice(error.into(), text))?;
    value.apply_merge()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Reader<'l> {
    left: &'l Cell<usize>,
}

impl Reader<'_> {
    fn spend<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes + 2);
        self.left.set(left.ok_or_else(|| E::custom(TOO_MUCH))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, `true`, `false`, a list or keys")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len()).map(|()| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Sequence(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut mapping = Mapping::new();
        while let Some(key) = entries.next_key_seed(NewKey { reader: self, seen: &mapping })? {
            let value = entries.next_value_seed(self)?;
            mapping.insert(Value::String(key), value);
        }
        Ok(Value::Mapping(mapping))
    }

    /// Reads a tagged value, such as `!env NAME`. The meaning of the tag depends on its place.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, value) = tagged.variant::<String>()?;
        let name = tag.trim_start_matches('!');
        if !TAGS.contains(&name) {
            value.newtype_variant::<serde::de::IgnoredAny>()?;
            return Err(A::Error::custom(format_args!(
                "the tag `!{name}` has no meaning; there are `!env`, `!file`, `!command`"
            )));
        }
        self.spend(name.len())?;
        let value = value.newtype_variant_seed(self)?;
        Ok(Value::Tagged(Box::new(TaggedValue { tag: Tag::new(name), value })))
    }
}

/// Reads a key that must not exist yet; an error that is raised here has the line of the key.
struct NewKey<'l, 'm> {
    reader: Reader<'l>,
    seen: &'m Mapping,
}

impl<'de> DeserializeSeed<'de> for NewKey<'_, '_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_, '_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        self.reader.spend(key.len())?;
        if self.seen.contains_key(key) {
            return Err(E::custom(format_args!("the key `{key}` is there twice")));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Option<(usize, usize)>, String) {
        let error = read(text).expect_err("it is refused");
        (error.location, error.text)
    }

    #[test]
    fn nothing_and_comments_alone_say_nothing() {
        for text in ["", "\n\n", "# later\n  # still\n", "\u{feff}"] {
            assert_eq!(read(text), Ok(Value::Null), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
        assert_eq!(read("\u{feff}rename: a\r\nlog_dir: b\r\n"), read("rename: a\nlog_dir: b\n"));
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_resolved() {
        let text = "a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}";
        assert_eq!(read(text), read("a: {p: 1, q: 2}\nb: {p: 1, q: 2}\nc: {p: 1, q: 3}"));
    }

    #[test]
    fn an_error_bears_its_line_and_not_twice() {
        assert_eq!(refused("a: [1\nb: 2").0, Some((2, 2)));
        assert!(!refused("a: b: c").1.contains("line"), "{:?}", refused("a: b: c"));
        assert_eq!(refused("a: 1\nb: 2\na: 3"), (Some((3, 1)), "the key `a` is there twice".into()));
        assert_eq!(refused("a:\n  b: !nev X").1, "a.b: the tag `!nev` has no meaning; there are `!env`, `!file`, `!command`");
        assert!(refused("a: 1\n---\nb: 2").1.contains("more than one document"));
    }

    #[test]
    fn aliases_cannot_explode() {
        let laughs = (1..30).fold("a0: &a0 [lol, lol]\n".to_owned(), |text, n| {
            let before = n - 1;
            text + &format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}]\n")
        });
        assert!(refused(&laughs).1.contains("aliases"), "{:?}", refused(&laughs));
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), "*a, ".repeat(100_000));
        assert!(refused(&long).1.contains("aliases"));
        assert!(read("a: &a [*a]").is_err());
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
