//! See `o3r_deploy::fuzz::image_archive`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::image_archive(bytes));
