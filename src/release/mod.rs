//! Releases of an application on a device: the lock, the snapshot of the version that runs, the guard, the confirmation, the way
//! back and the history, with the scripts that do them there. `docs/swap.md` is the picture.

mod history;
pub mod lock;
mod snapshot;
pub mod versions;

pub use history::{Entry, EntryImage};
pub use snapshot::{KeptLink, KeptService, Snapshot, SnapshotError};
