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
    failure::{Explain, FailureKind},
    remote::{
        Downloaded, Exit, FileRange, Get, Input, Put, Remote, RemoteError, Stream, TarDownload, TarUpload,
        ssh::{Ask, Claim, ConnectError, HostConfig, Password, Ssh, Target, connect},
    },
    secret::Secret,
};
use russh::MethodKind;
use support::{
    passwords,
    proxy::{self, Fault},
    sshd::{Files, Sshd, key},
};

mod commands;
mod connection;
mod host_keys;
mod login;
mod program;
mod shell;
#[path = "../support/mod.rs"]
mod support;
mod transfers;

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
    ssh.put(&TarUpload { command: &command, head: Vec::new(), directories: &[], files: puts, links: &[] }, progress).await
}

/// Gets files by their names.
async fn get(ssh: &Ssh, gets: &[Get], progress: &mut dyn FnMut(u64)) -> Result<Vec<Downloaded>, RemoteError> {
    let names: Vec<_> = gets.iter().map(|get| get.remote.trim_start_matches('/').to_owned()).collect();
    ssh.get(&TarDownload { command: &files::give(), input: path_lines(&names), files: gets }, progress).await
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

fn endless() -> tokio::sync::mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, pieces) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || while sender.blocking_send(Ok(vec![7; 256 << 10])).is_ok() {});
    pieces
}

async fn there(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
