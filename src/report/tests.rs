//! Every event in every display, from a run made by hand.

use std::time::{Duration, Instant};

use indicatif::{InMemoryTerm, MultiProgress, ProgressDrawTarget, TermLike};

use super::{
    display::Clock,
    json::Json,
    plain::Plain,
    sink::{Sink, tests::Shared},
    tally::Tally,
    terminal::{Looks, Terminal},
    *,
};
use crate::failure::{ExitCode, Explain, Failure, FailureKind};

/// Returns a clock that advances by one second each time it is read.
fn clock() -> Clock {
    let mut now = Instant::now();
    Box::new(move || {
        now += Duration::from_secs(1);
        now
    })
}

fn connected() -> Event {
    Event::Connected(DeviceSummary {
        address: "192.168.0.69:22".into(),
        serial: Some("000201234567".into()),
        name: Some("bay \u{1b}[31m3".into()),
        firmware: Some("1.4.30".into()),
        docker: Some("20.10.25".into()),
    })
}

fn planned(dry_run: bool) -> Event {
    let stage = |stage, says: &str, steps: &[&str]| PlannedStage {
        stage,
        says: says.into(),
        steps: steps.iter().map(|step| (*step).to_owned()).collect(),
    };
    Event::Planned {
        dry_run,
        stages: vec![
            stage(Stage::Directories, "`/home/oem/share` is there", &[]),
            stage(Stage::Image, "send `python_app:latest`", &["docker load", "docker tag 6d8e python_app:latest"]),
            stage(Stage::Attach, "show the output of `python_app`", &["docker logs --follow python_app"]),
        ],
    }
}

fn started(stage: Stage, title: &str) -> Event {
    Event::StageStarted { stage, title: title.into() }
}

fn step(stage: Stage, says: &str) -> Event {
    Event::Step { stage, says: says.into() }
}

fn progress(megabytes: u64, total: Option<u64>) -> Event {
    Event::Progress { stage: Stage::Image, bytes: megabytes * 1_000_000, total: total.map(|total| total * 1_000_000) }
}

fn output(line: &str) -> Event {
    Event::Output { line: line.into() }
}

fn finished(stage: Stage, outcome: Outcome, says: &str, seconds: f64) -> Event {
    Event::StageFinished { stage, outcome, says: says.into(), seconds }
}

/// Returns the events of a successful run: every event that exists.
fn run() -> Vec<Event> {
    vec![
        started(Stage::Connect, "192.168.0.69:22"),
        connected(),
        planned(false),
        started(Stage::Image, "send `python_app:latest`"),
        step(Stage::Image, "layer 3 of 12"),
        progress(0, Some(80)),
        progress(15, Some(80)),
        progress(20, Some(80)),
        progress(60, Some(80)),
        Event::Warning { text: "the link is slow".into() },
        progress(80, Some(80)),
        finished(Stage::Image, Outcome::Done, "80 MB sent instead of 812 MB", 4.0),
        started(Stage::Attach, "show the output of `python_app`"),
        output("22.5 °C\u{1b}[2J"),
        finished(Stage::Attach, Outcome::Read, "the container ended with 0", 61.0),
        Event::Note { text: "its host key is pinned".into() },
        Event::Traffic { sent: 80_000_000, received: 20_000 },
    ]
}

#[derive(Debug, thiserror::Error)]
#[error("`docker load` failed on the device: exit code 1")]
struct Broken(#[source] std::io::Error);

impl Explain for Broken {
    fn kind(&self) -> FailureKind {
        FailureKind::NoSpace
    }

    fn hint(&self) -> Option<String> {
        Some("free some room".into())
    }

    fn last_lines(&self) -> &[String] {
        static LINES: std::sync::LazyLock<Vec<String>> =
            std::sync::LazyLock::new(|| ["loading layer", "no space left\u{1b}[1A"].map(str::to_owned).to_vec());
        &LINES
    }
}

fn failure() -> Failure {
    Failure::from(Broken(std::io::Error::other("the disk is full"))).in_stage(Stage::Image)
}

/// Returns the last event of a run of `events`, with a time that is the same each time.
fn end(events: &[Event], failure: Option<&Failure>) -> Event {
    let mut tally = Tally::new();
    events.iter().for_each(|event| tally.event(event));
    let summary = tally.summary(failure, Some("/logs/Deployments/26.11.21_07.34.56+0000.log".into()));
    Event::Finished(Summary { seconds: 65.2, ..summary })
}

fn well() -> Vec<Event> {
    let mut events = run();
    events.push(end(&events, None));
    events
}

fn badly() -> Vec<Event> {
    let mut events: Vec<_> = run().into_iter().take(7).collect();
    events.insert(3, finished(Stage::Directories, Outcome::Done, "created ~/share", 0.1));
    events.push(end(&events, Some(&failure())));
    events
}

fn dry() -> Vec<Event> {
    let mut events = vec![started(Stage::Connect, "192.168.0.69:22"), connected(), planned(true)];
    events.push(end(&events, None));
    events
}

/// Returns the output of a display on a terminal: bars and lines on standard error, attached output on the same screen.
fn on_terminal(events: &[Event], level: Level, unicode: bool) -> (String, InMemoryTerm) {
    struct Screen(InMemoryTerm);

    impl std::io::Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write_line(String::from_utf8_lossy(bytes).trim_end())?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let screen = InMemoryTerm::new(30, 100);
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
    let looks = Looks { colors: false, unicode, shares_stdout: true, turns: false, columns: || Some(100) };
    let mut display = Terminal::new(bars, Sink::new(Screen(screen.clone())), level, looks, clock());
    events.iter().for_each(|event| display.event(event));
    let shown = screen.contents();
    drop(display);
    (shown, screen)
}

/// Returns the screen of a terminal with the spinner replaced, because its position depends on the time.
fn terminal(events: &[Event]) -> String {
    on_terminal(events, Level::Info, true).0.replace(|sign| ('\u{2800}'..'\u{28ff}').contains(&sign), "⠿")
}

/// Returns what the display without a terminal writes to standard error and to standard output.
fn plain(events: &[Event], level: Level) -> (String, String) {
    let (stderr, stdout) = (Shared::default(), Shared::default());
    let mut display = Plain::new(Sink::new(stderr.clone()), Sink::new(stdout.clone()), level, clock());
    events.iter().for_each(|event| display.event(event));
    (stderr.text(), stdout.text())
}

fn json(events: &[Event]) -> Vec<serde_json::Value> {
    let stdout = Shared::default();
    let mut display = Json::new(Sink::new(stdout.clone()), clock());
    events.iter().for_each(|event| display.event(event));
    stdout.text().lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

#[test]
fn a_terminal_shows_the_stage_at_work_below_those_that_are_through() {
    insta::assert_snapshot!(terminal(&run()[..1]), @"⠿ connect      192.168.0.69:22                                                                 0s");
    insta::assert_snapshot!(terminal(&run()[..4]), @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    = directories  nothing to do: `/home/oem/share` is there
    ⠿ image        send `python_app:latest`                                                        0s
    ");
    insta::assert_snapshot!(terminal(&run()[..9]), @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    = directories  nothing to do: `/home/oem/share` is there
    ⠿ image        ━━━━━━━━━━━━━━━╸──── 60 MB of 80 MB, 20 MB/s, 1 s left  layer 3 of 12
    ");
    insta::assert_snapshot!(terminal(&run()[..14]), @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    = directories  nothing to do: `/home/oem/share` is there
    ! warning: the link is slow
    ✓ image        80 MB sent instead of 812 MB (4.0 s)
    22.5 °C[2J
    ⠿ attach       show the output of `python_app`                                                 0s
    ");
}

#[test]
fn a_terminal_ends_with_a_summary() {
    insta::assert_snapshot!(terminal(&well()), @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    = directories  nothing to do: `/home/oem/share` is there
    ! warning: the link is slow
    ✓ image        80 MB sent instead of 812 MB (4.0 s)
    22.5 °C[2J
    ✓ attach       the container ended with 0 (1 min 1 s)
    ✓ its host key is pinned
    ✓ done in 1 min 5 s, changed: image; 1 stage was up to date; 80 MB sent, 20 kB received
    log: /logs/Deployments/26.11.21_07.34.56+0000.log
    ");
}

#[test]
fn a_terminal_ends_with_what_failed_and_the_way_out() {
    insta::assert_snapshot!(terminal(&badly()), @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    = directories  nothing to do: `/home/oem/share` is there
    ✓ directories  created ~/share (0.1 s)
    ✗ image        failed
    error: image: `docker load` failed on the device: exit code 1
      caused by: the disk is full
      last lines:
      | loading layer
      | no space left[1A
      changed before that: directories
    hint: free some room
    log: /logs/Deployments/26.11.21_07.34.56+0000.log
    ");
}

#[test]
fn a_terminal_without_unicode_shows_the_same_in_ascii() {
    let shown = on_terminal(&run()[..9], Level::Debug, false).0.replace(['|', '/', '\\'], "-");
    insta::assert_snapshot!(shown, @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    = directories  nothing to do: `-home-oem-share` is there
    - image        layer 3 of 12
    - image        ===============>---- 60 MB of 80 MB, 20 MB-s, 1 s left  layer 3 of 12
    ");
}

#[test]
fn a_display_that_is_dropped_leaves_no_bar_behind() {
    let (before, screen) = on_terminal(&run()[..9], Level::Info, true);
    assert!(before.contains("60 MB of 80 MB") && !screen.contents().contains("60 MB of 80 MB"));
}

#[test]
fn without_colors_nothing_is_colored() {
    let (_, screen) = on_terminal(&badly(), Level::Info, true);
    let text = String::from_utf8(screen.contents_formatted()).expect("UTF-8");
    assert!(!text.replace("\u{1b}[m", "").contains('\u{1b}'), "{text:?}");
}

#[test]
fn plain_lines_hold_the_same() {
    let (stderr, stdout) = plain(&well(), Level::Info);
    insta::assert_snapshot!(stderr, @r"
    connect: 192.168.0.69:22
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.25
    directories: nothing to do: `/home/oem/share` is there
    image: send `python_app:latest`
      layer 3 of 12
      20 MB of 80 MB, 10 MB/s, 6 s left
      60 MB of 80 MB, 20 MB/s, 1 s left
    warning: the link is slow
    image: done: 80 MB sent instead of 812 MB (4.0 s)
    attach: show the output of `python_app`
    attach: read: the container ended with 0 (1 min 1 s)
    its host key is pinned
    done in 1 min 5 s, changed: image; 1 stage was up to date; 80 MB sent, 20 kB received
    log: /logs/Deployments/26.11.21_07.34.56+0000.log
    ");
    assert_eq!(stdout, "22.5 °C[2J\n");
}

#[test]
fn plain_lines_tell_a_failure() {
    insta::assert_snapshot!(plain(&badly(), Level::Info).0, @r"
    connect: 192.168.0.69:22
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.25
    directories: nothing to do: `/home/oem/share` is there
    directories: done: created ~/share (0.1 s)
    image: send `python_app:latest`
      layer 3 of 12
    error: image: `docker load` failed on the device: exit code 1
      caused by: the disk is full
      last lines:
      | loading layer
      | no space left[1A
      changed before that: directories
    hint: free some room
    log: /logs/Deployments/26.11.21_07.34.56+0000.log
    ");
}

#[test]
fn a_dry_run_prints_its_plan_as_data() {
    let (stderr, stdout) = plain(&dry(), Level::Info);
    insta::assert_snapshot!(stderr, @r"
    connect: 192.168.0.69:22
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.25
    dry run: nothing was changed
    log: /logs/Deployments/26.11.21_07.34.56+0000.log
    ");
    insta::assert_snapshot!(stdout, @r"
    directories: nothing to do: `/home/oem/share` is there
    image: send `python_app:latest`
      docker load
      docker tag 6d8e python_app:latest
    attach: show the output of `python_app`
      docker logs --follow python_app
    ");
    assert_eq!(plain(&dry(), Level::Warning), (String::new(), stdout));
    insta::assert_snapshot!(terminal(&dry()), @r"
    connected to 192.168.0.69:22: serial 000201234567, named `bay [31m3`, firmware 1.4.30, docker 20.10.
    25
    directories: nothing to do: `/home/oem/share` is there
    image: send `python_app:latest`
      docker load
      docker tag 6d8e python_app:latest
    attach: show the output of `python_app`
      docker logs --follow python_app
    = dry run: nothing was changed
    log: /logs/Deployments/26.11.21_07.34.56+0000.log
    ");
}

#[test]
fn stage_that_failed_is_marked_before_the_logs_are_fetched_again() {
    let mut events = vec![started(Stage::Compose, "bring it up"), started(Stage::LogsAgain, "fetch the logs")];
    events.push(finished(Stage::LogsAgain, Outcome::Read, "fetched", 0.1));
    events.push(end(&events, Some(&failure())));
    let (said, _) = plain(&events, Level::Info);
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text} in {said}"));
    assert!(at("compose: failed") < at("logs_again: read") && at("logs_again: read") < at("error: "), "{said}");
    let shown = on_terminal(&events, Level::Info, true).1.contents();
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} in {shown}"));
    assert!(at("✗ compose") < at("✓ logs_again") && at("✓ logs_again") < at("error: "), "{shown}");
    // A stage that goes on after the connection was lost has not failed.
    let again = [started(Stage::Image, "send"), started(Stage::Connect, "connect"), connected(), started(Stage::Image, "send")];
    assert!(!plain(&again, Level::Info).0.contains("failed"));
    assert!(!on_terminal(&again, Level::Info, true).1.contents().contains("failed"));
}

#[test]
fn quiet_leaves_warnings_and_failures() {
    assert_eq!(plain(&well(), Level::Warning), ("warning: the link is slow\n".into(), String::new()));
    assert_eq!(plain(&well(), Level::Error).0, "");
    assert!(plain(&badly(), Level::Error).0.starts_with("error: image: `docker load` failed"));
}

#[test]
fn plain_progress_is_a_heartbeat_and_no_flood() {
    let mut events = vec![started(Stage::Image, "send")];
    events.extend((0..100).map(|n| progress(n, None)));
    assert_eq!(plain(&events, Level::Info).0.lines().count(), 1 + 9);
    let mut events = vec![started(Stage::Image, "send")];
    events.extend((0..=8).map(|n| progress(n, Some(8))));
    assert_eq!(plain(&events, Level::Info).0.lines().count(), 1 + 4);
}

#[test]
fn each_event_is_one_line_of_json_with_its_name() {
    let names = |events: &[Event]| -> Vec<String> {
        json(events).iter().map(|event| event["event"].as_str().expect("a name").to_owned()).collect()
    };
    let mut expected = vec!["stage_started", "connected", "planned", "stage_started", "step"];
    expected.extend(["progress"; 4]);
    expected.extend([
        "warning",
        "progress",
        "stage_finished",
        "stage_started",
        "output",
        "stage_finished",
        "note",
        "traffic",
        "finished",
    ]);
    assert_eq!(names(&well()), expected);
}

#[test]
fn the_keys_of_the_json_stay() {
    let mut keys: Vec<String> = json(&badly())
        .iter()
        .chain(&json(&well()))
        .map(|event| {
            let object = event.as_object().expect("an object");
            let keys: Vec<_> = object.keys().filter(|key| *key != "event").map(String::as_str).collect();
            format!("{}: {}", event["event"].as_str().expect("a name"), keys.join(" "))
        })
        .collect();
    keys.sort();
    keys.dedup();
    insta::assert_snapshot!(keys.join("\n"), @r"
    connected: address docker firmware name serial
    finished: causes changed details dry_run error exit_code hint last_lines log_file received seconds sent unchanged
    note: text
    output: line
    planned: dry_run stages
    progress: bytes stage total
    stage_finished: outcome says seconds stage
    stage_started: stage title
    step: says stage
    traffic: received sent
    warning: text
    ");
    insta::assert_snapshot!(json(&badly()).last().expect("the end"), @r#"{"causes":["the disk is full"],"changed":["directories"],"details":[],"dry_run":false,"error":"image: `docker load` failed on the device: exit code 1","event":"finished","exit_code":9,"hint":"free some room","last_lines":["loading layer","no space left\u001b[1A"],"log_file":"/logs/Deployments/26.11.21_07.34.56+0000.log","received":0,"seconds":65.2,"sent":0,"unchanged":[]}"#);
}

#[test]
fn json_progress_is_thinned_out_but_for_the_end() {
    let stdout = Shared::default();
    let begin = Instant::now();
    let mut display = Json::new(Sink::new(stdout.clone()), Box::new(move || begin));
    (0..=1000).for_each(|n| display.event(&progress(n, Some(1000))));
    let bytes: Vec<_> = stdout.text().lines().map(|line| line.split("\"bytes\":").nth(1).expect("bytes").len()).collect();
    assert_eq!(bytes.len(), 2);
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let question = Question::Confirm("remove all?".into());
    let sink = || Sink::new(Shared::default());
    let mut tee = Tee::new(vec![Box::new(Json::new(sink(), clock()))]);
    tee.push(Plain::new(sink(), sink(), Level::Info, clock()));
    tee.push(EventLog);
    assert_eq!(tee.ask(&question), None);
}

#[test]
fn a_tee_tells_all_of_its_reports_the_end() {
    let (stderr, stdout) = (Shared::default(), Shared::default());
    let mut tee = Tee::new(Vec::new());
    tee.push(Json::new(Sink::new(stdout.clone()), clock()));
    tee.push(Plain::new(Sink::new(stderr.clone()), Sink::new(Shared::default()), Level::Info, clock()));
    run().iter().for_each(|event| tee.event(event));
    assert_eq!(tee.finish(Some(&failure()), None), ExitCode::NoSpace);
    let end: serde_json::Value = serde_json::from_str(stdout.text().lines().last().expect("the end")).expect("JSON");
    assert_eq!((&end["exit_code"], &end["sent"]), (&serde_json::json!(9), &serde_json::json!(80_000_000)));
    assert!(stderr.text().ends_with("hint: free some room\n"));
    assert_eq!(tee.finish(None, None), ExitCode::Success);
}

#[test]
fn a_dry_run_that_fails_before_its_plan_was_one_all_the_same() {
    let stdout = Shared::default();
    let mut tee = Tee::new(vec![Box::new(Json::new(Sink::new(stdout.clone()), clock()))]);
    tee.set_dry_run(true);
    tee.finish(Some(&failure()), None);
    let end: serde_json::Value = serde_json::from_str(&stdout.text()).expect("JSON");
    assert_eq!((&end["event"], &end["dry_run"]), (&serde_json::json!("finished"), &serde_json::json!(true)));
}

#[test]
fn every_event_is_one_that_the_schema_of_events_describes() {
    let schema = super::schema();
    let kinds = schema["oneOf"].as_array().expect("an alternative for each event");
    assert_eq!(kinds.len(), 11, "{schema:#}");
    assert!(schema["properties"]["device"].is_object(), "{schema:#}");
    let device = super::DeviceLabel::at("192.168.0.69", 22);
    for event in well() {
        let line = super::schema::Line { event: &event, device: Some(&device) };
        let line = serde_json::to_value(&line).expect("JSON");
        let kind = kinds.iter().find(|kind| kind["properties"]["event"]["const"] == line["event"]).expect("described");
        let definition = kind["$ref"].as_str().and_then(|name| schema["$defs"].get(name.trim_start_matches("#/$defs/")));
        let keys = |part: &str| {
            let of = |schema: &serde_json::Value| match &schema[part] {
                serde_json::Value::Object(keys) => keys.keys().cloned().collect::<Vec<_>>(),
                serde_json::Value::Array(keys) => keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
                _ => Vec::new(),
            };
            of(kind).into_iter().chain(definition.map(of).unwrap_or_default()).collect::<Vec<_>>()
        };
        let found: Vec<_> = line.as_object().expect("an object").keys().filter(|key| *key != "device").cloned().collect();
        assert!(found.iter().all(|key| keys("properties").contains(key)), "{line} {kind:#}");
        assert!(keys("required").iter().all(|key| found.contains(key)), "{line} {kind:#}");
    }
}
