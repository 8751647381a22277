//! Which files here are copies of files on the device, or their beginnings.

use std::path::PathBuf;

use o3r_deploy::facts::compare::{Candidate, Copy, copies};

use super::shell::{BOTH, Device};

const LARGE: usize = 5 << 20;

fn compared(device: &Device, candidates: &[Candidate]) -> Vec<(PathBuf, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let found = runtime.block_on(copies(device, candidates)).expect("an answer");
    found.into_iter().map(|(_, Copy { path, bytes })| (path, bytes)).collect()
}

#[test]
fn copies_and_beginnings_are_told_from_all_else_whatever_their_names() {
    for userland in BOTH {
        let device = Device::new(userland);
        let here = tempfile::tempdir().expect("a folder");
        let candidate = |name: &str, there: &[u8], mine: Option<&[u8]>| {
            device.write(&format!("/home/oem/logs/{name}"), there);
            let local = here.path().join(name);
            if let Some(mine) = mine {
                std::fs::write(&local, mine).expect("written");
            }
            let remote = device.here(&format!("/home/oem/logs/{name}")).display().to_string();
            Candidate { remote, size: there.len() as u64, local }
        };
        let odd =
            ["-n", ".hidden", "a b", "it's", "\"q\"", "$(id)", "`id`", "*", "new\nline", "back\\slash", "ü°", "two  spaces "];
        let mut candidates: Vec<_> = odd.iter().map(|name| candidate(name, b"the same", Some(b"the same"))).collect();
        let mut expected: Vec<_> = candidates.iter().map(|candidate| (candidate.local.clone(), 8)).collect();
        for name in odd {
            let name = format!("{name} grown");
            candidates.push(candidate(&name, b"the same and more", Some(b"the same")));
            expected.push((here.path().join(name), 8));
        }
        candidates.push(candidate("other", b"0123", Some(b"012x")));
        candidates.push(candidate("began otherwise", b"0123456", Some(b"012x")));
        candidates.push(candidate("shorter", b"0123", Some(b"01234")));
        candidates.push(candidate("new", b"0123", None));
        candidates.push(candidate("new and empty", b"", None));
        candidates.push(candidate("was empty", b"0123", Some(b"")));
        candidates.push(candidate("empty", b"", Some(b"")));
        expected.push((here.path().join("empty"), 0));
        // A large one that arrived in part: whole blocks of it count.
        let large = vec![7; LARGE];
        candidates.push(candidate("large", &large, Some(b"7")));
        let incoming = here.path().join(".o3r-deploy-incoming");
        std::fs::create_dir(&incoming).expect("made");
        std::fs::write(incoming.join("large"), &large[..(2 << 20) + 5]).expect("written");
        expected.push((incoming.join("large"), 2 << 20));
        expected.sort();
        let mut found = compared(&device, &candidates);
        found.sort();
        assert_eq!(found, expected, "{userland:?}");

        // What went meanwhile, and what cannot be compared, is no copy.
        let gone = device.here("/home/oem/logs/a b");
        std::fs::remove_file(gone).expect("removed");
        assert_eq!(compared(&device, &candidates).len(), expected.len() - 1, "{userland:?}");
        device.without("sha256sum");
        assert_eq!(compared(&device, &candidates), [(here.path().join("empty"), 0)], "{userland:?}");
    }
}

#[test]
fn one_of_three_thousand_that_differs_is_found() {
    for userland in BOTH {
        let device = Device::new(userland);
        let here = tempfile::tempdir().expect("a folder");
        let candidates: Vec<_> = (0..3000)
            .map(|number| {
                let name = format!("application.{number}.log");
                device.write(&format!("/home/oem/logs/{name}"), format!("{number:5}"));
                let local = here.path().join(&name);
                std::fs::write(&local, format!("{number:5}")).expect("written");
                Candidate { remote: device.here(&format!("/home/oem/logs/{name}")).display().to_string(), size: 5, local }
            })
            .collect();
        assert_eq!(compared(&device, &candidates).len(), 3000, "{userland:?}");
        device.write("/home/oem/logs/application.1777.log", "other");
        let found = compared(&device, &candidates);
        assert_eq!(found.len(), 2999, "{userland:?}");
        assert!(!found.contains(&(here.path().join("application.1777.log"), 5)), "{userland:?}");
    }
}
