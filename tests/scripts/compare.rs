//! Which files here are copies of files on the device, or their beginnings.

use std::path::PathBuf;

use o3r_deploy::facts::compare::{Candidate, Copies, Copy, copies, part_name};

use super::shell::{BOTH, Device};

const LARGE: usize = 5 << 20;

fn looked_for(device: &Device, candidates: &[Candidate]) -> Copies {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(copies(device, candidates)).expect("an answer")
}

fn compared(device: &Device, candidates: &[Candidate]) -> Vec<(PathBuf, u64)> {
    looked_for(device, candidates).found.into_iter().map(|(_, Copy { path, bytes })| (path, bytes)).collect()
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
            Candidate { remote, size: there.len() as u64, local, root: here.path().into(), archive: false }
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
        let run = here.path().join(".o3r-deploy-incoming/run");
        std::fs::create_dir_all(&run).expect("made");
        let part = run.join(part_name(here.path(), &here.path().join("large")));
        std::fs::write(&part, &large[..(2 << 20) + 5]).expect("written");
        expected.push((part, 2 << 20));
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
        assert!(looked_for(&device, &candidates).untold, "{userland:?}");
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
                let remote = device.here(&format!("/home/oem/logs/{name}")).display().to_string();
                Candidate { remote, size: 5, local, root: here.path().into(), archive: false }
            })
            .collect();
        assert_eq!(compared(&device, &candidates).len(), 3000, "{userland:?}");
        device.write("/home/oem/logs/application.1777.log", "other");
        let found = compared(&device, &candidates);
        assert_eq!(found.len(), 2999, "{userland:?}");
        assert!(!found.contains(&(here.path().join("application.1777.log"), 5)), "{userland:?}");
    }
}

#[test]
fn rotated_files_are_recognised_under_their_new_names() {
    for userland in BOTH {
        // No `head` that counts bytes is needed, nor a `dd` that does.
        let device = Device::new(userland);
        device.without("head");
        let here = tempfile::tempdir().expect("a folder");
        let banner = "the same beginning ".repeat(1000);
        let text = |name: &str| format!("{banner}{name}{}", "\n".repeat(1 << 20));
        for name in ["a.log", "a.log.1", "a.log.2", "b.log"] {
            std::fs::write(here.path().join(name), text(name)).expect("written");
        }
        let there = [("a.log", "new".to_owned()), ("a.log.1", text("a.log") + "more"), ("a.log.2", text("a.log.1"))];
        let there = there.into_iter().chain([("a.log.3", text("a.log.2")), ("b.log", text("b.log")), ("c.log", text("c.log"))]);
        let candidates: Vec<_> = there
            .map(|(name, content)| {
                device.write(&format!("/home/oem/logs/{name}"), &content);
                let remote = device.here(&format!("/home/oem/logs/{name}")).display().to_string();
                let (local, root) = (here.path().join(name), here.path().into());
                Candidate { remote, size: content.len() as u64, local, root, archive: true }
            })
            .collect();
        let found = looked_for(&device, &candidates).found;
        let name = |path: &std::path::Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let found: Vec<_> = found.iter().map(|(to, from)| (name(to), name(&from.path))).collect();
        let expected = [("a.log.1", "a.log"), ("a.log.2", "a.log.1"), ("a.log.3", "a.log.2"), ("b.log", "b.log")];
        assert_eq!(found, expected.map(|(to, from)| (to.to_owned(), from.to_owned())), "{userland:?}");
    }
}
