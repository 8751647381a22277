//! Checks what the device's docker does not accept, before a byte is sent.

use super::{PlanError, Planner, engine::with_tag};
use crate::{config::ImageSource, facts::here::LocalImage, image::runs_on, reference::Reference};

/// The most layers of an image (moby, `layer/layer_store.go`: `maxLayerDepth`).
const LAYERS_MAX: usize = 125;

/// The first major version of docker that reads a registry's IPv6 address.
const IPV6_SINCE: u32 = 25;

impl Planner<'_> {
    /// Sees that docker keeps images by layers that can be sent one by one, and under the IDs that they have here.
    pub(super) fn check_store(&self) -> Result<(), PlanError> {
        match self.docker().containerd_store {
            true => Err(PlanError::ContainerdStore),
            false => Ok(()),
        }
    }

    /// Sees that a name can be given there.
    pub(super) fn check_reference(&self, text: &str) -> Result<(), PlanError> {
        let version = &self.docker().version;
        let major = version.split('.').next().and_then(|major| major.parse().ok());
        let is_old = major.is_some_and(|major: u32| major < IPV6_SINCE);
        match text.parse::<Reference>() {
            Ok(reference) if reference.has_ipv6_registry() && is_old => {
                Err(PlanError::Ipv6Registry { reference: text.to_owned(), version: version.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Sees that the device takes and runs an image, and warns of one that nobody could name.
    pub(super) fn check_image(&mut self, image: &LocalImage) -> Result<(), PlanError> {
        let allowed = self.circumstances.allow_architecture;
        if !allowed && !runs_on(&image.platform, &self.facts.machine, &self.facts.emulators) {
            return Err(PlanError::Architecture {
                image: image.shown(),
                platform: image.platform.to_string(),
                machine: self.facts.machine.clone(),
            });
        }
        if image.layers.len() > LAYERS_MAX {
            return Err(PlanError::TooManyLayers { image: image.shown(), layers: image.layers.len() });
        }
        image.references.iter().try_for_each(|reference| self.check_reference(&with_tag(reference)))?;
        if image.references.is_empty()
            && let Some(ImageSource::Here(source)) = self.wanted.image.get(image.source).map(|image| &image.source)
        {
            self.plan.warnings.push(format!(
                "the image of `{source}` has no name, so no compose file can name it: give it one with `--image {source},NAME:TAG` or `name:`"
            ));
        }
        Ok(())
    }
}
