//! Compose projects. Only docker-compose on the device interprets compose files: [`Model`] is its answer. This module only
//! finds the files that it needs to read them ([`collect`]), and the `.env` beside them.

mod environment;
mod inputs;
mod model;
mod node;

pub use environment::{DotEnv, VariableLookup, quoted};
pub use inputs::{Inputs, clean, collect, relative, text_of};
pub use model::{Answer, Bind, Model, Service, diagnostics};

/// Hint for a user who named something other than a compose file.
pub const HINT: &str = "a compose file has `services:` at its top, and below that each service by its name";

/// A service that a compose project does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("service `{service}` is not in the compose file; it has {known}")]
pub struct UnknownService {
    /// Name of the service.
    pub service: String,
    /// Names of the services that the project has.
    pub known: String,
}

impl UnknownService {
    /// Hint for the user.
    pub const HINT: &str = "name one that it has, or none to bring up all";
}

/// Returns the name that docker-compose gives a project by the base name of its directory: lower case, only characters of
/// `a-z0-9_-`.
pub fn project_name(directory: &str) -> String {
    directory.to_lowercase().chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_is_named_as_docker_compose_names_it() {
        assert_eq!(project_name("My App.v2"), "myappv2");
        assert_eq!(project_name("python_app"), "python_app");
    }
}
