//! The command line: one file and one function a subcommand.

use clap::{Parser, Subcommand};

use crate::failure::ExitCode;

mod arguments;
mod deploy;
mod doctor;
mod lock;
mod option_layer;
pub mod options;
pub(crate) mod pairs;
mod schema;
mod session;
mod trust;
mod verify;
mod versions;

use options::Options;

/// Deploys containerised applications over SSH to an ifm O3R VPU.
///
/// A deployment is told in the file `o3r-deploy.yaml` of the working directory, in options, or in both: options override the
/// file. Without either it creates `~/share` on the device and pulls the logs. What is there already is left as it is.
///
/// A new device first needs `o3r-deploy trust`; `o3r-deploy plan` shows what a deployment would do.
#[derive(Debug, Parser)]
#[command(name = "o3r-deploy", version, after_help = after_help(), args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every command and transfer of the deployment and change nothing (as --dry-run)
    ///
    /// It connects to the device and reads what is there, so it shows what a deployment would do now. It takes the same options.
    ///
    /// Example: o3r-deploy plan --IP 192.168.0.70 --image ./python_app.tar
    Plan(Box<Options>),
    /// Give this computer a key to the device, and pin the device's host key
    ///
    /// Once for each computer and device, and again after a firmware update or a factory reset. It makes an ed25519 key if there
    /// is none, adds it to the device's authorized keys through its configuration interface on port 80, shows the host key that
    /// the device then has, and remembers it in `~/.ssh/known_hosts`. `device:` of `o3r-deploy.yaml` counts here as in a deployment.
    ///
    /// Example: o3r-deploy trust --IP 192.168.0.70
    Trust(trust::TrustOptions),
    /// Go back to the version of the application before the one that runs
    ///
    /// Its images, compose files, the files that the update replaced, and what starts by itself come back, and it is seen running.
    /// Once more, it goes forward again. After an update that was cut off it puts back what ran before that.
    ///
    /// Example: o3r-deploy rollback --config deployment_examples/python_app
    Rollback(versions::RollbackOptions),
    /// List what was deployed to the device: when, by whom, from which archive
    ///
    /// The times are those of the computers that deployed. With --json one object a line.
    ///
    /// Example: o3r-deploy history --IP 192.168.0.70
    History(options::ApplicationOptions),
    /// Take the lock of the device away from a deployment that nobody waits for any more
    ///
    /// One deployment at a time changes a device. Its lock goes by itself when it ends, is killed, or is not heard of for a
    /// minute, and at a power cut. One that lives is taken away after a question, or with --yes; its deployment then fails.
    ///
    /// Example: o3r-deploy unlock --IP 192.168.0.70
    Unlock(lock::UnlockOptions),
    /// See that the application runs; with --reboot, that it comes back by itself
    ///
    /// With --reboot the device is rebooted, waited for until it says that it is ready, and each container has to have started
    /// again and to be healthy. That takes the lock of the device, as a deployment does. Five soft reboots without
    /// a power cycle can leave a device off the network: the fifth is warned of.
    ///
    /// Example: o3r-deploy verify --reboot
    Verify(verify::VerifyOptions),
    /// Say why it does not work: each thing on the way to an application that runs, what was found, and what to do
    ///
    /// It changes nothing, asks nothing, and works where the device does not answer, too. With --json, one object a line.
    ///
    /// It ends with 0 when nothing is wrong, with the exit code of what stands in the way to the device, or with 15 when something on it
    /// is wrong. What is only to be looked at is not wrong.
    ///
    /// Example: o3r-deploy doctor --IP 192.168.0.70
    Doctor(doctor::DoctorOptions),
    /// Print the JSON Schema of `o3r-deploy.yaml`, for editors, or that of the events
    ///
    /// Kept beside the file, it lets an editor complete and check it, once this is its first line:
    /// `# yaml-language-server: $schema=o3r-deploy.schema.json`
    ///
    /// Example: o3r-deploy schema > o3r-deploy.schema.json
    Schema(schema::SchemaOptions),
}

/// Returns the environment variables and the exit codes with their meanings, for `--help`.
fn after_help() -> String {
    use std::fmt::Write;
    let environment = "Environment:\n  \
        IFM3D_IP                    the device's address, where --IP does not name one\n  \
        O3R_DEPLOY_PASSWORD         a password to log in with, tried after all keys\n  \
        O3R_DEPLOY_DEVICE_PASSWORD  the password without which a device takes no key (`trust`)\n  \
        NO_COLOR                    no colours\n\nExit codes:";
    ExitCode::MEANINGS.iter().fold(environment.to_owned(), |mut text, (code, meaning)| {
        let _ = write!(text, "\n  {:>3}  {meaning}", *code as u8);
        text
    })
}

/// Returns the definition of the command line, for documents.
pub fn command_line() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Passwords and secrets go through this process: none of its memory is left on a disk, whatever ends it.
fn leave_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // It may be lowered by anyone.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // A core that is piped to a program is not limited by that.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Runs the program and gives its exit code.
pub fn main() -> std::process::ExitCode {
    leave_no_core();
    let words = arguments::in_order(std::env::args_os().collect(), &command_line());
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return arguments::refuse(&error, &words),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a process that has just begun has the descriptors that a runtime needs");
    let code = tokio::task::LocalSet::new().block_on(&runtime, async {
        match cli.command {
            None => deploy::deploy(&cli.options, cli.options.dry_run).await,
            Some(Command::Plan(options)) => deploy::deploy(&options, true).await,
            Some(Command::Rollback(options)) => versions::rollback(&options).await,
            Some(Command::History(options)) => versions::history(&options).await,
            Some(Command::Unlock(options)) => lock::unlock(&options).await,
            Some(Command::Trust(options)) => trust::trust(&options).await,
            Some(Command::Verify(options)) => verify::verify(&options).await,
            Some(Command::Doctor(options)) => doctor::doctor(&options).await,
            Some(Command::Schema(options)) => schema::schema(&options),
        }
    });
    // A prompt or a slow file system may still hold a thread: nothing waits for it.
    runtime.shutdown_background();
    (code as u8).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_refuses_what_means_nothing_to_it() {
        for words in ["rollback", "unlock", "verify --reboot", "history", "doctor", "trust"] {
            let parsed =
                |more: &[&str]| Cli::try_parse_from(["o3r-deploy"].into_iter().chain(words.split(' ')).chain(more.to_vec()));
            assert!(parsed(&["--IP", "127.0.0.9", "--config", "", "--quiet", "--json"]).is_ok(), "{words}");
            for option in ["--dry-run", "--remove_images", "--make-room"] {
                let error = parsed(&[option]).expect_err("it is refused");
                assert_eq!((error.exit_code(), error.kind()), (2, clap::error::ErrorKind::UnknownArgument), "{words} {option}");
            }
        }
    }
}
