//! The device's configuration interface.
