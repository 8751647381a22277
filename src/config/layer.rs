//! A layer: what one place says, the options or the file. The upper layer's keys hide those of the layer below.

use std::path::PathBuf;

use super::{
    key_path::KeyPath,
    locate::{Target, locate},
    problem::Problem,
    settings::Settings,
};

/// What one place says, and how to speak of that place.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it says.
    pub settings: Settings,
    /// Where its relative local paths start; absolute.
    pub base: PathBuf,
    /// Which place it is.
    pub origin: Origin,
}

/// A place where settings are said.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The options, with the option behind each value.
    Options(Vec<(KeyPath, &'static str)>),
    /// The file.
    File {
        /// Its name, as shown to people.
        name: String,
        /// Its text, in which lines are looked up.
        text: String,
    },
}

impl Origin {
    /// A problem with what was said at `path`, placed as people find it: at the file's line and key, or at the option.
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

/// Where a value stands.
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

/// What the uppermost layer that says anything about it says; `path` is where `field` stands.
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
