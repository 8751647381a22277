//! Commands that change one version of an application for another, and back: `docs/swap.md` tells how.

use super::lock;
use crate::{
    command::{Command, DISK_SILENCE_MAX},
    config::REMOTE_HOME,
};

/// The repository of the names that keep the images of a version that can be gone back to.
pub const PREVIOUS: &str = "o3r-deploy.previous";

/// Returns the directory on the device in which this tool keeps the data of an application.
pub fn home(application: &str) -> String {
    format!("{REMOTE_HOME}/.o3r-deploy/{application}")
}

/// Returns the directory of the version that an unconfirmed update has replaced.
pub fn pending(application: &str) -> String {
    format!("{}/swap", home(application))
}

/// Returns the path of the file that describes a kept version; it is written once the version is complete.
pub fn state(version: &str) -> String {
    format!("{version}/state")
}

/// Returns the directory of the version before the one that runs.
pub fn previous(application: &str) -> String {
    format!("{}/previous", home(application))
}

/// Returns the directory that marks an application without a version so far, until its first one is confirmed.
pub fn first(application: &str) -> String {
    format!("{}/first", home(application))
}

/// Puts the version that is kept in the directory `$1` back.
const PUT_BACK: &str = concat!(
    include_str!("scripts/put_back.sh"),
    include_str!("scripts/note_attempt.sh"),
    include_str!("scripts/stop_competing_writers.sh")
);

/// Keeps the running version in a directory; its parts come on standard input, one per line. From then on a guard restores
/// it at the next start of the device. `attempt` is the history entry for that case.
pub fn keep(version: &str, application: &str, attempt: &str) -> Command {
    let script =
        concat!(include_str!("scripts/keep.sh"), include_str!("scripts/note_attempt.sh"), include_str!("scripts/arm_guard.sh"));
    let command = Command::script(script).waits_for_docker().arg(version).arg(application).text(PUT_BACK);
    with_guard(command).arg(attempt)
}

/// Adds the scripts that the guard runs, and where the lock is.
fn with_guard(command: Command) -> Command {
    command.text(include_str!("scripts/guard.sh")).text(include_str!("scripts/lock.sh")).arg(lock::PLACE)
}

/// Restores the version that is kept in a directory. The same script is there as `put_back`, for manual use and for the
/// guard. `result` is written into the history; when it is empty, it depends on whether the containers had been changed.
pub fn put_back(version: &str, result: &str) -> Command {
    Command::script(PUT_BACK).waits_for_docker().arg(version).arg(result)
}

/// Time in seconds for which the lock may be free until the guard considers its deployer dead.
pub const GRACE: u32 = 20;

/// Leaves a guard, which puts the version that is kept back after `limit` seconds, or [`GRACE`] seconds after its deployer has
/// gone, unless the new one is confirmed. From now on the containers are changed: going back has to change them as well. Prints
/// the device's clock.
pub fn begin(version: &str, limit: u64) -> Command {
    let script = concat!(include_str!("scripts/begin_swap.sh"), include_str!("scripts/arm_guard.sh"));
    with_guard(Command::script(script).waits_for_docker().arg(version).arg(limit.to_string()).arg(GRACE.to_string()))
}

/// Prints `swap` or `previous`, whichever a rollback can restore, its state, and after `now` the present state of the same
/// things.
pub fn look(application: &str) -> Command {
    Command::script(include_str!("scripts/versions.sh")).arg(home(application))
}

/// Prints the record of an application; nothing where there is none.
pub fn record(application: &str) -> Command {
    Command::script(include_str!("scripts/record.sh")).arg(format!("{}/record.json", home(application)))
}

/// Prints the histories of all applications.
pub fn history() -> Command {
    Command::script(include_str!("scripts/history.sh")).arg(format!("{REMOTE_HOME}/.o3r-deploy"))
}

/// Makes the version that was kept the previous one, and writes record and history.
pub fn settle(application: &str, record: &str, entry: &str) -> Command {
    Command::script(include_str!("scripts/confirm_swap.sh")).waits_for_docker().arg(home(application)).arg(record).arg(entry)
}

/// Writes an entry into the history.
pub fn note(application: &str, entry: &str) -> Command {
    Command::script(include_str!("scripts/note.sh")).silent_for(DISK_SILENCE_MAX).arg(home(application)).arg(entry)
}

/// Prints the ends and starts of a project's containers since a time of the device's clock: nanoseconds, `die` or `start`,
/// and the service, one per line.
pub fn downtime(project: &str, since: u64) -> Command {
    Command::script(include_str!("scripts/downtime.sh")).waits_for_docker().arg(project).arg(since.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_kept_in_the_application_s_own_directory() {
        assert_eq!(
            keep(&pending("app"), "app", "").shown(),
            "sh -c '# keeps the version that runs, for the way back…' sh /home/oem/.o3r-deploy/app/swap app \
             '# puts the version that was kept back…' '# puts the previous version back unless the new one is confirmed in time…' \
             '# looks after the lock of the device…' /tmp/o3r-deploy ''"
        );
        assert_eq!(
            put_back(&previous("app"), "").shown(),
            "sh -c '# puts the version that was kept back…' sh /home/oem/.o3r-deploy/app/previous ''"
        );
    }
}
