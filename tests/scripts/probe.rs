//! The probe: what it reads of a device, however odd that is.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use o3r_deploy::facts::{Archive, AutostartModel, ComposeTool, Facts, LeftOut, PathKind, Probe, Section, Tree};

use super::shell::{BOTH, Device, Userland};

fn ask(device: &Device, probe: &Probe) -> Facts {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(probe.ask(device)).expect("an answer")
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const ODD: [&str; 12] =
    ["-n", ".hidden", "a b", "it's", "\"q\"", "$(id)", "`id`", "*", "new\nline", "back\\slash", "ü°", "two  spaces "];

#[test]
fn odd_names_are_told_from_each_other_in_trees_and_as_paths() {
    for userland in BOTH {
        let device = Device::new(userland);
        let names: Vec<_> = ODD.iter().map(|name| format!("/home/oem/logs/{name}")).collect();
        names.iter().for_each(|name| device.write(name, name));
        let paths = names.iter().cloned().chain(["/home/oem/none".into(), "/home/oem/logs".into()]).collect();
        let facts = ask(&device, &Probe { trees: set(&["/home/oem/logs"]), paths, ..Probe::default() });
        let tree = &facts.trees.get("/home/oem/logs").expect("asked").files;
        assert_eq!(tree.len(), ODD.len(), "{userland:?} {:?}", tree.keys());
        for (odd, name) in ODD.iter().zip(&names) {
            for (fact, asked) in [(tree.get(*odd), false), (facts.paths.get(name), true)] {
                let fact = fact.unwrap_or_else(|| panic!("{userland:?}: {name:?} is known"));
                assert_eq!(
                    (fact.kind, fact.size, fact.readable),
                    (PathKind::File, name.len() as u64, true),
                    "{userland:?} {name:?}"
                );
                assert!(fact.sha256.is_some() || !asked, "{userland:?} {name:?}");
            }
        }
        assert_eq!(facts.paths.get("/home/oem/logs").map(|fact| fact.kind), Some(PathKind::Directory));
        assert!(!facts.paths.contains_key("/home/oem/none"));
    }
}

#[test]
fn three_thousand_logs_are_read_in_a_moment_and_a_pipe_among_them_holds_nothing_up() {
    for userland in BOTH {
        let device = Device::new(userland);
        (0..3000).for_each(|number| device.write(&format!("/home/oem/logs/{:02}/application.{number}.log", number % 50), "x"));
        let pipe = device.here("/home/oem/pipe");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs").success());
        let mut paths: BTreeSet<_> =
            (0..3000).map(|number| format!("/home/oem/logs/{:02}/application.{number}.log", number % 50)).collect();
        paths.insert("/home/oem/pipe".into());
        let begin = std::time::Instant::now();
        let facts = ask(&device, &Probe { trees: set(&["/home/oem/logs"]), paths, ..Probe::default() });
        let took = begin.elapsed();
        assert_eq!(facts.trees.get("/home/oem/logs").map(|tree| tree.files.len()), Some(3000), "{userland:?}");
        assert_eq!(facts.paths.len(), 3001, "{userland:?}");
        assert!(facts.paths.values().all(|fact| fact.kind == PathKind::Other || fact.sha256.is_some()), "{userland:?}");
        // A program for each file would take much longer.
        assert!(took.as_secs() < 10, "{userland:?} {took:?}");
    }
}

#[test]
fn what_cannot_be_read_is_known_to_be_there() {
    for userland in BOTH {
        let device = Device::new(userland).unprivileged();
        device.write("/home/oem/logs/secret.log", "secret");
        device.write("/home/oem/logs/open.log", "open");
        device.write("/home/oem/logs/closed/inside.log", "inside");
        let mode = |path: &str, mode| {
            std::fs::set_permissions(device.here(path), std::fs::Permissions::from_mode(mode)).expect("allowed");
        };
        mode("/home/oem/logs/secret.log", 0o000);
        mode("/home/oem/logs/closed", 0o000);
        let facts = ask(&device, &Probe { trees: set(&["/home/oem/logs"]), ..Probe::default() });
        mode("/home/oem/logs/closed", 0o755);
        let tree = &facts.trees.get("/home/oem/logs").expect("asked").files;
        let known = |name: &str| tree.get(name).map(|fact| fact.readable);
        assert_eq!(known("secret.log"), Some(false), "{userland:?}");
        assert_eq!(known("open.log"), Some(true), "{userland:?}");
        assert_eq!(known("closed/inside.log"), None, "{userland:?}");
        assert_eq!(facts.trees.get("/home/oem/logs").expect("asked").closed, set(&["closed"]), "{userland:?}");
    }
}

#[test]
fn tree_in_a_directory_that_cannot_be_looked_into_is_not_said_to_be_empty() {
    for userland in BOTH {
        let device = Device::new(userland).unprivileged();
        device.write("/home/oem/share/logs/a.log", "a");
        let mode = |mode| {
            let closed = device.here("/home/oem/share");
            std::fs::set_permissions(closed, std::fs::Permissions::from_mode(mode)).expect("allowed");
        };
        mode(0o000);
        let facts = ask(&device, &Probe { trees: set(&["/home/oem/share/logs", "/home/oem/share"]), ..Probe::default() });
        mode(0o755);
        for name in ["/home/oem/share/logs", "/home/oem/share"] {
            assert_eq!(facts.trees.get(name).expect("asked").closed, set(&[""]), "{userland:?} {name}");
        }
    }
}

#[test]
fn directories_links_and_other_things_of_a_tree_are_told_apart() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/outside/file", "outside");
        device.write("/home/oem/logs/sub/a.log", "a");
        std::fs::create_dir_all(device.here("/home/oem/logs/empty/new\nline")).expect("made");
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, device.here(&format!("/home/oem/logs/{name}"))).expect("linked");
        };
        link("sub/a.log", "latest");
        link("../../logs/sub", "sub/around");
        device.make_link("/home/oem/logs/sub/a.log", "/home/oem/logs/empty/absolute");
        link("../outside/file", "borrowed");
        link("../outside", "elsewhere");
        link("gone", "dangling");
        link("loop", "loop");
        let fifo = device.here("/home/oem/logs/fifo");
        assert!(std::process::Command::new("mkfifo").arg(fifo).status().expect("mkfifo runs").success());
        let facts = ask(&device, &Probe { trees: set(&["/home/oem/logs"]), ..Probe::default() });
        let tree = facts.trees.get("/home/oem/logs").expect("asked");
        assert_eq!(tree.files.keys().collect::<Vec<_>>(), ["borrowed", "sub/a.log"], "{userland:?}");
        assert_eq!((tree.linked.clone(), tree.files["borrowed"].size), (set(&["borrowed"]), 7), "{userland:?}");
        let directories: Vec<_> = tree.directories.keys().map(String::as_str).collect();
        assert_eq!(directories, ["", "empty", "empty/new\nline", "sub"], "{userland:?}");
        let links: Vec<_> = tree.links.iter().map(|(link, target)| (link.as_str(), target.as_str())).collect();
        assert_eq!(
            links,
            [("empty/absolute", "../sub/a.log"), ("latest", "sub/a.log"), ("sub/around", "../sub")],
            "{userland:?}"
        );
        let left_out: Vec<_> = tree.left_out.iter().map(|(name, why)| (name.as_str(), *why)).collect();
        let expected = [
            ("dangling", LeftOut::Dangling),
            ("elsewhere", LeftOut::LeadsOut),
            ("fifo", LeftOut::Special),
            ("loop", LeftOut::Dangling),
        ];
        assert_eq!(left_out, expected, "{userland:?}");
    }
}

#[test]
fn a_device_that_cannot_tell_digests_says_what_can_be_read() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.without("sha256sum");
        device.write("/home/oem/logs/a.log", "a");
        let facts = ask(&device, &Probe { paths: set(&["/home/oem/logs/a.log"]), ..Probe::default() });
        let bare = ask(&device, &Probe { bare: set(&["/home/oem/logs/a.log", "/home/oem/none"]), ..Probe::default() });
        let only = bare.paths.get("/home/oem/logs/a.log").expect("known");
        assert_eq!((bare.paths.len(), only.kind, only.readable, &only.sha256), (1, PathKind::File, true, &None));
        let fact = facts.paths.get("/home/oem/logs/a.log").expect("known");
        assert!(fact.readable && fact.sha256.is_none(), "{userland:?}");
    }
}

#[test]
fn links_are_what_they_lead_to() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/real/file", "x");
        device.make_link("/home/oem/real", "/home/oem/directory");
        device.make_link("/home/oem/real/file", "/home/oem/file");
        device.make_link("/home/oem/gone", "/home/oem/nothing");
        let paths = set(&["/home/oem/directory", "/home/oem/file", "/home/oem/nothing", "/home/oem/directory/file"]);
        let facts = ask(&device, &Probe { paths, ..Probe::default() });
        let kinds: Vec<_> = facts.paths.iter().map(|(path, fact)| (path.as_str(), fact.kind)).collect();
        let expected = [
            ("/home/oem/directory", PathKind::Directory),
            ("/home/oem/directory/file", PathKind::File),
            ("/home/oem/file", PathKind::File),
            ("/home/oem/nothing", PathKind::Other),
        ];
        assert_eq!(kinds, expected, "{userland:?}");
        assert!(facts.paths.get("/home/oem/file").is_some_and(|fact| fact.sha256.is_some()), "{userland:?}");
    }
}

fn everything() -> Probe {
    use Section::{Autostart, Compose, Containers, Docker, Images, Records, Volumes};
    Probe {
        sections: [Docker, Containers, Images, Volumes, Compose, Records, Autostart].into(),
        services: set(&["app", "own"]),
        archives: set(&["/home/oem/none.tar"]),
        trees: set(&["/home/oem/none"]),
        rooms: set(&["/home/oem/none/deeper"]),
        paths: set(&["/home/oem/none"]),
        bare: BTreeSet::new(),
        links: BTreeSet::new(),
        known_compose: String::new(),
    }
}

#[test]
fn the_room_of_a_directory_that_is_to_be_is_that_of_the_one_it_will_be_in_and_docker_names_its_own() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.stub("docker", "case $1 in version) echo 20.10.24 ;; info) echo /home/oem ;; esac");
        let sections = [Section::Docker, Section::DockerRoot].into();
        let rooms = set(&["/home/oem/not there/yet"]);
        let facts = ask(&device, &Probe { sections, rooms, ..Probe::default() });
        assert_eq!(facts.docker.and_then(|docker| docker.root).as_deref(), Some("/home/oem"), "{userland:?}");
        let there = rustix::fs::statvfs(device.here("/home/oem")).expect("a file system");
        for name in ["/home/oem", "/home/oem/not there/yet"] {
            let room = facts.room.get(name).unwrap_or_else(|| panic!("{userland:?}: {name} is known"));
            assert_eq!(room.size, there.f_blocks * there.f_frsize, "{userland:?}");
            // Others write to it meanwhile.
            assert!(room.bytes.abs_diff(there.f_bavail * there.f_frsize) < 1 << 30, "{userland:?} {room:?}");
            let device_number = rustix::fs::stat(device.here("/home/oem")).expect("there").st_dev;
            assert_eq!(room.device, device_number, "{userland:?}");
        }
    }
}

#[test]
fn a_device_with_nothing_has_nothing() {
    for userland in BOTH {
        let facts = ask(&Device::new(userland), &everything());
        assert!(!facts.machine.is_empty() && facts.clock > 0, "{userland:?}");
        assert_eq!((facts.docker, facts.compose, facts.autostart), (None, None, AutostartModel::None), "{userland:?}");
        assert!(facts.paths.is_empty() && facts.archives.is_empty(), "{userland:?}");
        assert!(facts.records.is_empty() && facts.trees.values().all(|tree| *tree == Tree::default()), "{userland:?}");
    }
}

#[test]
fn all_that_a_device_has_is_read() {
    for userland in BOTH {
        let device = Device::new(userland);
        let image = r#"{"Id":"sha256:1","RepoTags":["a:1","a:2"],"RootFS":{"Layers":[]}}"#;
        device.stub(
            "docker",
            &format!(
                "case $* in version*) echo 20.10.24 ;; *\\ ls\\ *) echo x1; echo x1 ;;
                *image\\ inspect*\\ x1) echo '{image}' ;; esac"
            ),
        );
        device.stub("docker-compose", "echo 1.29.2");
        device.stub("systemctl", "case $* in *list-unit-files*) echo 'oem-dc@.service disabled enabled' ;; *app*) echo enabled ;; *) echo disabled; exit 1 ;; esac");
        device.write("/home/oem/app/docker-compose.yml", "services: {}\n\n");
        device.write("/home/oem/.o3r-deploy/app/record.json", r#"{"images":["sha256:1"]}"#);
        device.write("/home/oem/.o3r-deploy/broken/record.json", "{");
        device.make_link("/home/oem/app", "/usr/share/oem/docker/compose/app");
        device.write("/usr/share/oem/docker/compose/own/docker-compose.yml", "own");
        let facts = ask(&device, &everything());
        let docker = facts.docker.expect("it answers");
        assert_eq!((docker.version.as_str(), docker.images.len()), ("20.10.24", 1), "{userland:?}");
        assert_eq!(facts.compose, Some(ComposeTool::Hyphen("1.29.2".into())), "{userland:?}");
        assert_eq!(facts.autostart, AutostartModel::Template, "{userland:?}");
        assert_eq!(facts.records.keys().collect::<Vec<_>>(), ["app"], "{userland:?}");
        let app = facts.services.get("app").expect("asked");
        assert!(app.enabled && app.directory_link.as_deref() == Some("/home/oem/app"), "{userland:?} {app:?}");
        let own = facts.services.get("own").expect("asked");
        assert!(!own.enabled && own.own_file, "{userland:?} {own:?}");
    }
}

#[test]
fn archives_are_told_apart() {
    let id = "a".repeat(64);
    for userland in BOTH {
        let device = Device::new(userland);
        let pack = |name: &str, options: &str, members: &[(&str, String)]| {
            let packed = tempfile::tempdir().expect("a directory");
            members.iter().for_each(|(name, content)| std::fs::write(packed.path().join(name), content).expect("written"));
            let mut tar = std::process::Command::new("tar");
            tar.arg(options).arg(device.here(name)).arg("-C").arg(packed.path()).args(members.iter().map(|(name, _)| *name));
            assert!(tar.status().expect("tar runs").success());
        };
        let manifest =
            |config: String| ("manifest.json", format!(r#"[{{"Config":"{config}","Layers":[]}},{{"Config":"{config}"}}]"#));
        pack("/home/oem/old.tar", "-cf", &[manifest(format!("{id}.json"))]);
        pack("/home/oem/new.tar", "-czf", &[manifest(format!("blobs/sha256/{id}")), ("oci-layout", "{}".into())]);
        pack("/home/oem/oci.tar", "-czf", &[("oci-layout", "{}".into())]);
        pack("/home/oem/root.tar", "-cf", &[("etc", "x".into())]);
        let archives = set(&["/home/oem/old.tar", "/home/oem/new.tar", "/home/oem/oci.tar", "/home/oem/root.tar"]);
        let facts = ask(&device, &Probe { archives, ..Probe::default() });
        let images = Archive::Images(vec![format!("sha256:{id}"), format!("sha256:{id}")]);
        assert_eq!(facts.archives.get("/home/oem/old.tar"), Some(&images), "{userland:?}");
        assert_eq!(facts.archives.get("/home/oem/new.tar"), Some(&images), "{userland:?}");
        assert_eq!(facts.archives.get("/home/oem/oci.tar"), Some(&Archive::Oci), "{userland:?}");
        assert!(
            matches!(facts.archives.get("/home/oem/root.tar"), Some(Archive::RootFileSystem(digest)) if digest.len() == 64)
        );
    }
}

#[test]
fn what_an_earlier_run_left_beside_a_destination_is_told_and_what_is_below_a_missing_folder_is_not_looked_for() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.write("/home/oem/d/.o3r-deploy-incoming/new/deep/half it's", "half");
        let asked =
            ["/home/oem", "/home/oem/d", "/home/oem/d/new", "/home/oem/d/new/deep", "/home/oem/d/new!", "/home/oem/none/x"];
        let facts = ask(&device, &Probe { paths: set(&asked), ..Probe::default() });
        let left = "/home/oem/d/.o3r-deploy-incoming/new/deep/half it's";
        assert_eq!(facts.paths.keys().collect::<Vec<_>>(), ["/home/oem", "/home/oem/d", left], "{userland:?}");
        assert!(facts.paths.get(left).is_some_and(|fact| fact.size == 4 && fact.sha256.is_some()), "{userland:?}");
    }
}

#[test]
fn a_list_of_files_without_gzip_is_longer_and_the_same() {
    let device = Device::new(Userland::Busybox);
    device.write("/home/oem/logs/a b", "x");
    let probe = Probe { trees: set(&["/home/oem/logs", "/home/oem/logs/a b", "/home/oem/none"]), ..Probe::default() };
    let with = ask(&device, &probe);
    device.without("gzip");
    assert_eq!(ask(&device, &probe).trees, with.trees);
    assert_eq!(
        with.trees.get("/home/oem/logs").map(|tree| tree.files.keys().collect::<Vec<_>>()),
        Some(vec![&"a b".to_owned()])
    );
    assert!(with.trees.get("/home/oem/none").is_some_and(|tree| *tree == Tree::default()));
}

#[test]
fn links_that_are_asked_about_say_where_they_lead_and_directories_whose_they_are() {
    for userland in BOTH {
        let device = Device::new(userland).unprivileged();
        device.write("/home/oem/d/file", "x");
        for (target, name) in [("d/file", "link"), ("new\nline", "odd\nname"), ("gone", "dangling")] {
            std::os::unix::fs::symlink(target, device.here("/home/oem").join(name)).expect("linked");
        }
        let asked = ["/home/oem/link", "/home/oem/odd\nname", "/home/oem/dangling", "/home/oem/d", "/home/oem/none"];
        let facts = ask(&device, &Probe { links: set(&asked), paths: set(&["/home/oem/d"]), ..Probe::default() });
        let links: Vec<_> = facts.links.iter().map(|(link, target)| (link.as_str(), target.as_str())).collect();
        let expected = [("/home/oem/dangling", "gone"), ("/home/oem/link", "d/file"), ("/home/oem/odd\nname", "new\nline")];
        assert_eq!(links, expected, "{userland:?}");
        // It belongs to whoever runs the test; the device's user is another one where that is root.
        let own = facts.paths.get("/home/oem/d").expect("asked").own;
        assert_eq!(own, !rustix::process::getuid().is_root(), "{userland:?}");
    }
}

#[test]
fn docker_that_never_answers_is_waited_for_within_a_bound_and_leaves_no_process() {
    let sections = || [Section::Docker, Section::Containers, Section::Images].into();
    for (userland, has_timeout) in [(Userland::Dash, true), (Userland::Dash, false), (Userland::Busybox, false)] {
        let device = Device::new(userland);
        device.stub("docker", "echo $$ >>$state/docker; exec sleep 1000");
        if has_timeout {
            device.stub("timeout", "exec /usr/bin/timeout \"$@\"");
        }
        let begin = std::time::Instant::now();
        let facts = ask(&device, &Probe { sections: sections(), ..Probe::default() });
        assert_eq!(facts.docker, None, "{userland:?}");
        assert!(begin.elapsed().as_secs() < 45, "{userland:?} {:?}", begin.elapsed());
        let left = device.state("docker");
        let runs = |number: &&str| std::path::Path::new(&format!("/proc/{number}/cmdline")).exists();
        assert_eq!(left.lines().filter(runs).collect::<Vec<_>>(), Vec::<&str>::new(), "{userland:?}");
    }
}

#[test]
fn docker_that_answers_in_part_is_no_docker_without_containers() {
    for userland in BOTH {
        let device = Device::new(userland);
        device.stub("docker", "case $1 in version) echo 20.10.25 ;; *) echo gone >&2; exit 1 ;; esac");
        let probe = Probe { sections: [Section::Docker, Section::Containers].into(), ..Probe::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let error = runtime.block_on(probe.ask(&device)).expect_err("the containers are not known");
        assert!(error.to_string().contains("did not tell its containers"), "{userland:?} {error}");
    }
}

#[test]
fn docker_compose_is_not_started_again_for_a_version_that_is_known() {
    for userland in BOTH {
        let device = Device::new(userland);
        let stub = |version: &str| device.stub("docker-compose", &format!("echo started >>$state/starts; echo {version}"));
        stub("1.29.2");
        let ask = |known: &str| {
            let sections = [Section::Compose].into();
            let facts = ask(&device, &Probe { sections, known_compose: known.into(), ..Probe::default() });
            // The program is below the directory of the test.
            let line = facts.compose_line.replace("/stubs", &device.here("/stubs").display().to_string());
            (facts.compose.expect("it answers"), line, device.state("starts").lines().count())
        };
        let hyphen = |version: &str| ComposeTool::Hyphen(version.into());
        let (tool, line, starts) = ask("");
        assert_eq!((tool, starts), (hyphen("1.29.2"), 1), "{userland:?}");
        assert_eq!(ask(&line), (hyphen("1.29.2"), line.clone(), 1), "{userland:?}");
        // Another boot, another device, and what is no such line.
        for unfit in [line.replacen('-', "+", 1), "hyphen 9.9.9 ".into(), line.replacen("hyphen", "plugin", 1)] {
            let (tool, _, starts) = ask(&unfit);
            assert_eq!(tool, hyphen("1.29.2"), "{userland:?} {unfit}");
            assert!(starts > 1, "{userland:?} {unfit}");
        }
        // Another docker-compose, of the same length: put in its place as whoever installs it does.
        std::fs::rename(device.here("/stubs/docker-compose"), device.here("/stubs/old")).expect("moved");
        stub("1.30.2");
        let (tool, other, _) = ask(&line);
        assert_eq!(tool, hyphen("1.30.2"), "{userland:?}");
        assert_ne!(other, line);
        // Without `stat` it is asked each time.
        device.without("stat");
        let starts = ask(&other).2;
        assert_eq!(ask(&ask("").1).2, starts + 2, "{userland:?}");
    }
}
