//! The condition of a container at one moment, as far as docker itself remembers it.

use super::{Container, ContainerState, Health, HealthCheck};

/// Time in seconds for which a container that docker has restarted may be in a restart loop.
const RECENT_RESTART: i64 = 16;

/// Maximum time in seconds between the reading of the clock and of the containers in one probe.
const PROBE_SECONDS: i64 = 60;

impl HealthCheck {
    /// Lines for people: its exit code and its output.
    pub fn shown(&self) -> Vec<String> {
        let end = if self.output.is_empty() { ", without output" } else { ":" };
        let head = format!("its health check ended with exit code {}{end}", self.exit_code);
        std::iter::once(head).chain(self.output.iter().map(|line| format!("| {line}"))).collect()
    }
}

impl Container {
    /// Returns whether the container has completed: it ended with exit code 0, and docker does not start it again.
    pub fn has_completed(&self) -> bool {
        let stays_ended = matches!(self.restart_policy.as_str(), "no" | "on-failure");
        self.state == ContainerState::Exited && self.exit_code == 0 && stays_ended
    }

    /// Returns whether docker-compose was interrupted while it recreated this container: until then the name begins with
    /// the container's ID.
    pub fn has_interim_name(&self) -> bool {
        let Some((id, name)) = self.name.split_once('_') else { return false };
        id.len() == 12 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && !name.is_empty()
    }

    /// Returns the fault of the container; `None` when it runs, is healthy where it has a health check, or has completed.
    /// `clock` is the device's, in seconds since 1970.
    pub fn fault(&self, clock: u64) -> Option<String> {
        if self.has_interim_name() {
            return Some("has the interim name of a `docker-compose up` that was cut off".into());
        }
        match self.state {
            ContainerState::Exited if self.has_completed() => None,
            ContainerState::Exited => Some(format!("ended with exit code {}", self.exit_code)),
            ContainerState::Restarting => Some(format!("ended with exit code {} and is started again", self.exit_code)),
            ContainerState::Created => Some("is not started".into()),
            ContainerState::Paused => Some("is paused".into()),
            ContainerState::Other => Some("does not run".into()),
            ContainerState::Running => match (self.health, self.seconds_since_start(clock)) {
                (Some(Health::Unhealthy), _) => Some("is unhealthy".into()),
                (Some(Health::Starting), _) => Some("is not healthy yet".into()),
                (_, Some(age)) if self.restarts > 0 && age < RECENT_RESTART => {
                    Some(format!("was started again by docker {age} s ago (restart {})", self.restarts))
                }
                _ => None,
            },
        }
    }

    /// Returns the time that the container has run by the device's clock, in seconds; `None` when it is unknown.
    pub fn seconds_since_start(&self, clock: u64) -> Option<i64> {
        let started = self.started_at.parse::<jiff::Timestamp>().ok()?.as_second();
        let age = i64::try_from(clock).ok()?.checked_sub(started)?;
        // The clock is read first: what has just started is younger than that.
        (age > -PROBE_SECONDS).then_some(age.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container {
        let json = br#"{"Id":"c1","Name":"/app","Image":"sha256:1","RestartCount":0,
            "State":{"Status":"running","ExitCode":0,"StartedAt":"1970-01-01T00:01:40Z"},"Config":{},
            "HostConfig":{"RestartPolicy":{"Name":"no"}}}"#;
        crate::facts::containers(json).expect("valid").remove(0)
    }

    #[test]
    fn container_that_ended_with_0_is_well_where_nothing_starts_it_again() {
        for (policy, code, well) in [("no", 0, true), ("on-failure", 0, true), ("no", 3, false), ("always", 0, false)] {
            let ended =
                Container { state: ContainerState::Exited, exit_code: code, restart_policy: policy.into(), ..container() };
            assert_eq!(ended.fault(0).is_none(), well, "{policy} {code}");
        }
    }

    #[test]
    fn container_that_was_started_again_just_now_is_not_well() {
        let again = Container { restarts: 3, ..container() };
        assert_eq!(again.fault(104).as_deref(), Some("was started again by docker 4 s ago (restart 3)"));
        assert_eq!(again.fault(200), None, "long ago");
        assert_eq!(container().fault(104), None, "started once");
        assert!(again.fault(98).is_some(), "the clock was read before it started");
        assert_eq!(again.fault(20), None, "the clock was set back: unknown");
    }

    #[test]
    fn interim_name_of_docker_compose_is_not_well() {
        let named = |name: &str| Container { name: name.into(), ..container() }.fault(0).is_some();
        assert!(named("759893e426a5_app"));
        assert!(!named("app") && !named("app_1") && !named("my_759893e426a5_app") && !named("759893e426a_app"));
    }

    #[test]
    fn health_decides_where_there_is_a_check() {
        let with = |health| Container { health: Some(health), ..container() }.fault(104);
        assert_eq!(with(Health::Healthy), None);
        assert_eq!(with(Health::Starting).as_deref(), Some("is not healthy yet"));
        assert_eq!(with(Health::Unhealthy).as_deref(), Some("is unhealthy"));
    }
}
