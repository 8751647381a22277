//! The JSON Schema of `o3r-deploy.yaml`: what editors complete by, and what [`super::shape`] checks by.

use serde_json::Value;

use super::settings::Settings;

/// The schema, JSON Schema 2020-12.
pub fn schema() -> Value {
    schemars::schema_for!(Settings).to_value()
}
