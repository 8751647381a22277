//! Properties that hold for every plan, whatever is wanted and whatever the device has.

use proptest::prelude::*;

use super::*;
use crate::{
    facts::Archive,
    plan::{Action, StagePlan},
    stage::Stage,
};
use cases::{Case, Tape};

mod cases;
mod effects;

/// Enough for a case in which everything is wanted.
const TAPE: std::ops::Range<usize> = 0..220;

/// Returns the plan of a case; `None` if the plan is refused.
fn planned(case: &Case) -> Option<Plan> {
    plan(&case.wanted, &case.facts, &case.circumstances).ok()
}

/// Returns the steps of a plan, without those that every run repeats.
fn work(plan: &Plan) -> Vec<String> {
    let actions = plan.stages.iter().flat_map(|stage| &stage.actions);
    let lasting = actions.filter(|action| !matches!(action, Action::Touch(_) | Action::Attach(_) | Action::PullAgain(_)));
    lasting.flat_map(Action::steps).collect()
}

/// Returns the case after its plan was carried out, and the plan that follows.
fn carried_out(case: Case, first: &Plan) -> Result<(Case, Plan), TestCaseError> {
    let case = Case { facts: effects::after(&case, first), ..case };
    let second = plan(&case.wanted, &case.facts, &case.circumstances);
    let second = second.map_err(|failure| TestCaseError::fail(format!("{failure}, after {:#?}", work(first))))?;
    Ok((case, second))
}

/// Returns a reference without what docker adds to it or takes from it.
fn short(reference: &str) -> String {
    let short =
        reference.trim_start_matches("index.docker.io/").trim_start_matches("docker.io/").trim_start_matches("library/");
    let last = short.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { short.to_owned() } else { format!("{short}:latest") }
}

/// Returns the images on the device that nothing may remove, by their IDs, with the reason.
fn needed(case: &Case, plan: &Plan) -> BTreeMap<String, &'static str> {
    let there = case.facts.docker.as_ref().expect("docker");
    let removed = plan.stages.iter().flat_map(|stage| &stage.actions).flat_map(Action::steps);
    let removed: Vec<_> =
        removed.filter_map(|step| Some(step.strip_prefix("docker container rm --force -- ")?.to_owned())).collect();
    let stays = |container: &&Container| !removed.iter().any(|names| names.split(' ').any(|name| name == container.name));
    let mut needed: BTreeMap<_, _> =
        there.containers.iter().filter(stays).map(|container| (container.image.clone(), "a container is made of it")).collect();
    needed.extend(case.facts.here.images.iter().map(|image| (image.id.clone(), "it is delivered")));
    for archive in case.facts.archives.values() {
        let ids = match archive {
            Archive::Images(ids) => ids.clone(),
            Archive::RootFileSystem(digest) => there
                .images
                .iter()
                .filter(|image| image.archive.as_ref() == Some(digest))
                .map(|image| image.id.clone())
                .take(1)
                .collect(),
            Archive::Oci => Vec::new(),
        };
        needed.extend(ids.into_iter().map(|id| (id, "an archive on the device has it")));
    }
    let delivered: BTreeSet<_> =
        case.facts.here.images.iter().flat_map(|image| &image.references).map(|name| short(name)).collect();
    let services = case.facts.here.compose.as_ref().and_then(LocalCompose::model).map(|model| &model.services);
    for reference in services.into_iter().flatten().filter_map(|(_, service)| service.image.as_deref()).map(short) {
        let (name, digest) =
            reference.split_once('@').map_or((reference.as_str(), None), |(name, digest)| (name, Some(digest)));
        let repository =
            name.rsplit_once(':').map_or(name, |(repository, tag)| if tag.contains('/') { name } else { repository });
        let is_named = |image: &&DockerImage| match digest {
            Some(digest) => image.digests.contains(&format!("{repository}@{digest}")),
            None => image.tags.contains(&reference),
        };
        let found = there.images.iter().find(is_named).filter(|_| !delivered.contains(&reference));
        needed.extend(found.map(|image| (image.id.clone(), "a service is made of it")));
    }
    needed.retain(|id, _| there.images.iter().any(|image| image.id == *id));
    needed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plan_has_nothing_to_do_once_it_was_carried_out(numbers in proptest::collection::vec(any::<u16>(), TAPE)) {
        let case = Case::new(&mut Tape::new(&numbers));
        let Some(first) = planned(&case) else { return Ok(()) };
        let (case, second) = carried_out(case, &first)?;
        // What a container that was replaced has used goes with the next run.
        let cleans = |stage: &StagePlan| matches!(stage.stage, Stage::CleanUp | Stage::Stamp);
        let others = Plan { stages: second.stages.iter().filter(|stage| !cleans(stage)).cloned().collect(), ..Plan::default() };
        prop_assert!(work(&others).is_empty(), "{:#?}\nafter {:#?}", work(&second), work(&first));
        let (_, third) = carried_out(case, &second)?;
        prop_assert!(work(&third).is_empty(), "{:#?}\nafter {:#?}\nand {:#?}", work(&third), work(&first), work(&second));
    }

    #[test]
    fn plan_removes_no_image_that_is_needed(numbers in proptest::collection::vec(any::<u16>(), TAPE)) {
        let mut case = Case::new(&mut Tape::new(&numbers));
        case.wanted.clean_up.images = true;
        let Some(plan) = planned(&case) else { return Ok(()) };
        let after = effects::after(&case, &plan);
        let left: BTreeSet<_> = after.docker.iter().flat_map(|docker| &docker.images).map(|image| &image.id).collect();
        for (id, why) in needed(&case, &plan) {
            prop_assert!(left.contains(&id), "{id} is gone, and {why}: {:#?}", work(&plan));
        }
    }

    #[test]
    fn files_and_secrets_are_as_before_on_the_way_back(numbers in proptest::collection::vec(any::<u16>(), TAPE)) {
        let mut case = Case::new(&mut Tape::new(&numbers));
        // What is left over goes for good, and the stamp stays.
        (case.wanted.leftovers, case.wanted.stamp) = (Vec::new(), None);
        let Some(plan) = planned(&case) else { return Ok(()) };
        let Some(after) = effects::after_way_back(&case, &plan) else { return Ok(()) };
        let own = |path: &&String| !path.starts_with("/home/oem/.o3r-deploy");
        let files = |facts: &Facts| {
            let paths = facts.paths.iter().filter(|(path, _)| own(path));
            paths.map(|(path, fact)| format!("{path} {:?} {:o} {:?}", fact.kind, fact.mode, fact.sha256)).collect::<BTreeSet<_>>()
        };
        let (before, after_it) = (files(&case.facts), files(&after));
        let differs: Vec<_> = before.symmetric_difference(&after_it).collect();
        prop_assert!(differs.is_empty(), "{differs:#?}\nafter {:#?}", work(&plan));
        prop_assert_eq!(&case.facts.links, &after.links);
        prop_assert_eq!(&case.facts.secrets, &after.secrets);
    }

    #[test]
    fn each_volume_has_its_directory_after_an_update_was_taken_back(numbers in proptest::collection::vec(any::<u16>(), TAPE)) {
        let case = Case::new(&mut Tape::new(&numbers));
        let Some(first) = planned(&case) else { return Ok(()) };
        let Some(facts) = effects::after_way_back(&case, &first) else { return Ok(()) };
        let case = Case { facts, ..case };
        let Some(again) = planned(&case) else { return Ok(()) };
        let after = effects::after(&case, &again);
        for volume in &case.wanted.volume {
            prop_assert!(after.is_directory(volume.path.as_str()), "{} is missing after {:#?}", volume.path, work(&again));
        }
    }
}
