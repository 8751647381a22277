//! What an SFTP server sends, as the SFTP client reads it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes::Bytes::copy_from_slice(bytes);
    let _ = russh_sftp::protocol::Packet::try_from(&mut bytes);
});
