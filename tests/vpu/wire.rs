//! What travels: of logs that have grown only the ends, of large files that broke off only the rest.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    device::{BUSYBOX, Kind, OVP80X, OVP81X, Vpu, must},
    failures::words,
    witness::{listing, wait_for},
};

/// Runs the program, which must succeed; gives the bytes sent and received on its socket.
fn traffic(vpu: &Vpu, more: &[&str]) -> (u64, u64) {
    let said = vpu.succeed(&[more, &["--json"]].concat());
    let line = said.lines().find(|line| line.contains(r#""event":"traffic""#)).expect("traffic is told");
    let event: Value = serde_json::from_str(line).expect("JSON");
    let number = |key: &str| event.get(key).and_then(Value::as_u64).expect("a number");
    (number("sent"), number("received"))
}

fn pulled(vpu: &Vpu) -> PathBuf {
    vpu.home.path().join(format!("o3r_logs/From_VPUs/sn{}/logs", vpu.serial()))
}

/// Every file below a folder by its digest, as `sha256sum` says, without older generations.
const DIGESTS: &str = "find . -type f ! -name '*~' -exec sha256sum {} + | sort -k 2";

fn same_on_both_sides(vpu: &Vpu) {
    let here = Command::new("sh").args(["-c", DIGESTS]).current_dir(pulled(vpu)).output().expect("sh runs");
    assert_eq!(String::from_utf8_lossy(&here.stdout), vpu.root(&format!("cd /home/oem/share/logs && {DIGESTS}")));
}

fn logs_travel_by_their_ends(kind: Kind) {
    let vpu = Vpu::trusted(kind);
    let logs = "/home/oem/share/logs";
    vpu.root(&format!(
        "mkdir -p {logs}/sub && cd {logs} && for n in $(seq 300); do head -c 9000 /dev/urandom | od -An -tx1 > sub/app_$n.log; done; head -c 9M /dev/urandom > large.log; chown -R oem /home/oem/share"
    ));
    let (_, first) = traffic(&vpu, &[]);
    same_on_both_sides(&vpu);
    assert!(first > 15_000_000, "{first}");
    let (sent, received) = traffic(&vpu, &[]);
    assert!(sent + received < 40_000, "{sent} and {received} where nothing is new");

    // Three have grown, the large one among them; what came between the runs is all that travels.
    vpu.root(&format!(
        "cd {logs} && for f in sub/app_7.log sub/app_70.log large.log; do head -c 20000 /dev/urandom >> $f; done"
    ));
    let (sent, received) = traffic(&vpu, &[]);
    same_on_both_sides(&vpu);
    assert!((60_000..100_000).contains(&(sent + received)), "{sent} and {received} for three ends of 20,000");

    // The clock says nothing: a file of the same size and time with another content is fetched, one that was begun anew is
    // fetched whole, one that became shorter as well, and one that goes stays here.
    let kept = fs::read(pulled(&vpu).join("sub/app_5.log")).expect("there");
    vpu.root(&format!(
        "cd {logs}/sub && touch -r app_1.log time && tr 0-9 1-90 < app_1.log > new && cat new > app_1.log && touch -r time app_1.log && rm new time && mv app_2.log app_2.log.1 && (cat app_3.log app_3.log | tr a-f b-fa) > app_2.log && head -c 100 app_4.log > short && cat short > app_4.log && rm short app_5.log"
    ));
    traffic(&vpu, &[]);
    let stays = pulled(&vpu).join("sub/app_5.log");
    assert_eq!(fs::read(&stays).expect("it stays"), kept);
    fs::remove_file(stays).expect("removed");
    same_on_both_sides(&vpu);
}

#[test]
fn logs_travel_by_their_ends_and_are_right_whatever_the_clock_says_with_sftp() {
    logs_travel_by_their_ends(OVP81X);
}

#[test]
fn logs_travel_by_their_ends_and_are_right_whatever_the_clock_says_on_a_busybox() {
    logs_travel_by_their_ends(BUSYBOX);
}

/// The size of a large file, and how much of it is there when the line is cut, in bytes.
const SIZE: u64 = 60_000_000;
const CUT: u64 = 20_000_000;
const TWICE: u64 = 4 << 20;

fn large_files_go_on(kind: Kind) {
    let vpu = Vpu::trusted(kind);
    let large: Vec<u8> = (0..SIZE).map(|at| (at * 31 / 7 % 251) as u8).collect();
    vpu.write("large", &large);
    let to = words(&["--transfers_to_vpu", "large,~/there/large"]);
    let once = [&to[..], &["--reconnects", "0"]].concat();
    let mut running = vpu.command(&once).spawn().expect("the program runs");
    vpu.root("timeout 60 sh -c 'until [ -n \"$(find /home/oem/.o3r-deploy-incoming/there/large -size +19531k 2>/dev/null)\" ]; do :; done' && kill $(pgrep -u oem -x sshd)");
    assert_eq!(running.wait().expect("it ends").code(), Some(12));
    assert_eq!(vpu.root("find /home/oem/there -name large 2>/dev/null; true"), "", "nothing is half there under its name");
    let arrived: u64 = vpu.root("stat -c %s /home/oem/.o3r-deploy-incoming/there/large").trim().parse().expect("a size");
    assert!((CUT - 10_000..=SIZE).contains(&arrived), "{arrived}");
    let (sent, _) = traffic(&vpu, &to);
    assert!(sent < SIZE - arrived + TWICE, "{sent} sent again after {arrived}");
    let here = must(Command::new("sh").args(["-c", "sha256sum < large"]).current_dir(vpu.home.path()));
    assert_eq!(vpu.ssh("sha256sum < ~/there/large"), here);
    assert_eq!(vpu.root("find /home/oem -name .o3r-deploy-incoming"), "");
    wait_for("the end of all that served it", || vpu.root("pgrep -u oem -x 'cat|tar|sleep'; true").is_empty().then_some(()));

    // And back: the laptop's program is killed outright.
    let from = words(&["--transfers_from_vpu", "~/there/large,back/"]);
    // Each run has a directory of its own there.
    let incoming = vpu.home.path().join("back/.o3r-deploy-incoming");
    let arrived = || {
        let parts = if incoming.exists() { listing(&incoming) } else { Vec::new() };
        parts.iter().filter_map(|part| fs::metadata(incoming.join(part)).ok()).map(|metadata| metadata.len()).max().unwrap_or(0)
    };
    let mut running = vpu.command(&from).spawn().expect("the program runs");
    let begin = Instant::now();
    while arrived() < CUT {
        assert!(begin.elapsed() < Duration::from_secs(60), "it arrives");
    }
    running.kill().expect("killed");
    running.wait().expect("it ended");
    let arrived = arrived();
    assert!(arrived >= CUT, "it stays");
    assert!(!vpu.home.path().join("back/large").exists());
    let (_, received) = traffic(&vpu, &from);
    assert!(received < SIZE - arrived + TWICE, "{received} received again after {arrived}");
    assert!(fs::read(vpu.home.path().join("back/large")).expect("there") == large);
    assert!(!incoming.exists());

    // What is there in part and is not the beginning of what is to be sent is of no use.
    vpu.ssh("mkdir -p ~/other/.o3r-deploy-incoming && head -c 30000000 /dev/zero > ~/other/.o3r-deploy-incoming/large && echo x > ~/other/.o3r-deploy-incoming/else");
    vpu.succeed(&words(&["--transfers_to_vpu", "large,~/other/large"]));
    assert_eq!(vpu.ssh("cmp ~/other/large ~/there/large && ls -A ~/other"), "large\n");
    let (sent, _) = traffic(&vpu, &words(&["--transfers_to_vpu", "large,~/other/large"]));
    assert!(sent < 40_000, "{sent} where nothing is new");
}

#[test]
fn a_large_file_goes_on_after_a_cut_and_after_a_kill_with_sftp() {
    large_files_go_on(OVP81X);
}

#[test]
fn a_large_file_goes_on_after_a_cut_and_after_a_kill_without_sftp() {
    large_files_go_on(OVP80X);
}
