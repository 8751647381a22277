//! Images that are put together on the device, or arrive by way of a file.

use std::io::Write;

use o3r_deploy::commands::docker;

use super::shell::{BOTH, Device, Userland};

/// Gives back `$state/base.tar` as its image, and keeps what is loaded.
const DOCKER: &str = r#"echo "$*" >>"$state/asked"
case "$1 $2" in
  "container create") if [ -e "$state/left" ]; then echo "name in use" >&2; exit 1; fi ;;
  "container rm") rm -f "$state/left" ;;
  "container cp") cat "$state/base.tar" ;;
  "image load") cat >"$state/loaded" ;;
esac
exit 0"#;

fn device(userland: Userland) -> Device {
    let device = Device::new(userland);
    device.stub("docker", DOCKER);
    device
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Bytes of every value, without a pattern that a mistake could fit.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn base(device: &Device, files: &[&[u8]]) {
    let mut archive = tar::Builder::new(Vec::new());
    for (number, content) in files.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("app/{number}"), *content).expect("memory takes all");
    }
    device.write("/state/base.tar", archive.into_inner().expect("memory takes all"));
}

#[test]
fn what_is_copied_and_what_is_inserted_come_together_to_the_byte() {
    let (one, two) = (noise(300_001), noise(2_500_007));
    let inserted = noise(70_003);
    let contents = [one.as_slice(), &two].concat();
    let mut steps = b"0 0 5\nhello".to_vec();
    steps.extend(b"10 299991 70003\n");
    steps.extend(&inserted);
    steps.extend(b"7 2500000 0\n0 0 3\nend");
    let expected = [b"hello", &contents[10..300_001], &inserted, &contents[300_008..2_800_008], b"end"].concat();
    for userland in BOTH {
        let device = device(userland);
        base(&device, &[&one, &two]);
        std::fs::write(device.here("/state/left"), "").expect("written");
        let ran = device.run_raw(&docker::rebuild(3, "sha256:1", &["/app".into()]), packed(&steps));
        assert_eq!(ran.code, 0, "{userland:?}: {ran:?}");
        assert!(std::fs::read(device.here("/state/loaded")).expect("loaded") == expected, "{userland:?}");
        let asked = device.state("asked");
        assert!(asked.ends_with("container rm --force --volumes o3r-deploy.base.3\n"), "{userland:?}: {asked}");
        assert!(!device.here("/state/left").exists(), "{userland:?}");
    }
}

#[test]
fn an_archive_by_way_of_files_goes_on_where_it_was_cut() {
    let archive = noise(9 << 20);
    for userland in BOTH {
        let device = device(userland);
        let directory = docker::arriving("5name");
        let received = || device.must(&docker::received(&directory), b"").out.trim().to_owned();
        assert_eq!(received(), "0");
        let all_of_it = docker::receive(&directory, archive.len() as u64);
        let cut = device.run_raw(&all_of_it, packed(&archive[..6_000_000]));
        assert_ne!(cut.code, 0, "{userland:?}");
        assert!(cut.err.contains("6000000 of 9437184 bytes arrived"), "{userland:?}: {}", cut.err);
        assert_eq!(received(), "4194304", "{userland:?}: whole segments count");
        assert!(!device.state("asked").contains("load"), "{userland:?}");
        let ran = device.run_raw(&all_of_it, packed(&archive[4_194_304..]));
        assert_eq!(ran.code, 0, "{userland:?}: {ran:?}");
        assert!(std::fs::read(device.here("/state/loaded")).expect("loaded") == archive, "{userland:?}");
        assert_eq!(received(), "loaded", "{userland:?}");
        let mut left = device.names(&directory);
        left.sort();
        assert_eq!(left, ["loaded", "loading"], "{userland:?}");
    }
}

#[test]
fn what_is_still_being_loaded_after_a_cut_is_waited_for() {
    for userland in BOTH {
        let device = device(userland);
        let directory = docker::arriving("5name");
        device.stub("docker", r#"cat >"$state/loaded"; while [ ! -e "$state/go" ]; do sleep 0.1; done"#);
        let mut loading = device.start(&docker::receive(&directory, 5));
        loading.stdin.take().expect("piped").write_all(&packed(b"whole")).expect("fed");
        let begin = std::time::Instant::now();
        while device.state("loaded") != "whole" {
            assert!(begin.elapsed().as_secs() < 20, "{userland:?}: it loads");
            std::thread::yield_now();
        }
        let asking = device.start(&docker::received(&directory));
        std::fs::write(device.here("/state/go"), "").expect("written");
        let said = asking.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "loaded", "{userland:?}");
        assert!(loading.wait().expect("it ends").success(), "{userland:?}");
    }
}
