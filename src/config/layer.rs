//! A layer: what one place says, the options or the file. The upper layer's keys hide those of the layer below.

use std::path::PathBuf;

use super::{
    key_path::KeyPath,
    locate::{Target, locate},
    problem::Problem,
    settings::Settings,
};

/// The settings from one source, and how to refer to that source in messages.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The settings of the source.
    pub settings: Settings,
    /// Absolute path of the directory at which its relative local paths start.
    pub base: PathBuf,
    /// The place of the settings.
    pub origin: Origin,
}

/// A place where settings are said.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The options, with the option behind each value.
    Options(Vec<(KeyPath, &'static str)>),
    /// The configuration file.
    File {
        /// Name of the file, as shown to users.
        name: String,
        /// Text of the file, in which lines are looked up.
        text: String,
    },
}

impl Origin {
    /// Returns a problem with the value at `path`, with its place: the line and the key in the file, or the option.
    pub(super) fn problem(&self, path: &KeyPath, target: Target, problem: impl Into<String>) -> Problem {
        match self {
            Self::Options(options) => {
                let nearest = options.iter().filter(|(whole, _)| path.is_within(whole));
                let nearest = nearest.max_by_key(|(whole, _)| whole.steps().len());
                Problem::new(nearest.map_or_else(|| path.to_string(), |(_, option)| (*option).to_owned()), problem)
            }
            Self::File { name, text } => {
                let location = locate(text, path, target);
                let at = location.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
                let place = if path.steps().is_empty() { format!("{name}{at}") } else { format!("{name}{at}: {path}") };
                Problem { location, ..Problem::new(place, problem) }
            }
        }
    }
}

/// The place of a value.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub layer: &'a Layer,
    pub path: KeyPath,
}

impl<'a> Place<'a> {
    pub fn key(&self, name: &str) -> Self {
        Self { layer: self.layer, path: self.path.key(name) }
    }

    pub fn index(&self, index: usize) -> Self {
        Self { layer: self.layer, path: self.path.index(index) }
    }
}

/// Returns the value of a setting from the uppermost layer that has it; `path` is the key path of `field`.
pub(super) fn find<'a, T>(
    layers: &'a [Layer],
    path: &str,
    field: impl Fn(&'a Settings) -> Option<&'a T>,
) -> Option<(&'a T, Place<'a>)> {
    layers.iter().find_map(|layer| {
        let value = field(&layer.settings)?;
        Some((value, Place { layer, path: KeyPath::new(path) }))
    })
}
