//! Holds a file against the schema: unknown keys, missing keys and values of a wrong kind, all at once.

use serde_json::Value as Schema;
use serde_yaml::Value;

use super::{key_path::KeyPath, problem::MOST, secret_source::TAKES_TAGS};

/// A value whose shape is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Key path of the value.
    pub path: KeyPath,
    /// Whether it is the key that is wrong, not its value.
    pub is_key: bool,
    /// Description of what is wrong.
    pub text: String,
}

/// Returns all parts of `value` that do not fit `schema`.
pub(super) fn misfits(value: &Value, schema: &Schema) -> Vec<Misfit> {
    let mut found = Vec::new();
    walk(value, schema, &KeyPath::default(), &mut found);
    found
}

fn walk(value: &Value, schema: &Schema, path: &KeyPath, found: &mut Vec<Misfit>) {
    if found.len() >= MOST {
        return;
    }
    let mut wrong = |path: KeyPath, is_key, text| found.push(Misfit { path, is_key, text });
    let alternatives = alternatives(schema);
    let Some(schema) = alternatives.iter().find(|schema| admits(schema, value)) else {
        return wrong(path.clone(), false, wrong_kind(value, &alternatives));
    };
    match value {
        Value::Number(number) => {
            if let Some(text) = out_of_range(number.as_f64(), schema) {
                wrong(path.clone(), false, text);
            }
        }
        Value::Sequence(items) => {
            for (position, item) in items.iter().enumerate() {
                walk(item, schema.get("items").unwrap_or(&Schema::Bool(true)), &path.index(position), found);
            }
        }
        Value::Mapping(mapping) => {
            let known = properties(schema);
            let other = schema.get("additionalProperties").filter(|other| other.is_object());
            for name in required(schema).filter(|name| !mapping.contains_key(*name)) {
                wrong(path.clone(), false, format!("the key `{name}` is missing"));
            }
            for (key, value) in mapping {
                if found.len() >= MOST {
                    break;
                }
                let key = key.as_str().unwrap_or_default();
                match known.iter().find(|(name, _)| *name == key).map(|(_, schema)| *schema).or(other) {
                    Some(schema) => walk(value, schema, &path.key(key), found),
                    None => found.push(Misfit { path: path.key(key), is_key: true, text: unknown_key(key, &known, path) }),
                }
            }
        }
        _ => {}
    }
}

/// Returns the schemas of which one has to fit.
fn alternatives(schema: &Schema) -> Vec<&Schema> {
    match schema.get("anyOf").and_then(Schema::as_array) {
        Some(some) => some.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

/// Returns the types that a schema names, such as `string`; none means that all are allowed.
fn types(schema: &Schema) -> Vec<&str> {
    match schema.get("type") {
        Some(Schema::Array(several)) => several.iter().filter_map(Schema::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => Vec::new(),
    }
}

fn admits(schema: &Schema, value: &Value) -> bool {
    if let Value::Tagged(tagged) = value {
        return schema.get(TAKES_TAGS).is_some() && tagged.value.is_string();
    }
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|kind| match *kind {
            "null" => value.is_null(),
            "boolean" => value.is_bool(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_sequence(),
            "object" => value.is_mapping(),
            _ => false,
        })
}

fn properties(schema: &Schema) -> Vec<(&str, &Schema)> {
    let properties = schema.get("properties").and_then(Schema::as_object);
    properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema)).collect()
}

fn required(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Schema::as_array).into_iter().flatten().filter_map(Schema::as_str)
}

fn out_of_range(number: Option<f64>, schema: &Schema) -> Option<String> {
    let bound = |name| schema.get(name).and_then(Schema::as_f64);
    let (least, most) = (bound("minimum"), bound("maximum"));
    let fits = number.is_some_and(|number| {
        number.is_finite() && least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
    });
    let expected = match (least, most) {
        _ if fits => return None,
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("of at least {least}"),
        _ => "that is finite".into(),
    };
    Some(format!("expected a number {expected}, found {}", number.unwrap_or(f64::NAN)))
}

fn wrong_kind(value: &Value, alternatives: &[&Schema]) -> String {
    let kinds: Vec<_> =
        alternatives.iter().flat_map(|schema| types(schema).into_iter().map(move |kind| (kind, schema))).collect();
    let expected: Vec<_> = kinds.iter().filter_map(|(kind, schema)| expected(kind, schema)).collect();
    let has = |wanted: &str| kinds.iter().any(|(kind, _)| *kind == wanted);
    let advice = match value {
        Value::Tagged(tagged) if !tagged.value.is_string() => ": after the tag stands a text",
        Value::Tagged(_) => ": it is for `device.password` and `compose.secrets`",
        Value::Number(_) | Value::Bool(_) if has("string") => ": put it in quotes",
        Value::Null if has("string") => ": `~` alone is nothing in YAML; put it in quotes",
        Value::String(_) | Value::Mapping(_) if has("array") => ": put it in a list, each item after a `-`",
        _ => "",
    };
    format!(
        "expected {}, found {}{advice}",
        expected.join(" or "),
        found(value, alternatives.iter().any(|schema| holds_secret(schema)))
    )
}

/// Returns whether the value is a secret, or has one directly below it: such a value is never shown, whatever is wrong with
/// it.
fn holds_secret(schema: &Schema) -> bool {
    let is_secret = |schema: &Schema| schema.get(TAKES_TAGS).is_some();
    let below = |schema: &Schema| alternatives(schema).into_iter().any(is_secret);
    is_secret(schema)
        || schema.get("additionalProperties").is_some_and(below)
        || properties(schema).iter().any(|(_, schema)| below(schema))
}

fn expected(kind: &str, schema: &Schema) -> Option<String> {
    Some(match kind {
        "string" => "a text".into(),
        "boolean" => "`true` or `false`".into(),
        "integer" => "a whole number".into(),
        "number" => "a number".into(),
        "array" => "a list".into(),
        "object" => match properties(schema).first() {
            Some((first, _)) => format!("keys such as `{first}:`"),
            None => "keys".into(),
        },
        _ => return None,
    })
}

fn found(value: &Value, is_secret: bool) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) if is_secret => "a value of another kind".into(),
        Value::String(_) if is_secret => "a text".into(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{}`", shortened(text)),
        Value::Sequence(_) => "a list".into(),
        Value::Mapping(_) => "keys".into(),
        Value::Tagged(tagged) => format!("the tag `{}`", tagged.tag),
    }
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= 60 && line.len() == text.len() {
        return line.to_owned();
    }
    line.chars().take(60).chain(['…']).collect()
}

/// The options that people know from the command line, and the keys that say the same.
const OPTIONS: [(&str, &str); 23] = [
    ("ip", "device.address"),
    ("port", "device.port"),
    ("user", "device.user"),
    ("identity", "device.identity"),
    ("get_logs_from_vpu", "logs"),
    ("set_vpu_name", "rename"),
    ("remove_running_containers", "clean_up.containers"),
    ("remove_volumes", "clean_up.volumes"),
    ("remove_images", "clean_up.images"),
    ("mount_usb_volumes", "mount_usb"),
    ("dirs_to_make", "directories"),
    ("append_deployment_timestamp_to", "stamp"),
    ("transfers_from_vpu", "transfers.from_device"),
    ("transfers_to_vpu", "transfers.to_device"),
    ("volume_to_setup", "volume"),
    ("image_to_import", "image"),
    ("items_to_cleanup", "leftovers"),
    ("docker_compose_to_initialize", "compose"),
    ("enable_autostart", "autostart.enable"),
    ("disable_autostart", "autostart.disable"),
    ("attach_to", "attach.container"),
    ("run_duration", "attach.run_duration"),
    ("stop_upon_exit", "attach.stop_upon_exit"),
];

fn unknown_key(key: &str, known: &[(&str, &Schema)], path: &KeyPath) -> String {
    let name = key.to_lowercase().replace('-', "_");
    let option = OPTIONS.iter().find(|(option, _)| *option == name).filter(|_| path.steps().is_empty());
    if let Some((_, says)) = option {
        return format!("there is no such key: that is `{says}`");
    }
    let near = known.iter().map(|(name, _)| (strsim::jaro_winkler(name, &key.to_lowercase()), *name));
    match near.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((likeness, name)) if likeness > 0.75 => format!("there is no such key; did you mean `{name}`?"),
        _ => {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("there is no such key; there are {}", names.join(", "))
        }
    }
}
