//! Files that arrive.

use o3r_deploy::{command::path_lines, commands::files};

use super::shell::{BOTH, Device};

const INCOMING: &str = "/home/oem/d/.o3r-deploy-incoming";

fn lines(paths: &[&str]) -> Vec<u8> {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    path_lines(&paths)
}

#[test]
fn many_files_and_odd_names_get_into_their_place_and_replace_what_is_there() {
    for userland in BOTH {
        let device = Device::new(userland);
        let odd = ["-f", ".hidden", "..two", "a b", "it's", "$(id)", "*", "new\nline", "back\\slash", "ü", "~"];
        device.write("/home/oem/d/-f", "old");
        device.must(&files::prepare_incoming(), &lines(&["/home/oem/d"]));
        for name in odd {
            device.write(&format!("{INCOMING}/{name}"), name);
        }
        (0..1200).for_each(|number| device.write(&format!("{INCOMING}/{number}"), "x"));
        device.must(&files::commit_incoming(), &lines(&["/home/oem/d"]));
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
        for directory in directories {
            device.write(&format!("{directory}/old"), "old");
        }
        device.must(&files::prepare_incoming(), &lines(&directories));
        for directory in directories {
            device.write(&format!("{directory}/.o3r-deploy-incoming/old"), "new");
        }
        device.must(&files::commit_incoming(), &lines(&directories));
        for directory in directories {
            assert_eq!(device.read(&format!("{directory}/old")), "new", "{userland:?} {directory}");
            assert_eq!(device.names(directory), ["old"], "{userland:?} {directory}");
        }
        assert_eq!(device.names("/home/oem").len(), directories.len());
    }
}

#[test]
fn what_another_run_left_does_not_get_into_its_place() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write(&format!("{INCOMING}/half"), "half");
        device.must(&files::prepare_incoming(), &lines(&["/home/oem/d"]));
        device.must(&files::commit_incoming(), &lines(&["/home/oem/d"]));
        assert_eq!(device.names("/home/oem/d"), Vec::<String>::new(), "{userland:?}");
    }
}

#[test]
fn a_directory_in_the_way_and_a_directory_that_is_gone_are_failures_that_say_so() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/d/name/inside", "kept");
        device.must(&files::prepare_incoming(), &lines(&["/home/oem/d"]));
        device.write(&format!("{INCOMING}/name"), "new");
        let ran = device.run(&files::commit_incoming(), &lines(&["/home/oem/d"]));
        assert!(ran.code != 0 && ran.err.contains("name"), "{userland:?} {ran:?}");
        assert_eq!(device.read("/home/oem/d/name/inside"), "kept");
        let ran = device.run(&files::prepare_incoming(), &lines(&["/home/oem/none"]));
        assert!(ran.code != 0 && ran.err.contains("none"), "{userland:?} {ran:?}");
        let ran = device.run(&files::commit_incoming(), &lines(&["/home/oem/none"]));
        assert!(ran.code != 0, "{userland:?} {ran:?}");
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
