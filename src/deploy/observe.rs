//! Facts of a deployment: the one place where they are gathered, before the first plan and again under the lock.

use super::{
    access::{self, Access, IdentityRequest},
    cache::Cache,
    compose::understand,
};
use crate::{
    config::Deployment,
    device::{DeviceIdentity, InterfaceError},
    facts::{
        Facts, Probe, compare, gather,
        here::{LocalState, present},
    },
    failure::Failure,
    plan,
    remote::ssh::Ssh,
    report::{Event, Report},
    run::look_for_secrets,
    stage::Stage,
};

/// Gathers what a plan is made of.
pub(super) struct Observer<'a> {
    /// The deployment that is to be planned.
    pub(super) wanted: &'a Deployment,
    /// Reaches the device.
    pub(super) access: &'a Access,
    /// Keeps docker-compose's answers.
    pub(super) cache: &'a Cache,
}

impl Observer<'_> {
    /// Connects and gathers the facts.
    pub(super) async fn connect(
        &self,
        report: &mut dyn Report,
        accept_new: bool,
        here: LocalState,
    ) -> Result<(Ssh, Facts), Failure> {
        let request = IdentityRequest::start(&self.access.interface);
        let remote = self.access.connect(self.wanted, accept_new, &request, report).await?;
        let identity = async {
            let (outside, inside) = tokio::join!(request.finish(), access::identity_inside(&remote, &self.access.interface));
            let address = &self.wanted.device.address;
            access::pin_identity(&remote, address, (outside.as_ref().ok(), inside.as_ref()), report)?;
            Ok(Identity::new(outside, inside, report))
        };
        let facts = self.observe(&remote, here, identity).await?;
        Ok((remote, facts))
    }

    /// Gathers the facts anew over the same connection. Who the device is and what is on this computer stays as it was `before`.
    pub(super) async fn again(&self, remote: &Ssh, before: Facts) -> Result<Facts, Failure> {
        let identity = async {
            // Somebody may have given it another name.
            let now = self.access.interface.identity().await.ok().map(|identity| identity.name);
            let Facts { serial, name, firmware, interface_answers, .. } = before;
            Ok(Identity { serial, name: now.or(name), firmware, interface_answers })
        };
        self.observe(remote, before.here, identity).await
    }

    /// Asks the device for all facts of a plan. Every fact that a plan may need is asked for here.
    async fn observe(
        &self,
        remote: &Ssh,
        mut here: LocalState,
        identity: impl Future<Output = Result<Identity, Failure>>,
    ) -> Result<Facts, Failure> {
        let wanted = self.wanted;
        gather::add_archives(&mut here, wanted);
        if let Some(project) = &mut here.compose {
            understand(project, wanted, None, remote, self.cache).await?;
        }
        let probe = self.questions(&here);
        let (facts, name_limit, identity) = tokio::join!(probe.ask(remote), self.name_limit(), identity);
        let mut facts = facts?;
        // The answer of another docker-compose than the one that is there says nothing: the files that are sent follow from it.
        if let (Some(project), Some(tool)) = (&mut here.compose, &facts.compose)
            && understand(project, wanted, Some(tool), remote, self.cache).await?
        {
            facts = self.questions(&here).ask(remote).await?;
        }
        self.cache.keep_compose_line(&wanted.device, &facts.compose_line);
        let Identity { serial, name, firmware, interface_answers } = identity?;
        let mut facts = Facts { here, name_limit, serial, name, firmware, interface_answers, ..facts };
        look_for_secrets(remote, &plan::secret_paths(wanted), &mut facts).await?;
        // What was read leaves doubts: which large files there are those here, which files here are copies.
        let digests_needed = plan::digests_needed(wanted, &facts);
        gather::add_digests(&mut facts.here, &digests_needed)
            .map_err(|error| Failure::from(error).in_stage(Stage::Transfers))?;
        let copies = compare::copies(remote, &plan::copies(wanted, &facts)).await?;
        (facts.here.copies, facts.here.untold) = (copies.found, copies.untold);
        facts.here.present = present(plan::places(wanted, &facts));
        Ok(facts)
    }

    /// Returns what the device is asked, with what it said before.
    fn questions(&self, here: &LocalState) -> Probe {
        Probe { known_compose: self.cache.compose_line(&self.wanted.device), ..plan::questions(self.wanted, here) }
    }

    /// Returns the most characters that a name may have, if the device is to get one.
    async fn name_limit(&self) -> Option<usize> {
        self.wanted.rename.as_ref()?;
        let limit = self.access.interface.name_limit().await.ok()?.characters?;
        Some(limit as usize)
    }
}

/// The identity of the device, as far as a plan needs it.
struct Identity {
    serial: Option<String>,
    name: Option<String>,
    firmware: Option<String>,
    interface_answers: bool,
}

impl Identity {
    /// Takes what was said outside of the connection, or else inside of it.
    fn new(outside: Result<DeviceIdentity, InterfaceError>, inside: Option<DeviceIdentity>, report: &mut dyn Report) -> Self {
        let interface_answers = outside.is_ok();
        match outside.or_else(|error| inside.ok_or(error)) {
            Ok(DeviceIdentity { serial, name, firmware, .. }) => {
                let firmware = firmware.map(|firmware| firmware.to_string());
                Self { serial: Some(serial), name: Some(name), firmware, interface_answers }
            }
            Err(error) => {
                let text = format!("the serial number is not known: {error}");
                report.event(&Event::Warning { text });
                Self { serial: None, name: None, firmware: None, interface_answers }
            }
        }
    }
}
