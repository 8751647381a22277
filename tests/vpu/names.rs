//! A path, name or tag never does anything but be itself, whatever characters it has.

use std::{collections::BTreeMap, fs, io::Read, os::unix::ffi::OsStrExt, path::Path};

use serde_json::{Value, json};

use crate::{
    device::{OVP80X, OVP81X, Vpu},
    failures::words,
    images::Image,
};

/// Names that mean something to a shell, to `xargs`, `tar`, `find`, `printf` or a terminal. What runs a command in one of them
/// leaves a file called `pwned`.
const NAMES: [&str; 36] = [
    "a b",
    " around ",
    "it's",
    "\"quoted\"",
    "'",
    "$(touch pwned)",
    "`touch pwned`",
    "$HOME",
    "${IFS}",
    ";touch pwned",
    "&& touch pwned",
    "| touch pwned",
    "> pwned",
    "-rf",
    "--help",
    "-",
    "*",
    "?",
    "[a]",
    "{}",
    "{a,b}",
    "~",
    "~root",
    "#",
    "!",
    "\\",
    "\\n\\0",
    "%s%n",
    "two\nlines",
    "ends with a line break\n",
    "\ttab",
    "\u{1b}[2Jcleared",
    "Grüße °C 漢字",
    "a:b,c>d",
    "...",
    ".hidden",
];

/// Every file below a folder, by its path, with its permission bits and content; directories have none.
type Tree = BTreeMap<Vec<u8>, (u32, Option<Vec<u8>>)>;

fn local_tree(folder: &Path) -> Tree {
    use std::os::unix::fs::PermissionsExt;
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = fs::metadata(&path).expect("there");
            let name = path.strip_prefix(folder).expect("below").as_os_str().as_bytes().to_owned();
            let content = metadata.is_file().then(|| fs::read(&path).expect("read"));
            tree.insert(name, (metadata.permissions().mode() & 0o777, content));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    tree
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Vpu {
    /// The tree at an absolute path on the device, over plain ssh.
    fn tree(&self, path: &str) -> Tree {
        let output = self.ssh_command(&format!("tar -c -C {} .", quoted(path))).output().expect("ssh runs");
        assert!(output.status.success(), "{path:?}: {output:?}");
        let mut archive = tar::Archive::new(&output.stdout[..]);
        let mut tree = Tree::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let name = entry.path_bytes().into_owned();
            let name = name.strip_prefix(b"./").unwrap_or(&name).to_owned();
            let is_file = entry.header().entry_type().is_file();
            let name = if is_file { name } else { name.strip_suffix(b"/").unwrap_or(&name).to_owned() };
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("read");
            if !name.is_empty() {
                tree.insert(name, (entry.header().mode().expect("a mode") & 0o777, is_file.then_some(content)));
            }
        }
        tree
    }

    /// Writes the configuration file.
    fn configure(&self, configuration: Value) {
        let mut whole = json!({ "logs": [], "stamp": "", "directories": [] });
        let object = whole.as_object_mut().expect("an object");
        object.extend(configuration.as_object().expect("an object").clone());
        self.write("o3r-deploy.yaml", whole.to_string());
    }

    /// Checks that no name was run as a command, and that none reached the terminal with its control characters.
    #[track_caller]
    fn assert_harmless(&self, said: &str) {
        assert_eq!(self.root("find / -xdev -name pwned"), "");
        assert_eq!(
            local_tree(self.home.path())
                .keys()
                .filter(|name| name.rsplit(|byte| *byte == b'/').next() == Some(b"pwned"))
                .count(),
            0
        );
        assert!(!said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn files_and_folders_of_any_name_arrive_as_they_are_on_both_sides() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        let tree = vpu.home.path().join("tree");
        for name in NAMES {
            fs::create_dir_all(tree.join("in").join(name)).expect("made");
            fs::write(tree.join("in").join(name).join(name), name).expect("written");
            fs::write(tree.join(name), name).expect("written");
        }
        let sent = local_tree(&tree);
        let folders: Vec<_> = NAMES.iter().map(|name| format!("/home/oem/to/{name}")).collect();
        let to: Vec<_> = NAMES
            .iter()
            .zip(&folders)
            .map(|(name, folder)| json!({ "local": format!("./tree/{name}"), "remote": format!("{folder}/") }))
            .chain([json!({ "local": "./tree", "remote": "~/whole tree $(touch pwned)\n" })])
            .collect();
        vpu.configure(json!({ "transfers": { "to_device": to } }));
        vpu.assert_harmless(&vpu.succeed(&[]));
        assert_eq!(vpu.tree("/home/oem/whole tree $(touch pwned)\n"), sent);
        for (name, tree) in NAMES.iter().zip(folders.iter().map(|folder| vpu.tree(folder))) {
            let file = (name.as_bytes().to_owned(), (0o644, Some(name.as_bytes().to_owned())));
            assert_eq!(tree, Tree::from([file]), "{name:?}");
        }
        let again = vpu.succeed(&[]);
        assert!(again.contains("all files are there"), "{again}");

        let from: Vec<_> = NAMES
            .iter()
            .map(|name| json!({ "remote": format!("~/to/{name}/{name}"), "local": format!("./single/{name}/") }))
            .chain([json!({ "remote": "~/whole tree $(touch pwned)\n", "local": "./got it's $(touch pwned)" })])
            .collect();
        vpu.configure(json!({ "transfers": { "from_device": from } }));
        vpu.assert_harmless(&vpu.succeed(&[]));
        assert_eq!(local_tree(&vpu.home.path().join("got it's $(touch pwned)")), sent);
        for name in NAMES {
            let got = vpu.home.path().join("single").join(name).join(name);
            assert_eq!(fs::read(got).expect("fetched"), name.as_bytes(), "{name:?}");
        }
        let again = vpu.succeed(&[]);
        assert!(again.contains("all files are there"), "{again}");
    }
}

#[test]
fn directories_stamps_leftovers_and_volumes_of_any_name_are_that_and_nothing_else() {
    let vpu = Vpu::trusted(OVP81X);
    let below = |folder: &str| NAMES.iter().map(|name| format!("~/{folder}/{name}/{name}")).collect::<Vec<_>>();
    let volumes: Vec<_> = NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| json!({ "name": format!("v{number}"), "path": format!("~/volumes/{name}") }))
        .collect();
    vpu.configure(json!({
        "directories": below("made"),
        "stamp": "~/stamps\n/$(touch pwned)/-De ploy'ments\n",
        "volume": volumes,
    }));
    vpu.assert_harmless(&vpu.succeed(&[]));
    let expected: Tree = NAMES
        .iter()
        .flat_map(|name| [name.to_string(), format!("{name}/{name}")])
        .map(|path| (path.into_bytes(), (0o755, None)))
        .collect();
    assert_eq!(vpu.tree("/home/oem/made"), expected);
    let stamps = vpu.tree("/home/oem/stamps\n/$(touch pwned)");
    assert_eq!(stamps.keys().map(Vec::as_slice).collect::<Vec<_>>(), [b"-De ploy'ments\n"]);
    for (number, name) in NAMES.iter().enumerate() {
        let device = vpu.root(&format!("docker volume inspect --format '{{{{json .Options.device}}}}' v{number}"));
        assert_eq!(serde_json::from_str::<Value>(&device).expect("JSON"), format!("/home/oem/volumes/{name}"));
    }
    let again = vpu.succeed(&[]);
    assert!(again.contains("nothing to change on the device"), "{again}");

    // Only what is named goes: a pattern is a name.
    let leftovers: Vec<_> = NAMES.iter().filter(|name| **name != "a b").map(|name| format!("~/made/{name}")).collect();
    vpu.configure(json!({ "leftovers": leftovers }));
    vpu.assert_harmless(&vpu.succeed(&[]));
    assert_eq!(vpu.tree("/home/oem/made").keys().map(Vec::as_slice).collect::<Vec<_>>(), [&b"a b"[..], b"a b/a b"]);
}

#[test]
fn a_device_may_have_any_name_of_one_line_and_its_folder_here_stays_in_place() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("mkdir -p ~/share/logs && echo hello > ~/share/logs/app.log");
    // Each takes a second or more, most of it in ifm's client.
    let names = [
        " it's \"quoted\" ",
        "$(touch pwned); `touch pwned`",
        "-rf *",
        "\\ %s%n",
        "Grüße °C 漢字",
        "../../../up",
        "/etc/pwned",
        "<a>&amp;]]>",
    ];
    for name in names {
        let said = vpu.succeed(&[&format!("--set_vpu_name={name}")]);
        vpu.assert_harmless(&said);
        assert_eq!(vpu.name(), name);
    }
    let pulled = vpu.home.path().join("o3r_logs/From_VPUs");
    for folder in fs::read_dir(&pulled).expect("pulled") {
        let folder = folder.expect("an entry").path();
        assert_eq!(fs::read_to_string(folder.join("logs/app.log")).expect("the log"), "hello\n", "{}", folder.display());
    }
    vpu.reboot();
    assert_eq!(vpu.name(), "<a>&amp;]]>");
}

#[test]
fn logs_of_any_name_are_pulled_under_that_name_and_only_what_is_new() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        let long = "x".repeat(251);
        let make: String = NAMES
            .iter()
            .copied()
            .chain([long.as_str(), r"..\..\..\up", "C:evil"])
            .map(|name| format!("printf %s {0} > ./{0}.log; ", quoted(name)))
            .collect();
        vpu.root(&format!(
            "mkdir -p /home/oem/share/logs && cd /home/oem/share/logs && {make} printf x > \"$(printf 'not utf-8 \\377.log')\"; chown -R oem /home/oem/share"
        ));
        let there: Tree = vpu.tree("/home/oem/share/logs").into_iter().filter(|(name, _)| !name.contains(&0xff)).collect();
        let said = vpu.succeed(&[]);
        vpu.assert_harmless(&said);
        assert!(said.contains("is not UTF-8"), "{said}");
        let folder = vpu.home.path().join(format!("o3r_logs/From_VPUs/sn{}/logs", vpu.serial()));
        assert_eq!(local_tree(&folder), there);
        vpu.root("printf more >> '/home/oem/share/logs/a b.log'");
        let said = vpu.succeed(&[]);
        assert!(said.contains("logs: read: 1 of "), "{said}");
        assert_eq!(fs::read_to_string(folder.join("a b.log")).expect("there"), "a bmore");
    }
}

#[test]
fn an_application_may_live_in_a_folder_of_any_name() {
    let vpu = Vpu::trusted(OVP81X);
    Image::new("app:1", "cat /config/it*; sleep 1000").save(&vpu.home.path().join("my image $(touch pwned).tar"));
    let folder = vpu.home.path().join("its");
    let inner = "it's $$(touch pwned)";
    fs::create_dir_all(folder.join("con fig's")).expect("made");
    fs::write(folder.join("con fig's").join(inner.replace("$$", "$")), "content\n").expect("written");
    fs::write(folder.join("an env's ü.env"), "A=$(touch pwned)\n").expect("written");
    let compose = json!({
        "version": "2.4",
        "services": { "web": {
            "image": "app:1", "container_name": "web", "env_file": "./an env's ü.env", "restart": "unless-stopped",
            "volumes": ["./con fig's:/config"],
        } },
    });
    fs::write(folder.join("-compose it's.yml"), compose.to_string()).expect("written");
    vpu.configure(json!({
        "application": "app",
        "image": [{ "source": "./my image $(touch pwned).tar" }],
        "compose": { "file": "./its/-compose it's.yml", "directory": "~/-my app's $(touch pwned)\nfolder" },
        "autostart": { "enable": [{ "service": "web" }] },
    }));
    vpu.assert_harmless(&vpu.succeed(&[]));
    assert_eq!(vpu.root("docker container logs web"), "content\n");
    assert!(vpu.root("docker container inspect --format '{{json .Config.Env}}' web").contains(r#""A=$(touch pwned)""#));
    assert_eq!(vpu.root("readlink /usr/share/oem/docker/compose/web"), "/home/oem/-my app's $(touch pwned)\nfolder\n");
    let again = vpu.succeed(&[]);
    assert!(again.contains("nothing to change on the device"), "{again}");
    vpu.assert_harmless(&again);
}

#[test]
fn names_that_docker_or_systemd_cannot_have_are_refused_at_once() {
    let vpu = Vpu::trusted(OVP81X);
    Image::new("app:1", "sleep 1000").save(&vpu.home.path().join("app.tar"));
    vpu.write("compose.yml", json!({ "services": { "-d": { "image": "app:1" }, "web": { "image": "app:1" } } }).to_string());
    let before = vpu.whole_state();
    let bad = ["a b", "-d", "--all", "$(touch pwned)", "`touch pwned`", "a;touch pwned", "a\nb", "*", "ü", "'", "\"\"\"\""];
    for name in bad {
        let refused = |option: &str, value: String| {
            let (code, said) = vpu.run(&words(&[&format!("--{option}={value}")]));
            assert_eq!(code, 2, "--{option}={value}: {said}");
            let lines: Vec<_> = said.lines().collect();
            assert!(lines.len() == 2 && lines[0].starts_with("error: ") && lines[1].starts_with("hint: "), "{said}");
        };
        refused("image", format!("./app.tar,{name}"));
        refused("image_to_import", format!("~/app.tar,{name}"));
        refused("volume_to_setup", format!("~/data,{name}"));
        refused("attach_to", name.into());
        refused("disable_autostart", name.into());
        refused("enable_autostart", format!("~/compose.yml:{name}"));
        refused("docker_compose_to_initialize", format!("compose.yml:{name}"));
        refused("user", name.into());
        refused("IP", name.into());
    }
    let (code, said) = vpu.run(&words(&["--set_vpu_name", "two\nlines"]));
    assert_eq!(code, 2, "{said}");
    vpu.assert_as_before(&before);
    vpu.assert_harmless("");
}

#[test]
fn a_name_after_which_nobody_gets_in_is_taken_back() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.succeed(&["--set_vpu_name", "before"]);
    // One connection is there; a second one is refused.
    vpu.root("iptables -I INPUT -p tcp --dport 22 --syn -m connlimit --connlimit-above 1 -j REJECT --reject-with tcp-reset");
    let (code, said) = vpu.run(&["--set_vpu_name", "after", "--reconnects", "0"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("could not be confirmed over a new connection"), "{said}");
    assert_eq!(vpu.name(), "before");
    vpu.root("iptables -D INPUT 1");
    vpu.succeed(&["--set_vpu_name", "after"]);
    assert_eq!(vpu.name(), "after");
}
