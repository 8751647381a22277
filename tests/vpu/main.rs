//! The program against virtual VPUs, looked at by other means than the program's own report.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attach;
mod broken;
mod defects;
mod delivery;
mod device;
mod example;
mod failures;
mod first_run;
mod images;
mod interrupt;
mod layers;
mod names;
mod pipeline;
mod program;
#[path = "../support/readme.rs"]
mod readme;
mod readme_run;
mod rivals;
mod room;
mod state;
mod trees;
mod wire;
mod witness;
