//! The documents say what is true: tables are those of the program, examples are understood, files that are named are there.
//! What needs a device is in `tests/vpu/readme.rs`.

mod document;
mod examples;
#[path = "../support/readme.rs"]
mod readme;
mod stages;
mod tables;
