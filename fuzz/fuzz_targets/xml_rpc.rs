//! See `o3r_deploy::fuzz::xml_rpc`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| o3r_deploy::fuzz::xml_rpc(bytes));
