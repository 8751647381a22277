//! The device over SSH, against a real sshd.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::VecDeque,
    fs,
    future::Future,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use o3r_deploy::{
    command::{Command, path_lines},
    commands::files,
    failure::{ExitCode, Explain},
    remote::{
        Exit, Get, Giving, Got, Input, Put, Remote, RemoteError, Rest, Stream, Taking,
        ssh::{Ask, Claim, ConnectError, HostConfig, Ssh, Target, connect},
    },
    secret::Secret,
};
use russh::MethodKind;
use support::{
    passwords,
    proxy::{self, Fault},
    sshd::{Files, Sshd, key},
};

mod support;

/// Answers in turn, and keeps the questions.
#[derive(Default)]
struct Answers {
    confirm: VecDeque<bool>,
    secret: VecDeque<&'static str>,
    asked: Vec<String>,
}

impl Ask for Answers {
    fn confirm(&mut self, question: &str) -> Option<bool> {
        self.asked.push(question.to_owned());
        self.confirm.pop_front()
    }

    fn secret(&mut self, question: &str) -> Option<Secret> {
        self.asked.push(question.to_owned());
        self.secret.pop_front().map(Secret::new)
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn target(sshd: &Sshd) -> Target {
    Target {
        port: sshd.port,
        user: "root".into(),
        identity: Some(sshd.path("client")),
        accept_new: true,
        known_hosts: vec![sshd.path("known_hosts")],
        agent: None,
        keys: Vec::new(),
        ..Target::new("127.0.0.1")
    }
}

async fn log_in(sshd: &Sshd) -> Ssh {
    connect(&target(sshd), &mut Answers::default()).await.unwrap()
}

/// Puts files, each where it says.
async fn put(ssh: &Ssh, puts: &[Put], progress: &mut dyn FnMut(u64)) -> Result<(), RemoteError> {
    let command = Command::new("tar").args(["-x", "-p", "-o", "-f", "-", "-C", "/"]);
    ssh.put(&Taking { command: &command, head: Vec::new(), directories: &[], files: puts }, progress).await
}

/// Gets files by their names.
async fn get(ssh: &Ssh, gets: &[Get], progress: &mut dyn FnMut(u64)) -> Result<Vec<Got>, RemoteError> {
    let names: Vec<_> = gets.iter().map(|get| get.remote.trim_start_matches('/').to_owned()).collect();
    ssh.get(&Giving { command: &files::give(), input: path_lines(&names), files: gets }, progress).await
}

fn refusal(target: &Target, ask: &mut Answers) -> ConnectError {
    wait(connect(target, ask)).err().expect("it is refused")
}

fn hint(error: &impl Explain) -> String {
    error.hint().expect("there is a hint")
}

fn sh(script: &'static str) -> Command {
    Command::script(script)
}

// Commands

#[test]
fn a_command_gets_its_input_and_gives_both_outputs_and_its_exit() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let command = sh("cat; printf %s \"$1\" >&2; exit 7").arg("it's $(here)");
        let output = ssh.run(&command, Input::Bytes(b"in\0put".to_vec())).await.unwrap();
        assert_eq!((output.exit, output.stdout, output.stderr), (Exit::Code(7), b"in\0put".to_vec(), b"it's $(here)".to_vec()));
        let killed = ssh.run(&sh("kill -9 $$"), Input::Empty).await.unwrap();
        assert_eq!(killed.exit, Exit::Signal("KILL".into()));
        let last = ssh.run(&sh("printf 'no newline'"), Input::Empty).await.unwrap();
        assert_eq!(last.stdout, b"no newline");
        assert!(ssh.bytes_sent() > 0 && ssh.bytes_received() > 0 && ssh.host_key_fingerprint().starts_with("SHA256:"));
        ssh.disconnect().await;
    });
}

#[test]
fn a_command_that_ends_early_ends_the_sending() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let exit = ssh.exec(&sh("exit 3"), Input::Pieces(endless()), &mut |_, _| ()).await.unwrap();
        assert_eq!(exit, Exit::Code(3));
        assert_eq!(ssh.run(&sh("echo on"), Input::Empty).await.unwrap().stdout, b"on\n");
    });
}

fn endless() -> tokio::sync::mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, pieces) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || while sender.blocking_send(Ok(vec![7; 256 << 10])).is_ok() {});
    pieces
}

#[test]
fn an_input_that_fails_ends_the_command_and_says_why() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let (sender, pieces) = tokio::sync::mpsc::channel(2);
        sender.send(Ok(b"half".to_vec())).await.unwrap();
        sender.send(Err(std::io::Error::other("disk on fire"))).await.unwrap();
        // Whether the command still sees its input end before the signal is up to sshd, which sends root's sessions none.
        let command = sh("cat > /dev/null");
        let error = ssh.exec(&command, Input::Pieces(pieces), &mut |_, _| ()).await.unwrap_err();
        assert!(matches!(error, RemoteError::Input(ref error) if error.to_string() == "disk on fire"));
        ssh.run(&sh("true"), Input::Empty).await.unwrap();
    });
}

#[test]
fn many_commands_run_at_once_and_wait_where_the_device_has_fewer_sessions() {
    for sessions in [10, 3] {
        many_commands(&Sshd::with(Files::Tar, &format!("MaxSessions {sessions}")));
    }
}

fn many_commands(sshd: &Sshd) {
    wait(async {
        let ssh = log_in(sshd).await;
        let runs = (0..30).map(|number| {
            let ssh = &ssh;
            async move { ssh.run(&sh("echo $1").arg(number.to_string()), Input::Empty).await.unwrap().stdout }
        });
        let outputs = futures_util::future::join_all(runs).await;
        assert_eq!(outputs, (0..30).map(|number| format!("{number}\n").into_bytes()).collect::<Vec<_>>());
    });
}

#[test]
fn a_command_given_up_ends_on_the_device() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let (up, ended) = (sshd.path("up"), sshd.path("ended"));
        // sshd passes a signal on to everybody's commands but root's, so here the output that nobody takes ends it.
        let command = sh("trap '' PIPE; echo > \"$1\"; while echo; do sleep 0.05; done 2>/dev/null; echo > \"$2\"")
            .args([up.to_str().unwrap(), ended.to_str().unwrap()]);
        let mut ignored = |_, _: &[u8]| ();
        tokio::select! {
            _ = ssh.exec(&command, Input::Empty, &mut ignored) => panic!("it runs for ever"),
            () = there(&up) => {}
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        eprintln!("{}", sshd.log());
        there(&ended).await;
    });
}

async fn there(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn much_goes_both_ways_in_little_memory() {
    const MUCH: usize = 200 << 20;
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        std::thread::spawn(move || {
            (0..MUCH / (256 << 10)).all(|_| sender.blocking_send(Ok(vec![1; 256 << 10])).is_ok());
        });
        let mut received = 0;
        let exit = ssh.exec(&sh("cat"), Input::Pieces(pieces), &mut |_, bytes| received += bytes.len()).await.unwrap();
        assert_eq!((exit, received), (Exit::Code(0), MUCH));
    });
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: usize = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 64 << 10, "{kilobytes} kB");
}

// Files

const NAMES: [&str; 9] = ["plain", "a b", "it's \"q\"", "new\nline", "-rf", "Größe ☃", "$(touch x)", "back\\slash", "*"];

#[test]
fn files_travel_alike_over_tar_and_busybox() {
    for files in [Files::Tar, Files::Busybox] {
        let sshd = Sshd::start(files);
        wait(travel(&sshd, files));
    }
}

async fn travel(sshd: &Sshd, files: Files) {
    let ssh = log_in(sshd).await;
    let (here, there, back) = (sshd.path("here"), sshd.path("there"), sshd.path("back"));
    for directory in [&here, &there, &back] {
        fs::create_dir(directory).unwrap();
    }
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(120));
    fs::create_dir(there.join("d".repeat(120))).unwrap();
    let modes = [0o644, 0o600, 0o755, 0o400, 0o777, 0o640];
    let content = |index: usize| (0..index * 40_000).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    let names: Vec<_> = NAMES.iter().copied().chain([long.as_str()]).collect();
    let mut puts = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let local = here.join(index.to_string());
        fs::write(&local, content(index)).unwrap();
        puts.push(Put { local, remote: format!("{}/{name}", there.display()), mode: modes[index % modes.len()] });
    }
    // Twice: what is there, even read-only or a link, is replaced.
    let outside = sshd.path("outside");
    fs::write(&outside, "untouched").unwrap();
    std::os::unix::fs::symlink(&outside, there.join("plain")).unwrap();
    let total: u64 = (0..names.len()).map(|index| content(index).len() as u64).sum();
    for _ in 0..2 {
        let mut sent = 0;
        put(&ssh, &puts, &mut |bytes| sent += bytes).await.unwrap();
        assert_eq!(sent, total, "{files:?}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    for (index, name) in names.iter().enumerate() {
        let path = there.join(name);
        assert_eq!(fs::read(&path).unwrap(), content(index), "{files:?} {name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, modes[index % modes.len()], "{files:?} {name}");
    }
    // A second name of a file, a link to one, and one that is not there.
    fs::hard_link(there.join("a b"), there.join("second")).unwrap();
    std::os::unix::fs::symlink("plain", there.join("link")).unwrap();
    let all: Vec<_> = names.iter().copied().chain(["second", "gone", "link", "a b"]).collect();
    let gets: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(index, name)| Get { remote: format!("{}/{name}", there.display()), local: back.join(index.to_string()) })
        .collect();
    let mut received = 0;
    let got = get(&ssh, &gets, &mut |bytes| received += bytes).await.unwrap();
    for (index, (name, got)) in all.iter().zip(&got).enumerate() {
        if *name == "gone" {
            assert_eq!(*got, Got::Vanished, "{files:?}");
            continue;
        }
        let there = fs::read(there.join(name)).unwrap();
        assert_eq!(*got, Got::Bytes(there.len() as u64), "{files:?} {name}");
        assert_eq!(fs::read(back.join(index.to_string())).unwrap(), there, "{files:?} {name}");
    }
    assert!(received >= total, "{files:?}");
    assert_eq!(get(&ssh, &[], &mut |_| ()).await.unwrap(), []);
    put(&ssh, &[], &mut |_| ()).await.unwrap();
    failures(&ssh, sshd, files).await;
}

async fn failures(ssh: &Ssh, sshd: &Sshd, files: Files) {
    let (local, directory) = (sshd.path("client.pub"), sshd.path("there"));
    let missing = Put { local: sshd.path("missing"), remote: format!("{}/m", directory.display()), mode: 0o644 };
    let error = put(ssh, &[missing], &mut |_| ()).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Local { path, .. } if path.ends_with("missing")), "{files:?} {error}");
    assert!(!directory.join("m").exists(), "{files:?}");
    let under_a_file = Put { local, remote: format!("{}/plain/x", directory.display()), mode: 0o644 };
    let error = put(ssh, &[under_a_file], &mut |_| ()).await.unwrap_err();
    assert!(matches!(&error, RemoteError::File { path, .. } if path.ends_with("plain/x")), "{files:?} {error}");
    let file = Get { remote: directory.display().to_string(), local: sshd.path("x") };
    let error = get(ssh, &[file], &mut |_| ()).await.unwrap_err();
    assert!(matches!(&error, RemoteError::File { path, .. } if path.ends_with("there")), "{files:?} {error}");
    let file = Get { remote: format!("{}/plain", directory.display()), local: sshd.path("no/such/directory") };
    let error = get(ssh, &[file], &mut |_| ()).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Local { .. }), "{files:?} {error}");
    assert_eq!(ssh.run(&sh("echo alive"), Input::Empty).await.unwrap().stdout, b"alive\n");
}

#[test]
fn many_small_files_and_a_big_one_travel_alike() {
    for files in [Files::Tar, Files::Busybox] {
        let sshd = Sshd::start(files);
        wait(async {
            let ssh = log_in(&sshd).await;
            let (here, there, back) = (sshd.path("here"), sshd.path("there"), sshd.path("back"));
            for directory in [&here, &there, &back] {
                fs::create_dir(directory).unwrap();
            }
            let (mut puts, mut gets) = (Vec::new(), Vec::new());
            for index in 0..3000_usize {
                let name = format!("file number {index} {}", "x".repeat(60));
                let content = if index == 1500 { vec![9; 20 << 20] } else { name.clone().into_bytes() };
                fs::write(here.join(&name), content).unwrap();
                let remote = format!("{}/{name}", there.display());
                puts.push(Put { local: here.join(&name), remote: remote.clone(), mode: 0o644 });
                gets.push(Get { remote, local: back.join(&name) });
            }
            put(&ssh, &puts, &mut |_| ()).await.unwrap();
            let got = get(&ssh, &gets, &mut |_| ()).await.unwrap();
            for (put, (get, got)) in puts.iter().zip(gets.iter().zip(got)) {
                let content = fs::read(&put.local).unwrap();
                assert!(content == fs::read(&get.local).unwrap() && got == Got::Bytes(content.len() as u64), "{files:?}");
            }
        });
    }
}

#[test]
fn a_file_that_grows_is_taken_as_far_as_it_goes() {
    for files in [Files::Tar, Files::Busybox] {
        let sshd = Sshd::start(files);
        let (log, back) = (sshd.path("log that grows"), sshd.path("back"));
        fs::write(&log, vec![b'x'; 8 << 20]).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let grows = std::thread::spawn({
            let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
            move || {
                // At most 50 MB, should the reader run after it.
                for _ in 0..100_000 {
                    std::io::Write::write_all(&mut file, &[b'x'; 500]).unwrap();
                    if stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty) {
                        break;
                    }
                }
            }
        });
        let file = Get { remote: log.display().to_string(), local: back.clone() };
        let got = wait(async { get(&log_in(&sshd).await, &[file], &mut |_| ()).await });
        drop(stop);
        grows.join().unwrap();
        let content = fs::read(&back).unwrap();
        assert_eq!(got.unwrap(), [Got::Bytes(content.len() as u64)], "{files:?}");
        assert!(content.len() >= 8 << 20 && content.iter().all(|byte| *byte == b'x'), "{files:?}");
    }
}

#[test]
fn a_full_disk_is_named_in_both_ways() {
    let disk = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| std::process::Command::new(arguments[0]).args(&arguments[1..]).status().unwrap();
    let path = disk.path().to_str().unwrap();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path]).success() {
        eprintln!("not shown: mounting is not allowed here");
        return;
    }
    let result = std::panic::catch_unwind(|| {
        for files in [Files::Tar, Files::Busybox] {
            let sshd = Sshd::start(files);
            fs::write(sshd.path("big"), vec![1; 3 << 20]).unwrap();
            let file = Put { local: sshd.path("big"), remote: format!("{path}/big"), mode: 0o644 };
            let error = wait(async { put(&log_in(&sshd).await, &[file], &mut |_| ()).await }).unwrap_err();
            assert!(matches!(&error, RemoteError::NoSpace { path } if path.ends_with("/big")), "{files:?} {error}");
            assert_eq!(error.exit_code(), ExitCode::NoSpace);
            fs::remove_file(disk.path().join("big")).unwrap();
        }
    });
    assert!(mount(&["umount", path]).success());
    result.unwrap();
}

/// Whether a command still has a file open.
fn is_open(path: &Path) -> bool {
    let open = |process: std::path::PathBuf| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file == path)
    };
    fs::read_dir("/proc").unwrap().flatten().any(|process| open(process.path()))
}

#[test]
fn a_large_file_that_is_cut_off_goes_on_where_it_stopped_both_ways() {
    const SIZE: u64 = 40 << 20;
    for files in [Files::Tar, Files::Busybox] {
        let sshd = Sshd::start(files);
        let (big, there, back) = (sshd.path("big"), sshd.path("the re"), sshd.path("back"));
        let content: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
        fs::write(&big, &content).unwrap();
        let rest = |local: &Path, from| Rest { remote: there.display().to_string(), local: local.into(), from, to: SIZE };
        let append = |from| files::append(&there.display().to_string(), from, SIZE, 0o640);
        let through = |bytes| Target { port: proxy::start(sshd.port, Fault::Cut, bytes), ..target(&sshd) };
        let error = wait(async {
            let ssh = connect(&through(20 << 20), &mut Answers::default()).await.unwrap();
            ssh.append(&append(0), &rest(&big, 0), &mut |_| ()).await.unwrap_err()
        });
        assert!(matches!(error, RemoteError::Lost { .. }), "{files:?} {error}");
        // What was under way still arrives: until the command there has seen the end.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut arrived = 0;
        while arrived < 16 << 20 || is_open(&there) {
            arrived = fs::metadata(&there).map_or(0, |metadata| metadata.len());
            assert!(Instant::now() < deadline, "{files:?} {arrived}");
            std::thread::yield_now();
        }
        wait(async {
            let ssh = log_in(&sshd).await;
            let have = fs::metadata(&there).unwrap().len();
            assert!((16 << 20..SIZE).contains(&have), "{files:?} {have}");
            let mut sent = 0;
            ssh.append(&append(have), &rest(&big, have), &mut |bytes| sent += bytes).await.unwrap();
            assert_eq!(sent, SIZE - have);
        });
        assert!(fs::read(&there).unwrap() == content, "{files:?}");
        assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o7777, 0o640);

        let error = wait(async {
            let ssh = connect(&through(20 << 20), &mut Answers::default()).await.unwrap();
            let command = files::give_rest(&there.display().to_string(), 0);
            ssh.take(&command, &rest(&back, 0), &mut |_| ()).await.unwrap_err()
        });
        assert!(matches!(error, RemoteError::Lost { .. }), "{files:?} {error}");
        wait(async {
            let ssh = log_in(&sshd).await;
            let have = fs::metadata(&back).unwrap().len() >> 20 << 20;
            assert!((16 << 20..SIZE).contains(&have), "{files:?} {have}");
            let mut received = 0;
            let command = files::give_rest(&there.display().to_string(), have);
            ssh.take(&command, &rest(&back, have), &mut |bytes| received += bytes).await.unwrap();
            assert_eq!(received, SIZE - have);
            assert!(fs::read(&back).unwrap() == content, "{files:?}");

            // One that grows is taken as far as it was, one that became shorter or cannot be read is an error with its reason.
            let shorter = Rest { to: SIZE - 1, ..rest(&back, 0) };
            ssh.take(&files::give_rest(&there.display().to_string(), 0), &shorter, &mut |_| ()).await.unwrap();
            assert_eq!(fs::metadata(&back).unwrap().len(), SIZE - 1);
            let longer = Rest { to: SIZE + 1, ..rest(&back, have) };
            let error = ssh.take(&files::give_rest(&there.display().to_string(), have), &longer, &mut |_| ()).await;
            let error = error.unwrap_err().to_string();
            assert!(error.ends_with("the re` on the device: it became shorter while it was fetched"), "{files:?} {error}");
            let error = ssh.take(&files::give_rest("/no such", 0), &rest(&back, 0), &mut |_| ()).await.unwrap_err();
            assert!(error.to_string().to_lowercase().contains("no such file or directory"), "{files:?} {error}");
            let missing = rest(&sshd.path("missing"), 0);
            let error = ssh.append(&append(0), &missing, &mut |_| ()).await.unwrap_err();
            assert!(matches!(&error, RemoteError::Local { path, .. } if path.ends_with("missing")), "{files:?} {error}");
        });
    }
}

// A connection that breaks

#[test]
fn a_cut_connection_is_lost_at_once_whatever_was_under_way() {
    for files in [Files::Tar, Files::Busybox] {
        let sshd = Sshd::start(files);
        fs::write(sshd.path("big"), vec![1; 30 << 20]).unwrap();
        let through = |bytes| Target { port: proxy::start(sshd.port, Fault::Cut, bytes), ..target(&sshd) };
        let puts = [Put { local: sshd.path("big"), remote: sshd.path("copy").display().to_string(), mode: 0o644 }];
        let (error, took) = wait(async {
            let ssh = connect(&through(10 << 20), &mut Answers::default()).await.unwrap();
            let started = Instant::now();
            (put(&ssh, &puts, &mut |_| ()).await.unwrap_err(), started.elapsed())
        });
        assert!(matches!(error, RemoteError::Lost { .. }) && took < Duration::from_secs(10), "{files:?} {error} {took:?}");
        assert_eq!(error.exit_code(), ExitCode::ConnectionLost);
        let gets = [Get { remote: sshd.path("big").display().to_string(), local: sshd.path("back") }];
        let error = wait(async {
            let ssh = connect(&through(10 << 20), &mut Answers::default()).await.unwrap();
            get(&ssh, &gets, &mut |_| ()).await.unwrap_err()
        });
        assert!(matches!(error, RemoteError::Lost { .. }), "{files:?} {error}");
    }
}

#[test]
fn a_cut_connection_ends_a_command_with_lost() {
    let sshd = Sshd::start(Files::Tar);
    let through = Target { port: proxy::start(sshd.port, Fault::Cut, 5 << 20), ..target(&sshd) };
    wait(async {
        let ssh = connect(&through, &mut Answers::default()).await.unwrap();
        let error = ssh.exec(&sh("cat > /dev/null"), Input::Pieces(endless()), &mut |_, _| ()).await.unwrap_err();
        assert!(matches!(error, RemoteError::Lost { .. }), "{error}");
        assert!(matches!(ssh.run(&sh("true"), Input::Empty).await, Err(RemoteError::Lost { .. })));
    });
}

#[test]
fn a_stalled_connection_is_noticed_within_thirty_seconds() {
    let sshd = Sshd::start(Files::Tar);
    let through = |bytes| Target { port: proxy::start(sshd.port, Fault::Stall, bytes), ..target(&sshd) };
    wait(async {
        let writing = async {
            let ssh = connect(&through(5 << 20), &mut Answers::default()).await.unwrap();
            let started = Instant::now();
            let error = ssh.exec(&sh("cat > /dev/null"), Input::Pieces(endless()), &mut |_, _| ()).await.unwrap_err();
            (error, started.elapsed())
        };
        let waiting = async {
            let ssh = connect(&through(16 << 10), &mut Answers::default()).await.unwrap();
            let mut answered = Instant::now();
            let error = loop {
                match ssh.run(&sh("sleep 0.1"), Input::Empty).await {
                    Ok(_) => answered = Instant::now(),
                    Err(error) => break error,
                }
            };
            (error, answered.elapsed())
        };
        for (error, took) in <[_; 2]>::from(futures_util::future::join(writing, waiting).await) {
            assert!(matches!(error, RemoteError::Lost { .. }) && took < Duration::from_secs(30), "{error} {took:?}");
        }
    });
}

#[test]
fn a_command_whose_end_is_not_seen_is_lost() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let error = ssh.run(&sh("kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat) $PPID; sleep 9"), Input::Empty).await;
        assert!(matches!(error, Err(RemoteError::Lost { .. })), "{error:?}");
    });
}

// Nobody there

#[test]
fn what_stands_in_the_way_of_a_connection_is_told_apart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().port();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let to = |address: &str, port| Target { port, known_hosts: Vec::new(), ..Target::new(address) };
    let nobody = || Answers::default();

    let error = refusal(&to("127.0.0.1", closed), &mut nobody());
    assert!(matches!(error, ConnectError::Refused { .. }) && hint(&error).contains("--port"), "{error}");
    let error = refusal(&to("no such host", 22), &mut nobody());
    assert!(matches!(error, ConnectError::Name { .. }), "{error}");
    let error = refusal(&to("127.0.0.1", silent), &mut nobody());
    assert!(matches!(error, ConnectError::NotSsh { .. }) && error.exit_code() == ExitCode::Unreachable, "{error}");
    drop(listener);

    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in web.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut client, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    let error = refusal(&to("127.0.0.1", port), &mut nobody());
    assert!(matches!(error, ConnectError::NotSsh { .. }), "{error:?}");
}

// Host keys

#[test]
fn an_unknown_host_key_is_refused_asked_about_or_accepted() {
    let sshd = Sshd::start(Files::Tar);
    let careful = Target { accept_new: false, ..target(&sshd) };
    let error = refusal(&careful, &mut Answers::default());
    assert!(matches!(error, ConnectError::HostKeyUnknown { .. }) && error.exit_code() == ExitCode::HostKey);
    assert!(hint(&error).contains("--accept-new") && hint(&error).contains("o3r-deploy trust"));
    let mut no = Answers { confirm: [false].into(), ..Answers::default() };
    assert!(matches!(refusal(&careful, &mut no), ConnectError::HostKeyUnknown { .. }));
    assert!(!sshd.path("known_hosts").exists());

    let mut yes = Answers { confirm: [true].into(), ..Answers::default() };
    let ssh = wait(connect(&careful, &mut yes)).unwrap();
    assert!(yes.asked[0].contains(&ssh.host_key_fingerprint()), "{:?}", yes.asked);
    let line = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public("host_ed25519"));
    assert_eq!(fs::read_to_string(sshd.path("known_hosts")).unwrap(), line);

    wait(connect(&careful, &mut Answers::default())).unwrap();
    fs::remove_file(sshd.path("known_hosts")).unwrap();
    wait(connect(&target(&sshd), &mut Answers::default())).unwrap();
    assert_eq!(fs::read_to_string(sshd.path("known_hosts")).unwrap(), line);
}

#[test]
fn a_hashed_name_is_known_and_the_known_type_is_asked_for() {
    let sshd = Sshd::start(Files::Tar);
    let (file, careful) = (sshd.path("known_hosts"), Target { accept_new: false, ..target(&sshd) });
    fs::write(&file, format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public("host_ecdsa"))).unwrap();
    wait(connect(&careful, &mut Answers::default())).unwrap();
    let hashed = std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
    assert!(hashed.status.success() && fs::read_to_string(&file).unwrap().starts_with("|1|"));
    wait(connect(&careful, &mut Answers::default())).unwrap();
}

#[test]
fn a_changed_or_revoked_host_key_is_refused_and_another_type_is_not_accepted_unseen() {
    let sshd = Sshd::start(Files::Tar);
    let (file, host) = (sshd.path("known_hosts"), format!("[127.0.0.1]:{}", sshd.port));
    key(&sshd.path("other"), "ed25519", "");
    let before = format!("{host} {}\n", sshd.public("other"));
    fs::write(&file, &before).unwrap();
    let error = refusal(&target(&sshd), &mut Answers { confirm: [true].into(), ..Answers::default() });
    assert!(matches!(error, ConnectError::HostKeyChanged { line: 1, .. }) && error.exit_code() == ExitCode::HostKey);
    assert!(hint(&error).contains(&format!("`ssh-keygen -R '{host}'`")), "{}", hint(&error));
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    fs::write(&file, format!("@revoked * {}\n", sshd.public("host_ed25519"))).unwrap();
    assert!(matches!(refusal(&target(&sshd), &mut Answers::default()), ConnectError::HostKeyRevoked { .. }));

    key(&sshd.path("rsa"), "rsa", "");
    fs::write(&file, format!("{host} {}\n", sshd.public("rsa"))).unwrap();
    let error = refusal(&target(&sshd), &mut Answers::default());
    assert!(matches!(error, ConnectError::HostKeyUnknown { other_type: true, .. }), "{error}");
    wait(connect(&target(&sshd), &mut Answers { confirm: [true].into(), ..Answers::default() })).unwrap();
}

// Login

#[test]
fn a_named_key_that_is_missing_or_none_is_an_error_of_its_own() {
    let sshd = Sshd::start(Files::Tar);
    for (name, says) in [("missing", "No such file"), ("known", "not a private key")] {
        fs::write(sshd.path("known"), "nothing").unwrap();
        let error = refusal(&Target { identity: Some(sshd.path(name)), ..target(&sshd) }, &mut Answers::default());
        assert!(matches!(&error, ConnectError::Identity { path, .. } if path.ends_with(name)), "{error}");
        assert!(error.to_string().contains(says) && error.exit_code() == ExitCode::LocalFile, "{error}");
    }
}

#[test]
fn a_key_that_is_not_accepted_is_named_with_its_fingerprint() {
    let sshd = Sshd::start(Files::Tar);
    key(&sshd.path("wrong"), "ed25519", "");
    let wrong = Target { identity: Some(sshd.path("wrong")), password: Some(Secret::new("x")), ..target(&sshd) };
    let error = refusal(&wrong, &mut Answers::default());
    let text = error.to_string();
    assert!(text.contains("/wrong` (SHA256:") && error.exit_code() == ExitCode::Authentication, "{text}");
    assert_eq!(hint(&error), "`o3r-deploy trust --IP 127.0.0.1` gives the device a key of yours");
}

#[test]
fn a_good_key_is_found_however_many_wrong_ones_come_first() {
    let sshd = Sshd::with(Files::Tar, "MaxAuthTries 6");
    let mut keys: Vec<_> = (0..14).map(|index| sshd.path(&format!("wrong{index}"))).collect();
    for path in &keys {
        key(path, "ed25519", "");
    }
    keys.push(sshd.path("absent"));
    keys.push(sshd.path("client"));
    wait(connect(&Target { identity: None, keys, ..target(&sshd) }, &mut Answers::default())).unwrap();
}

#[test]
fn the_named_key_comes_first_then_the_agent_then_the_usual_keys() {
    let sshd = Sshd::with(Files::Tar, "LogLevel VERBOSE\nMaxAuthTries 20");
    let names = ["named", "agents", "usual"];
    for name in names {
        key(&sshd.path(name), "ed25519", "");
    }
    let socket = sshd.path("agent");
    let mut agent = std::process::Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait(there(&socket));
    let added = std::process::Command::new("ssh-add").arg("-q").arg(sshd.path("agents")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    let all = Target {
        identity: Some(sshd.path("named")),
        agent: Some(socket),
        keys: vec![sshd.path("usual"), sshd.path("named")],
        ..target(&sshd)
    };
    let ConnectError::NotAccepted { tried, .. } = refusal(&all, &mut Answers::default()) else { panic!("none is accepted") };
    assert!(
        tried.len() == 3 && tried[0].contains("/named`") && tried[1].contains("agent") && tried[2].contains("/usual`"),
        "{tried:?}"
    );
    fs::copy(sshd.path("agents.pub"), sshd.path("authorized_keys")).unwrap();
    wait(connect(&all, &mut Answers::default())).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn an_encrypted_key_is_opened_only_when_the_device_wants_it() {
    let sshd = Sshd::start(Files::Tar);
    key(&sshd.path("locked"), "ed25519", "open sesame");
    let locked = Target { identity: Some(sshd.path("locked")), ..target(&sshd) };
    let mut unasked = Answers { secret: ["open sesame"].into(), ..Answers::default() };
    assert!(matches!(refusal(&locked, &mut unasked), ConnectError::NotAccepted { .. }));
    assert_eq!(unasked.asked, Vec::<String>::new());

    fs::copy(sshd.path("locked.pub"), sshd.path("authorized_keys")).unwrap();
    let error = refusal(&locked, &mut Answers::default());
    assert!(error.to_string().contains("encrypted and not opened"), "{error}");
    let mut typed = Answers { secret: ["wrong", "open sesame"].into(), ..Answers::default() };
    wait(connect(&locked, &mut typed)).unwrap();
    assert!(typed.asked.len() == 2 && typed.asked[0].contains("locked"), "{:?}", typed.asked);
}

#[test]
fn a_certificate_vouches_for_a_key_in_a_file_an_encrypted_one_and_the_agents() {
    let sshd = Sshd::with(Files::Tar, "LogLevel VERBOSE\nMaxAuthTries 20");
    key(&sshd.path("authority"), "ed25519", "");
    for (name, kind, phrase) in [("plain", "ed25519", ""), ("locked", "ecdsa", "open sesame"), ("agents", "ed25519", "")] {
        key(&sshd.path(name), kind, phrase);
        let mut sign = std::process::Command::new("ssh-keygen");
        sign.args(["-q", "-I", name, "-n", "root", "-s"]).arg(sshd.path("authority")).arg(sshd.path(&format!("{name}.pub")));
        assert!(sign.status().unwrap().success());
    }
    let with = |name: &str| Target { identity: Some(sshd.path(name)), ..target(&sshd) };
    let ConnectError::NotAccepted { tried, .. } = refusal(&with("plain"), &mut Answers::default()) else {
        panic!("none is accepted")
    };
    assert!(tried.len() == 2 && tried[0].contains("with its certificate"), "{tried:?}");
    let mut unasked = Answers { secret: ["open sesame"].into(), ..Answers::default() };
    refusal(&with("locked"), &mut unasked);
    assert_eq!(unasked.asked, Vec::<String>::new());

    // From here on the authority is trusted, and no key by itself.
    let authority = fs::read_to_string(sshd.path("authority.pub")).unwrap();
    fs::write(sshd.path("authorized_keys"), format!("cert-authority {authority}")).unwrap();
    wait(connect(&with("plain"), &mut Answers::default())).unwrap();
    wait(connect(&with("locked"), &mut Answers { secret: ["open sesame"].into(), ..Answers::default() })).unwrap();
    let socket = sshd.path("agent");
    let mut agent = std::process::Command::new("ssh-agent");
    let mut agent = agent.arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait(there(&socket));
    let added = std::process::Command::new("ssh-add").arg("-q").arg(sshd.path("agents")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    let by_agent = wait(connect(&Target { identity: None, agent: Some(socket), ..target(&sshd) }, &mut Answers::default()));
    agent.kill().unwrap();
    agent.wait().unwrap();
    by_agent.unwrap();
    for name in ["plain", "locked", "agents"] {
        assert!(sshd.log().contains(&format!("ID {name} ")), "{name}: {}", sshd.log());
    }
    // One for another key is no certificate of this one.
    fs::copy(sshd.path("plain-cert.pub"), sshd.path("other-cert.pub")).unwrap();
    key(&sshd.path("other"), "ed25519", "");
    let ConnectError::NotAccepted { tried, .. } = refusal(&with("other"), &mut Answers::default()) else {
        panic!("none is accepted")
    };
    assert_eq!(tried.len(), 1, "{tried:?}");
}

#[test]
fn rsa_keys_sign_with_sha2() {
    let sshd = Sshd::with(Files::Tar, "LogLevel DEBUG1");
    key(&sshd.path("rsa"), "rsa", "");
    fs::copy(sshd.path("rsa.pub"), sshd.path("authorized_keys")).unwrap();
    wait(connect(&Target { identity: Some(sshd.path("rsa")), ..target(&sshd) }, &mut Answers::default())).unwrap();
    assert!(sshd.log().contains("rsa-sha2-"), "{}", sshd.log());
}

#[test]
fn nobody_is_asked_for_a_password_that_the_device_does_not_take() {
    let sshd = Sshd::start(Files::Tar);
    let old_firmware = Claim { serial: None, old_firmware: true }.now();
    let words = Target { identity: None, password: Some(Secret::new("hunter2")), claim: old_firmware.clone(), ..target(&sshd) };
    let mut typed = Answers { secret: ["a"].into(), ..Answers::default() };
    let ConnectError::NotAccepted { tried, .. } = refusal(&words, &mut typed) else { panic!("none is accepted") };
    assert!(tried.is_empty() && typed.asked.is_empty(), "{tried:?}");
}

#[test]
fn passwords_are_tried_in_order_by_either_method() {
    for method in [MethodKind::Password, MethodKind::KeyboardInteractive] {
        let server = passwords::start(method, "right");
        let to = |password: Option<&str>, old_firmware| Target {
            port: server.port,
            identity: None,
            accept_new: true,
            password: password.map(Secret::new),
            known_hosts: Vec::new(),
            claim: Claim { serial: None, old_firmware }.now(),
            agent: None,
            keys: Vec::new(),
            ..Target::new("127.0.0.1")
        };
        let error = refusal(&to(Some("hunter2"), true), &mut Answers::default());
        assert!(matches!(error, ConnectError::NotAccepted { .. }) && !error.to_string().contains("hunter2"), "{error}");
        assert_eq!(server.seen(), ["hunter2", "oem"]);
        let mut typed = Answers { secret: ["wrong", "right"].into(), ..Answers::default() };
        wait(connect(&to(None, false), &mut typed)).unwrap();
        assert_eq!(server.seen(), ["wrong", "right"]);
        assert!(typed.asked[0].contains("password of oem on 127.0.0.1"), "{:?}", typed.asked);
        wait(connect(&to(Some("right"), true), &mut Answers::default())).unwrap();
        assert_eq!(server.seen(), ["right"]);
    }
}

// What is told

#[test]
fn output_comes_as_it_is_written() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let seen = sshd.path("seen");
        let command = sh("echo first; until [ -e \"$1\" ]; do sleep 0.01; done; echo last >&2").arg(seen.to_str().unwrap());
        let mut pieces = Vec::new();
        let exit = ssh
            .exec(&command, Input::Empty, &mut |stream, bytes| {
                if stream == Stream::Stdout {
                    fs::write(&seen, "").unwrap();
                }
                pieces.push((stream, bytes.to_vec()));
            })
            .await
            .unwrap();
        assert_eq!(pieces, [(Stream::Stdout, b"first\n".to_vec()), (Stream::Stderr, b"last\n".to_vec())]);
        assert!(exit.is_success());
    });
}

// ~/.ssh/config and jump hosts

#[test]
fn what_the_users_ssh_config_says_of_a_host_is_read_by_openssh_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let bench = "Host bench*\n  HostName 192.168.0.70\n  User operator\n  IdentityFile \"~/.ssh/bench key\"\n  IdentityFile /keys/other\n  IdentitiesOnly yes\n";
    fs::write(path("more"), bench).unwrap();
    let config = format!(
        "Include {}\nMatch host 192.168.0.70\n  Port 2222\n  ProxyJump me@gate:2200,inner\n  HostKeyAlias the-bench\nHost other\n  User nobody\n",
        path("more").display()
    );
    fs::write(path("config"), config).unwrap();
    let said = HostConfig::read(&path("config"), "bench1").unwrap();
    let home = std::env::home_dir().unwrap();
    assert_eq!(
        said,
        HostConfig {
            host_name: Some("192.168.0.70".into()),
            user: Some("operator".into()),
            port: Some(2222),
            identities: vec![home.join(".ssh/bench key"), "/keys/other".into()],
            identities_only: true,
            alias: Some("the-bench".into()),
            jump: Some("me@gate:2200,inner".into()),
        }
    );
    assert_eq!(HostConfig::read(&path("config"), "elsewhere").unwrap(), HostConfig::default());
    fs::write(path("config"), "Host x\n  Nonsense yes\n").unwrap();
    let error = HostConfig::read(&path("config"), "x").unwrap_err();
    assert!(
        error.to_string().contains("Bad configuration option") || error.to_string().contains("bad configuration"),
        "{error}"
    );
    assert_eq!(error.exit_code(), ExitCode::Usage);
}

#[test]
fn a_jump_host_carries_the_connection_and_each_host_key_is_judged() {
    let (gate, device) = (Sshd::start(Files::Tar), Sshd::start(Files::Tar));
    let through = Target { jump: Some(Box::new(target(&gate))), ..target(&device) };
    wait(async {
        let ssh = connect(&through, &mut Answers::default()).await.unwrap();
        let output = ssh.run(&sh("echo $SSH_CONNECTION"), Input::Empty).await.unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.trim_end().ends_with(&device.port.to_string()), "{shown}");
        assert!(gate.log().contains("Accepted publickey") || !gate.log().is_empty());
        ssh.disconnect().await;
        // Neither key is taken unseen.
        for strange in [&gate, &device] {
            let empty = strange.path("nobody_known");
            let mut again = through.clone();
            let judged = if strange.port == gate.port { again.jump.as_deref_mut().unwrap() } else { &mut again };
            (judged.known_hosts, judged.accept_new) = (vec![empty], false);
            let error = connect(&again, &mut Answers::default()).await.err().unwrap();
            assert!(matches!(error, ConnectError::HostKeyUnknown { .. }), "{error}");
        }
        let nowhere = Target { port: 1, ..through.clone() };
        let error = connect(&nowhere, &mut Answers::default()).await.err().unwrap();
        assert!(matches!(error, ConnectError::NoWay { .. }), "{error}");
        assert_eq!(error.exit_code(), ExitCode::Unreachable);
    });
}
