//! Signing outside of this program: the user's agent, and a signer that only asks whether the device would accept a
//! signature.

use std::{path::Path, time::Duration};

use russh::{
    Signer,
    keys::{
        HashAlg,
        agent::{
            AgentIdentity,
            client::{AgentClient, AgentStream},
        },
    },
};
use tokio::time::timeout;

/// An agent, however it is reached.
pub(super) type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

/// An agent that does not answer in this time is none. Signing has no limit: it may wait for a touch.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Connects to the agent at `path`: a socket, on Windows a named pipe, with Pageant where there is none.
pub(super) async fn connect(path: Option<&Path>) -> Option<Agent> {
    timeout(ANSWERS_WITHIN, connect_to(path?)).await.ok()?
}

#[cfg(unix)]
async fn connect_to(path: &Path) -> Option<Agent> {
    Some(AgentClient::connect_uds(path).await.ok()?.dynamic())
}

#[cfg(windows)]
async fn connect_to(path: &Path) -> Option<Agent> {
    match AgentClient::connect_named_pipe(path).await {
        Ok(agent) => Some(agent.dynamic()),
        Err(_) => Some(AgentClient::connect_pageant().await.ok()?.dynamic()),
    }
}

/// Returns the keys that the agent holds.
pub(super) async fn keys(agent: &mut Agent) -> Vec<AgentIdentity> {
    timeout(ANSWERS_WITHIN, agent.request_identities()).await.ok().and_then(Result::ok).unwrap_or_default()
}

/// Never signs: that it is asked to tells that the device would accept the key.
pub(super) struct Probe;

/// The result of a probe.
pub(super) enum ProbeEnd {
    /// The device would accept the key.
    Wanted,
    /// The connection ended.
    Closed,
}

impl From<russh::SendError> for ProbeEnd {
    fn from(_: russh::SendError) -> Self {
        Self::Closed
    }
}

impl Signer for Probe {
    type Error = ProbeEnd;

    async fn auth_sign(&mut self, _: &AgentIdentity, _: Option<HashAlg>, _: Vec<u8>) -> Result<Vec<u8>, ProbeEnd> {
        Err(ProbeEnd::Wanted)
    }
}
