//! Host keys that are pinned to serial numbers, in a file of this tool's own: many devices use the same address in turn,
//! and a device is identified by its serial number. A line is `serial type key address`; the last line of a serial number
//! and a type is valid, and the last line of an address names the device that answered there. Without the address it has
//! the form of known_hosts.

use std::{
    io,
    path::{Path, PathBuf},
};

use russh::keys::{Algorithm, PublicKey};

use super::known_hosts::append_line;
use crate::small_file::{self, LIST_LIMIT};

/// One line of the file: a host key that is pinned to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pin {
    serial: String,
    key: PublicKey,
    address: String,
}

/// The host keys that are pinned to devices.
#[derive(Clone, Debug, Default)]
pub(super) struct Devices {
    file: Option<PathBuf>,
    pins: Vec<Pin>,
}

impl Devices {
    /// Reads the file, if there is one; lines that are none are passed over.
    pub(super) fn read(file: Option<&Path>) -> io::Result<Self> {
        let text = match file.map(|file| small_file::bytes(file, LIST_LIMIT)) {
            Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => String::new(),
        };
        Ok(Self { file: file.map(Path::to_owned), pins: text.lines().filter_map(parse).collect() })
    }

    /// Returns the path of the file with the pinned keys.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the keys that are valid for a serial number, one per type.
    fn keys<'a>(&'a self, serial: &'a str) -> impl Iterator<Item = &'a PublicKey> {
        let of = move |pin: &&Pin| pin.serial == serial;
        let last = |pin: &Pin| {
            let same = |other: &&Pin| other.serial == pin.serial && other.key.algorithm() == pin.key.algorithm();
            self.pins.iter().rev().find(same).map(|pin| &pin.key)
        };
        self.pins.iter().filter(of).filter(move |pin| last(pin) == Some(&pin.key)).map(|pin| &pin.key)
    }

    /// Returns whether any key is pinned to a serial number.
    pub(super) fn knows(&self, serial: &str) -> bool {
        self.pins.iter().any(|pin| pin.serial == serial)
    }

    /// Returns whether this key is pinned to the serial number.
    pub(super) fn has(&self, serial: &str, key: &PublicKey) -> bool {
        self.keys(serial).any(|pinned| pinned.key_data() == key.key_data())
    }

    /// Returns the types of the keys that are pinned to the serial number.
    pub(super) fn algorithms(&self, serial: &str) -> Vec<Algorithm> {
        self.keys(serial).map(PublicKey::algorithm).collect()
    }

    /// Returns the serial number of the device to which this key is pinned.
    pub(super) fn owner(&self, key: &PublicKey) -> Option<&str> {
        let has = |pin: &&Pin| pin.key.key_data() == key.key_data() && self.has(&pin.serial, key);
        self.pins.iter().rev().find(has).map(|pin| pin.serial.as_str())
    }

    /// Returns the serial number of the device that answered last at an address.
    pub(super) fn last_at(&self, address: &str) -> Option<&str> {
        self.pins.iter().rev().find(|pin| pin.address == address).map(|pin| pin.serial.as_str())
    }

    /// Pins a key to a serial number, and notes the address at which the device answered. An entry that exists is not
    /// written again.
    pub(super) fn pin(&mut self, serial: &str, key: &PublicKey, address: &str) -> io::Result<()> {
        if self.has(serial, key) && self.last_at(address) == Some(serial) {
            return Ok(());
        }
        let mut key = key.clone();
        key.set_comment("");
        let text = key.to_openssh().map_err(io::Error::other)?;
        if let Some(file) = &self.file {
            append_line(file, &format!("{serial} {} {address}", text.trim_end()))?;
        }
        self.pins.push(Pin { serial: serial.to_owned(), key, address: address.to_owned() });
        Ok(())
    }
}

/// Returns whether a serial number can be used unchanged in the file and in a question: the device gives it without proof.
pub(super) fn is_serial(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_')
}

fn parse(line: &str) -> Option<Pin> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [serial, kind, data, address] = *words.as_slice() else { return None };
    let key = PublicKey::from_openssh(&format!("{kind} {data}")).ok()?;
    is_serial(serial).then(|| Pin { serial: serial.into(), key, address: address.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const SECOND: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn key(text: &str) -> PublicKey {
        text.parse().expect("a key")
    }

    #[test]
    fn the_last_key_of_a_serial_number_counts_and_the_last_device_at_an_address_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("own/devices");
        let mut devices = Devices::read(Some(&file)).expect("none yet");
        devices.pin("1", &key(FIRST), "192.168.0.69").expect("pinned");
        devices.pin("1", &key(FIRST), "192.168.0.69").expect("pinned");
        devices.pin("2", &key(SECOND), "192.168.0.69").expect("pinned");
        let text = std::fs::read_to_string(&file).expect("there");
        assert_eq!(text, format!("1 {FIRST} 192.168.0.69\n2 {SECOND} 192.168.0.69\n"));
        let mut devices = Devices::read(Some(&file)).expect("read");
        assert_eq!(devices.last_at("192.168.0.69"), Some("2"));
        assert_eq!((devices.owner(&key(FIRST)), devices.knows("3")), (Some("1"), false));
        devices.pin("2", &key(FIRST), "10.0.0.1").expect("pinned");
        assert!(devices.has("2", &key(FIRST)) && !devices.has("2", &key(SECOND)), "the new key replaces the old one");
        assert_eq!(devices.owner(&key(SECOND)), None);
    }

    #[test]
    fn what_is_no_serial_number_and_what_is_no_line_is_passed_over() {
        assert!(is_serial("009000000141") && !is_serial("") && !is_serial("1 2") && !is_serial("*") && !is_serial("a,b"));
        assert!(!is_serial(&"1".repeat(65)));
        assert_eq!(parse("# comment"), None);
        assert_eq!(parse(&format!("* {FIRST} a")), None);
        assert_eq!(parse("1 ssh-ed25519 nonsense a"), None);
        assert!(parse(&format!("1 {FIRST} a")).is_some());
    }
}
