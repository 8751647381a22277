//! The JSON Schema of `o3r-deploy.yaml`: what editors complete by, and what the file is held against.

use serde_json::Value;

use super::settings::Settings;

/// Returns the schema of the configuration file, JSON Schema 2020-12.
pub fn schema() -> Value {
    schemars::schema_for!(Settings).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    /// Calls `see` with every schema of a key, and the way to it.
    fn keys(schema: &Value, path: &str, see: &mut dyn FnMut(&str, &Value)) {
        for (name, key) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            see(&path, key);
            let alternatives = key["anyOf"].as_array().into_iter().flatten();
            for inner in alternatives.chain([key, &key["items"]]) {
                keys(inner, &path, see);
            }
        }
    }

    #[test]
    fn every_key_is_described() {
        let mut count = 0;
        keys(&schema(), "", &mut |path, key| {
            count += 1;
            assert!(key["description"].is_string(), "{path} is not described");
        });
        assert!(count > 45, "{count} keys");
    }

    #[test]
    fn every_stage_that_can_be_asked_for_is_a_key() {
        let schema = schema();
        for stage in Stage::ALL.iter().filter(|stage| !matches!(stage, Stage::Connect | Stage::LogsAgain)) {
            assert!(schema["properties"].get(stage.name()).is_some(), "{stage} is missing");
        }
    }

    #[test]
    fn no_key_may_be_added() {
        let mut see = |path: &str, key: &Value| {
            for inner in [key, &key["items"]].into_iter().chain(key["anyOf"].as_array().into_iter().flatten()) {
                assert!(inner["properties"].is_null() || inner["additionalProperties"] == false, "{path}");
            }
        };
        keys(&schema(), "", &mut see);
        assert_eq!(schema()["additionalProperties"], false);
    }
}
