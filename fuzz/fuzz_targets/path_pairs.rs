//! See `o3r_deploy::fuzz::path_pairs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::path_pairs(bytes));
