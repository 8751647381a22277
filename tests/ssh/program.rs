//! The program itself while it connects.

use std::process::{Child, Command as Process, Stdio};

use super::*;

/// Starts the program in a home of its own, with a device that is a port here.
fn start(home: &Path, words: &[&str], port: u16) -> Child {
    let mut process = Process::new(env!("CARGO_BIN_EXE_o3r-deploy"));
    process.args(words).args(["--IP", "127.0.0.1", "--port", &port.to_string()]);
    process.env("HOME", home).env("PATH", format!("{}:/usr/bin:/bin", home.join("bin").display())).current_dir(home);
    process.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process.spawn().expect("it starts")
}

/// A home with an `ssh` that notes its calls, and then does so.
fn home_with_ssh(script: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in ["bin", ".ssh"] {
        fs::create_dir(home.path().join(folder)).unwrap();
    }
    fs::write(home.path().join(".ssh/config"), "Host *\n  Compression no\n").unwrap();
    let program = home.path().join("bin/ssh");
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}/calls\n{script}\n", home.path().display())).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    home
}

#[test]
fn users_ssh_config_is_asked_once_for_a_connection_that_is_refused() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for words in
        [&["plan"][..], &["history"], &["doctor"], &["verify", "--docker_compose_to_initialize", "~/app/docker-compose.yml"]]
    {
        let home = home_with_ssh("exec /usr/bin/ssh \"$@\"");
        let output = start(home.path(), words, closed).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(4), "{words:?} {said}");
        assert_eq!(fs::read_to_string(home.path().join("calls")).unwrap().lines().count(), 1, "{words:?}");
    }
}

#[test]
fn users_ssh_config_that_runs_for_ever_is_waited_for_within_a_bound() {
    let home = home_with_ssh("exec sleep 60");
    let begin = Instant::now();
    let output = start(home.path(), &["plan"], 1).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("does not answer within 10 s"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn ctrl_c_while_connecting_is_told_and_ends_with_its_exit_code() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for (words, event) in [(&["--json"][..], true), (&["plan", "--json"], true), (&["history"], false), (&["doctor"], false)] {
        let home = tempfile::tempdir().unwrap();
        let child = start(home.path(), words, port);
        // It has connected, and waits for a greeting that does not come.
        let (_greeted, _) = silent.accept().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        Process::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{words:?} {said}");
        assert!(said.contains("interrupted") && said.contains("\"finished\"") == event, "{words:?} {said}");
    }
}
