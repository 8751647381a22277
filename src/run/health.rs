//! Whether an application runs: judged from what docker says of its containers over time, by pure code.
//!
//! `docs/swap.md` has the rule. No end of a container is missed between two looks: it changes the time of its last start.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    facts::{Container, ContainerState, Health},
    text::span,
};

/// Time that a container without a health check must have run without interruption to count as running.
const RUNNING_AFTER: Duration = Duration::from_secs(2);

/// Number of restarts by docker that count as a loop.
const LOOP_RESTARTS: u64 = 3;

/// Factor by which a container must have run longer by the end of the settling time, so that one that ends soon afterwards
/// is noticed too.
const SETTLED_RUN: f64 = 1.6;

/// Factor and additional time by which a run must be longer than each earlier run of a container that has ended once: the
/// times of the checks are not exact to the second.
const LONGER_THAN_BEFORE: (f64, Duration) = (1.25, Duration::from_secs(1));

/// Watches the containers of a project: first until all run and are healthy, then until they have settled.
#[derive(Clone, Debug, Default)]
pub struct HealthWatch {
    services: Vec<String>,
    completing: Vec<String>,
    settle: Duration,
    /// Each container that was seen, by its ID.
    runs: BTreeMap<String, Runs>,
    /// Time at which all services were ready for the first time, and the containers at that time.
    ready: Option<(Duration, Vec<Container>)>,
    has_settled: bool,
}

/// The runs of one container.
#[derive(Clone, Debug, Default)]
struct Runs {
    /// Number of restarts by docker when the container was first seen, which may be from long before.
    restarts_before: u64,
    restarts: u64,
    started_at: String,
    /// Time since which the present run has been seen.
    since: Option<Duration>,
    /// The longest run that ended.
    longest: Duration,
}

/// The state of the application at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthVerdict {
    /// All services are good, and have been so for the whole settling time.
    Settled,
    /// All services are good, and watched on.
    Settling,
    /// The services are not all running and healthy yet.
    Waiting {
        /// The container that is waited for, where there is one.
        container: Option<Box<Container>>,
        /// Description of the missing condition, as a sentence.
        says: String,
    },
    /// The service does not run.
    Failed {
        /// The container that fails.
        container: Box<Container>,
        /// Description of its fault.
        why: String,
        /// Whether it ended and was started again: then its exit code may be that of a run that goes on.
        restarted: bool,
    },
}

impl HealthWatch {
    /// Watches these services, of which `completing` may end with exit code 0.
    pub fn new(services: &[String], completing: &[String], settle: Duration) -> Self {
        Self { services: services.to_vec(), completing: completing.to_vec(), settle, ..Self::default() }
    }

    /// Judges the containers of the project, `now` after the watch began.
    pub fn look(&mut self, containers: &[Container], now: Duration) -> HealthVerdict {
        if let Some((_, before)) = &self.ready
            && let Some(gone) = before.iter().find(|before| containers.iter().all(|container| container.id != before.id))
        {
            let why = "was removed, or made anew by somebody else".into();
            return HealthVerdict::Failed { container: Box::new(gone.clone()), why, restarted: false };
        }
        let mut waiting = None;
        for service in &self.services.clone() {
            let of_service: Vec<_> =
                containers.iter().filter(|container| container.service.as_ref() == Some(service)).collect();
            if of_service.is_empty() {
                let says = format!("service `{service}` has no container yet");
                waiting.get_or_insert(HealthVerdict::Waiting { container: None, says });
            }
            for container in of_service {
                match self.look_at(container, self.completing.contains(service), now) {
                    None => {}
                    Some(later @ HealthVerdict::Waiting { .. }) => {
                        waiting.get_or_insert(later);
                    }
                    Some(failed) => return failed,
                }
            }
        }
        if let Some(waiting) = waiting {
            return waiting;
        }
        if self.ready.is_none() {
            let ours = |container: &&Container| container.service.as_ref().is_some_and(|name| self.services.contains(name));
            self.ready = Some((now, containers.iter().filter(ours).cloned().collect()));
        }
        self.has_settled = self.remaining(now).is_zero();
        if self.has_settled { HealthVerdict::Settled } else { HealthVerdict::Settling }
    }

    /// Returns whether the last check found the application settled.
    pub fn has_settled(&self) -> bool {
        self.has_settled
    }

    /// Returns the time that is left until the application has settled, if nothing changes.
    pub fn remaining(&self, now: Duration) -> Duration {
        let Some((ready, containers)) = &self.ready else { return self.settle };
        let ids: BTreeSet<_> = containers.iter().map(|container| &container.id).collect();
        let running = self.runs.iter().filter(|(id, _)| ids.contains(id)).filter_map(|(_, runs)| runs.since);
        // What has completed is not watched.
        let Some(youngest) = running.max() else { return Duration::ZERO };
        let ends = (*ready + self.settle).max(youngest + self.settle.mul_f64(SETTLED_RUN));
        if self.settle.is_zero() { Duration::ZERO } else { ends.saturating_sub(now) }
    }

    /// Returns the time at which all services were ready for the first time.
    pub fn ready_at(&self) -> Option<Duration> {
        self.ready.as_ref().map(|(at, _)| *at)
    }

    /// Returns whether these are the same runs of the containers that were ready: after a time without checks the watch
    /// then goes on.
    pub fn goes_on_with(&self, containers: &[Container]) -> bool {
        let same = |before: &Container| containers.iter().any(|now| now.id == before.id && now.started_at == before.started_at);
        self.ready.as_ref().is_some_and(|(_, before)| before.iter().all(same))
    }

    /// Judges one container; `None` when it is good.
    fn look_at(&mut self, container: &Container, completing: bool, now: Duration) -> Option<HealthVerdict> {
        let runs = self.runs.entry(container.id.clone()).or_insert_with(|| Runs::new(container));
        let ended_after = runs.note(container, now);
        let (is_settling, longest, since) = (self.ready.is_some(), runs.longest, runs.since);
        let failed =
            |why: String, restarted| Some(HealthVerdict::Failed { container: Box::new(container.clone()), why, restarted });
        if container.has_completed() || (completing && container.state == ContainerState::Exited && container.exit_code == 0) {
            return None;
        }
        if container.restarts.saturating_sub(runs.restarts_before) >= LOOP_RESTARTS {
            return failed("restarts in a loop".into(), true);
        }
        if container.state == ContainerState::Exited {
            return failed(format!("ended with exit code {}", container.exit_code), false);
        }
        if container.state == ContainerState::Running && container.health == Some(Health::Unhealthy) {
            return failed("is unhealthy".into(), false);
        }
        let is_again = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
        if let (true, true, Some(after)) = (is_settling, is_again, ended_after) {
            return failed(format!("ended after {} and was started again", span(after)), true);
        }
        let why = match (container.state, container.health) {
            (ContainerState::Running, None | Some(Health::Healthy | Health::None)) => {
                let has_check = container.health == Some(Health::Healthy);
                let at_least = if has_check || completing { Duration::ZERO } else { RUNNING_AFTER };
                let longer = longest.mul_f64(LONGER_THAN_BEFORE.0) + LONGER_THAN_BEFORE.1;
                let at_least = if longest.is_zero() { at_least } else { at_least.max(longer) };
                let run = since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
                if is_settling || run >= at_least {
                    return None;
                }
                "has just started"
            }
            (ContainerState::Running, _) => "is not healthy yet",
            (ContainerState::Restarting, _) => "ended and is started again",
            (ContainerState::Created, _) => "is not started yet",
            _ => "is neither running nor ended",
        };
        if is_settling {
            return failed(why.into(), container.state == ContainerState::Restarting);
        }
        let says = format!("container `{}` {why}", container.name);
        Some(HealthVerdict::Waiting { container: Some(Box::new(container.clone())), says })
    }
}

impl Runs {
    fn new(container: &Container) -> Self {
        Self { restarts_before: container.restarts, restarts: container.restarts, ..Self::default() }
    }

    /// Notes what is seen now; gives how long a run lasted that has ended since the last look.
    fn note(&mut self, container: &Container, now: Duration) -> Option<Duration> {
        let is_running = container.state == ContainerState::Running;
        if is_running && container.started_at == self.started_at && container.restarts == self.restarts {
            return None;
        }
        let ended_after = self.since.take().map(|since| now.saturating_sub(since));
        self.longest = self.longest.max(ended_after.unwrap_or_default());
        self.since = is_running.then_some(now);
        (self.started_at, self.restarts) = (container.started_at.clone(), container.restarts);
        ended_after
    }
}

/// Words for services that are good: which are healthy by a check, which run without one, and which have completed.
pub fn states(services: &[String], containers: &[Container]) -> String {
    let all = |service: &str, is: &dyn Fn(&Container) -> bool| {
        containers.iter().filter(|container| container.service.as_deref() == Some(service)).all(is)
    };
    let has_completed = |service: &&String| all(service, &|container| container.state == ContainerState::Exited);
    let is_healthy = |service: &&String| {
        all(service, &|container| container.health == Some(Health::Healthy) || container.state == ContainerState::Exited)
    };
    let (completed, running): (Vec<&String>, Vec<_>) = services.iter().partition(has_completed);
    let (healthy, plain): (Vec<&String>, Vec<_>) = running.into_iter().partition(is_healthy);
    let named = |services: &[&String], one: &str, more: &str| {
        let names: Vec<_> = services.iter().map(|service| service.as_str()).collect();
        let verb = if services.len() == 1 { one } else { more };
        (!services.is_empty()).then(|| format!("{} {verb}", names.join(", ")))
    };
    let parts = [
        named(&healthy, "up and healthy", "up and healthy"),
        named(&plain, "runs", "run"),
        named(&completed, "completed", "completed"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
