//! Why does it not work? What was seen of a device on every way there is, judged check by check: pure, so that it is shown whole
//! even where the device does not answer.

use serde::Serialize;

use crate::{
    device::DeviceIdentity,
    facts::Facts,
    failure::{Explain, FailureKind},
};

mod inside;
mod judge;

use judge::judge;

/// One thing that is looked at, in the order in which they depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is explained by its symptoms and by what is said of it")]
pub enum Check {
    Address,
    Port,
    Ssh,
    HostKey,
    Key,
    Interface,
    Firewall,
    Firmware,
    Name,
    Clock,
    Disk,
    Inodes,
    Docker,
    Architecture,
    Compose,
    Autostart,
    Lingering,
    Restarts,
    Health,
    LogDriver,
    PortConflicts,
    GpuRuntime,
    Volumes,
    Files,
    Locks,
}

/// The result of a check, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The result is as it should be.
    Fine,
    /// The check could not be made.
    Unknown,
    /// The result may be the cause of a problem.
    Attention,
    /// The application cannot work before this is fixed.
    Wrong,
}

/// The result of one check, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check that was made.
    pub check: Check,
    /// The result of the check.
    pub state: State,
    /// Description of what the check found.
    pub found: String,
    /// Description of what the user can do; empty where nothing needs to be done.
    pub advice: String,
}

/// The observations from which the checks are evaluated.
#[derive(Debug, Default)]
pub struct DeviceView {
    /// The reason why there is no connection; `None` when there is one.
    pub connection: Option<Missing>,
    /// The identity that the configuration interface reports.
    pub identity: Option<DeviceIdentity>,
    /// Whether its firewall is on, where it has one.
    pub firewall: Option<bool>,
    /// The facts that the probe read.
    pub facts: Option<Facts>,
    /// The output of `diagnose.sh`, parsed.
    pub examined: Examined,
    /// The owner of the deployment that is under way, as the device's lock names it.
    pub lock: Option<String>,
    /// Whether that is the device's own guard, which puts a previous version back.
    pub guard: bool,
    /// This computer's clock, in seconds since 1970.
    pub now: u64,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The check that failed.
    pub check: Check,
    /// Whether those before it were passed on the way; it may have failed before anything was tried.
    pub tried: bool,
    /// The kind of failure that it is.
    pub kind: FailureKind,
    /// Description of the failure.
    pub why: String,
    /// Description of a way to solve it.
    pub hint: String,
}

impl Missing {
    /// Creates the description of a failed check from an error.
    pub fn of(error: &dyn Explain, check: Check, tried: bool) -> Self {
        Self { check, tried, kind: error.kind(), why: error.to_string(), hint: error.hint().unwrap_or_default() }
    }
}

/// The observations that go beyond the facts of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    linger: Option<bool>,
    driver: Option<String>,
    nvidia: Option<bool>,
    foreign: Option<u64>,
    /// The process with which the application holds updates off.
    held: Option<String>,
    /// Each container's log driver, its name, and why it did not start.
    containers: Vec<(String, String, String)>,
}

impl Examined {
    /// Returns whether docker answered anything.
    fn knows_docker(&self) -> bool {
        self.driver.is_some() || self.nvidia.is_some() || !self.containers.is_empty()
    }

    /// Reads what `diagnose.sh` said.
    pub fn parse(said: &str) -> Self {
        let mut examined = Self::default();
        for line in said.lines() {
            let mut words = line.splitn(4, ' ').map(crate::text::printable);
            let (what, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            match what.as_str() {
                "linger" => examined.linger = Some(value == "yes"),
                "driver" => examined.driver = Some(value).filter(|value| !value.is_empty()),
                "nvidia" => examined.nvidia = Some(value == "yes"),
                "held" => examined.held = Some(value),
                "foreign" => examined.foreign = value.parse().ok(),
                "container" => {
                    let name = words.next().unwrap_or_default().trim_start_matches('/').to_owned();
                    examined.containers.push((value, name, words.next().unwrap_or_default()));
                }
                _ => {}
            }
        }
        examined
    }
}

impl Check {
    /// All checks, in the order in which they are shown.
    pub const ALL: [Self; 25] = [
        Self::Address,
        Self::Port,
        Self::Ssh,
        Self::HostKey,
        Self::Key,
        Self::Interface,
        Self::Firewall,
        Self::Firmware,
        Self::Name,
        Self::Clock,
        Self::Disk,
        Self::Inodes,
        Self::Docker,
        Self::Architecture,
        Self::Compose,
        Self::Autostart,
        Self::Lingering,
        Self::Restarts,
        Self::Health,
        Self::LogDriver,
        Self::PortConflicts,
        Self::GpuRuntime,
        Self::Volumes,
        Self::Files,
        Self::Locks,
    ];

    /// Returns words of the symptoms in the README's troubleshooting that this check explains.
    pub const fn symptoms(self) -> &'static [&'static str] {
        match self {
            Self::Port => &["does not answer on port", "refuses connections on port"],
            Self::Ssh => &["does not speak SSH"],
            Self::HostKey => &["is not known`", "has changed to", "shows another host key", "and shows the host key of"],
            Self::Key => &["accepts nothing that was tried", "the login shell of", "one session a connection"],
            Self::Interface => &["the serial number is not known"],
            Self::Name => &["the name is lost"],
            Self::Disk => &["has not enough room", "no space left"],
            Self::Architecture => &["and the device is"],
            Self::Health => &["is not healthy yet"],
            Self::Restarts => &["restarts in a loop", "was started again"],
            Self::LogDriver => &["attaching shows nothing"],
            Self::Compose => &["takes no compose file without"],
            Self::Docker => &["docker does not answer"],
            Self::Autostart => &["is not there after a power cut", "a disabled application comes back"],
            Self::Volumes => &["is there already and differs"],
            Self::Files => &["a file in `share`"],
            Self::Clock => &["log files of 2020"],
            Self::Locks => &["the device is locked by", "the application holds updates off"],
            _ => &[],
        }
    }

    /// Returns the name of the check, as in `--json`.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Judges each check.
pub fn examine(seen: &DeviceView) -> Vec<Finding> {
    let finding = |check: Check| {
        let (state, found, advice) = judge(check, seen);
        Finding { check, state, found, advice }
    };
    Check::ALL.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seen: &DeviceView) -> String {
        let of_note = examine(seen).into_iter().filter(|finding| matches!(finding.state, State::Wrong | State::Attention));
        of_note.map(|finding| format!("{}: {}", finding.check.name(), finding.found)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn all_checks_are_in_their_order() {
        assert!(Check::ALL.iter().enumerate().all(|(index, check)| *check as usize == index));
    }

    #[test]
    fn what_fails_on_the_way_is_named_and_only_what_was_passed_before_it_is_known() {
        for check in [Check::Address, Check::Port, Check::Ssh, Check::HostKey, Check::Key] {
            for (tried, before) in [(true, State::Fine), (false, State::Unknown)] {
                let (why, hint) = ("it failed".into(), "do something".into());
                let missing = Missing { check, tried, kind: FailureKind::Unreachable, why, hint };
                let findings = examine(&DeviceView { connection: Some(missing), ..DeviceView::default() });
                let wrong = findings.iter().filter(|finding| finding.state == State::Wrong);
                assert_eq!(wrong.map(|finding| finding.check).collect::<Vec<_>>(), [check]);
                let state = |finding: &Finding| if (finding.check as u8) < check as u8 { before } else { State::Unknown };
                let others =
                    findings.iter().filter(|finding| (finding.check as u8) <= Check::Key as u8 && finding.check != check);
                assert!(others.clone().all(|finding| finding.state == state(finding)), "{check:?} {tried}");
                assert!(findings.iter().any(|finding| finding.check == Check::Docker && finding.state == State::Unknown));
            }
        }
    }

    #[test]
    fn a_clock_is_off_by_so_much_as_one_can_grasp() {
        let said = |off: u64| {
            shown(&DeviceView {
                facts: Some(Facts { clock: 1_000_000, ..Facts::default() }),
                now: 1_000_000 + off,
                ..DeviceView::default()
            })
        };
        for (off, words) in [(150, "2 minutes"), (3_700, "1 hour"), (86_400, "1 day"), (200_000, "2 days")] {
            assert!(said(off).contains(&format!("clock: the device's clock is {words} off")), "{off}");
        }
    }

    #[test]
    fn what_only_docker_knows_is_not_known_where_it_does_not_answer() {
        let examined = Examined::parse("linger yes\ndriver \nforeign 0\n");
        let findings = examine(&DeviceView { facts: Some(Facts::default()), examined, ..DeviceView::default() });
        let names = |found: &str| {
            let of = findings.iter().filter(|finding| finding.found == found).map(|finding| finding.check.name());
            of.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("docker does not answer on the device"), "docker");
        assert_eq!(names("docker does not answer"), "restarts health log_driver port_conflicts gpu_runtime volumes");
    }

    #[test]
    fn nobody_is_told_to_unlock_the_guard_of_the_device() {
        let seen = |guard| {
            let lock = Some("somebody".to_owned());
            let seen = DeviceView { facts: Some(Facts::default()), lock, guard, ..DeviceView::default() };
            examine(&seen).into_iter().find(|finding| finding.check == Check::Locks).expect("looked at").advice
        };
        assert!(seen(false).contains("unlock"));
        assert!(seen(true).contains("wait") && !seen(true).contains("unlock"));
    }

    #[test]
    fn what_is_wrong_inside_is_told() {
        let mut facts = Facts { clock: 1_582_000_000, machine: "armv7l".into(), ..Facts::default() };
        facts
            .room
            .insert("/home/oem".into(), crate::facts::Room { bytes: 1000, size: 8_000_000_000, inodes: Some(5), device: 1 });
        let json = br#"{"Id":"c1","Name":"/web","Image":"sha256:1","RestartCount":9,"Config":{},
            "State":{"Status":"running","ExitCode":0,"StartedAt":"2020-02-18T04:26:30Z","Health":{"Status":"unhealthy",
            "Log":[{"ExitCode":1,"Output":"Traceback\nZeroDivisionError: division by zero\n"}]}},
            "HostConfig":{"RestartPolicy":{"Name":"always"}}}
            {"Id":"c2","Name":"/759893e426a5_app","Image":"sha256:1","RestartCount":0,"Config":{},
            "State":{"Status":"running","ExitCode":0,"StartedAt":"2020-02-01T00:00:00Z"},
            "HostConfig":{"RestartPolicy":{"Name":"no"}}}"#;
        let containers = crate::facts::containers(json).expect("valid");
        let docker = crate::facts::Docker { containers, ..crate::facts::Docker::default() };
        let inside =
            shown(&DeviceView { facts: Some(Facts { docker: Some(docker), ..facts.clone() }), ..DeviceView::default() });
        let of_containers: Vec<_> =
            inside.lines().filter(|line| line.starts_with("restarts") || line.starts_with("health")).collect();
        insta::assert_snapshot!(of_containers.join("\n"), @r"
        restarts: web restarts in a loop (9 restarts, the last one 10 s ago); 759893e426a5_app has the interim name of a `docker-compose up` that was cut off
        health: web is not healthy (its health check ended with exit code 1: | Traceback | ZeroDivisionError: division by zero)
        ");
        let examined = Examined::parse(
            "linger no\ndriver journald\nnvidia no\nforeign 3\ncontainer none /quiet \ncontainer journald /web driver failed: port is already allocated\nheld 7\n",
        );
        let seen =
            DeviceView { facts: Some(facts), examined, firewall: Some(true), now: 1_800_000_000, ..DeviceView::default() };
        insta::assert_snapshot!(shown(&seen), @"
        interface: port 80 does not answer
        firewall: the device's firewall is on
        clock: the device's clock is 2523 days off
        disk: 1.0 kB of 8.0 GB free in /home/oem
        inodes: 5 free in /home/oem
        docker: docker does not answer on the device
        architecture: armv7l
        compose: neither `docker-compose` nor `docker compose`
        autostart: there are neither `oem-dc@` nor `oem-dc-autostart`
        lingering: oem's units start at a login only
        log_driver: no output is kept of quiet
        port_conflicts: web: driver failed: port is already allocated
        gpu_runtime: docker has no runtime `nvidia`
        files: 3 files of somebody else below share
        locks: the application holds updates off (process 7)
        ");
    }
}
