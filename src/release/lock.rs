//! Commands to the lock of the device. It is kept in RAM: a power cut takes it away, and the disk is spared.

use crate::command::Command;

/// The path of the lock, and of the note of its last owner.
pub const PLACE: &str = "/tmp/o3r-deploy";

/// Time in seconds without a heartbeat after which the lock of a deployer ends.
pub const LEASE_SECONDS: u32 = 60;

/// The values that are needed to take the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim<'a> {
    /// A word that no other claim has. Who has the lock under this word already takes it anew.
    pub token: &'a str,
    /// The word of a lock that is taken over, whoever lives.
    pub over: &'a str,
    /// The owner who claims it, as one line.
    pub who: &'a str,
    /// A file on the device: while somebody has it locked, nothing is taken.
    pub hold_off: &'a str,
}

fn script(mode: &str) -> Command {
    Command::script(include_str!("scripts/lock.sh")).arg(mode).arg(PLACE)
}

/// Takes the lock, reports that, and holds it as long as lines come on standard input. The answer has three lines: `taken`
/// and the token of the previous owner, `held` with token and owner, or `off` with a process and its name.
pub fn take(claim: &Claim<'_>) -> Command {
    script("take").args([claim.token, claim.over, claim.who]).arg(LEASE_SECONDS.to_string()).arg(claim.hold_off)
}

/// Prints the state of the lock, if there is one: `alive` or `dead`, its token, its owner.
pub fn look() -> Command {
    script("look")
}

/// Removes the lock that has this word, and ends what holds it.
pub fn break_lock(token: &str) -> Command {
    script("break").arg(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_claimed_with_a_word_and_an_owner() {
        let claim = Claim { token: "t1", over: "", who: "{}", hold_off: "/home/oem/share/hold_off.lock" };
        assert_eq!(
            take(&claim).shown(),
            "sh -c '# looks after the lock of the device…' sh take /tmp/o3r-deploy t1 '' '{}' 60 /home/oem/share/hold_off.lock"
        );
        assert_eq!(break_lock("t1").shown(), "sh -c '# looks after the lock of the device…' sh break /tmp/o3r-deploy t1");
    }
}
