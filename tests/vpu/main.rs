//! The program against virtual VPUs, looked at by other means than the program's own report.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod delivery;
mod device;
mod first_run;
mod images;
mod images_run;
mod layers;
mod pipeline;
#[path = "../support/readme.rs"]
mod readme;
mod readme_run;
mod witness;
