//! `o3r-deploy schema`: the JSON Schemas of the configuration file and of the events.

use crate::{config, failure::ExitCode, report};

/// Options of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaOptions {
    /// Which schema: of the configuration file, or of the events of --json, one of which is a line
    #[arg(value_enum, value_name = "OF", default_value = "file")]
    of: SchemaOf,
}

/// Selects which of the schemas is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SchemaOf {
    /// The configuration file
    File,
    /// The events of --json
    Events,
}

/// Prints a schema.
pub(super) fn schema(options: &SchemaOptions) -> ExitCode {
    let schema = match options.of {
        SchemaOf::File => config::schema::schema(),
        SchemaOf::Events => report::schema(),
    };
    report::data(&format!("{schema:#}"));
    ExitCode::Success
}
