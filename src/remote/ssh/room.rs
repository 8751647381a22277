//! Whether a write failed for want of room: GNU's tar does not always say so.

use super::Ssh;
use crate::{
    command::Command,
    remote::{Input, Remote, RemoteError, is_no_space, last_lines},
};

/// Returns whether the disk is full, by writing a file beside `path`, which is then removed.
pub(super) async fn is_missing(ssh: &Ssh, path: &str) -> Result<bool, RemoteError> {
    let script = "# asks whether there is room\n\
                  file=${1%/*}/.o3r-room.$$\n\
                  dd if=/dev/zero bs=65536 count=1 > \"$file\"\n\
                  rm -f \"$file\"";
    let output = ssh.run(&Command::script(script).arg(path), Input::Empty).await?;
    Ok(last_lines(&output.stderr, usize::MAX).iter().any(|line| is_no_space(line)))
}
