//! JSON as Go reads it, in which docker and all that writes for it are written: keys in any case, and `null` for what is not
//! said.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ArchiveError;

/// Reads the part `name`. Fields have their names in lower case.
pub(super) fn read<T: DeserializeOwned>(name: &str, content: &[u8]) -> Result<T, ArchiveError> {
    let read = serde_json::from_slice(content).map(folded).and_then(T::deserialize);
    read.map_err(|source| ArchiveError::Json { name: name.into(), source })
}

fn folded(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.map(|(key, value)| (key.to_lowercase(), folded(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(folded).collect()),
        other => other,
    }
}
