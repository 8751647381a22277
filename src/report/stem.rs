//! The name of a run: the local time it began, in its log files and in the device's record of deployments.

use std::fmt;

use jiff::Zoned;

/// `yy.mm.dd_HH.MM.SS±zzzz`, such as `26.11.21_07.34.56+0000`: made once a run, by this computer's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stem(String);

impl Stem {
    /// Returns the stem of a run that begins now.
    pub fn now() -> Self {
        Self::at(&Zoned::now())
    }

    /// Returns the stem of a run that begins at `time`.
    pub fn at(time: &Zoned) -> Self {
        Self(time.strftime("%y.%m.%d_%H.%M.%S%z").to_string())
    }

    /// Returns the stem of the `number`th run in the same second.
    pub(super) fn numbered(&self, number: u32) -> Self {
        Self(format!("{}_{number}", self.0))
    }

    /// Returns the text of the stem.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_is_the_local_time_with_its_offset() {
        let time = |text: &str| text.parse::<Zoned>().expect("a time");
        assert_eq!(Stem::at(&time("2026-11-21T07:34:56.9+00:00[UTC]")).as_str(), "26.11.21_07.34.56+0000");
        assert_eq!(Stem::at(&time("2026-07-01T23:05:09-09:30[-09:30]")).as_str(), "26.07.01_23.05.09-0930");
    }
}
