//! The program against virtual VPUs, looked at by other means than the program's own report.

mod attach;
mod defects;
mod device;
mod example;
mod first_run;
mod images;
mod pipeline;
mod program;
mod witness;
