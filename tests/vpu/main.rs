//! The program against virtual VPUs, looked at by other means than the program's own report.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attach;
mod broken;
mod compose;
mod cuts;
mod defects;
mod delivery;
mod device;
mod devices;
mod doctor;
mod evidence;
mod example;
mod failures;
mod first_run;
mod guard;
mod images;
mod interrupt;
mod layers;
mod leaks;
mod library;
mod names;
mod pipeline;
mod program;
mod projects;
#[expect(dead_code, reason = "the tests against sshd use the rest")]
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/readme.rs"]
mod readme;
mod readme_run;
mod rivals;
mod room;
mod sealed;
mod secrets;
mod settle;
mod silence;
mod state;
mod swap;
mod trees;
mod verify;
mod wire;
mod witness;
mod words;
