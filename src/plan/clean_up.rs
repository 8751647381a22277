//! Clean-up: what goes is exactly what was asked for, less what this deployment itself wants and what is in use.

use std::collections::BTreeSet;

use super::{Action, PlanError, Planner, count, docker::difference};
use crate::{
    commands::docker,
    compose::project_name,
    facts::{Container, DockerImage, DockerVolume},
    stage::Stage,
};

/// Whether a name fits a shell pattern with `*` and `?`.
pub fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = pattern.get(1..).unwrap_or_default();
            fits(rest, name)
                || name.char_indices().any(|(at, c)| name.get(at + c.len_utf8()..).is_some_and(|tail| fits(rest, tail)))
        }
        (Some(p), Some(c)) if p == '?' || p == c => {
            fits(pattern.get(p.len_utf8()..).unwrap_or_default(), name.get(c.len_utf8()..).unwrap_or_default())
        }
        _ => false,
    }
}

impl Planner<'_> {
    pub(super) fn clean_up(&mut self) -> Result<(), PlanError> {
        let wanted = &self.wanted.clean_up;
        if !wanted.containers && !wanted.volumes && !wanted.images {
            return Ok(());
        }
        if self.facts.docker.is_none() {
            return Err(PlanError::NoDocker);
        }
        let containers = if wanted.containers { self.containers_to_go() } else { Vec::new() };
        if let Some(docker) = &mut self.facts.docker {
            docker.containers.retain(|container| !containers.contains(&container.name));
        }
        let volumes = if wanted.volumes { self.volumes_to_go() } else { Vec::new() };
        let images = if wanted.images { self.images_to_go() } else { Vec::new() };
        if let Some(docker) = &mut self.facts.docker {
            docker.volumes.retain(|volume| !volumes.contains(&volume.name));
            docker.images.retain(|image| !images.contains(&image.id));
        }
        let parts = [(containers.len(), "container"), (volumes.len(), "volume"), (images.len(), "image")];
        let says: Vec<_> =
            parts.iter().filter(|(number, _)| *number > 0).map(|(number, thing)| count(*number, thing)).collect();
        let says = if says.is_empty() { "nothing to remove".to_owned() } else { format!("remove {}", says.join(", ")) };
        let mut actions = Vec::new();
        if !containers.is_empty() {
            actions.push(Action::Run(docker::remove_containers(&containers)));
        }
        if !volumes.is_empty() {
            actions.push(Action::Run(docker::remove_volumes(&volumes)));
        }
        if !images.is_empty() {
            actions.push(Action::Run(docker::remove_images(&images)));
        }
        self.add(Stage::CleanUp, says, actions);
        Ok(())
    }

    fn is_kept(&self, name: &str) -> bool {
        self.wanted.clean_up.keep.iter().any(|pattern| fits(pattern, name))
    }

    /// Notes a removal; gives whether it is to happen.
    fn goes(&mut self, what: String, of_this_application: bool, ours: bool) -> bool {
        if self.wanted.clean_up.only_this_application && !of_this_application {
            return false;
        }
        if !ours {
            self.plan.foreign.push(what);
        }
        true
    }

    fn containers_to_go(&mut self) -> Vec<String> {
        // Containers of this very project are replaced by the compose stage, which keeps the time without them short.
        let own = self.wanted.compose.as_ref().and_then(|_| self.compose_path()).map(|path| project_name(path.parent().name()));
        let containers: Vec<Container> = self.docker().containers.clone();
        let mut names = Vec::new();
        for container in containers {
            let project = container.project.clone();
            if self.is_kept(&container.name) || (own.is_some() && project == own) {
                continue;
            }
            let in_record = |record: &crate::facts::Record| project.as_ref().is_some_and(|name| record.projects.contains(name));
            let this = self.facts.records.get(&self.application).is_some_and(in_record);
            let ours = self.facts.is_ours(in_record);
            if self.goes(format!("container {}", container.name), this, ours) {
                names.push(container.name);
            }
        }
        names
    }

    fn volumes_to_go(&mut self) -> Vec<String> {
        let volumes: Vec<DockerVolume> = self.docker().volumes.clone();
        let mut names = Vec::new();
        for volume in volumes {
            let as_wanted =
                self.wanted.volume.iter().any(|wanted| wanted.name == volume.name && difference(&volume, wanted).is_none());
            if self.is_kept(&volume.name) || as_wanted {
                continue;
            }
            if let Some(user) = self.docker().containers.iter().find(|container| container.volumes.contains(&volume.name)) {
                self.plan.warnings.push(format!("volume `{}` stays: container `{}` uses it", volume.name, user.name));
                continue;
            }
            let this = self.facts.records.get(&self.application).is_some_and(|record| record.volumes.contains(&volume.name));
            let ours = self.facts.is_ours(|record| record.volumes.contains(&volume.name));
            if self.goes(format!("volume {}", volume.name), this, ours) {
                names.push(volume.name);
            }
        }
        names
    }

    fn images_to_go(&mut self) -> Vec<String> {
        let images: Vec<DockerImage> = self.docker().images.clone();
        let parents: BTreeSet<_> = images.iter().filter_map(|image| image.parent.clone()).collect();
        let wanted: BTreeSet<_> = self.facts.here.images.iter().map(|image| image.id.clone()).collect();
        let mut going: Vec<(usize, String)> = Vec::new();
        for image in images {
            let intermediate = image.tags.is_empty() && parents.contains(&image.id);
            let kept = image
                .tags
                .iter()
                .any(|tag| self.is_kept(tag) || tag.split_once(':').is_some_and(|(name, _)| self.is_kept(name)));
            // What an interrupted delivery left is of use to the next one, which removes it.
            let partial = image.tags.iter().any(|tag| tag.starts_with(crate::delivery::PARTIAL));
            if intermediate || kept || partial || wanted.contains(&image.id) {
                continue;
            }
            let shown = image.tags.first().unwrap_or(&image.id).clone();
            if let Some(user) = self.docker().containers.iter().find(|container| container.image == image.id) {
                self.plan.warnings.push(format!("image `{shown}` stays: container `{}` uses it", user.name));
                continue;
            }
            let this = self.facts.records.get(&self.application).is_some_and(|record| record.images.contains(&image.id));
            let ours = self.facts.is_ours(|record| record.images.contains(&image.id));
            if self.goes(format!("image {shown}"), this, ours) {
                going.push((image.layers.len(), image.id));
            }
        }
        // An image goes before the one that it was built on.
        going.sort_by(|a, b| b.cmp(a));
        going.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("mosquitto*", "mosquitto-1", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*x*y", "1x2y", true),
            ("", "a", false),
            ("ü*", "üb", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
