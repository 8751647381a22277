//! Files that arrive, and files that are given.

use std::collections::BTreeMap;

use o3r_deploy::{
    command::path_lines,
    commands::files::{self, Arrival, Receive},
};

use super::shell::{BOTH, Device, Ran};

const INCOMING: &str = "/home/oem/d/.o3r-deploy-incoming";

fn lines(paths: &[&str]) -> Vec<u8> {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    path_lines(&paths)
}

fn fresh(places: &[&str]) -> Arrival {
    Arrival { places: places.iter().map(|place| ((*place).to_owned(), false)).collect(), ..Arrival::default() }
}

/// Has a device take in an archive: a path of a file and its content, or one that ends with a slash and a directory's mode.
fn receive(device: &Device, part: Receive, arrival: &Arrival, files: &[(String, String)]) -> Ran {
    let here = |path: &String| device.here(path).display().to_string();
    let arrival = Arrival {
        places: arrival.places.iter().map(|(path, kept)| (here(path), *kept)).collect::<BTreeMap<_, _>>(),
        stale: arrival.stale.iter().map(here).collect(),
        open: arrival.open.iter().map(here).collect(),
        modes: arrival.modes.iter().map(|(path, mode)| (here(path), *mode)).collect(),
    };
    let mut archive = tar::Builder::new(arrival.head());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        let name = device.here(path).strip_prefix("/").expect("absolute").to_owned();
        if path.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(u32::from_str_radix(content, 8).expect("a mode"));
            header.set_size(0);
            archive.append_data(&mut header, name, std::io::empty()).expect("written");
        } else {
            header.set_mode(0o640);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content.as_bytes()).expect("written");
        }
    }
    device.run_raw(&files::receive(part), archive.into_inner().expect("written"))
}

fn file(path: &str, content: &str) -> (String, String) {
    (path.to_owned(), content.to_owned())
}

#[test]
fn many_files_and_odd_names_get_into_their_place_and_replace_what_is_there() {
    for userland in BOTH {
        let device = Device::new(userland);
        let odd = ["-f", ".hidden", "..two", "a b", "it's", "$(id)", "*", "new\nline", "back\\slash", "ü", "~"];
        device.write("/home/oem/d/-f", "old");
        device.write(&format!("{INCOMING}/of another run"), "half");
        let many = (0..1200).map(|number| file(&format!("{INCOMING}/{number}"), "x"));
        let all: Vec<_> = odd.iter().map(|name| file(&format!("{INCOMING}/{name}"), name)).chain(many).collect();
        let ran = receive(&device, Receive::Both, &fresh(&["/home/oem/d"]), &all);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        for name in odd {
            assert_eq!(device.read(&format!("/home/oem/d/{name}")), name, "{userland:?}");
        }
        assert_eq!(device.names("/home/oem/d").len(), odd.len() + 1200, "{userland:?}");
    }
}

#[test]
fn directories_of_odd_names_are_all_served() {
    for userland in BOTH {
        let device = Device::new(userland);
        let directories = [
            "/home/oem/a b",
            "/home/oem/it's",
            "/home/oem/new\nline",
            "/home/oem/back\\nslash",
            "/home/oem/$(id)",
            "/home/oem/*",
        ];
        let mut all = Vec::new();
        for directory in directories {
            device.write(&format!("{directory}/old"), "old");
            all.push(file(&format!("{directory}/.o3r-deploy-incoming/old"), "new"));
        }
        let ran = receive(&device, Receive::Both, &fresh(&directories), &all);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        for directory in directories {
            assert_eq!(device.read(&format!("{directory}/old")), "new", "{userland:?} {directory}");
            assert_eq!(device.names(directory), ["old"], "{userland:?} {directory}");
        }
        assert_eq!(device.names("/home/oem").len(), directories.len());
    }
}

#[test]
fn a_new_tree_comes_into_being_at_once_and_read_only_directories_are_that_in_the_end() {
    for userland in BOTH {
        let device = Device::new(userland).unprivileged();
        device.write("/home/oem/d/other", "x");
        device.open("/home/oem/d");
        let tree = [
            file(&format!("{INCOMING}/tree/"), "750"),
            file(&format!("{INCOMING}/tree/closed/"), "755"),
            file(&format!("{INCOMING}/tree/closed/file"), "y"),
            file(&format!("{INCOMING}/tree/empty/"), "711"),
        ];
        let closed = ("/home/oem/d/tree/closed".to_owned(), 0o555);
        let arrival = Arrival { modes: vec![closed], ..fresh(&["/home/oem/d"]) };
        let ran = receive(&device, Receive::Take, &arrival, &tree);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        assert!(!device.here("/home/oem/d/tree").exists(), "it has not arrived yet");
        let ran = receive(&device, Receive::Place, &arrival, &[]);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        assert_eq!(device.names("/home/oem/d"), ["other", "tree"]);
        assert_eq!(device.read("/home/oem/d/tree/closed/file"), "y");
        for (name, mode) in [("tree", 0o750), ("tree/closed", 0o555), ("tree/closed/file", 0o640), ("tree/empty", 0o711)] {
            assert_eq!(device.mode(&format!("/home/oem/d/{name}")), mode, "{userland:?} {name}");
        }
    }
}

#[test]
fn what_another_run_left_does_not_get_into_its_place_unless_it_is_kept() {
    for userland in BOTH {
        let device = Device::new(userland);
        let left = || {
            for name in ["whole", "useless", "gone/deep/useless"] {
                device.write(&format!("{INCOMING}/{name}"), name);
            }
        };
        left();
        let ran = receive(&device, Receive::Both, &fresh(&["/home/oem/d"]), &[]);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        assert_eq!(device.names("/home/oem/d"), Vec::<String>::new(), "{userland:?}");
        left();
        // Now a directory: what is left of one that was new then would be in its way.
        device.write("/home/oem/d/gone/there", "x");
        let stale = ["useless", "gone/deep/useless"].map(|name| format!("{INCOMING}/{name}")).into();
        let places = [("/home/oem/d".to_owned(), true)].into();
        let arrival = Arrival { places, stale, ..Arrival::default() };
        let ran = receive(&device, Receive::Both, &arrival, &[file(&format!("{INCOMING}/more"), "more")]);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        assert_eq!(device.names("/home/oem/d"), ["gone", "more", "whole"], "{userland:?}");
        assert_eq!(device.names("/home/oem/d/gone"), ["there"], "{userland:?}");
    }
}

#[test]
fn a_directory_in_the_way_and_a_directory_that_is_gone_are_failures_that_say_so() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/d/name/inside", "kept");
        let new = [file(&format!("{INCOMING}/name"), "new")];
        let ran = receive(&device, Receive::Both, &fresh(&["/home/oem/d"]), &new);
        assert!(ran.code != 0 && ran.err.contains("name"), "{userland:?} {ran:?}");
        assert_eq!(device.read("/home/oem/d/name/inside"), "kept");
        for part in [Receive::Both, Receive::Place] {
            let ran = receive(&device, part, &fresh(&["/home/oem/none"]), &[]);
            assert!(ran.code != 0 && ran.err.contains("none"), "{userland:?} {ran:?}");
        }
    }
}

#[test]
fn an_archive_that_breaks_off_gets_nothing_into_its_place() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/d/name", "old");
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(100_000);
        let name = device.here(&format!("{INCOMING}/name"));
        let _ = archive.append_data(&mut header, name.strip_prefix("/").expect("absolute"), &[1; 100_000][..]);
        let place = device.here("/home/oem/d").display().to_string();
        let mut input = fresh(&[&place]).head();
        input.extend_from_slice(&archive.into_inner().expect("written")[..50_000]);
        let ran = device.run_raw(&files::receive(Receive::Both), input);
        assert!(ran.code != 0, "{userland:?} {ran:?}");
        assert_eq!(device.read("/home/oem/d/name"), "old", "{userland:?}");
    }
}

#[test]
fn a_large_file_goes_on_where_it_stopped_and_nothing_else_is_taken_for_it() {
    for userland in BOTH {
        let device = Device::new(userland);
        let path = "/home/oem/odd $(name)";
        device.write(path, "of another run");
        let ran = device.run(&files::append(path, 0, &(0..10), Some(0o640)), b"half");
        assert!(ran.code != 0 && ran.err.contains("its end did not arrive"), "{userland:?} {ran:?}");
        assert_eq!((device.read(path).as_str(), device.mode(path)), ("half", 0o600), "{userland:?}");
        let ran = device.run(&files::append(path, 3, &(3..10), Some(0o640)), b"of it");
        assert!(ran.code != 0 && ran.err.contains("changed since"), "{userland:?} {ran:?}");
        device.must(&files::append(path, 4, &(4..10), Some(0o640)), b" of it");
        assert_eq!((device.read(path).as_str(), device.mode(path)), ("half of it", 0o640), "{userland:?}");
        device.must(&files::append(path, 10, &(10..10), Some(0o755)), b"");
        assert_eq!(device.mode(path), 0o755, "{userland:?}");
    }
}

#[test]
fn ends_of_files_are_given_with_their_lengths_and_a_mark() {
    for userland in BOTH {
        let device = Device::new(userland);
        for name in ["a b ", "two\nlines", "back\\slash"] {
            device.write(&format!("/home/oem/{name}"), "0123456789");
        }
        let ask = |from: u64, name: &str| {
            format!("{from} {}\n", String::from_utf8_lossy(&lines(&[&format!("/home/oem/{name}")])).trim_end_matches('\n'))
        };
        let asked = ask(7, "a b ") + &ask(0, "two\nlines") + &ask(10, "back\\slash") + &ask(11, "a b ") + &ask(1, "none");
        let ran = device.must(&files::give_ends("=m="), asked.as_bytes());
        assert_eq!(ran.out, "3\n789=m=\n10\n0123456789=m=\n0\n=m=\n-\n-\n", "{userland:?}");
    }
}

#[test]
fn abandoning_takes_away_what_arrived_and_nothing_else() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/d/old", "old");
        device.write(&format!("{INCOMING}/half"), "half");
        device.must(&files::abandon_incoming(), &lines(&["/home/oem/d", "/home/oem/none"]));
        assert_eq!(device.names("/home/oem/d"), ["old"], "{userland:?}");
        let ran = device.run(&files::remove_empty_directories(&["/home/oem/d".into()]), b"");
        assert!(ran.code != 0, "what holds something stays");
    }
}

#[test]
fn a_line_is_appended_and_a_file_written_whatever_they_say() {
    for userland in BOTH {
        let device = Device::new(userland);
        let odd = "%s \\n $(id) 'x'";
        device.must(&files::append_line("/home/oem/new dir/stamp", odd), b"");
        // The second time says what a lost connection left unsaid.
        device.must(&files::append_line("/home/oem/new dir/stamp", "two"), b"");
        device.must(&files::append_line("/home/oem/new dir/stamp", "two"), b"");
        assert_eq!(device.read("/home/oem/new dir/stamp"), format!("{odd}\ntwo\n"), "{userland:?}");
        device.must(&files::write_file("/home/oem/new dir/record", odd), b"");
        device.must(&files::write_file("/home/oem/new dir/record", odd), b"");
        assert_eq!(device.read("/home/oem/new dir/record"), odd, "{userland:?}");
        assert_eq!(device.names("/home/oem/new dir"), ["record", "stamp"], "{userland:?}");
    }
}

#[test]
fn read_only_directory_takes_files_once_it_is_opened_and_is_read_only_again() {
    for userland in BOTH {
        let device = Device::new(userland).unprivileged();
        device.open("/home/oem");
        let own = |script| device.must(&o3r_deploy::command::Command::new("sh").args(["-c", script]), b"");
        own("mkdir /home/oem/d && echo old >/home/oem/d/name && chmod 555 /home/oem/d");
        let place = ["/home/oem/d".to_owned()];
        let modes = vec![(place[0].clone(), 0o555)];
        let arrival = Arrival { open: place.into(), modes, ..fresh(&["/home/oem/d"]) };
        let new = [file(&format!("{INCOMING}/name"), "new")];
        let ran = receive(&device, Receive::Both, &arrival, &new);
        assert_eq!(ran.code, 0, "{userland:?} {ran:?}");
        assert_eq!((device.read("/home/oem/d/name").as_str(), device.mode("/home/oem/d")), ("new", 0o555), "{userland:?}");
        own("chmod 755 /home/oem/d");
    }
}

#[test]
fn large_file_with_holes_is_put_together_with_holes() {
    use std::os::unix::fs::MetadataExt;
    for userland in BOTH {
        let device = Device::new(userland);
        let path = "/home/oem/sparse";
        device.must(&files::append(path, 0, &(0..4), None), b"head");
        device.must(&files::append(path, 4, &((20 << 20)..(20 << 20) + 4), None), b"tail");
        let end = 32 << 20;
        device.must(&files::append(path, (20 << 20) + 4, &(end..end), Some(0o640)), b"");
        let metadata = std::fs::metadata(device.here(path)).expect("there");
        assert_eq!((metadata.len(), device.mode(path)), (end, 0o640), "{userland:?}");
        let content = std::fs::read(device.here(path)).expect("there");
        assert!(content.starts_with(b"head\0") && content[20 << 20..].starts_with(b"tail\0"), "{userland:?}");
        assert!(content.iter().filter(|byte| **byte != 0).count() == 8, "{userland:?}");
        assert!(metadata.blocks() * 512 < 2 << 20, "{userland:?} {}", metadata.blocks());
        let ran = device.must(&files::give_rest(path, 0), b"");
        assert!(ran.out.starts_with('z') && ran.out.len() < 1 << 20, "{userland:?}");
        device.write("/home/oem/dense", "all of it");
        assert_eq!(device.must(&files::give_rest("/home/oem/dense", 0), b"").out, "pall of it", "{userland:?}");
    }
}
