//! Firmware versions, which compare as numbers and not as text.

use std::{cmp::Ordering, fmt};

/// A firmware version such as `1.4.30`. What follows a `-` or `+` names a build and takes no part in anything; missing numbers
/// count as 0, so that 1.4 is 1.4.0.
#[derive(Clone, Debug)]
pub struct Firmware {
    text: String,
    numbers: Vec<u64>,
}

impl Firmware {
    /// Reads a version as the device tells it; `None` when it is none.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().split(['-', '+']).next().unwrap_or_default();
        let mut numbers = text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some(Self { text: text.to_owned(), numbers })
    }

    /// Returns whether `oem` may still log in with a password, as in firmware up to 1.1.30. Later firmware takes keys only.
    pub fn may_have_password_login(&self) -> bool {
        self.numbers.as_slice() <= [1, 1, 30].as_slice()
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl PartialEq for Firmware {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for Firmware {}

impl PartialOrd for Firmware {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Firmware {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(text: &str) -> Firmware {
        Firmware::new(text).expect("a version")
    }

    #[test]
    fn versions_compare_as_numbers() {
        let order = ["0.14.23", "1.0", "1.1.30", "1.1.41", "1.4.30-4711", "1.10", "1.10.13", "1.20.29", "1.21.6"].map(firmware);
        assert!(order.is_sorted_by(|a, b| a < b));
        assert_eq!(firmware("1.4.0"), firmware("1.4"));
        assert_eq!(firmware(" 1.4.30-4711+x\n").to_string(), "1.4.30");
        assert_eq!(["", "abc", "1..2", "-1", "1.x"].map(Firmware::new), [const { None }; 5]);
    }

    #[test]
    fn only_old_firmware_may_have_a_password_login() {
        assert!(["0.16", "1.0.14", "1.1.30"].map(firmware).iter().all(Firmware::may_have_password_login));
        assert!(!["1.1.41", "1.4.30", "1.10"].map(firmware).iter().any(Firmware::may_have_password_login));
    }
}
