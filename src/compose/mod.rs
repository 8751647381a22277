//! Compose projects. docker-compose on the device is the one who reads compose files: [`Model`] is its answer. What is read here
//! is only which files have to be there for it to be able to read them ([`collect`]), and the `.env` beside them.

mod environment;
mod inputs;
mod model;
mod node;

pub use environment::{DotEnv, VariableLookup, quoted};
pub use inputs::{Inputs, clean, collect, relative, text_of};
pub use model::{Answer, Bind, Model, Service, diagnostics};

/// A way out for whoever named something else than a compose file.
pub const HINT: &str = "a compose file has `services:` at its top, and below that each service by its name";

/// A service that a compose project does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("service `{service}` is not in the compose file; it has {known}")]
pub struct UnknownService {
    /// The service.
    pub service: String,
    /// Those it has.
    pub known: String,
}

impl UnknownService {
    /// The way out.
    pub const HINT: &str = "name one that it has, or none to bring up all";
}

/// The name that docker-compose gives a project by the base name of its directory: lower case, of `a-z0-9_-` only.
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
