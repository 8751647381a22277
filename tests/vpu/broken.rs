//! What goes wrong in the middle: Ctrl-C, a full disk, a command killed on the device, a connection that is lost, an application
//! that does not run.

use std::{
    process::{Child, Output, Stdio},
    thread,
};

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu, text},
    failures::words,
    images::{Image, noise},
    proxy::{Fault, Proxy},
};

/// Larger than what is under way at once, so that the middle is long enough to be caught.
const LARGE: usize = 24 << 20;

/// A program that runs, its output drained.
struct Running {
    pid: u32,
    ends: thread::JoinHandle<Output>,
}

impl Running {
    fn start(vpu: &Vpu, words: &[&str]) -> Self {
        let child: Child = vpu.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        Self { pid: child.id(), ends: thread::spawn(move || child.wait_with_output().expect("it ends")) }
    }

    /// Presses Ctrl-C.
    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid.try_into().expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    }

    /// Waits for the end, which has to be with `code`; gives why.
    #[track_caller]
    fn ends(self, vpu: &Vpu, code: i32) -> String {
        let output = self.ends.join().expect("joined");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        vpu.why(&text(&output))
    }
}

impl Vpu {
    /// Waits on the device until `condition` holds, and does `then` at once.
    fn as_soon_as(&self, condition: &str, then: &str) {
        self.root(&format!("timeout 20 sh -c 'until {condition}; do :; done' && {{ {then}; }}"));
    }
}

/// Something has arrived in an incoming directory.
const ARRIVING: &str = r#"[ -n "$(find /home/oem -path "*/.o3r-deploy-incoming/*" -size +1 2>/dev/null)" ]"#;

/// The process on the device that takes files, while it does, or gives them.
const FILES: &str = "$(pgrep -u oem -f \"^(tar -x.*|cat|cat -- .*)$\" | head -n 1)";

/// The process on the device that gives a file.
const GIVING: &str = "[ -n \"$(pgrep -u oem -f \"^cat -- \")\" ]";

/// Sends a signal to it; one that just ended is followed by the next.
fn signal(name: &str) -> String {
    format!("timeout 20 sh -c 'until kill -{name} {FILES} 2>/dev/null; do :; done'")
}

fn with_files(kind: Kind) -> Vpu {
    let vpu = Vpu::trusted(kind);
    vpu.write("tree/sub/large", noise(LARGE));
    for number in 0..200 {
        vpu.write(&format!("tree/{number}"), noise(40_000));
    }
    vpu.ssh("mkdir -p ~/there/sub ~/empty && echo old > ~/there/sub/large && mkdir ~/out && truncate -s 256M ~/out/large");
    vpu
}

#[test]
fn a_transfer_that_is_interrupted_leaves_nothing_behind() {
    for kind in [OVP81X, OVP80X] {
        let vpu = with_files(kind);
        let before = vpu.whole_state();
        for destination in ["tree,~/there", "tree,~/new/deep/er", "tree,~/empty"] {
            let running = Running::start(&vpu, &words(&["--transfers_to_vpu", destination]));
            vpu.as_soon_as(ARRIVING, &signal("STOP"));
            running.interrupt();
            vpu.root(&format!("kill -CONT {FILES}"));
            insta::allow_duplicates! { insta::assert_snapshot!(running.ends(&vpu, 130), @"
            error: transfers: interrupted
            hint: run the same command again: what is finished is not done twice
            "); }
            vpu.assert_as_before(&before);
        }
        let running = Running::start(&vpu, &words(&["--transfers_from_vpu", "~/out,got/deep"]));
        vpu.as_soon_as(GIVING, &signal("STOP"));
        running.interrupt();
        vpu.root(&format!("kill -CONT {FILES}"));
        insta::allow_duplicates! { insta::assert_snapshot!(running.ends(&vpu, 130), @"
        error: transfers: interrupted
        hint: run the same command again: what is finished is not done twice
        "); }
        vpu.assert_as_before(&before);
    }
}

#[test]
fn a_transfer_whose_command_is_killed_leaves_nothing_behind() {
    for kind in [OVP81X, OVP80X] {
        let vpu = with_files(kind);
        let before = vpu.whole_state();
        let running = Running::start(&vpu, &words(&["--transfers_to_vpu", "tree,~/new"]));
        vpu.as_soon_as(ARRIVING, &signal("KILL"));
        // Small files and large ones travel by commands of their own.
        let sent = running.ends(&vpu, 7);
        let small = "error: transfers: `sh -c '# takes files in and moves them into their place…' sh .o3r-deploy-incoming take` failed on the device: exit code 137: Killed\n  last lines:\n  | Killed";
        let large = "error: transfers: `/home/oem/new/sub/large` on the device: Killed";
        assert!([small, large].contains(&sent.trim_end()), "{sent}");
        vpu.assert_as_before(&before);
        let running = Running::start(&vpu, &words(&["--transfers_from_vpu", "~/out,got"]));
        vpu.as_soon_as(GIVING, &signal("KILL"));
        insta::allow_duplicates! { insta::assert_snapshot!(running.ends(&vpu, 7), @"
        error: transfers: `sh -c '# gives a large file, or the rest of one…' sh /home/oem/out/large 0` failed on the device: exit code 137: Killed
          last lines:
          | Killed
        "); }
        vpu.assert_as_before(&before);
    }
}

#[test]
fn after_a_lost_connection_nothing_is_half_there_and_the_next_run_finishes_the_work() {
    for kind in [OVP81X, OVP80X] {
        let vpu = with_files(kind);
        let transfer = words(&["--transfers_to_vpu", "tree,~/there"]);
        let once = ["--reconnects", "0"];
        let running = Running::start(&vpu, &[&transfer[..], &once].concat());
        vpu.as_soon_as(ARRIVING, "kill $(pgrep -u oem -x sshd)");
        insta::allow_duplicates! { insta::assert_snapshot!(running.ends(&vpu, 12), @"
        error: transfers: the connection to the device was lost: it ended in the middle
        hint: check cable and power, then run the same command again: what is finished is not done twice
        "); }
        assert_eq!(vpu.ssh("cat ~/there/sub/large"), "old\n");
        vpu.succeed(&transfer);
        assert_eq!(vpu.root("find /home/oem -name .o3r-deploy-incoming"), "");
        assert_eq!(vpu.root("cat /home/oem/there/sub/large").len(), String::from_utf8_lossy(&noise(LARGE)).len());
        vpu.succeed(&transfer);

        let before = vpu.whole_state();
        let running = Running::start(&vpu, &words(&["--transfers_from_vpu", "~/out,got", "--reconnects", "0"]));
        vpu.as_soon_as(GIVING, "kill $(pgrep -u oem -x sshd)");
        running.ends(&vpu, 12);
        assert!(!vpu.home.path().join("got/large").exists());
        // What came stays for the next run.
        vpu.succeed(&words(&["--transfers_from_vpu", "~/out,got"]));
        assert!(!vpu.home.path().join("got/.o3r-deploy-incoming").exists());
        std::fs::remove_dir_all(vpu.home.path().join("got")).expect("removed");
        vpu.assert_as_before(&before);
    }
}

#[test]
fn an_image_that_does_not_arrive_whole_leaves_nothing_behind() {
    let vpu = Vpu::trusted(OVP81X);
    let archive = vpu.home.path().join("app.tar");
    Image::new("app:1", "sleep 1000").file("ballast", 0o644, noise(LARGE)).save(&archive);
    let load = words(&["--image", "./app.tar,other:2", "--reconnects", "0"]);
    const LOAD: &str = "pid=$(pgrep -u oem -f \"^docker image load\") && ls /var/lib/docker/tmp/*";
    let before = vpu.whole_state();

    let running = Running::start(&vpu, &load);
    vpu.as_soon_as(LOAD, "kill -STOP $(pgrep -u oem -f '^docker image load')");
    running.interrupt();
    vpu.root("kill -CONT $(pgrep -u oem -f '^docker image load')");
    insta::assert_snapshot!(running.ends(&vpu, 130), @"
    error: image: interrupted
    hint: run the same command again: what is finished is not done twice
    ");
    vpu.assert_as_before(&before);

    let running = Running::start(&vpu, &load);
    vpu.as_soon_as(LOAD, "kill -KILL $(pgrep -u oem -f '^docker image load')");
    insta::assert_snapshot!(running.ends(&vpu, 7), @"error: image: `docker image load --quiet` failed on the device: killed by signal KILL");
    vpu.assert_as_before(&before);

    let running = Running::start(&vpu, &load);
    vpu.as_soon_as(LOAD, "kill $(pgrep -u oem -x sshd)");
    insta::assert_snapshot!(running.ends(&vpu, 12), @"
    error: image: the connection to the device was lost: it ended in the middle
    hint: check cable and power, then run the same command again: what is finished is not done twice
    ");
    vpu.assert_as_before(&before);

    // The archive is cut off after it was looked at: what is loaded is what was promised, or nothing.
    vpu.root("mount -t tmpfs -o size=8m tmpfs /var/lib/docker/tmp");
    insta::assert_snapshot!(vpu.fails(9, &load), @"
    error: image: `sh -c '# loads an image archive by way of files that outlive a cut…' sh /home/oem/.o3r-deploy/.arriving/c6008a8a0bd5ff31 25170944` failed on the device: exit code 1: Error processing tar file(exit status 1): write /d40fab911c759d86432062fc6f9667f2c99cdd1d2f602107b5d5291e8d002464.tar: no space left on device
      last lines:
      | Error processing tar file(exit status 1): write /d40fab911c759d86432062fc6f9667f2c99cdd1d2f602107b5d5291e8d002464.tar: no space left on device
    hint: free some room: `--remove_images` and `--items_to_cleanup` remove what is not needed
    ");
    vpu.root("umount /var/lib/docker/tmp");
    vpu.assert_as_before(&before);
    vpu.succeed(&load);
    assert_eq!(vpu.root("docker image ls --format '{{.Repository}}:{{.Tag}}'"), "other:2\n");
}

#[test]
fn a_full_disk_is_called_so_and_left_as_it_was() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.write("large", noise(LARGE));
        vpu.root("mkdir /home/oem/small && mount -t tmpfs -o size=30m,uid=989,gid=987 tmpfs /home/oem/small");
        // Slow enough that a busy computer sees the file arrive.
        let proxy = Proxy::new(&vpu.address, 22);
        let port = proxy.port.to_string();
        vpu.succeed(&words(&["--accept-new", "--port", &port]));
        proxy.trip(Fault::Slow(20_000_000));
        let before = vpu.whole_state();
        // Something else fills the disk while the file arrives.
        let running = Running::start(&vpu, &words(&["--port", &port, "--transfers_to_vpu", "large,~/small/new/large"]));
        vpu.as_soon_as(ARRIVING, "head -c 30M /dev/zero > /home/oem/small/other 2>/dev/null; true");
        let said = running.ends(&vpu, 9);
        insta::allow_duplicates! { insta::assert_snapshot!(said, @"
        error: transfers: no space left on the device while writing `/home/oem/small/new/large`
        hint: free some room: `--remove_images` and `--items_to_cleanup` remove what is not needed
        "); }
        vpu.root("rm /home/oem/small/other && umount /home/oem/small && mount -t tmpfs -o size=1m,uid=989,gid=987 tmpfs /home/oem/small");
        vpu.assert_as_before(&before);
        // Not a byte is left for the stamp, nor for the record of what was deployed.
        vpu.ssh("head -c 1M /dev/zero > ~/small/zero 2>/dev/null; mkdir ~/data; true");
        let stamp = ["--dirs_to_make=", "--get_logs_from_vpu=", "--append_deployment_timestamp_to", "~/small/Deployments"];
        let said = vpu.refused(9, &stamp);
        let stem = said.split("Deployments ").nth(1).and_then(|rest| rest.split('`').next()).expect("a stem");
        let said = said.replace(stem, "STEM");
        insta::allow_duplicates! { insta::assert_snapshot!(said, @"
        error: stamp: `sh -c '# appends a line to a file…' sh /home/oem/small/Deployments STEM` failed on the device: exit code 1: printf: write error: No space left on device
          last lines:
          | printf: write error: No space left on device
        hint: free some room: `--remove_images` and `--items_to_cleanup` remove what is not needed
        "); }
        vpu.root("mkdir /home/oem/.o3r-deploy && mount -t tmpfs -o size=4k,uid=989 tmpfs /home/oem/.o3r-deploy");
        vpu.ssh("yes x | head -c 8192 > ~/.o3r-deploy/fill 2>/dev/null; true");
        let said = vpu.refused(9, &words(&["--volume_to_setup", "~/data,data"]));
        insta::allow_duplicates! { insta::assert_snapshot!(said, @r#"
        error: volume: `sh -c '# writes a file…' sh /home/oem/.o3r-deploy/deployment/record.json '{"images":[],"volumes":["data"],"projects":[],"up":null}'` failed on the device: exit code 1: printf: write error: No space left on device
          last lines:
          | printf: write error: No space left on device
        hint: free some room: `--remove_images` and `--items_to_cleanup` remove what is not needed
        "#); }
    }
}

#[test]
fn an_application_that_does_not_run_is_told_with_its_last_lines_and_taken_back() {
    let vpu = Vpu::trusted(OVP81X);
    let save = |name: &str, image: Image| drop(image.save(&vpu.home.path().join(name)));
    // Both on one stream: docker keeps no order between the two.
    save("ends.tar", Image::new("ends:1", "echo one >&2; echo 'no camera on port 2' >&2; exit 3"));
    save("ill.tar", Image::new("ill:1", "echo waiting; sleep 1000").health("false"));
    save("slow.tar", Image::new("slow:1", "echo starting; sleep 1000").health("sleep 15; false"));
    let deploy = |name: &str, code: i32, more: &[&str]| {
        vpu.write(
            "o3r-deploy.yaml",
            format!("application: app\nlogs:\nstamp:\ndirectories:\nimage: [{{source: ./{name}.tar}}]\ncompose: {{file: compose.yml, wait: 6}}\n"),
        );
        vpu.write("compose.yml", format!("version: '2.4'\nservices: {{web: {{image: '{name}:1', container_name: web}}}}\n"));
        let files = "find /home/oem -path /home/oem/.o3r-deploy -prune -o -print";
        let before = vpu.root(files);
        let said = vpu.fails(code, more);
        assert_eq!(
            vpu.root("docker container ls --all --quiet; docker network ls --format '{{.Name}}' | grep app || true"),
            ""
        );
        assert_eq!(vpu.root(files), before);
        said
    };
    insta::assert_snapshot!(deploy("ends", 10, &[]), @"
    error: compose: container `web` ended with exit code 3
      last lines:
      | one
      | no camera on port 2
      changed before that: image
    hint: correct what its output tells and run the same command again
    ");
    insta::assert_snapshot!(deploy("ill", 10, &[]), @"
    error: compose: container `web` is unhealthy
      its health check ended with exit code 1, without output
      last lines:
      | waiting
      changed before that: image
    hint: correct what its health check and its output tell, and run the same command again
    ");
    insta::assert_snapshot!(deploy("slow", 10, &[]), @"
    error: compose: container `web` is not healthy yet, after 6 s
      last lines:
      | starting
      changed before that: image
    hint: a longer `wait` of `compose` gives it more time
    ");
    // What nothing here runs is refused, and fails at the start when it is let through.
    let mut program = vec![0; 64];
    program[..8].copy_from_slice(b"\x7fELF\x02\x02\x01\0");
    program[16..20].copy_from_slice(&[0, 2, 0, 22]);
    save("foreign.tar", Image::new("foreign:1", "echo never").architecture("s390x").file("bin/busybox", 0o755, program));
    insta::assert_snapshot!(deploy("foreign", 8, &[]), @"
    error: image: image `foreign:1` is for linux/s390x, and the device is x86_64
    hint: build it with `docker buildx build --platform linux/arm64`, or pass `--allow-architecture` to try it all the same
    ");
    insta::assert_snapshot!(deploy("foreign", 10, &["--allow-architecture"]), @"
    error: compose: container `web` ended with exit code 1
      last lines:
      | exec /bin/sh: exec format error
      changed before that: image
    hint: its program is for another processor: build the image with `docker buildx build --platform linux/arm64`
    ");
}

#[test]
fn a_file_of_root_in_the_way_is_named() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.write("file", "new");
        vpu.root(
            "mkdir -p /home/oem/share/logs && echo theirs > /home/oem/share/logs/file && chmod 600 /home/oem/share/logs/file",
        );
        let refused = |stage: &str, path: &str, words: &[&str]| {
            let said = vpu.refused(7, words);
            assert!(said.starts_with(&format!("error: {stage}: ")), "{said}");
            assert!(said.contains(path) && said.contains("Permission denied"), "{said}");
            assert!(said.contains("\nhint: it belongs to somebody else, most often to root"), "{said}");
        };
        refused("transfers", "/home/oem/share/logs", &words(&["--transfers_to_vpu", "file,~/share/logs/file"]));
        refused("transfers", "/home/oem/share/new", &words(&["--transfers_to_vpu", "file,~/share/new/file"]));
        refused("directories", "/home/oem/share/more", &words(&["--dirs_to_make", "~/first", "~/share/more"]));
        let stamp = ["--dirs_to_make=", "--get_logs_from_vpu=", "--append_deployment_timestamp_to", "~/share/logs/stamps"];
        refused("stamp", "/home/oem/share/logs/stamps", &stamp);
        refused("leftovers", "/home/oem/share/logs/file", &words(&["--items_to_cleanup", "~/share/logs"]));
    }
}
