//! The device over SSH.
