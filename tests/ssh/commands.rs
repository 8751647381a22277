//! Commands, and what is told of them.

use super::*;

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
