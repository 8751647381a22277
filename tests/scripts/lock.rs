//! The lock of the device, with real processes that hold it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin},
    time::{Duration, Instant},
};

use o3r_deploy::release::lock::{self, Claim};

use super::shell::{BOTH, Device, Userland};

const LOCK: &str = "/tmp/o3r-deploy/lock";

/// A deployer that has claimed the lock.
struct Deployer {
    child: Child,
    input: Option<ChildStdin>,
    answer: Vec<String>,
}

impl Deployer {
    fn claims(device: &Device, claim: &Claim<'_>) -> Self {
        let mut child = device.start(&lock::take(claim));
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let answer = lines.by_ref().take(3).map(|line| line.expect("a line")).collect();
        Self { child, input, answer }
    }

    /// Goes away, and with it its end of the connection.
    fn leaves(mut self) {
        self.input = None;
        self.ended();
    }

    fn ended(&mut self) {
        eventually("it ends", || self.child.try_wait().expect("asked").is_some());
    }
}

impl Drop for Deployer {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within the deadline");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn claim<'a>(token: &'a str, who: &'a str) -> Claim<'a> {
    Claim { token, who, ..Claim::default() }
}

fn each(test: impl Fn(&Device)) {
    for userland in BOTH {
        test(&Device::new(userland));
    }
}

#[test]
fn one_has_the_lock_and_the_next_is_told_who_until_it_is_given_back() {
    each(|device| {
        let first = Deployer::claims(device, &claim("t1", "anna"));
        assert_eq!(first.answer, ["taken", "", ""]);
        let second = Deployer::claims(device, &claim("t2", "ben"));
        assert_eq!(second.answer, ["held", "t1", "anna"]);
        assert_eq!(device.must(&lock::look(), b"").out, "alive\nt1\nanna\n");
        first.leaves();
        assert!(!device.here(LOCK).exists());
        assert_eq!(device.must(&lock::look(), b"").out, "");
        assert_eq!(Deployer::claims(device, &claim("t2", "ben")).answer, ["taken", "t1", ""]);
    });
}

#[test]
fn of_many_who_claim_it_at_once_one_gets_it() {
    each(|device| {
        for round in 0..2 {
            // A dead one is in the way.
            device.write(LOCK, "t0\n1\n1\nno such boot\nnobody\n");
            let claims: Vec<_> = (0..6).map(|number| format!("{round}-{number}")).collect();
            let mut started: Vec<_> = claims.iter().map(|token| device.start(&lock::take(&claim(token, "x")))).collect();
            let answers = started.iter_mut().map(|child| {
                let mut line = String::new();
                BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
                line
            });
            let taken = answers.filter(|answer| answer == "taken\n").count();
            assert_eq!(taken, 1);
            for mut child in started {
                drop(child.stdin.take());
                child.wait().expect("ended");
            }
        }
    });
}

#[test]
fn the_lock_of_a_dead_process_and_that_of_another_boot_are_no_locks() {
    each(|device| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("read");
        let myself = std::process::id();
        // A number that another process has by now, and a boot that is over.
        for dead in
            [format!("t0\n{myself}\n1\n{boot}anna\n"), format!("t0\n{myself}\n1\nother\nanna\n"), "t0\n".into(), String::new()]
        {
            device.write(LOCK, &dead);
            assert!(!device.must(&lock::look(), b"").out.starts_with("alive"), "{dead:?}");
            assert_eq!(Deployer::claims(device, &claim("t1", "ben")).answer[0], "taken", "{dead:?}");
        }
    });
}

#[test]
fn a_deployer_that_is_killed_on_the_device_loses_the_lock() {
    each(|device| {
        let mut first = Deployer::claims(device, &claim("t1", "anna"));
        let process = device.read(LOCK).lines().nth(1).and_then(|line| line.parse().ok()).expect("a number");
        let process = rustix::process::Pid::from_raw(process).expect("a number");
        rustix::process::kill_process(process, rustix::process::Signal::HUP).expect("killed");
        // A signal that comes just before the shell waits is answered with the next line, of which a deployer sends one now and then.
        let mut input = first.input.take().expect("it is there");
        eventually("the lock goes", || {
            let _ = input.write_all(b"\n");
            !device.here(LOCK).exists()
        });
        first.ended();
    });
}

#[test]
fn a_deployer_that_is_not_heard_of_any_more_loses_the_lock() {
    let device = Device::new(Userland::Busybox);
    let patient = |seconds: &str| {
        let line = lock::take(&claim("t1", "anna")).line().replace(" 60 ''", &format!(" {seconds} ''"));
        o3r_deploy::command::Command::new("sh").arg("-c").arg(line)
    };
    let mut child = device.start(&patient("4"));
    let mut input = child.stdin.take().expect("piped");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(6) {
        input.write_all(b"\n").expect("heard");
        assert!(child.try_wait().expect("asked").is_none(), "it is heard of");
        std::thread::sleep(Duration::from_millis(500));
    }
    eventually("it ends", || child.try_wait().expect("asked").is_some());
    assert!(!device.here(LOCK).exists());
}

#[test]
fn the_same_word_or_a_lock_that_is_named_is_taken_over_and_its_holder_ends() {
    each(|device| {
        let mut first = Deployer::claims(device, &claim("t1", "anna"));
        let mut again = Deployer::claims(device, &claim("t1", "anna"));
        assert_eq!(again.answer[0], "taken");
        first.ended();
        assert_eq!(device.must(&lock::look(), b"").out, "alive\nt1\nanna\n", "the first takes nothing with it");
        let over = Deployer::claims(device, &Claim { over: "t1", ..claim("t2", "ben") });
        assert_eq!(over.answer[0], "taken");
        again.ended();
        assert_eq!(device.must(&lock::look(), b"").out, "alive\nt2\nben\n");
    });
}

#[test]
fn a_lock_that_is_broken_is_gone_with_its_holder_and_only_the_one_that_was_meant() {
    each(|device| {
        let mut first = Deployer::claims(device, &claim("t1", "anna"));
        device.must(&lock::break_lock("t0"), b"");
        assert!(device.here(LOCK).exists());
        device.must(&lock::break_lock("t1"), b"");
        first.ended();
        assert!(!device.here(LOCK).exists());
    });
}

#[test]
fn an_application_that_holds_its_file_is_told_with_its_process() {
    each(|device| {
        device.write("/home/oem/share/hold off.lock", "");
        let hold_off = "/home/oem/share/hold off.lock";
        let claim = Claim { hold_off, ..claim("t1", "anna") };
        let file = std::fs::File::open(device.here(hold_off)).expect("opened");
        for lock in [std::fs::File::lock, std::fs::File::lock_shared] {
            lock(&file).expect("locked");
            let told = Deployer::claims(device, &claim);
            assert_eq!(told.answer[..2], ["off".to_owned(), std::process::id().to_string()]);
            file.unlock().expect("unlocked");
        }
        assert!(!device.here(LOCK).exists());
        assert_eq!(Deployer::claims(device, &claim).answer[0], "taken");
    });
}

#[test]
fn lock_is_refused_with_its_reason_where_its_directory_is_not_ours() {
    each(|device| {
        let refused = |device: &Device| {
            let begin = Instant::now();
            let answer = Deployer::claims(device, &claim("t1", "anna")).answer.clone();
            assert!(begin.elapsed() < Duration::from_secs(20));
            assert_eq!(answer[0], "refused");
            answer[1].replace(&device.here("").display().to_string(), "/")
        };
        let place = device.here("/tmp/o3r-deploy");
        device.write("/tmp/o3r-deploy", "");
        assert!(refused(device).contains("is no directory, and belongs to the user `"), "{}", refused(device));
        std::fs::remove_file(&place).expect("it was there");
        device.make_link("/home/oem", "/tmp/o3r-deploy");
        assert!(refused(device).contains("is a link of the user `"), "{}", refused(device));
        assert!(device.names("/home/oem").is_empty());
        std::fs::remove_file(&place).expect("it was there");
        std::fs::create_dir(&place).expect("made");
        if rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(&place, Some(65_534), None).expect("given away");
            assert!(refused(device).contains("belongs to the user `nobody`"), "{}", refused(device));
        }
    });
}

#[test]
fn entry_that_stays_taken_ends_in_a_reason() {
    let device = Device::new(Userland::Dash);
    device.write("/tmp/o3r-deploy/entered/file", "");
    let answer = Deployer::claims(&device, &claim("t1", "anna")).answer.clone();
    assert!(answer[0] == "refused" && answer[1].contains("entered"), "{answer:?}");
}

#[test]
fn holder_whose_lock_was_taken_away_by_another_user_ends() {
    each(|device| {
        let mut first = Deployer::claims(device, &claim("t1", "anna"));
        std::fs::remove_file(device.here(LOCK)).expect("it was there");
        first.ended();
    });
}
