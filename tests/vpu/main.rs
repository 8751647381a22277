//! The program against virtual VPUs, looked at by other means than the program's own report.

mod delivery;
mod device;
mod first_run;
mod images;
mod images_run;
mod layers;
mod pipeline;
mod witness;
