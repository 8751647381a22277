//! Name, directories, stamp, transfers, logs and leftovers.

use super::*;
use crate::{
    config::{LogPull, Transfer},
    facts::{LeftOut, Tree, compare::Copy},
    plan::questions,
};

fn sending(wanted: &mut Deployment, facts: &mut Facts, here: &str, there: &str, source: Source) {
    wanted.transfers.to_device.push(Transfer { local: here.into(), remote: remote(there) });
    facts.here.sources.insert(here.into(), source);
}

fn file(wanted: &mut Deployment, facts: &mut Facts, here: &str, there: &str) {
    sending(wanted, facts, here, there, Source::File(local(here, "new")));
}

#[test]
fn a_name_is_set_when_it_is_another_and_fits() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.rename = Some("bench".into());
    facts.name = Some("old".into());
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    rename: from `old` to `bench`
      set /device/info/name to `bench`, save it, read it back
    ");
    facts.name_limit = Some(4);
    insta::assert_snapshot!(shown(&wanted, &facts), @"Usage: rename: the name `bench` has 5 characters, and the device takes at most 4");
    facts.name = Some("bench".into());
    insta::assert_snapshot!(shown(&wanted, &facts), @"rename: nothing to do: the name is `bench` already");
    facts.interface_answers = false;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    ConfigurationInterface: rename: the device's configuration interface on port 80 does not answer, and only there its name can be set
    hint: check that `http://<address>` answers; in recovery mode only port 8080 does
    ");
}

#[test]
fn directories_are_made_where_they_are_missing() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.directories = vec![remote("~/share"), remote("~/it's here")];
    put(&mut facts, "/home/oem/share", DIRECTORY);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    directories: /home/oem/it's here
      make /home/oem/it's here (mode 755)
    ");
    put(&mut facts, "/home/oem/it's here", DIRECTORY);
    insta::assert_snapshot!(shown(&wanted, &facts), @"directories: nothing to do: all are there");
    put(&mut facts, "/home/oem/share", Some("a file"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: directories: `/home/oem/share` is there already and differs: it is no directory, and one is wanted
    hint: remove it with `--items_to_cleanup` in a run of its own, or choose another path
    ");
}

#[test]
fn the_stamp_records_the_first_run_and_those_that_change_something() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.stamp = Some(remote("~/share/Deployments"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    stamp: 26.11.21_07.00.00+0100 in /home/oem/share/Deployments
      sh -c '# appends a line to a file…' sh /home/oem/share/Deployments 26.11.21_07.00.00+0100
    ");
    put(&mut facts, "/home/oem/share/Deployments", Some("26.11.20_07.00.00+0100\n"));
    insta::assert_snapshot!(shown(&wanted, &facts), @"stamp: nothing to do: nothing was deployed");
    wanted.mount_usb = true;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    mount_usb: have external storage mounted
      sh -c '# has external storage mounted…' sh
    stamp: nothing to do: nothing was deployed
    ");
    wanted.directories = vec![remote("~/more")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    mount_usb: have external storage mounted
      sh -c '# has external storage mounted…' sh
    directories: /home/oem/more
      make /home/oem/more (mode 755)
    stamp: 26.11.21_07.00.00+0100 in /home/oem/share/Deployments
      sh -c '# appends a line to a file…' sh /home/oem/share/Deployments 26.11.21_07.00.00+0100
    ");
}

#[test]
fn a_file_is_sent_unless_content_and_mode_are_the_same() {
    let (mut wanted, mut facts) = (nothing(), device());
    file(&mut wanted, &mut facts, "a.conf", "~/a.conf");
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 1 of 1 file to the device
      send a.conf -> /home/oem/a.conf (3 B)
    ");
    put(&mut facts, "/home/oem/a.conf", Some("new"));
    insta::assert_snapshot!(shown(&wanted, &facts), @"transfers: nothing to do: all files are there");
    facts.paths.get_mut("/home/oem/a.conf").expect("there").mode = 0o600;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 1 of 1 file to the device
      send a.conf -> /home/oem/a.conf (3 B)
    ");
    put(&mut facts, "/home/oem/a.conf", Some("old"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 1 of 1 file to the device
      send a.conf -> /home/oem/a.conf (3 B)
    ");
}

#[test]
fn a_file_lands_in_a_directory_that_is_there_or_is_made_by_this_very_plan() {
    let (mut wanted, mut facts) = (nothing(), device());
    file(&mut wanted, &mut facts, "a.conf", "~/share");
    file(&mut wanted, &mut facts, "b.conf", "~/etc/deep/");
    wanted.directories = vec![remote("~/share")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    directories: /home/oem/share
      make /home/oem/share (mode 755)
    transfers: 2 of 2 files to the device
      make /home/oem/etc (mode 755)
      make /home/oem/etc/deep (mode 755)
      send a.conf -> /home/oem/share/a.conf (3 B)
      send b.conf -> /home/oem/etc/deep/b.conf (3 B)
    ");
}

#[test]
fn a_tree_is_the_destination_itself_or_goes_into_it_after_a_slash() {
    let tree = || {
        let files = BTreeMap::from([("sub/x".to_owned(), local("tree/sub/x", "x"))]);
        let directories = BTreeMap::from([(String::new(), 0o750), ("sub".to_owned(), 0o700)]);
        Source::Tree { files, directories, links: BTreeMap::new(), left_out: BTreeMap::new() }
    };
    let (mut wanted, mut facts) = (nothing(), device());
    sending(&mut wanted, &mut facts, "tree", "~/as", tree());
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 1 of 1 file to the device
      make /home/oem/as (mode 750)
      make /home/oem/as/sub (mode 700)
      send tree/sub/x -> /home/oem/as/sub/x (1 B)
    ");
    let (mut wanted, mut facts) = (nothing(), device());
    sending(&mut wanted, &mut facts, "tree", "~/into/", tree());
    put(&mut facts, "/home/oem/into", DIRECTORY);
    put(&mut facts, "/home/oem/into/tree", DIRECTORY);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 1 of 1 file to the device
      make /home/oem/into/tree/sub (mode 700)
      send tree/sub/x -> /home/oem/into/tree/sub/x (1 B)
      mode 750 for /home/oem/into/tree
    ");
    put(&mut facts, "/home/oem/into/tree/sub", Some("a file"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: transfers: `/home/oem/into/tree/sub` is there already and differs: it is no directory, and one is wanted
    hint: remove it with `--items_to_cleanup` in a run of its own, or choose another path
    ");
}

#[test]
fn a_file_cannot_replace_a_directory_nor_lie_below_a_file() {
    let (mut wanted, mut facts) = (nothing(), device());
    file(&mut wanted, &mut facts, "a.conf", "~/x/a.conf");
    put(&mut facts, "/home/oem/x", Some("a file"));
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: transfers: `/home/oem/x` is there already and differs: it is no directory, and one is wanted
    hint: remove it with `--items_to_cleanup` in a run of its own, or choose another path
    ");
    put(&mut facts, "/home/oem/x", DIRECTORY);
    put(&mut facts, "/home/oem/x/a.conf", DIRECTORY);
    put(&mut facts, "/home/oem/x/a.conf/a.conf", DIRECTORY);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: transfers: `/home/oem/x/a.conf/a.conf` is there already and differs: it is a directory, and a file is wanted
    hint: end the destination with a slash to put the file into it: `/home/oem/x/a.conf/a.conf/`
    ");
}

#[test]
fn what_is_fetched_is_what_is_not_here_with_the_same_content() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.transfers.from_device.push(Transfer { local: "got/".into(), remote: remote("~/share/out") });
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: transfers: `/home/oem/share/out` is to be fetched and is not on the device
    hint: check the path: `~` is /home/oem there
    ");
    put(&mut facts, "/home/oem/share/out", DIRECTORY);
    let mut tree = device();
    put(&mut tree, "a", Some("a"));
    put(&mut tree, "sub/b", Some("b"));
    put(&mut tree, "../climbs", Some("c"));
    tree.paths.retain(|path, _| !path.starts_with('/'));
    facts.trees.insert("/home/oem/share/out".into(), Tree { files: tree.paths, ..Tree::default() });
    facts.here.copies.insert("got/out/a".into(), Copy { path: "got/out/a".into(), bytes: 1 });
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 1 file from the device
      fetch /home/oem/share/out/sub/b -> got/out/sub/b (1 B)
    warning: `/home/oem/share/out/../climbs` is left out: its name would lead out of the folder
    ");
}

#[test]
fn logs_that_cannot_be_read_are_named_and_of_those_that_have_grown_only_the_end_is_pulled() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.logs = vec![LogPull { remote: remote("~/share/logs"), local: "logs".into() }];
    insta::assert_snapshot!(shown(&wanted, &facts), @"logs: nothing to do: no logs on the device");
    let mut tree = device();
    ["new.log", "same.log", "root.log", "grown.log"].iter().for_each(|name| put(&mut tree, name, Some(name)));
    tree.paths.retain(|path, _| !path.starts_with('/'));
    let root = tree.paths.get_mut("root.log").expect("there");
    (root.readable, root.sha256) = (false, None);
    facts.trees.insert("/home/oem/share/logs".into(), Tree { files: tree.paths, ..Tree::default() });
    facts.name = Some("a/b".into());
    let here = "logs/sn000201234175_a_b/logs";
    for (name, bytes) in [("same.log", 8), ("grown.log", 3)] {
        let path: std::path::PathBuf = format!("{here}/{name}").into();
        facts.here.copies.insert(path.clone(), Copy { path, bytes });
    }
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    logs: 2 of 4 log files
      fetch /home/oem/share/logs/grown.log -> logs/sn000201234175_a_b/logs/grown.log (6 B of 9 B)
      fetch /home/oem/share/logs/new.log -> logs/sn000201234175_a_b/logs/new.log (7 B)
    warning: `/home/oem/share/logs/root.log` cannot be read by this user and is not fetched
    ");
}

#[test]
fn leftovers_go_where_they_are_there_or_arrive_and_what_lies_in_them_is_gone_for_later_stages() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.leftovers = vec![remote("~/image.tar"), remote("~/app"), remote("~/none")];
    file(&mut wanted, &mut facts, "image.tar", "~/image.tar");
    let text = "services: { web: { image: 'web:1' } }";
    compose(&mut wanted, &mut facts, text);
    deployed(&mut facts, text, "web");
    docker(&mut facts).images.push(image_there("sha256:1", &["web:1"]));
    insta::assert_snapshot!(shown(&wanted, &facts), @r#"
    transfers: 1 of 1 file to the device
      send image.tar -> /home/oem/image.tar (3 B)
    leftovers: remove 2 paths
      rm -rf -- /home/oem/image.tar /home/oem/app
    compose: bring web up
      make /home/oem/app (mode 755)
      send docker-compose.yml -> /home/oem/app/docker-compose.yml (37 B)
      sh -c '# ends what else works on the containers of an application…' sh app /home/oem/app/docker-compose.yml
      docker-compose --project-name app --project-directory /home/oem/app --file /home/oem/app/docker-compose.yml up --detach --no-build --remove-orphans
      wait up to 60 s for web to run and be healthy
      watch web for 10 s more
      sh -c '# makes the version that was kept the previous one…' sh /home/oem/.o3r-deploy/app '{"images":[],"volumes":[],"projects":["app"],"up":"ef1551e493fba18a0688313c42e08267c4b974e048c806730917853d74dd4743 web"}' '{"at":"26.11.21_07.00.00+0100","by":"","application":"app","kind":"deployment","services":["web"],"images":[],"result":"done"}'
    "#);
}

#[test]
fn what_the_device_needs_is_never_a_leftover() {
    for path in ["/", "~", "~/.ssh", "~/.ssh/authorized_keys", "/usr/share/oem", "~/share/../../oem"] {
        let wanted = Deployment { leftovers: vec![remote(path)], ..nothing() };
        let shown = shown(&wanted, &device());
        assert!(shown.starts_with("Usage: leftovers: ") && shown.contains("the device needs it"), "{path}: {shown}");
    }
}

#[test]
fn the_device_is_asked_about_everything_on_the_way_to_a_destination() {
    let (mut wanted, mut facts) = (nothing(), device());
    file(&mut wanted, &mut facts, "a.conf", "~/etc/deep/");
    let probe = questions(&wanted, &facts.here);
    let asked: Vec<_> = probe.paths.iter().map(String::as_str).collect();
    let deep = ["/home", "/home/oem", "/home/oem/etc", "/home/oem/etc/deep", "/home/oem/etc/deep/a.conf"];
    assert_eq!(asked, deep);
}

/// Adds a tree with one file, one directory and one link, which is sent to `~/tree`.
fn whole_tree(wanted: &mut Deployment, facts: &mut Facts, mode: u32, directory: u32) {
    let file = LocalFile { mode, ..local("tree/a", "a") };
    let tree = Source::Tree {
        files: [("a".to_owned(), file)].into(),
        directories: [(String::new(), directory), ("sub".to_owned(), 0o2775)].into(),
        links: [("sub/link".to_owned(), "../a".to_owned())].into(),
        left_out: [("tree/fifo".into(), LeftOut::Special)].into(),
    };
    sending(wanted, facts, "tree", "~/tree", tree);
}

#[test]
fn tree_is_sent_with_links_and_modes_and_what_cannot_be_kept_is_said() {
    let (mut wanted, mut facts) = (nothing(), device());
    whole_tree(&mut wanted, &mut facts, 0o000, 0o555);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 2 of 2 files to the device
      make /home/oem/tree (mode 555)
      make /home/oem/tree/sub (mode 2775)
      send tree/a -> /home/oem/tree/a (1 B)
      link /home/oem/tree/sub/link -> ../a
    warning: `tree/a` has the mode 000 and gets 400 on the device, whose user has to read it to compare it
    warning: `tree/fifo` is left out: it is neither a file nor a directory
    ");
}

#[test]
fn tree_that_is_there_has_nothing_to_do_whatever_its_modes() {
    let (mut wanted, mut facts) = (nothing(), device());
    whole_tree(&mut wanted, &mut facts, 0o4755, 0o555);
    for (path, content, mode) in [
        ("/home/oem/tree", DIRECTORY, 0o555),
        ("/home/oem/tree/sub", DIRECTORY, 0o2775),
        ("/home/oem/tree/a", Some("a"), 0o4755),
    ] {
        put(&mut facts, path, content);
        facts.paths.get_mut(path).expect("there").mode = mode;
    }
    put(&mut facts, "/home/oem/tree/sub/link", Some("a"));
    facts.links.insert("/home/oem/tree/sub/link".into(), "../a".into());
    assert!(shown(&wanted, &facts).starts_with("transfers: nothing to do: all files are there"));

    // A read-only directory that is the user's own takes what has changed, and modes are corrected.
    put(&mut facts, "/home/oem/tree/a", Some("b"));
    facts.paths.get_mut("/home/oem/tree/sub").expect("there").mode = 0o755;
    facts.links.insert("/home/oem/tree/sub/link".into(), "elsewhere".into());
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    transfers: 2 of 2 files to the device
      send tree/a -> /home/oem/tree/a (1 B)
      link /home/oem/tree/sub/link -> ../a
      mode 555 for /home/oem/tree
      mode 2775 for /home/oem/tree/sub
    warning: `tree/fifo` is left out: it is neither a file nor a directory
    ");

    // That of another is left as it is.
    let there = facts.paths.get_mut("/home/oem/tree/sub").expect("there");
    there.own = false;
    assert!(!shown(&wanted, &facts).contains("mode 2775"));

    facts.links.clear();
    put(&mut facts, "/home/oem/tree/sub/link", DIRECTORY);
    assert!(shown(&wanted, &facts).contains("it is a directory, and a link is wanted"));
}
