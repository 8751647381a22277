//! What several tests need.

pub mod passwords;
pub mod proxy;
pub mod sshd;
