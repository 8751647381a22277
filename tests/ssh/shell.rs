//! What the login shell says and does before it comes to a command, and commands that never end.

use super::*;

/// An sshd whose login shell reads this file first, as it does `~/.bashrc`.
fn with_bashrc(text: &str) -> Sshd {
    let folder = tempfile::tempdir().unwrap().keep();
    fs::write(folder.join(".bashrc"), text).unwrap();
    let home = folder.display();
    Sshd::with(Files::Tar, &format!("SetEnv BASH_ENV={home}/.bashrc HOME={home}"))
}

#[test]
fn answers_are_found_behind_what_the_login_shell_says() {
    let sshd = with_bashrc("echo hello\nprintf 'no line end'\necho '-bash: warning: setlocale' >&2\n");
    wait(async {
        let ssh = log_in(&sshd).await;
        for input in ["", "several\nlines\n"] {
            let output = ssh.run(&sh("cat; echo own >&2; exit 4"), Input::Bytes(input.into())).await.unwrap();
            assert_eq!((output.stdout, output.stderr), (input.as_bytes().to_vec(), b"own\n".to_vec()));
            assert_eq!(output.exit, Exit::Code(4));
        }
        fs::write(sshd.path("file"), "content").unwrap();
        let puts = [Put { local: sshd.path("file"), remote: sshd.path("copy").display().to_string(), mode: 0o644 }];
        put(&ssh, &puts, &mut |_| ()).await.unwrap();
        let gets = [Get { remote: sshd.path("copy").display().to_string(), local: sshd.path("back") }];
        assert_eq!(get(&ssh, &gets, &mut |_| ()).await.unwrap(), [Downloaded::Bytes(7)]);
        assert_eq!(fs::read_to_string(sshd.path("back")).unwrap(), "content");
    });
}

#[test]
fn a_login_shell_that_reads_standard_input_is_named_and_gets_none_of_it() {
    let sshd = with_bashrc("echo reads; read -r line; echo \"$line\" >>\"$HOME/stolen\"\n");
    wait(async {
        let ssh = log_in(&sshd).await;
        let begin = Instant::now();
        let error = ssh.run(&sh("cat"), Input::Bytes(b"secret\n".to_vec())).await.unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
        assert_eq!(
            error.to_string(),
            "the login shell of `root` on the device does not come to the command within 20 s: reads"
        );
        assert_eq!((error.kind(), error.kind().exit_code() as u8), (FailureKind::LoginShell, 15));
        assert!(hint(&error).contains(".bashrc"));
    });
}

#[test]
fn a_login_shell_that_ends_before_the_command_is_named() {
    for (bashrc, says) in [
        ("echo 'not for you'\nexit 3\n", "ended before the command began (exit code 3): not for you"),
        ("exit\n", "ended before the command began (exit code 0)"),
    ] {
        let sshd = with_bashrc(bashrc);
        wait(async {
            let ssh = log_in(&sshd).await;
            let error = ssh.run(&sh("echo on"), Input::Empty).await.unwrap_err();
            assert_eq!(error.to_string(), format!("the login shell of `root` on the device {says}"));
            assert_eq!(error.kind(), FailureKind::LoginShell);
        });
    }
}

#[test]
fn a_command_that_falls_silent_is_given_up() {
    let sshd = Sshd::start(Files::Tar);
    wait(async {
        let ssh = log_in(&sshd).await;
        let command = sh("# talks and then waits\necho on; exec sleep 60").silent_for(Duration::from_secs(2));
        let begin = Instant::now();
        let error = ssh.run(&command, Input::Empty).await.unwrap_err();
        assert!((2..10).contains(&begin.elapsed().as_secs()));
        assert_eq!(error.to_string(), "`sh -c '# talks and then waits…' sh` on the device timed out after a silence of 2 s");
        assert_eq!((error.kind(), error.kind().exit_code() as u8), (FailureKind::Silent, 7));
        // One that talks now and then, and one that waits for input of this side's, may take as long as they like.
        let command = sh("for i in 1 2 3 4; do sleep 1; echo on; done").silent_for(Duration::from_secs(2));
        assert_eq!(ssh.run(&command, Input::Empty).await.unwrap().stdout, b"on\non\non\non\n");
        let (sender, pieces) = tokio::sync::mpsc::channel(1);
        let mut output = |_, _: &[u8]| ();
        let command = sh("cat").silent_for(Duration::from_secs(1));
        let (exit, ()) = tokio::join!(ssh.exec(&command, Input::Pieces(pieces), &mut output), async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(sender);
        });
        assert_eq!(exit.unwrap(), Exit::Code(0));
    });
}

#[test]
fn a_device_with_one_session_a_connection_refuses_the_second_and_says_why() {
    let sshd = Sshd::with(Files::Tar, "MaxSessions 1");
    wait(async {
        let ssh = log_in(&sshd).await;
        for number in 0..3 {
            let command = sh("echo $1").arg(number.to_string());
            assert!(ssh.run(&command, Input::Empty).await.unwrap().exit.is_success(), "one after the other they run");
        }
        let (lasting, (held, pieces)) = (sh("cat"), tokio::sync::mpsc::channel(1));
        let mut output = |_, _: &[u8]| ();
        let second = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let error = ssh.run(&Command::new("true"), Input::Empty).await.unwrap_err();
            drop(held);
            error
        };
        let (exit, error) = tokio::join!(ssh.exec(&lasting, Input::Pieces(pieces), &mut output), second);
        assert_eq!(exit.unwrap(), Exit::Code(0));
        assert_eq!(
            error.to_string(),
            "the device's sshd does not run `true`: it allows one session a connection, and two are needed"
        );
        assert_eq!((error.kind(), error.kind().exit_code() as u8), (FailureKind::Sessions, 15));
    });
}

#[test]
fn commands_take_turns_where_the_device_has_room_for_one_beside_a_lasting_one() {
    let sshd = Sshd::with(Files::Tar, "MaxSessions 2");
    wait(async {
        let ssh = log_in(&sshd).await;
        let (lasting, (held, pieces)) = (sh("cat"), tokio::sync::mpsc::channel(1));
        let mut output = |_, _: &[u8]| ();
        let others = async {
            let command = sh("sleep 1; echo on");
            let runs = (0..4).map(|_| ssh.run(&command, Input::Empty));
            let outputs = futures_util::future::join_all(runs).await;
            drop(held);
            outputs
        };
        let (exit, outputs) = tokio::join!(ssh.exec(&lasting, Input::Pieces(pieces), &mut output), others);
        assert_eq!(exit.unwrap(), Exit::Code(0));
        assert!(outputs.into_iter().all(|output| output.unwrap().stdout == b"on\n"));
    });
}
