//! Finds the line and column of a value in YAML text. The parser tells positions only of errors, so the text is read again
//! with a reader that fails on purpose where the value is.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::key_path::{KeyPath, Step};

/// The part of an entry that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The key of the entry.
    Key,
    /// The value of the entry.
    Value,
}

/// Returns the line and column, counted from 1, of the value at `path`; of the enclosing value where it came through a
/// merge key.
pub(super) fn locate(text: &str, path: &KeyPath, target: Target) -> Option<(usize, usize)> {
    let steps = path.steps();
    let whole = seek(text, steps, target);
    whole.or_else(|| (1..steps.len()).rev().find_map(|length| seek(text, steps.get(..length)?, Target::Key)))
}

fn seek(text: &str, steps: &[Step], target: Target) -> Option<(usize, usize)> {
    let error = Seek { steps, target }.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    error.location().map(|at| (at.line(), at.column()))
}

#[derive(Clone, Copy)]
struct Seek<'p> {
    steps: &'p [Step],
    target: Target,
}

impl Seek<'_> {
    fn here<E: Error>(self) -> Result<(), E> {
        if self.steps.is_empty() { Err(E::custom("here")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.here()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.here()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.here()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.here()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.here()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.here()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.here()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.here()?;
        let wanted = self.steps.split_first();
        for position in 0.. {
            let more = match wanted {
                Some((Step::Index(index), rest)) if *index == position => {
                    items.next_element_seed(Seek { steps: rest, ..self })?
                }
                _ => items.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.here()?;
        let wanted = self.steps.split_first();
        let stop = self.target == Target::Key && self.steps.len() == 1;
        let (name, rest) = match wanted {
            Some((Step::Key(name), rest)) => (Some(name.as_str()), rest),
            _ => (None, [].as_slice()),
        };
        while let Some(found) = entries.next_key_seed(Key { name, stop })? {
            if found {
                entries.next_value_seed(Seek { steps: rest, ..self })?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Key<'n> {
    name: Option<&'n str>,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let found = self.name == Some(key);
        if found && self.stop { Err(E::custom("here")) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
first: 1
list:
  - {a: x, b: y}
  - a: ü
    b: &anchor {c: 5}
merged: {<<: *anchor}
aliased: *anchor
";

    fn value(path: &KeyPath) -> Option<(usize, usize)> {
        locate(TEXT, path, Target::Value)
    }

    #[test]
    fn values_and_keys_are_found() {
        assert_eq!(value(&KeyPath::new("first")), Some((1, 8)));
        assert_eq!(locate(TEXT, &KeyPath::new("list"), Target::Key), Some((2, 1)));
        assert_eq!(value(&KeyPath::new("list").index(0).key("b")), Some((3, 15)));
        assert_eq!(value(&KeyPath::new("list").index(1).key("a")), Some((4, 8)));
        assert_eq!(locate(TEXT, &KeyPath::new("list").index(1).key("b"), Target::Key), Some((5, 5)));
    }

    #[test]
    fn what_came_by_a_merge_or_alias_leads_to_where_it_is_used_or_said() {
        assert_eq!(value(&KeyPath::new("merged.c")), Some((6, 1)));
        assert_eq!(value(&KeyPath::new("aliased.c")), Some((5, 20)));
        assert_eq!(value(&KeyPath::new("nowhere")), None);
    }
}
