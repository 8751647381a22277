//! `o3r-deploy` deploys containerised applications over SSH to an ifm O3R VPU.
//!
//! [`config`] says what is wanted, [`facts`] says what is there, [`plan`] decides what is to be done, pure, and [`run`] does it
//! over a [`remote`] and tells a [`report`]. [`deploy`] is the use case that joins them, and [`cli`] its command line. Imports point one
//! way, from later in these sentences to earlier.

pub mod cli;
pub mod command;
pub mod commands;
pub mod compose;
pub mod config;
pub mod delivery;
pub mod deploy;
pub mod device;
pub mod doctor;
pub mod facts;
pub mod failure;
#[doc(hidden)]
pub mod fuzz;
pub mod holes;
pub mod image;
pub mod plan;
pub mod reference;
pub mod release;
pub mod remote;
pub mod report;
pub mod run;
pub mod secret;
pub mod small_file;
pub mod stage;
pub mod text;

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
