//! Whether an application runs: judged from what docker says of its containers, by pure code.

use std::{collections::BTreeMap, time::Duration};

use crate::facts::{Container, ContainerState, Health};

/// How long a container without a health check must have run, unbroken, to count as running.
const SETTLED: Duration = Duration::from_secs(2);

/// So many new starts by docker are a loop.
const LOOP: u64 = 3;

/// What was seen of containers from one look to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Since when each has been seen running, by its ID and start.
    running: BTreeMap<(String, String), Duration>,
    /// How often docker had started each again when it was first seen: a container may have come through much before.
    restarts: BTreeMap<String, u64>,
}

/// What is to be said of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All services run and are healthy.
    Ready,
    /// Not yet.
    Waiting {
        /// The container that is waited for, where there is one.
        container: Option<String>,
        /// What is waited for, as a sentence.
        says: String,
    },
    /// It will not.
    Failed {
        /// The container that fails.
        container: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Judges the containers of a project, `now` after the waiting began. `seen` is carried from one call to the next.
pub fn judge(containers: &[Container], expected: &[String], completing: &[String], now: Duration, seen: &mut Seen) -> Verdict {
    let mut waiting = None;
    for service in expected {
        let mut of_service = containers.iter().filter(|container| container.service.as_ref() == Some(service)).peekable();
        if of_service.peek().is_none() {
            let says = format!("service `{service}` has no container yet");
            waiting.get_or_insert(Verdict::Waiting { container: None, says });
        }
        for container in of_service {
            match judge_one(container, completing.contains(service), now, seen) {
                Verdict::Ready => {}
                later @ Verdict::Waiting { .. } => {
                    waiting.get_or_insert(later);
                }
                failed @ Verdict::Failed { .. } => return failed,
            }
        }
    }
    waiting.unwrap_or(Verdict::Ready)
}

fn judge_one(container: &Container, completes: bool, now: Duration, seen: &mut Seen) -> Verdict {
    let failed = |why: String| Verdict::Failed { container: container.name.clone(), why };
    let waiting = |why: &str| Verdict::Waiting {
        container: Some(container.name.clone()),
        says: format!("container `{}` {why}", container.name),
    };
    let before = *seen.restarts.entry(container.id.clone()).or_insert(container.restarts);
    if container.restarts.saturating_sub(before) >= LOOP {
        return failed(format!("restarts in a loop (last exit code {})", container.exit_code));
    }
    match container.state {
        ContainerState::Exited if completes && container.exit_code == 0 => Verdict::Ready,
        ContainerState::Exited => failed(format!("ended with exit code {}", container.exit_code)),
        ContainerState::Restarting => waiting("ended and is started again"),
        ContainerState::Running => match container.health {
            Some(Health::Healthy) => Verdict::Ready,
            Some(Health::Unhealthy) => failed("is unhealthy".into()),
            Some(_) => waiting("is not healthy yet"),
            None => {
                let since = *seen.running.entry((container.id.clone(), container.started_at.clone())).or_insert(now);
                if completes || now.saturating_sub(since) >= SETTLED { Verdict::Ready } else { waiting("has just started") }
            }
        },
        ContainerState::Created => waiting("is not started yet"),
        ContainerState::Paused | ContainerState::Other => waiting("is neither running nor ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(state: ContainerState) -> Container {
        Container {
            id: "c1".into(),
            name: "app".into(),
            image: "sha256:1".into(),
            project: Some("p".into()),
            service: Some("s".into()),
            state,
            health: None,
            exit_code: 0,
            restarts: 0,
            started_at: "t1".into(),
            restart_policy: "no".into(),
            volumes: Vec::new(),
            reference: String::new(),
            project_files: Vec::new(),
        }
    }

    fn verdict(container: Container, seconds: u64, seen: &mut Seen) -> Verdict {
        judge(&[container], &["s".into()], &[], Duration::from_secs(seconds), seen)
    }

    #[test]
    fn a_container_without_health_check_counts_when_it_has_run_for_a_while() {
        let mut seen = Seen::default();
        assert!(matches!(verdict(container(ContainerState::Running), 0, &mut seen), Verdict::Waiting { .. }));
        assert_eq!(verdict(container(ContainerState::Running), 2, &mut seen), Verdict::Ready);
        let again = Container { started_at: "t2".into(), ..container(ContainerState::Running) };
        assert!(matches!(verdict(again, 3, &mut seen), Verdict::Waiting { .. }));
    }

    #[test]
    fn a_health_check_decides_where_there_is_one() {
        let with = |health| Container { health: Some(health), ..container(ContainerState::Running) };
        assert_eq!(verdict(with(Health::Healthy), 0, &mut Seen::default()), Verdict::Ready);
        assert!(matches!(verdict(with(Health::Starting), 99, &mut Seen::default()), Verdict::Waiting { .. }));
        assert!(matches!(verdict(with(Health::Unhealthy), 0, &mut Seen::default()), Verdict::Failed { .. }));
    }

    #[test]
    fn a_container_that_ends_or_loops_fails_unless_it_may_complete() {
        let ended = Container { exit_code: 3, ..container(ContainerState::Exited) };
        let why = "ended with exit code 3".to_owned();
        assert_eq!(verdict(ended, 0, &mut Seen::default()), Verdict::Failed { container: "app".into(), why });
        let looping = |restarts| Container { restarts, ..container(ContainerState::Restarting) };
        let mut seen = Seen::default();
        assert!(matches!(verdict(looping(1), 0, &mut seen), Verdict::Waiting { .. }));
        assert!(matches!(verdict(looping(4), 1, &mut seen), Verdict::Failed { .. }));
        let completed =
            judge(&[container(ContainerState::Exited)], &["s".into()], &["s".into()], Duration::ZERO, &mut Seen::default());
        assert_eq!(completed, Verdict::Ready);
    }

    #[test]
    fn starts_of_long_ago_are_no_loop() {
        let old = Container { restarts: 17, health: Some(Health::Healthy), ..container(ContainerState::Running) };
        assert_eq!(verdict(old, 0, &mut Seen::default()), Verdict::Ready);
    }

    #[test]
    fn a_service_without_container_is_waited_for() {
        assert!(matches!(judge(&[], &["s".into()], &[], Duration::ZERO, &mut Seen::default()), Verdict::Waiting { .. }));
    }
}
