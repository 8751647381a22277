//! What several tests need.

pub mod passwords;
#[expect(dead_code, reason = "the tests on virtual VPUs use the rest")]
pub mod proxy;
pub mod sshd;
