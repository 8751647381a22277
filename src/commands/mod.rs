//! The commands that run on the device: pure values, each kind in one small file, each with a test that shows the exact
//! line.

pub mod compose;
pub mod docker;
pub mod files;
pub mod health;
pub mod systemd;
