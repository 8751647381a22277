//! What docker's events tell of the health of containers.

use o3r_deploy::commands::health;

use super::shell::{BOTH, Device};

/// Notes what it was asked, and prints what `$state/events` says.
const DOCKER: &str = r#"echo "$*" >>"$state/asked"; cat "$state/events""#;

fn device(userland: super::shell::Userland, events: &str) -> Device {
    let device = Device::new(userland);
    device.stub("docker", DOCKER);
    std::fs::write(device.here("/state/events"), events).expect("written");
    device
}

#[test]
fn last_exit_code_is_that_of_the_last_end() {
    for userland in BOTH {
        for (events, code) in [("0\n7\n", "7\n"), ("", "")] {
            let device = device(userland, events);
            assert_eq!(device.must(&health::last_exit_code("c1"), b"").out, code, "{userland:?}");
            assert!(device.state("asked").contains("--filter container=c1 --filter event=die"), "{userland:?}");
        }
    }
}

#[test]
fn containers_that_became_unhealthy_are_named_and_no_others() {
    for userland in BOTH {
        let device = device(userland, "health_status: healthy a\nhealth_status: unhealthy b\nhealth_status: healthy b\n");
        assert_eq!(device.must(&health::unhealthy_since("p", 5), b"").out, "b\n", "{userland:?}");
        let asked = device.state("asked");
        let seconds = |key: &str| asked.split(key).nth(1)?.split_whitespace().next()?.parse::<u64>().ok();
        let (since, until) = (seconds("--since ").expect("a time"), seconds("--until ").expect("a time"));
        assert_eq!(until - since, 5, "{userland:?}: {asked}");
        assert!(asked.contains("label=com.docker.compose.project=p"), "{userland:?}: {asked}");
    }
}
