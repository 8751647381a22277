use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{
    config::{ComposeFiles, ConfigError, Deployment, ImageSource, RemotePath, check, file},
    failure::{Explain, FailureKind},
};

/// Returns a folder with an `o3r-deploy.yaml` and, beside it, `here.txt`, `docker-compose.yml` and the folder `config`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("o3r-deploy.yaml", text), ("here.txt", "x"), ("docker-compose.yml", "services: {}")] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    fs::create_dir(folder.path().join("config")).expect("a folder");
    folder
}

fn checked(folder: &Path) -> Result<Deployment, ConfigError> {
    let (layer, problems) = file::read(&folder.join("o3r-deploy.yaml"), "o3r-deploy.yaml")?;
    check(&[layer], problems)
}

fn deployment(text: &str) -> Deployment {
    let folder = folder(text);
    checked(folder.path()).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> ConfigError {
    checked(folder(text).path()).expect_err("it is refused")
}

/// Returns the text of the error, without the name of the folder.
fn refused(text: &str) -> String {
    let folder = folder(text);
    let error = checked(folder.path()).expect_err("it is refused");
    error.to_string().replace(&folder.path().display().to_string(), "/folder")
}

fn remote(text: &str) -> RemotePath {
    RemotePath::new(text).expect("a path")
}

#[test]
fn every_key_is_understood() {
    let folder = folder(
        r#"
application: python_app
log_dir: ./logs
device: { address: vpu.local, port: 2222, user: me, identity: ./key }
logs: [ { remote: ~/share/logs, local: ./From_VPUs } ]
rename: "python bench"
clean_up: { containers: true, volumes: true, images: true, keep: ["mosquitto*"], only_this_application: true }
mount_usb: true
directories: [ ~/share, "~" ]
stamp: ~/share/Stamps
transfers:
  from_device: [ { remote: ~/share/x, local: ./x } ]
  to_device: [ { local: ./config, remote: ~/share/config/ } ]
volume: [ { name: share, path: ~/share } ]
image:
  - source: ./python_app.tar
    name: "python_app:1.0"
    command: [python3, "/app/a b.py"]
    environment: { A: b, N: 5 }
    entrypoint: [/bin/sh]
    working_directory: /app
  - on_device: ~/share/x.tar
    environment: [A=b]
leftovers: [ ~/share/old ]
compose: { file: ./docker-compose.yml, directory: ~/there, services: [python_app], wait: 1.5 }
autostart: { enable: [ { service: python_app, file: ~/x/docker-compose.yml }, { service: other } ], disable: [old] }
attach: { container: python_app, run_duration: 10, until: "a.*b", stop_upon_exit: true }
"#,
    );
    let deployment = checked(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let text = format!("{deployment:#?}").replace(&folder.path().display().to_string(), "/folder");
    insta::assert_snapshot!(text, @r#"
    Deployment {
        application: Some(
            "python_app",
        ),
        log_dir: Some(
            "/folder/logs",
        ),
        device: Device {
            address: "vpu.local",
            port: 2222,
            user: "me",
            identity: Some(
                "/folder/key",
            ),
        },
        hold_off: Some(
            RemotePath {
                path: "/home/oem/share/hold_off.lock",
                slash: false,
            },
        ),
        password: None,
        secrets: {},
        logs: [
            LogPull {
                remote: RemotePath {
                    path: "/home/oem/share/logs",
                    slash: false,
                },
                local: "/folder/From_VPUs",
            },
        ],
        rename: Some(
            "python bench",
        ),
        clean_up: CleanUp {
            containers: true,
            volumes: true,
            images: true,
            keep: [
                "mosquitto*",
            ],
            only_this_application: true,
        },
        mount_usb: true,
        directories: [
            RemotePath {
                path: "/home/oem/share",
                slash: false,
            },
            RemotePath {
                path: "/home/oem",
                slash: false,
            },
        ],
        stamp: Some(
            RemotePath {
                path: "/home/oem/share/Stamps",
                slash: false,
            },
        ),
        transfers: Transfers {
            from_device: [
                Transfer {
                    local: "/folder/x",
                    remote: RemotePath {
                        path: "/home/oem/share/x",
                        slash: false,
                    },
                },
            ],
            to_device: [
                Transfer {
                    local: "/folder/config",
                    remote: RemotePath {
                        path: "/home/oem/share/config",
                        slash: true,
                    },
                },
            ],
        },
        volume: [
            Volume {
                name: "share",
                path: RemotePath {
                    path: "/home/oem/share",
                    slash: false,
                },
            },
        ],
        image: [
            Image {
                source: Here(
                    "/folder/python_app.tar",
                ),
                name: Some(
                    "python_app:1.0",
                ),
                metadata: ImageMetadata {
                    command: [
                        "python3",
                        "/app/a b.py",
                    ],
                    environment: [
                        "A=b",
                        "N=5",
                    ],
                    entrypoint: [
                        "/bin/sh",
                    ],
                    working_directory: Some(
                        "/app",
                    ),
                },
            },
            Image {
                source: OnDevice(
                    RemotePath {
                        path: "/home/oem/share/x.tar",
                        slash: false,
                    },
                ),
                name: None,
                metadata: ImageMetadata {
                    command: [],
                    environment: [
                        "A=b",
                    ],
                    entrypoint: [],
                    working_directory: None,
                },
            },
        ],
        leftovers: [
            RemotePath {
                path: "/home/oem/share/old",
                slash: false,
            },
        ],
        compose: Some(
            Compose {
                files: Here {
                    files: [
                        "/folder/docker-compose.yml",
                    ],
                    directory: RemotePath {
                        path: "/home/oem/there",
                        slash: false,
                    },
                },
                services: [
                    "python_app",
                ],
                profiles: None,
                set: {},
                wait: 1.5s,
                settle: 10s,
                completes: [],
            },
        ),
        autostart: Autostart {
            enable: [
                AutostartService {
                    service: "python_app",
                    file: Some(
                        RemotePath {
                            path: "/home/oem/x/docker-compose.yml",
                            slash: false,
                        },
                    ),
                },
                AutostartService {
                    service: "other",
                    file: None,
                },
            ],
            disable: [
                "old",
            ],
        },
        attach: Some(
            Attach {
                container: "python_app",
                run_duration: Some(
                    10s,
                ),
                until: Some(
                    "a.*b",
                ),
                stop_upon_exit: true,
            },
        ),
    }
    "#);
}

#[test]
fn a_file_that_says_nothing_means_the_defaults() {
    let folder = folder("# nothing yet\n");
    let wanted = checked(folder.path()).expect("a deployment");
    let home = std::env::home_dir().expect("a home");
    assert_eq!(wanted.device.address, "192.168.0.69");
    assert_eq!((wanted.device.port, wanted.device.user.as_str()), (22, "oem"));
    assert_eq!(wanted.log_dir, Some(home.join("o3r_logs")));
    assert_eq!(wanted.directories, [remote("~/share")]);
    assert_eq!(wanted.stamp, Some(remote("~/share/Deployments")));
    assert_eq!(wanted.logs.iter().map(|pull| &pull.remote).collect::<Vec<_>>(), [&remote("~/share/logs")]);
    assert_eq!(wanted.logs[0].local, home.join("o3r_logs/From_VPUs"));
}

#[test]
fn nothing_turns_a_default_off() {
    for text in ["log_dir: ''\nlogs: []\ndirectories: []\nstamp: ''", "log_dir:\nlogs: ~\ndirectories: null\nstamp:"] {
        let wanted = deployment(text);
        assert_eq!((wanted.log_dir, wanted.logs, wanted.directories, wanted.stamp), (None, vec![], vec![], None), "{text}");
    }
    deployment("device:\ntransfers: {to_device: }\ncompose: {file: ''}\nattach:\nimage:\n");
}

#[test]
fn the_application_is_named_after_the_folder_of_the_file() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("My App.2");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("o3r-deploy.yaml"), "compose: {file: c.yml}").expect("a file");
    fs::write(folder.join("c.yml"), "").expect("a file");
    let wanted = checked(&folder).expect("a deployment");
    assert_eq!(wanted.application.as_deref(), Some("myapp2"));
    let files = ComposeFiles::Here { files: vec![folder.join("c.yml")], directory: remote("~/myapp2") };
    assert_eq!(wanted.compose.map(|compose| compose.files), Some(files));
}

#[test]
fn an_image_that_is_no_file_is_one_in_docker_unless_it_looks_like_a_path() {
    let text = "image: [{source: 'here.txt'}, {source: 'python_app:1.0'}, {source: 'gone.tar'}, {source: /gone}]";
    let folder = folder(text);
    let sources = checked(folder.path()).expect("a deployment").image.into_iter().map(|image| image.source);
    let here = |name: &str| ImageSource::Here(folder.path().join(name).display().to_string());
    assert_eq!(
        sources.collect::<Vec<_>>(),
        [here("here.txt"), ImageSource::Here("python_app:1.0".into()), here("gone.tar"), ImageSource::Here("/gone".into())]
    );
}

#[test]
fn anchors_and_merge_keys_save_words() {
    let wanted = deployment("x: &x {}\n".replace("x: &x {}\n", "").as_str());
    assert!(wanted.image.is_empty());
    let wanted = deployment("image:\n- &a {source: 'a:1', name: 'a:1', command: [x]}\n- {<<: *a, name: 'b:1'}\n");
    assert_eq!(wanted.image[1].metadata.command, ["x"]);
    assert_eq!(wanted.image[1].name.as_deref(), Some("b:1"));
}

#[test]
fn unknown_keys_are_named_with_the_nearest_that_is_known() {
    insta::assert_snapshot!(refused("renam: x\n"), @"o3r-deploy.yaml:1:1: renam: there is no such key; did you mean `rename`?");
    insta::assert_snapshot!(refused("transfers:\n  todevice: []\n"), @"o3r-deploy.yaml:2:3: transfers.todevice: there is no such key; did you mean `to_device`?");
    insta::assert_snapshot!(refused("attach: {xyz: 1}\n"), @"o3r-deploy.yaml:1:10: attach.xyz: there is no such key; there are `container`, `run_duration`, `stop_upon_exit`, `until`");
    insta::assert_snapshot!(refused("transfers:\n  to_device:\n  - {local: ./config, remote: a}\n  - {local: ./config, remot: b}\n"), @r"
        2 things are wrong in the configuration
          o3r-deploy.yaml:4:5: transfers.to_device[1]: the key `remote` is missing
          o3r-deploy.yaml:4:23: transfers.to_device[1].remot: there is no such key; did you mean `remote`?
        ");
}

#[test]
fn no_mistake_shows_the_value_of_a_secret() {
    for text in [
        "device: {password: [s3cret]}",
        "device: {password: {s3cret: s3cret}}",
        "device: {password: 1234567}",
        "device: {password: true}",
        "device: {password: \"s3cret",
        "device: {password: *s3cret}",
        "device: s3cret",
        "device: {passwrod: s3cret}",
        "device: {password: s3cret, password: s3cret}",
        "compose: {on_device: /x.yml, secrets: s3cret}",
        "compose: {on_device: /x.yml, secrets: [s3cret]}",
        "compose: {on_device: /x.yml, secrets: {a: {b: s3cret}}}",
        "compose: {on_device: /x.yml, secrets: {a: 1234567}}",
        "compose: {on_device: /x.yml, secrets: {a: !vault s3cret}}",
        "compose: {on_device: /x.yml, secrets: {a/b: s3cret}}",
    ] {
        let said = refused(&format!("{text}\n"));
        let shown = ["1234567", "found `true`", "text `s3cret", "`s3cret`"].iter().find(|value| said.contains(**value));
        assert!(shown.is_none(), "{text}: {said}");
    }
}

#[test]
fn values_of_a_wrong_kind_are_named_with_what_was_expected() {
    insta::assert_snapshot!(refused("rename: 5\nmount_usb: yes\ndirectories: ~/share\nstamp: [a]\n"), @r"
        4 things are wrong in the configuration
          o3r-deploy.yaml:1:9: rename: expected a text, found the number 5: put it in quotes
          o3r-deploy.yaml:2:12: mount_usb: expected `true` or `false`, found the text `yes`
          o3r-deploy.yaml:3:14: directories: expected a list, found the text `~/share`: put it in a list, each item after a `-`
          o3r-deploy.yaml:4:8: stamp: expected a text, found a list
        ");
    insta::assert_snapshot!(refused("device: {port: 70000, address: 1.5}\nleftovers: [~]\ncompose: {file: 5, wait: -1}\n"), @r"
        5 things are wrong in the configuration
          o3r-deploy.yaml:1:16: device.port: expected a number from 1 to 65535, found 70000
          o3r-deploy.yaml:1:32: device.address: expected a text, found the number 1.5: put it in quotes
          o3r-deploy.yaml:2:13: leftovers[0]: expected a text, found nothing: `~` alone is nothing in YAML; put it in quotes
          o3r-deploy.yaml:3:17: compose.file: expected a text or a list, found the number 5: put it in quotes
          o3r-deploy.yaml:3:26: compose.wait: expected a number of at least 0, found -1
        ");
    insta::assert_snapshot!(refused("image: [{source: 'a:1', environment: {A: 1.10}}]\nattach: {run_duration: .inf}\n"), @r"
        2 things are wrong in the configuration
          o3r-deploy.yaml:1:42: image[0].environment.A: expected a text or a whole number, found the number 1.1: put it in quotes
          o3r-deploy.yaml:2:24: attach.run_duration: expected a number of at least 0, found inf
        ");
    insta::assert_snapshot!(refused("volume: {name: a, path: b}\ndevice: here\n"), @r"
        2 things are wrong in the configuration
          o3r-deploy.yaml:1:9: volume: expected a list, found keys: put it in a list, each item after a `-`
          o3r-deploy.yaml:2:9: device: expected keys such as `address:`, found a text
        ");
    insta::assert_snapshot!(refused("- rename: x\n"), @"o3r-deploy.yaml:1:1: expected keys such as `application:`, found a list");
}

#[test]
fn text_that_is_no_yaml_is_refused_with_its_line() {
    insta::assert_snapshot!(refused("rename: a: b\n"), @"o3r-deploy.yaml:1:10: mapping values are not allowed in this context");
    insta::assert_snapshot!(refused("logs: [\nrename: x\n"), @"o3r-deploy.yaml:3:1: did not find expected ',' or ']', while parsing a flow sequence at line 1 column 7");
    insta::assert_snapshot!(refused("rename: a\nlog_dir: b\nrename: c\n"), @"o3r-deploy.yaml:3:1: the key `rename` is there twice");
    insta::assert_snapshot!(refused("rename: !env NAME\n"), @"o3r-deploy.yaml:1:9: rename: expected a text, found the tag `!env`: it is for `device.password` and `compose.secrets`");
    insta::assert_snapshot!(refused("\trename: x\n"), @"o3r-deploy.yaml:1:1: found character that cannot start any token, while scanning for the next token; the line begins with a tab, and YAML takes only spaces there");
}

#[test]
fn all_that_is_wrong_is_reported_at_once() {
    insta::assert_snapshot!(refused(r#"
application: My App
device: { address: "a b", port: 0, user: "-x" }
logs: [ { remote: "", local: "a\0b" } ]
rename: "two\nlines"
clean_up: { keep: [""] }
directories: [ ~/share, /home/oem/share ]
transfers:
  from_device: [ { remote: a, local: ./x }, { remote: b, local: x } ]
  to_device:
    - { local: ./here.txt, remote: ~/x/ }
    - { local: ./gone.txt, remote: ~/y }
    - { local: ./here.txt, remote: ~/x/here.txt }
volume: [ { name: "a b", path: a }, { name: c, path: a }, { name: c, path: b } ]
image:
  - { source: "a:1", name: "A b", working_directory: app, environment: ["=b"] }
  - { source: "a:1", on_device: b }
  - { name: "a:1" }
leftovers: [ "~", ~/x/../.. ]
compose: { file: [./docker-compose.yml, gone.yml, ./config], services: ["a b"] }
autostart: { enable: [ { service: "a/b" }, { service: old } ], disable: [old] }
attach: { container: "-x", until: "(" }
renamed: x
"#), @r"
        at least 20 things are wrong in the configuration
          o3r-deploy.yaml:2:14: application: expected lower-case letters, digits, `_` and `-`, the first a letter or digit, 63 at most, found `My App`; did you mean `myapp`?
          o3r-deploy.yaml:3:33: device.port: expected a number from 1 to 65535, found 0
          o3r-deploy.yaml:4:19: logs[0].remote: the path is empty; expected a path on the device, such as `~/share`
          o3r-deploy.yaml:4:30: logs[0].local: the path holds a NUL character; expected a path on this computer, such as `./config`
          o3r-deploy.yaml:5:9: rename: expected one line of at most 255 bytes, found `two\nlines`
          o3r-deploy.yaml:6:20: clean_up.keep[0]: expected a name or a pattern such as `mosquitto*`, found nothing
          o3r-deploy.yaml:7:25: directories[1]: `/home/oem/share` is there twice
          o3r-deploy.yaml:9:45: transfers.from_device[1]: something is transferred to `/folder/x` twice
          o3r-deploy.yaml:12:16: transfers.to_device[1].local: `/folder/gone.txt` on this computer: there is no such file
          o3r-deploy.yaml:13:7: transfers.to_device[2]: something is transferred to `/home/oem/x/here.txt` twice
          o3r-deploy.yaml:14:19: volume[0].name: expected letters, digits, `_`, `.` and `-`, the first a letter or digit, found `a b`
          o3r-deploy.yaml:14:67: volume[2].name: there is the volume `c` twice
          o3r-deploy.yaml:16:28: image[0].name: expected `name:tag` in lower case, such as `python_app:1.0`, found `A b`
          o3r-deploy.yaml:16:54: image[0].working_directory: expected an absolute path in the container, such as `/app`
          o3r-deploy.yaml:16:72: image[0].environment: expected `NAME=value`, found `=b`
          o3r-deploy.yaml:17:5: image[1]: says both `source` and `on_device`; an image comes from one of them
          o3r-deploy.yaml:18:5: image[2]: says neither `source` (on this computer) nor `on_device`
          o3r-deploy.yaml:19:14: leftovers[0]: `/home/oem` would take more with it than what is left over
          o3r-deploy.yaml:19:19: leftovers[1]: `/home/oem/x/../..` would take more with it than what is left over
          o3r-deploy.yaml:23:1: renamed: there is no such key; did you mean `rename`?
        ");
}

#[test]
fn what_goes_into_a_directory_lands_below_it_be_it_a_file_or_a_tree() {
    let twice = |first: &str, second: &str| {
        format!("transfers: {{to_device: [{{local: ./config, remote: {first}}}, {{local: ./config, remote: {second}}}]}}\n")
    };
    let wanted = deployment(&twice("~/share/config", "~/share/config/"));
    assert_eq!(wanted.transfers.to_device.len(), 2, "`config` itself, and one below it");
    insta::assert_snapshot!(refused(&twice("~/share/config", "~/share/")), @"o3r-deploy.yaml:1:68: transfers.to_device[1]: something is transferred to `/home/oem/share/config` twice");
}

#[test]
fn a_list_without_a_compose_file_and_an_empty_hold_off_are_told_apart() {
    insta::assert_snapshot!(refused("compose: {file: []}\n"), @"o3r-deploy.yaml:1:17: compose.file: names no file; `''` turns `compose` off");
    assert_eq!(deployment("compose: {file: ''}\nhold_off:\n").hold_off, None);
}

#[test]
fn an_option_that_was_taken_for_a_key_is_named_by_its_key() {
    let error = error("set_vpu_name: x\nremove-images: true\n");
    insta::assert_snapshot!(error.to_string(), @"
    2 things are wrong in the configuration
      o3r-deploy.yaml:1:1: set_vpu_name: there is no such key: that is `rename`
      o3r-deploy.yaml:2:1: remove-images: there is no such key: that is `clean_up.images`
    ");
    assert!(error.hint().is_some_and(|hint| hint.contains("schema")));
}

#[test]
fn a_stage_that_lacks_what_it_works_on_is_named() {
    insta::assert_snapshot!(refused("compose: {wait: 5}\nattach: {run_duration: 5}\n"), @r"
        2 things are wrong in the configuration
          o3r-deploy.yaml:1:10: compose: says neither `file` (on this computer) nor `on_device`
          o3r-deploy.yaml:2:24: attach.run_duration: nothing says which container to attach to: `container` of `attach`, or `--attach_to`
        ");
    insta::assert_snapshot!(refused("compose: {file: ./docker-compose.yml, on_device: ~/x.yml}\n"), @"o3r-deploy.yaml:1:10: compose: says both `file` and `on_device`; the application comes from one of them");
}

#[test]
fn missing_local_files_alone_have_their_own_exit_code() {
    let only_files = error("transfers: {to_device: [{local: gone, remote: a}]}\ncompose: {file: gone.yml}\n");
    assert_eq!((only_files.problems().len(), only_files.kind()), (2, FailureKind::LocalFile));
    assert_eq!(error("transfers: {to_device: [{local: gone, remote: a}]}\nrename: 5\n").kind(), FailureKind::Usage);
}

#[test]
fn a_file_of_too_many_bytes_is_refused() {
    let text = error(&format!("# {}", "x".repeat(1 << 20))).to_string();
    assert!(text.ends_with("is larger than 1024 KiB"), "{text}");
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let folder = folder("");
    fs::write(folder.path().join("o3r-deploy.yaml"), [0xff, 0xfe, 0]).expect("a file");
    insta::assert_snapshot!(checked(folder.path()).expect_err("it is refused").to_string(), @"o3r-deploy.yaml: it is not UTF-8 text");
}

#[test]
fn a_file_full_of_mistakes_is_answered_in_time() {
    let keys: String = (0..60_000).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(error(&keys).problems().len(), 20);
    let paths = format!("leftovers: [{}]", "'', ".repeat(200_000));
    assert_eq!(error(&paths).problems().len(), 20);
}
