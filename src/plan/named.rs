//! Finds the files that a compose file names and that this computer does not have: the deployment must bring them, or the
//! device must have them already.

use super::{PlanError, Planner, application};

impl Planner<'_> {
    /// Refuses what would be nowhere once the project is brought up, such as an environment file, and warns of binds of which
    /// docker makes an empty directory of root's. What earlier stages bring is among the facts by now.
    pub(super) fn check_named(&mut self) -> Result<(), PlanError> {
        let (Some(local), Some(sent)) = (&self.facts.here.compose, application::sent(self.wanted, &self.facts.here)) else {
            return Ok(());
        };
        let secrets = application::secret_paths(self.wanted);
        let mut warnings = Vec::new();
        for (name, file) in &local.missing {
            let path = sent.directory.join(name);
            let is_secret = secrets.values().any(|secret| secret.is_within(&path));
            if is_secret || self.facts.paths.contains_key(path.as_str()) {
                continue;
            }
            let file = file.display().to_string();
            if local.made.contains(name) {
                warnings.push(format!(
                    "`{name}`, which `{file}` binds, is nowhere: docker makes an empty directory of root's, `{path}`"
                ));
            } else {
                return Err(PlanError::Nowhere { name: name.clone(), file, path: path.to_string() });
            }
        }
        self.plan.warnings.extend(warnings);
        Ok(())
    }
}
