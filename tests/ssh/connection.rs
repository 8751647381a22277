//! How a connection comes about, through a jump host, too, and how it breaks.

use super::*;

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
        assert_eq!(error.kind(), FailureKind::ConnectionLost);
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
    assert!(matches!(error, ConnectError::NotSsh { .. }) && error.kind() == FailureKind::Unreachable, "{error}");
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
    let said = wait(HostConfig::read(&path("config"), "bench1")).unwrap();
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
    assert_eq!(wait(HostConfig::read(&path("config"), "elsewhere")).unwrap(), HostConfig::default());
    fs::write(path("config"), "Host x\n  Nonsense yes\n").unwrap();
    let error = wait(HostConfig::read(&path("config"), "x")).unwrap_err();
    assert!(
        error.to_string().contains("Bad configuration option") || error.to_string().contains("bad configuration"),
        "{error}"
    );
    assert_eq!(error.kind(), FailureKind::Usage);
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
        assert_eq!(error.kind(), FailureKind::Unreachable);
    });
}
