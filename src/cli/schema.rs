//! `o3r-deploy schema`: the JSON Schema of the configuration file.

use crate::{config::schema as configuration, failure::ExitCode};

/// Prints the schema.
pub(super) fn schema() -> ExitCode {
    crate::report::data(&format!("{:#}", configuration::schema()));
    ExitCode::Success
}
