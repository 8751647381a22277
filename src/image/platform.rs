//! The platform of an image, and the platforms that a device runs.

use std::fmt;

/// Operating system and processor, in the words of the OCI image specification (`linux`, `arm64`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux` for all that a VPU runs.
    pub os: String,
    /// `arm64`, `amd64`, `arm`, ….
    pub architecture: String,
    /// `v7`, `v8`, …; most images leave it out.
    pub variant: Option<String>,
}

impl Platform {
    /// Returns the platform of Linux on `architecture`.
    pub fn linux(architecture: &str) -> Self {
        Self { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// Returns whether it is the platform of every VPU: 64-bit ARM Linux.
    pub fn is_vpu(&self) -> bool {
        self.os == "linux" && self.architecture == "arm64"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

/// Returns whether a device can run what is built for `platform`, either natively (`machine` is the output of `uname -m` on
/// the device) or with an emulator that is registered with the kernel (`emulators` are the names in
/// `/proc/sys/fs/binfmt_misc`, as `qemu-aarch64`).
///
/// A 64-bit ARM machine is not taken to run 32-bit programs: cores and kernels without that exist.
pub fn runs_on(platform: &Platform, machine: &str, emulators: &[String]) -> bool {
    let emulated = emulator_architecture(&platform.architecture)
        .is_some_and(|name| emulators.iter().any(|emulator| emulator.strip_prefix("qemu-") == Some(name)));
    platform.os == "linux" && (emulated || runs_natively(platform, machine))
}

fn runs_natively(platform: &Platform, machine: &str) -> bool {
    match (platform.architecture.as_str(), machine) {
        ("arm64", "aarch64" | "arm64") | ("amd64", "x86_64") => true,
        ("386", machine) => matches!(machine, "i386" | "i486" | "i586" | "i686"),
        ("arm", machine) => machine.strip_prefix("armv").and_then(version).is_some_and(|has| {
            platform.variant.as_deref().and_then(|variant| version(variant.trim_start_matches('v'))) <= Some(has)
        }),
        (architecture, machine) => architecture == machine,
    }
}

/// Parses the number at the beginning of `text`: 7 of `7l`.
fn version(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Returns the name of an OCI architecture in QEMU; `None` for an empty one.
fn emulator_architecture(architecture: &str) -> Option<&str> {
    Some(match architecture {
        "arm64" => "aarch64",
        "amd64" => "x86_64",
        "386" => "i386",
        "" => return None,
        same => same,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(variant: &str) -> Platform {
        Platform { variant: Some(variant.into()), ..Platform::linux("arm") }
    }

    #[test]
    fn a_machine_runs_its_own_architecture_and_no_other() {
        assert!(runs_on(&Platform::linux("arm64"), "aarch64", &[]));
        assert!(runs_on(&Platform::linux("amd64"), "x86_64", &[]));
        assert!(runs_on(&Platform::linux("riscv64"), "riscv64", &[]));
        assert!(!runs_on(&Platform::linux("amd64"), "aarch64", &[]));
        assert!(!runs_on(&Platform::linux("arm64"), "x86_64", &[]));
        assert!(!runs_on(&Platform::linux("arm"), "aarch64", &[]));
        assert!(!runs_on(&Platform { os: "windows".into(), ..Platform::linux("amd64") }, "x86_64", &[]));
    }

    #[test]
    fn a_32_bit_arm_runs_its_version_and_older_ones() {
        assert!(runs_on(&arm("v7"), "armv7l", &[]));
        assert!(runs_on(&arm("v6"), "armv7l", &[]));
        assert!(!runs_on(&arm("v7"), "armv6l", &[]));
        assert!(runs_on(&Platform::linux("arm"), "armv6l", &[]));
    }

    #[test]
    fn an_emulator_runs_what_the_machine_does_not() {
        let emulators = ["register".to_owned(), "qemu-aarch64".to_owned()];
        assert!(runs_on(&Platform::linux("arm64"), "x86_64", &emulators));
        assert!(!runs_on(&Platform::linux("arm"), "x86_64", &emulators));
        assert!(!runs_on(&Platform::linux(""), "x86_64", &["qemu-".to_owned()]));
    }

    #[test]
    fn a_platform_is_shown_as_docker_writes_it() {
        assert_eq!(arm("v7").to_string(), "linux/arm/v7");
        assert_eq!(Platform::linux("arm64").to_string(), "linux/arm64");
    }
}
