//! The JSON Schema of the events of `--json`, for programs that read them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{DeviceLabel, Event};

/// One line of `--json`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Event of o3r-deploy")]
pub(super) struct Line<'a> {
    /// The event that happened.
    #[serde(flatten)]
    pub(super) event: &'a Event,
    /// To which device; absent where none is meant yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<&'a DeviceLabel>,
}

/// Returns the schema of a line, JSON Schema 2020-12.
pub fn schema() -> Value {
    schemars::schema_for!(Line<'_>).to_value()
}
