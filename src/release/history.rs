//! The history of an application: a line of `history.jsonl` on the device for each attempt to deploy it.

use serde::{Deserialize, Serialize};

/// One deployment in the history of an application, a line of `history.jsonl` on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When, by the clock of the computer that did it: the stem of its log file.
    pub at: String,
    /// The user who deployed, as `user@host`.
    pub by: String,
    /// Name of the application.
    pub application: String,
    /// `deployment` or `rollback`.
    pub kind: String,
    /// The services that were brought up.
    pub services: Vec<String>,
    /// The images that were deployed.
    pub images: Vec<EntryImage>,
    /// The result: [`Entry::DONE`], `rolled back`, `failed`, or `interrupted`; empty in entries of earlier releases.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
}

impl Entry {
    /// The result of what was confirmed.
    pub const DONE: &str = "done";
    /// The result of what failed and left nothing behind.
    pub const FAILED: &str = "failed";
    /// The result of a deployment that was interrupted by a user or by a lost connection.
    pub const INTERRUPTED: &str = "interrupted";

    /// Returns its line in the history.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An image of an [`Entry`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryImage {
    /// ID of the image.
    pub id: String,
    /// References of the image.
    pub references: Vec<String>,
    /// The archive it came from, or the name it had in that computer's docker.
    pub archive: String,
}
