//! The program against virtual VPUs, looked at by other means than the program's own report.

mod broken;
mod delivery;
mod device;
mod failures;
mod first_run;
mod images;
mod images_run;
mod layers;
mod names;
mod pipeline;
mod state;
mod trees;
mod witness;
