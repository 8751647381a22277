//! The program against virtual VPUs, looked at by other means than the program's own report.

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
mod readme;
mod readme_run;
mod state;
mod trees;
mod witness;
