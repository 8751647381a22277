//! The command `o3r-deploy`: a thin shell round the library.

fn main() {}
