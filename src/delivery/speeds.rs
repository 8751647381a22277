//! Keeps the speeds of devices and of the links to them on this computer, by the device's serial number.

use std::{fs, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use crate::small_file;

/// A smaller delivery tells nothing of the link but that it is no slower, in bytes.
const TELLING: u64 = 4 << 20;

/// The speeds that earlier deliveries measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speeds {
    /// Bytes a second on the wire.
    pub link: Option<u64>,
    /// Bytes of layers a second that the device unpacks.
    pub unpack: Option<u64>,
    /// Whether the last delivery was cut.
    pub cut: bool,
}

/// The measurements of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Bytes on the wire.
    pub sent: u64,
    /// Time that it took to send them.
    pub sending: Duration,
    /// Bytes a second that the link takes, where that could be told from what the device takes.
    pub link: Option<u64>,
    /// Bytes of layers that the device unpacked.
    pub unpacked: u64,
    /// Time that it took to unpack them.
    pub unpacking: Duration,
}

impl Speeds {
    /// Returns the known speeds of the device with this serial number.
    pub fn of(directory: Option<&Path>, serial: Option<&str>) -> Self {
        let read = || serde_json::from_str(&small_file::read(&file(directory?, serial?)).ok()?).ok();
        read().unwrap_or_default()
    }

    /// Stores the speeds. A failure is not reported: they only make estimates better.
    pub fn keep(&self, directory: Option<&Path>, serial: Option<&str>) {
        let (Some(directory), Some(serial)) = (directory, serial) else { return };
        let write = || {
            fs::create_dir_all(directory).and_then(|()| small_file::write(&file(directory, serial), serde_json::to_vec(self)?))
        };
        if let Err(error) = write() {
            tracing::debug!("the speed of {serial} is not kept: {error}");
        }
    }

    /// Learns from a delivery: the mean of what was known and what was seen.
    #[must_use]
    pub fn with(self, measured: &Measured) -> Self {
        let seen = |bytes: u64, time: Duration| (bytes as f64 / time.as_secs_f64().max(0.001)) as u64;
        let mean = |known: Option<u64>, seen: u64| Some(known.map_or(seen, |known| known / 2 + seen / 2));
        let link = match (measured.link, self.link) {
            // Told apart from what the device takes, it is the link as it is now: another cable or network counts at once. A short
            // look may see too little of a fast one, but not what has passed.
            (Some(link), _) => Some(link.max(seen(measured.sent, measured.sending))),
            (None, known) if measured.sent >= TELLING => mean(known, seen(measured.sent, measured.sending)),
            (None, known) => known.map(|known| known.max(seen(measured.sent, measured.sending))),
        };
        let unpack =
            if measured.unpacked > 0 { mean(self.unpack, seen(measured.unpacked, measured.unpacking)) } else { self.unpack };
        Self { link, unpack, cut: false }
    }
}

fn file(directory: &Path, serial: &str) -> std::path::PathBuf {
    directory.join(format!("{}.json", crate::facts::here::safe_name(serial)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(sent: u64, seconds: u64) -> Measured {
        Measured { sent, sending: Duration::from_secs(seconds), link: None, unpacked: sent, unpacking: Duration::from_secs(1) }
    }

    #[test]
    fn speeds_are_means_of_what_was_seen_and_little_says_little() {
        let first = Speeds { cut: true, ..Speeds::default() }.with(&measured(100_000_000, 10));
        assert_eq!(first, Speeds { link: Some(10_000_000), unpack: Some(100_000_000), cut: false });
        assert_eq!(first.with(&measured(100_000_000, 5)).link, Some(15_000_000));
        let looked = |link| Measured { link: Some(link), ..measured(100_000_000, 5) };
        assert_eq!(first.with(&looked(5_000_000)).link, Some(20_000_000));
        assert_eq!(first.with(&looked(50_000_000)).link, Some(50_000_000));
        let little = Measured { unpacked: 0, ..measured(1_000_000, 5) };
        assert_eq!(first.with(&little), first);
        assert_eq!(Speeds::default().with(&little), Speeds::default());
    }

    #[test]
    fn what_is_kept_is_found_by_the_serial_number() {
        let directory = tempfile::tempdir().expect("a folder");
        let speeds = Speeds { link: Some(1), unpack: None, cut: true };
        speeds.keep(Some(directory.path()), Some("0000/12"));
        assert_eq!(Speeds::of(Some(directory.path()), Some("0000/12")), speeds);
        assert_eq!(Speeds::of(Some(directory.path()), Some("other")), Speeds::default());
        assert_eq!(Speeds::of(None, Some("0000/12")), Speeds::default());
    }
}
