//! Releases of an application on a device: the lock, the snapshot of the running version, the guard, the confirmation, the
//! rollback and the history, with the scripts that do them there. `docs/swap.md` describes them.

mod history;
pub mod lock;
mod snapshot;
pub mod versions;

pub use history::{Entry, EntryImage};
pub use snapshot::{KeptLink, KeptService, Snapshot, SnapshotError};
