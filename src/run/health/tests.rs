use super::*;

const DEFAULT: Duration = Duration::from_secs(10);

fn container(state: ContainerState) -> Container {
    Container {
        id: "c1".into(),
        name: "app".into(),
        image: "sha256:1".into(),
        project: Some("p".into()),
        service: Some("s".into()),
        state,
        health: None,
        check: None,
        exit_code: 0,
        restarts: 0,
        started_at: "t1".into(),
        restart_policy: "always".into(),
        volumes: Vec::new(),
        reference: String::new(),
        project_files: Vec::new(),
    }
}

fn watch(settle: Duration) -> HealthWatch {
    HealthWatch::new(&["s".into()], &[], settle)
}

fn at(watch: &mut HealthWatch, container: Container, seconds: f64) -> HealthVerdict {
    watch.look(&[container], Duration::from_secs_f64(seconds))
}

fn running() -> Container {
    container(ContainerState::Running)
}

fn with_health(health: Health) -> Container {
    Container { health: Some(health), ..running() }
}

fn why(verdict: HealthVerdict) -> String {
    match verdict {
        HealthVerdict::Failed { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

/// Returns a service whose program ends after `period` seconds and which docker restarts, in its state after `time`
/// seconds.
fn crash_loop(period: f64, time: f64) -> Container {
    let (mut begin, mut restarts, mut pause) = (0.0, 0, 0.1);
    loop {
        let end = begin + period;
        let again = Container { restarts, started_at: format!("t{restarts}"), exit_code: 0, ..running() };
        if time < end {
            return again;
        }
        // Docker waits twice as long each time, unless it ran for ten seconds.
        pause = if period > 10.0 { 0.1 } else { pause };
        if time < end + pause {
            return Container { state: ContainerState::Restarting, restarts: restarts + 1, exit_code: 1, ..again };
        }
        (begin, restarts, pause) = (end + pause, restarts + 1, pause * 2.0);
    }
}

/// Looks at a project every half second until it is known whether it runs; `None` when it is not within two minutes.
fn outcome(watch: &mut HealthWatch, first: f64, project: impl Fn(f64) -> Vec<Container>) -> Option<HealthVerdict> {
    let times = (0..230).map(|look| first + f64::from(look) * 0.5);
    let mut verdicts = times.map(|time| watch.look(&project(time), Duration::from_secs_f64(time - first)));
    verdicts.find(|verdict| matches!(verdict, HealthVerdict::Settled | HealthVerdict::Failed { .. }))
}

#[test]
fn crash_loop_of_every_period_up_to_15_s_never_settles() {
    for half_seconds in 1..=30 {
        let period = f64::from(half_seconds) / 2.0;
        for first in [0.01, 0.13, 0.31, 0.49, 1.2, 3.7] {
            let found = outcome(&mut watch(DEFAULT), first, |time| vec![crash_loop(period, time)]);
            assert!(matches!(found, Some(HealthVerdict::Failed { .. })), "period {period}, first look {first}: {found:?}");
            // Another service is ready long after.
            let mut both = HealthWatch::new(&["s".into(), "slow".into()], &[], DEFAULT);
            let found = outcome(&mut both, first, |time| {
                let health = if time < 40.0 { Health::Starting } else { Health::Healthy };
                let slow = Container { id: "c2".into(), service: Some("slow".into()), ..with_health(health) };
                vec![crash_loop(period, time), slow]
            });
            assert!(matches!(found, Some(HealthVerdict::Failed { .. })), "beside a slow one, {period}, {first}: {found:?}");
        }
    }
}

#[test]
fn health_that_flaps_never_settles() {
    for (healthy, unhealthy) in [(1, 1), (3, 1), (8, 1), (14, 1)] {
        let found = outcome(&mut watch(DEFAULT), 0.2, |time| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test")]
            let within = time as u64 % (healthy + unhealthy);
            vec![with_health(if within < healthy { Health::Healthy } else { Health::Unhealthy })]
        });
        assert_eq!(found.map(why).as_deref(), Some("is unhealthy"), "{healthy} s");
    }
}

#[test]
fn service_that_runs_settles_and_is_not_watched_for_long() {
    for (health, longest) in [(None, 16.5), (Some(Health::Healthy), 16.5)] {
        let mut watch = watch(DEFAULT);
        let mut now = 0.0;
        while at(&mut watch, Container { health, ..running() }, now) != HealthVerdict::Settled {
            now += 0.5;
            assert!(now <= longest, "{health:?}");
        }
    }
    assert_eq!(at(&mut watch(Duration::ZERO), with_health(Health::Healthy), 0.0), HealthVerdict::Settled, "turned off");
}

#[test]
fn service_that_restarts_until_its_database_is_there_settles() {
    let found = outcome(&mut watch(DEFAULT), 0.1, |time| {
        // Twice it gives up after 0.8 s.
        if time < 2.0 { vec![crash_loop(0.8, time)] } else { vec![crash_loop(0.8, 1.99)] }
    });
    assert_eq!(found, Some(HealthVerdict::Settled));
}

#[test]
fn container_that_ended_once_has_to_run_longer_than_before() {
    let mut watch = HealthWatch::new(&["s".into()], &[], Duration::ZERO);
    let starting = || with_health(Health::Starting);
    assert!(matches!(at(&mut watch, starting(), 0.0), HealthVerdict::Waiting { .. }));
    let again = || Container { started_at: "t2".into(), restarts: 1, ..with_health(Health::Healthy) };
    assert!(matches!(at(&mut watch, again(), 20.0), HealthVerdict::Waiting { .. }));
    assert!(matches!(at(&mut watch, again(), 45.0), HealthVerdict::Waiting { .. }));
    assert_eq!(at(&mut watch, again(), 46.5), HealthVerdict::Settled);
}

#[test]
fn restart_within_the_settling_time_is_a_failure_with_the_length_of_the_run() {
    let mut watch = watch(DEFAULT);
    assert!(matches!(at(&mut watch, running(), 0.0), HealthVerdict::Waiting { .. }));
    assert_eq!(at(&mut watch, running(), 2.0), HealthVerdict::Settling);
    let again = Container { started_at: "t2".into(), restarts: 1, ..running() };
    let verdict = at(&mut watch, again, 8.0);
    assert!(matches!(verdict, HealthVerdict::Failed { restarted: true, .. }));
    assert_eq!(why(verdict), "ended after 8.0 s and was started again");
}

#[test]
fn container_that_is_gone_or_paused_while_it_settles_is_a_failure() {
    let settling = || {
        let mut watch = watch(DEFAULT);
        assert_eq!(at(&mut watch, with_health(Health::Healthy), 0.0), HealthVerdict::Settling);
        watch
    };
    assert!(why(settling().look(&[], Duration::from_secs(1))).starts_with("was removed"));
    let other = Container { id: "c2".into(), ..with_health(Health::Healthy) };
    assert!(why(at(&mut settling(), other, 1.0)).starts_with("was removed"));
    assert_eq!(why(at(&mut settling(), container(ContainerState::Paused), 1.0)), "is neither running nor ended");
}

#[test]
fn health_check_decides_where_there_is_one() {
    assert_eq!(at(&mut watch(DEFAULT), with_health(Health::Healthy), 0.0), HealthVerdict::Settling);
    assert!(matches!(at(&mut watch(DEFAULT), with_health(Health::Starting), 99.0), HealthVerdict::Waiting { .. }));
    assert_eq!(why(at(&mut watch(DEFAULT), with_health(Health::Unhealthy), 0.0)), "is unhealthy");
}

#[test]
fn container_that_ends_fails_unless_it_may_complete() {
    let ended =
        |code, policy: &str| Container { exit_code: code, restart_policy: policy.into(), ..container(ContainerState::Exited) };
    assert_eq!(why(at(&mut watch(DEFAULT), ended(3, "no"), 0.0)), "ended with exit code 3");
    assert_eq!(why(at(&mut watch(DEFAULT), ended(0, "always"), 0.0)), "ended with exit code 0", "somebody stopped it");
    // Nothing is left to be watched.
    assert_eq!(at(&mut watch(DEFAULT), ended(0, "no"), 0.0), HealthVerdict::Settled);
    let mut completes = HealthWatch::new(&["s".into()], &["s".into()], DEFAULT);
    assert_eq!(at(&mut completes, ended(0, "always"), 0.0), HealthVerdict::Settled);
}

#[test]
fn restarts_of_long_ago_are_no_loop() {
    let old = Container { restarts: 17, ..with_health(Health::Healthy) };
    assert_eq!(at(&mut watch(DEFAULT), old, 0.0), HealthVerdict::Settling);
    let mut watch = watch(DEFAULT);
    let looping = |restarts| Container { restarts, ..container(ContainerState::Restarting) };
    assert!(matches!(at(&mut watch, looping(1), 0.0), HealthVerdict::Waiting { .. }));
    assert_eq!(why(at(&mut watch, looping(4), 1.0)), "restarts in a loop");
}

#[test]
fn watch_goes_on_with_the_same_runs_only() {
    let mut watch = watch(DEFAULT);
    assert!(!watch.goes_on_with(&[running()]), "it was never good");
    at(&mut watch, with_health(Health::Healthy), 0.0);
    assert!(watch.goes_on_with(&[running()]));
    assert!(!watch.goes_on_with(&[Container { started_at: "t2".into(), ..running() }]));
    assert!(!watch.goes_on_with(&[]));
}

#[test]
fn healthy_is_said_of_services_with_a_check_only() {
    let named = |name: &str, container: Container| Container { service: Some(name.into()), ..container };
    let containers = [
        named("api", with_health(Health::Healthy)),
        named("web", with_health(Health::Healthy)),
        named("db", running()),
        named("migrate", container(ContainerState::Exited)),
    ];
    let said = |names: &[&str]| states(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &containers);
    assert_eq!(said(&["api", "web", "db", "migrate"]), "api, web up and healthy; db runs; migrate completed");
    assert_eq!(said(&["db"]), "db runs");
}
