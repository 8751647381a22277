//! Files and trees, both ways.

use super::*;

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
            assert_eq!(*got, Downloaded::Vanished, "{files:?}");
            continue;
        }
        let there = fs::read(there.join(name)).unwrap();
        assert_eq!(*got, Downloaded::Bytes(there.len() as u64), "{files:?} {name}");
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
                assert!(
                    content == fs::read(&get.local).unwrap() && got == Downloaded::Bytes(content.len() as u64),
                    "{files:?}"
                );
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
        assert_eq!(got.unwrap(), [Downloaded::Bytes(content.len() as u64)], "{files:?}");
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
            assert_eq!(error.kind(), FailureKind::NoSpace);
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
        let rest = |local: &Path, from| FileRange { remote: there.display().to_string(), local: local.into(), from, to: SIZE };
        let append = |from| files::append(&there.display().to_string(), from, &(from..SIZE), Some(0o640));
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
            let shorter = FileRange { to: SIZE - 1, ..rest(&back, 0) };
            ssh.take(&files::give_rest(&there.display().to_string(), 0), &shorter, &mut |_| ()).await.unwrap();
            assert_eq!(fs::metadata(&back).unwrap().len(), SIZE - 1);
            let longer = FileRange { to: SIZE + 1, ..rest(&back, have) };
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
