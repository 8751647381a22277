//! See `o3r_deploy::fuzz::docker_json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::docker_json(bytes));
