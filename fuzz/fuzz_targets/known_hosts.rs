//! See `o3r_deploy::fuzz::known_hosts`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::known_hosts(bytes));
