//! The command line: one file and one function a subcommand.

use clap::{Parser, Subcommand};

use crate::failure::ExitCode;

mod ask;
mod deploy;
pub mod options;
mod pairs;
mod schema;
mod session;
mod told;
mod trust;

use options::Options;

/// Deploys containerised applications over SSH to an ifm O3R VPU.
///
/// Without options it creates `~/share` on the device, stamps the deployment and pulls the logs. A deployment is told in
/// options, in the file `o3r-deploy.yaml` of the working directory, or in both: options override the file.
#[derive(Debug, Parser)]
#[command(name = "o3r-deploy", version, after_help = exit_codes(), args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows every command and transfer of the deployment and changes nothing (as --dry-run)
    Plan(Box<Options>),
    /// Gives this computer a key to the device, and pins the device's host key
    Trust(trust::TrustOptions),
    /// Prints the JSON Schema of `o3r-deploy.yaml`, for editors
    Schema,
}

/// The exit codes with their meanings, for `--help`.
fn exit_codes() -> String {
    use std::fmt::Write;
    ExitCode::MEANINGS.iter().fold("Exit codes:".to_owned(), |mut text, (code, meaning)| {
        let _ = write!(text, "\n  {:>3}  {meaning}", *code as u8);
        text
    })
}

/// The command line as it is understood, for documents.
pub fn command_line() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the program and gives its exit code.
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a process that has just begun has the descriptors that a runtime needs");
    let code = tokio::task::LocalSet::new().block_on(&runtime, async {
        match cli.command {
            None => deploy::deploy(&cli.options, cli.options.dry_run).await,
            Some(Command::Plan(options)) => deploy::deploy(&options, true).await,
            Some(Command::Trust(options)) => trust::trust(&options).await,
            Some(Command::Schema) => schema::schema(),
        }
    });
    // A prompt or a slow file system may still hold a thread: nothing waits for it.
    runtime.shutdown_background();
    (code as u8).into()
}
