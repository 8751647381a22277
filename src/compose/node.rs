//! YAML as docker-compose's own reader takes it: a key twice, two `<<` in one mapping, a byte order mark and tags are no errors.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor},
};

/// A YAML value. Numbers and flags are texts: none of what is read here is either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Text(String),
    List(Vec<Node>),
    /// The entries in their order; of entries with the same key the last one counts.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads a YAML text with its merges (`<<`) done.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let node: Self = serde_yaml::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| error.to_string())?;
        Ok(node.merged())
    }

    /// Returns the value of a key of a mapping, unless it is null.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, value)| value);
        found.filter(|value| **value != Self::Null)
    }

    /// Returns the text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the entries of a mapping; anything else has none.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the elements of a list; one value stands for a list of one.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            Self::Null => &[],
            other => std::slice::from_ref(other),
        }
    }

    /// Puts the entries of `<<` where they are missing, the first `<<` before the second.
    fn merged(self) -> Self {
        match self {
            Self::Map(entries) => {
                let (mut own, mut bases) = (Vec::new(), Vec::new());
                for (name, value) in entries {
                    match name == "<<" {
                        true => bases.push(value.merged()),
                        false => own.push((name, value.merged())),
                    }
                }
                for (name, value) in bases.iter().flat_map(Self::elements).flat_map(Self::entries) {
                    if own.iter().all(|(there, _)| there != name) {
                        own.push((name.clone(), value.clone()));
                    }
                }
                Self::Map(own)
            }
            Self::List(elements) => Self::List(elements.into_iter().map(Self::merged).collect()),
            other => other,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Node, Node>()? {
            let name = key.text().unwrap_or_default().to_owned();
            entries.push((name, value));
        }
        Ok(Node::Map(entries))
    }

    /// Reads a value with a tag, such as `!override`: only the value counts.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (_, value) = tagged.variant::<String>()?;
        value.newtype_variant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_as_docker_compose_reads_it() {
        let text = "\u{feff}a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, <<: *b, x: 5}\nd: {<<: [*a, *b]}\ne: 1\ne: 2\n\
                    f: !override [one]\ng:\n";
        let node = Node::parse(text).expect("it is read");
        let entry = |key: &str, name: &str| node.get(key).and_then(|map| map.get(name)).and_then(Node::text).map(str::to_owned);
        assert_eq!(["x", "y", "z"].map(|name| entry("c", name)), ["5", "2", "4"].map(|text| Some(text.to_owned())));
        assert_eq!(["x", "y", "z"].map(|name| entry("d", name)), ["1", "2", "4"].map(|text| Some(text.to_owned())));
        assert_eq!(node.get("e").and_then(Node::text), Some("2"), "the last one counts");
        assert_eq!(node.get("f").map(|node| node.elements().len()), Some(1));
        assert_eq!(node.get("g"), None);
        assert!(Node::parse("a: [b").is_err());
    }
}
