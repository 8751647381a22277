//! The command `o3r-deploy`: a thin shell round the library.

fn main() -> std::process::ExitCode {
    o3r_deploy::cli::main()
}
