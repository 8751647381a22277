//! See `o3r_deploy::fuzz::device_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::device_answer(bytes));
