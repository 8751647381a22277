//! The command line: its options, and what they come to.

pub mod options;
pub mod pairs;
mod told;
