//! The `.env` beside a compose file, and the variables in it.

use std::{collections::BTreeMap, fmt::Write};

/// Looks a variable up.
pub type VariableLookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A `.env` file. Its text is kept as it is but for the keys that are set here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DotEnv {
    lines: Vec<String>,
}

/// Returns the key and the value of a line; `None` for comments and blank lines. `export` before the key is passed over, as
/// docker-compose does from 1.26 on.
fn entry(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    let key = key.trim();
    Some((key.strip_prefix("export ").unwrap_or(key).trim(), value.trim()))
}

/// Returns the value without its quotes, or without the comment behind it.
fn plain(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside;
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end()
}

impl DotEnv {
    /// Reads the text of a `.env` file.
    pub fn parse(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// Returns the value of a variable; the last line that sets it counts.
    pub fn get(&self, key: &str) -> Option<String> {
        self.variables().remove(key)
    }

    /// Returns all its variables. A value may name variables of earlier lines, as docker-compose allows from 1.26 on; one in single
    /// quotes stands as it is.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for (key, value) in self.lines.iter().filter_map(|line| entry(line)) {
            let lookup = |name: &str| variables.get(name).cloned();
            let is_literal = value.starts_with('\'');
            let value = if is_literal { plain(value).to_owned() } else { interpolate(plain(value), &lookup) };
            variables.insert(key.to_owned(), value);
        }
        variables
    }

    /// Sets a variable, or takes it out; earlier lines that set it go.
    pub fn set(&mut self, key: &str, value: Option<&str>) {
        self.lines.retain(|line| entry(line).is_none_or(|(name, _)| name != key));
        self.lines.extend(value.map(|value| format!("{key}={value}")));
    }

    /// Returns the text of the file; empty when it sets nothing and says nothing.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}

/// Returns a value as a `.env` file has it; none for one that no quotes carry. Quotes are only understood from docker-compose 1.26 on,
/// so they stand only where they must.
pub fn quoted(value: &str) -> Option<String> {
    let plain = |c: char| !c.is_whitespace() && !"#$'\"\\`".contains(c);
    if value.chars().all(plain) {
        return Some(value.to_owned());
    }
    (!value.contains(['\'', '\n', '\r', '\0'])).then(|| format!("'{value}'"))
}

/// Replaces the variables in a text as docker-compose does: `$X`, `${X}`, `${X-d}`, `${X:-d}`, `${X+d}`, `${X:+d}`, `${X?e}`,
/// `${X:?e}`, and `$$` for a dollar sign. A variable that is not set is empty.
pub(super) fn interpolate(text: &str, lookup: &VariableLookup<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (inside, after) = braces(after);
            out.push_str(&braced(inside, lookup));
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            out.push_str(&lookup(name).unwrap_or_default());
            rest = after;
        }
    }
    out + rest
}

/// Splits behind the brace that closes; those of a default that is a variable itself are counted.
fn braces(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
            '}' => depth -= 1,
            _ => {}
        }
    }
    (text, "")
}

fn braced(inside: &str, lookup: &VariableLookup<'_>) -> String {
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    let value = lookup(name);
    let (not_empty, operator) = match operator.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, operator),
    };
    let value = value.filter(|value| !not_empty || !value.is_empty());
    let word = operator.get(1..).unwrap_or_default();
    match operator.chars().next() {
        Some('-') => value.unwrap_or_else(|| interpolate(word, lookup)),
        Some('+') => value.map(|_| interpolate(word, lookup)).unwrap_or_default(),
        _ => value.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_docker_compose_replaces_them() {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("$A/x", "a/x"),
            ("${A}x", "ax"),
            ("${B:-./conf}:/conf", "./conf:/conf"),
            ("${EMPTY:-d}${EMPTY-d}", "d"),
            ("${B:-${A}}", "a"),
            ("${A:+y}${B:+n}", "y"),
            ("${A:?no}", "a"),
            ("cost $$5", "cost $5"),
            ("$B", ""),
            ("${A", "a"),
        ] {
            assert_eq!(interpolate(text, &lookup), expected, "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_set_replaces_its_lines_and_leaves_the_others() {
        let mut env = DotEnv::parse("# kept\nA=1\r\nexport B='two # words' # why\nA = 3\nC=x # y\n");
        let values = ["A", "B", "C", "D"].map(|name| env.get(name));
        assert_eq!(values.each_ref().map(Option::as_deref), [Some("3"), Some("two # words"), Some("x"), None]);
        env.set("A", Some("4"));
        env.set("C", None);
        assert_eq!(env.text(), "# kept\nexport B='two # words' # why\nA=4\n");
        assert_eq!(env.variables().len(), 2);
    }

    #[test]
    fn values_may_name_variables_of_earlier_lines() {
        let env = DotEnv::parse("ROOT=./conf\nDEEP=\"${ROOT}/${STAGE:-prod}\"\nLITERAL='${ROOT}'\nLATER=${LAST}x\nLAST=1\n");
        let values = ["DEEP", "LITERAL", "LATER"].map(|name| env.get(name).unwrap_or_default());
        assert_eq!(values, ["./conf/prod", "${ROOT}", "x"]);
    }
}
