//! A device that lies: whatever it answers, the program takes bounded memory and time and writes nothing outside its folder.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sshd::{Files, Sshd};

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "support/sshd.rs"]
mod sshd;

/// What the program may take at its peak, in kilobytes; what it keeps of a command's output is 64 MiB.
const MEMORY: u64 = 400 << 10;
/// How long it may take.
const TIME: Duration = Duration::from_secs(60);

/// The beginning of an honest answer to the probe; `$nonce` marks its sections.
const HONEST: &str = r"section() { printf '\n%s %s\n' $nonce $1; }
section system; echo aarch64; date +%s; section emulators; section docker; echo 20.10.24";

/// How it went.
struct Ended {
    code: Option<i32>,
    said: String,
    peak: u64,
    took: Duration,
    home: tempfile::TempDir,
}

/// Runs the program against a device that answers the probe with the script `probe` and a request for files with `files`.
fn against(probe: &str, files: &str, words: &[&str]) -> Ended {
    let script = tempfile::tempdir().expect("a folder");
    let path = script.path().join("lie");
    let text = format!(
        "#!/bin/sh\nnonces=$(printf %s \"$SSH_ORIGINAL_COMMAND\" | grep -o '@[0-9a-f]\\{{32\\}}@')\n\
         mark=$(echo \"$nonces\" | head -n 1)\nnonce=$(echo \"$nonces\" | tail -n 1)\necho $mark\necho $mark >&2\n\
         case $SSH_ORIGINAL_COMMAND in\n*'# reads what is there'*) cat >/dev/null\n{probe}\n;;\n*'# gives files'*) cat >/dev/null\n{files}\n;;\n*'# names the first'*) cat >/dev/null ;;\n*) exit 1 ;;\nesac\n"
    );
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("allowed");
    fs::set_permissions(script.path(), fs::Permissions::from_mode(0o755)).expect("allowed");
    let sshd = Sshd::with(Files::Tar, &format!("ForceCommand {}", path.display()));
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_o3r-deploy"));
    command.args(["--IP", "127.0.0.1", "--port", &sshd.port.to_string(), "--user", "root", "--accept-new", "--identity"]);
    command.arg(sshd.path("client")).args(words).env("HOME", home.path()).current_dir(home.path()).env_remove("SSH_AUTH_SOCK");
    let said = home.path().join("said");
    let open = || fs::File::options().create(true).append(true).open(&said).expect("opened");
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(open()).stderr(open()).spawn().expect("it starts");
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("asked") {
            break Some(status);
        }
        let memory = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next());
        peak = line.and_then(|figure| figure.parse().ok()).unwrap_or(peak);
        if begin.elapsed() > TIME {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = String::from_utf8_lossy(&fs::read(&said).expect("read")).into_owned();
    let ended = Ended { code: status.and_then(|status| status.code()), said: text, peak, took: begin.elapsed(), home };
    eprintln!(
        "peak {} MB, {:.1} s: {}",
        ended.peak >> 10,
        ended.took.as_secs_f64(),
        ended.said.lines().last().unwrap_or_default()
    );
    assert!(ended.took < TIME, "it takes for ever: {}", ended.said);
    assert!(ended.peak < MEMORY, "{} MB at the peak: {}", ended.peak >> 10, ended.said);
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!ended.said.contains(steers), "what is said steers the terminal: {:?}", ended.said);
    ended
}

const LOGS: [&str; 4] = ["--get_logs_from_vpu", "/logs>got", "--dirs_to_make=", "--append_deployment_timestamp_to="];

/// All files below the home but what is the program's own.
fn fetched(home: &Path) -> Vec<String> {
    let output = Command::new("find")
        .args([
            ".",
            "-path",
            "./o3r_logs",
            "-prune",
            "-o",
            "-path",
            "./.ssh",
            "-prune",
            "-o",
            "-path",
            "./.cache",
            "-prune",
            "-o",
        ])
        .args(["-name", "said", "-o", "-mindepth", "1", "!", "-type", "d", "-print"])
        .current_dir(home)
        .output()
        .expect("find runs");
    let mut names: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn output_without_end_is_ended() {
    for endless in ["exec yes", "printf '\\n%s system\\n' $nonce; exec tr '\\0' a </dev/zero", "exec yes >&2"] {
        let ended = against(endless, "", &LOGS);
        assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.said);
        assert!(ended.said.contains("sent more than 64 MiB"), "{}", ended.said);
    }
}

#[test]
fn a_listing_without_end_is_ended() {
    let listing = format!(
        "{HONEST}\nsection tree; printf '/logs\\0'; n=0; exec awk 'BEGIN {{ while (1) printf \"/logs/%d%c\", n++, 0 }}'"
    );
    let ended = against(&listing, "", &LOGS);
    assert_eq!(ended.code, Some(7), "{}", ended.said);
    assert!(ended.said.contains("sent more than 64 MiB"), "{}", ended.said);
}

/// A listing of these names below `/logs`, each a readable file of five bytes.
fn listing(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("\"$(printf '{name}')\"")).collect();
    format!(
        "{HONEST}\nsection tree; printf '/logs\\0'; for n in {0}; do printf './%s\\0' \"$n\"; done; printf '\\0'\n\
         for n in {0}; do printf '81a4 5 ./%s\\n' \"$n\"; done; printf '\\0'; for n in {0}; do printf r; done; printf '\\0end'\n\
         section paths; section end",
        quoted.join(" ")
    )
}

#[test]
fn names_that_climb_or_steer_the_terminal_stay_in_the_folder() {
    let names = ["../../../evil", "/etc/evil", "a/../../evil", "good", "\\033[2J\\033]0;owned\\007name", "..", "x/./y"];
    // The archive has what was asked for, and more.
    let files = r"work=$(mktemp -d); mkdir -p $work/logs/x; cd $work; for n in logs/good logs/x/y evil; do echo evil >$n; done
        tar -c -P --transform 's,^evil$,../../../../evil,' -f - ./logs/good ./logs/x/y evil; rm -r $work";
    let ended = against(&listing(&names), files, &LOGS);
    let found = fetched(ended.home.path());
    assert!(found.iter().all(|name| name.starts_with("./got/")), "{found:?}");
    assert!(found.iter().any(|name| name.ends_with("/good")), "{found:?} {}", ended.said);
    assert!(!found.iter().any(|name| name.contains("evil")), "{found:?}");
    let above = ended.home.path().parent().expect("a parent").join("evil");
    assert!(!above.exists() && !Path::new("/etc/evil").exists());
}

#[test]
fn an_archive_with_links_instead_of_files_writes_nothing_through_them() {
    let files = r"work=$(mktemp -d); mkdir $work/logs; cd $work; ln -s /etc/hostname logs/good; ln -s ../.. logs/dir
        tar -c -f - ./logs/dir ./logs/good; rm logs/dir logs/good; mkdir logs/dir; echo evil >logs/dir/evil; tar -c -f - ./logs/dir/evil; rm -r $work";
    let ended = against(&listing(&["good", "dir", "dir/evil"]), files, &LOGS);
    let links = Command::new("find").args(["got", "-type", "l"]).current_dir(ended.home.path()).output().expect("find runs");
    assert_eq!(String::from_utf8_lossy(&links.stdout), "", "no link comes from the device");
    assert!(fetched(ended.home.path()).iter().all(|name| name.starts_with("./got/")), "{:?}", fetched(ended.home.path()));
}

#[test]
fn the_program_leaves_no_core() {
    use std::os::unix::process::ExitStatusExt;
    // Somebody who says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port().to_string();
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -c unlimited; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_o3r-deploy"),
        "--IP",
        "127.0.0.1",
        "--port",
        &port,
    ]);
    command.env("HOME", home.path()).current_dir(home.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let _connection = silent.accept().expect("it connects");
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
    let kill = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().expect("kill runs");
    assert!(kill.success());
    let status = child.wait().expect("it ends");
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
