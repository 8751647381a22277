//! See `o3r_deploy::fuzz::device_archive`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::device_archive(bytes));
