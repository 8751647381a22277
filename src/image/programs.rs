//! Determines the processor that a file system is for, from the programs in it.

use std::collections::BTreeMap;

use super::{ArchiveError, Platform};

/// Counts ELF programs and libraries by processor. The majority decides: a root file system for ARM may well hold an emulator
/// or firmware for something else, and a vote needs neither paths nor links to be followed.
#[derive(Debug, Default)]
pub(super) struct Programs(BTreeMap<Machine, u64>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Machine {
    number: u16,
    is_64_bit: bool,
    is_big_endian: bool,
}

impl Programs {
    /// Looks at the first 20 bytes of a file: ELF magic, class, byte order, and at 16 and 18 type and machine (System V ABI,
    /// "ELF Header"). Object files do not count.
    pub(super) fn count(&mut self, beginning: &[u8]) {
        let [0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2, .., t0, t1, m0, m1] = beginning else { return };
        let is_big_endian = *order == 2;
        let number = |low, high| if is_big_endian { u16::from_be_bytes([low, high]) } else { u16::from_le_bytes([low, high]) };
        if beginning.len() == 20 && matches!(number(*t0, *t1), 2 | 3) {
            let machine = Machine { number: number(*m0, *m1), is_64_bit: *class == 2, is_big_endian };
            *self.0.entry(machine).or_default() += 1;
        }
    }

    /// Returns the platform that most of them are for.
    pub(super) fn platform(&self) -> Result<Platform, ArchiveError> {
        let (machine, _) = self.0.iter().max_by_key(|(_, count)| **count).ok_or(ArchiveError::NoImage)?;
        let architecture = match (machine.number, machine.is_64_bit, machine.is_big_endian) {
            (183, true, false) => "arm64",
            (62, true, false) => "amd64",
            (40, false, false) => "arm",
            (3, false, false) => "386",
            (243, true, false) => "riscv64",
            (21, true, false) => "ppc64le",
            (22, true, true) => "s390x",
            _ => return Err(ArchiveError::UnknownMachine(machine.number)),
        };
        Ok(Platform::linux(architecture))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns the beginning of a little-endian 64-bit program.
    pub(in crate::image) fn elf(machine: u8) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
        bytes.extend([machine, 0, 0, 0]);
        bytes
    }

    #[test]
    fn the_majority_of_programs_tells_the_processor() {
        let mut programs = Programs::default();
        for machine in [62, 183, 183] {
            programs.count(&elf(machine)[..20]);
        }
        programs.count(b"#!/bin/sh");
        programs.count(&elf(62)[..19]);
        assert_eq!(programs.platform().expect("there are programs"), Platform::linux("arm64"));
    }

    #[test]
    fn without_programs_or_with_unknown_ones_there_is_no_platform() {
        let mut programs = Programs::default();
        assert!(matches!(programs.platform(), Err(ArchiveError::NoImage)));
        programs.count(&elf(99)[..20]);
        assert!(matches!(programs.platform(), Err(ArchiveError::UnknownMachine(99))));
    }
}
