//! See `o3r_deploy::fuzz::ssh_config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::ssh_config(bytes));
