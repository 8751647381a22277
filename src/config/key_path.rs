//! The path of a value in the configuration file: `transfers.to_device[1].remote`.

use std::fmt;

/// One step down into the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The step leads to the value of a key.
    Key(String),
    /// The step leads to an item of a list, counted from 0.
    Index(usize),
}

/// The way from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<Step>);

impl KeyPath {
    /// Reads a way that leads over keys only, as `device.port`.
    pub fn new(dotted: &str) -> Self {
        Self(dotted.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// Returns the path of the key `name` below this one.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.then(Step::Key(name.to_owned()))
    }

    /// Returns the path of an item below this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns whether `self` is `whole` or leads to something below it.
    pub(super) fn is_within(&self, whole: &Self) -> bool {
        self.0.starts_with(&whole.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => formatter.write_str(key)?,
                Step::Key(key) => write!(formatter, ".{key}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_with_dots_and_brackets() {
        let path = KeyPath::new("transfers.to_device").index(1).key("remote");
        assert_eq!(path.to_string(), "transfers.to_device[1].remote");
        assert!(path.is_within(&KeyPath::new("transfers")));
        assert!(!path.is_within(&KeyPath::new("transfers.from_device")));
    }
}
