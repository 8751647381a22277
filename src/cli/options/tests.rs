use std::{fs, path::Path, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser};
use tempfile::TempDir;

use super::{ApplicationOptions, DeviceOptions, Options, Wanted, application, deployment, device};
use crate::{
    config::{AutostartService, ComposeFiles, ConfigError, ImageSource, RemotePath},
    failure::{Explain, FailureKind},
};

#[derive(Debug, Parser)]
#[command(name = "o3r-deploy", term_width = 100)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn options(words: &[&str]) -> Options {
    let words = std::iter::once("o3r-deploy").chain(words.iter().copied());
    // What the environment of these tests says about the device is not what they are about.
    let command = Program::command().mut_arg("ip", |argument| argument.env("NAMED_BY_NOBODY"));
    let matches = command.try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));
    Options::from_arg_matches(&matches).unwrap_or_else(|error| panic!("{error}"))
}

fn wanted_in(folder: &Path, words: &[&str]) -> Result<Wanted, ConfigError> {
    deployment(&options(words), folder)
}

fn wanted(words: &[&str]) -> Wanted {
    wanted_in(folder().path(), words).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(words: &[&str]) -> String {
    let folder = folder();
    let error = wanted_in(folder.path(), words).expect_err("it is refused");
    error.to_string().replace(&folder.path().display().to_string(), "/folder")
}

/// Returns a working directory with `docker-compose.yml`, `a,b.txt` and the folder `config`, and no configuration file.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("docker-compose.yml"), "").expect("a file");
    fs::write(folder.path().join("a,b.txt"), "").expect("a file");
    fs::create_dir(folder.path().join("config")).expect("a folder");
    folder
}

fn with_file(text: &str) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("o3r-deploy.yaml"), text).expect("a file");
    folder
}

fn remote(text: &str) -> RemotePath {
    RemotePath::new(text).expect("a path")
}

#[test]
fn the_bare_command_means_what_the_incumbents_does() {
    let wanted = wanted(&[]);
    let home = std::env::home_dir().expect("a home").display().to_string();
    assert_eq!(wanted.config_file, None);
    insta::assert_snapshot!(format!("{:#?}", wanted.deployment).replace(&home, "/home"), @r#"
    Deployment {
        application: None,
        log_dir: Some(
            "/home/o3r_logs",
        ),
        device: Device {
            address: "192.168.0.69",
            port: 22,
            user: "oem",
            identity: None,
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
                local: "/home/o3r_logs/From_VPUs",
            },
        ],
        rename: None,
        clean_up: CleanUp {
            containers: false,
            volumes: false,
            images: false,
            keep: [],
            only_this_application: false,
        },
        mount_usb: false,
        directories: [
            RemotePath {
                path: "/home/oem/share",
                slash: false,
            },
        ],
        stamp: Some(
            RemotePath {
                path: "/home/oem/share/Deployments",
                slash: false,
            },
        ),
        transfers: Transfers {
            from_device: [],
            to_device: [],
        },
        volume: [],
        image: [],
        leftovers: [],
        compose: None,
        autostart: Autostart {
            enable: [],
            disable: [],
        },
        attach: None,
    }
    "#);
}

#[test]
fn every_option_is_understood_in_both_spellings() {
    let command = Program::command();
    for argument in command.get_arguments() {
        let Some(long) = argument.get_long().filter(|long| long.contains(['_', '-'])) else { continue };
        let other = if long.contains('_') { long.replace('_', "-") } else { long.replace('-', "_") };
        let aliases = argument.get_all_aliases().unwrap_or_default();
        assert!(aliases.contains(&other.as_str()), "--{long} lacks --{other}");
    }
}

#[test]
fn every_option_of_the_incumbent_is_there() {
    let command = Program::command();
    let there: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
    for name in "IP log_level log_dir get_logs_from_vpu set_vpu_name remove_running_containers \
        dont_remove_running_containers remove_volumes dont_remove_volumes remove_images dont_remove_images \
        mount_usb_volumes dont_mount_usb_volumes dirs_to_make append_deployment_timestamp_to transfers_from_vpu \
        transfers_to_vpu volume_to_setup image_to_import items_to_cleanup enable_autostart disable_autostart \
        docker_compose_to_initialize attach_to run_duration stop_upon_exit dont_stop_upon_exit"
        .split_whitespace()
    {
        assert!(there.contains(&name), "--{name} is missing");
    }
}

#[test]
fn every_visible_option_teaches_with_an_example_that_parses() {
    let command = Program::command();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long().filter(|long| *long != "help") else { continue };
        let help = argument.get_long_help().map(ToString::to_string).unwrap_or_default();
        let example = help.split_once("Example: ").unwrap_or_else(|| panic!("--{long} has no example")).1;
        let words = shlex::split(example).unwrap_or_else(|| panic!("the example of --{long} is no command line"));
        assert!(words.contains(&format!("--{long}")), "the example of --{long} does not show it");
        options(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(argument.get_help_heading().is_some(), "--{long} has no heading");
    }
}

#[test]
fn the_address_is_named_by_option_or_environment() {
    let command = Program::command();
    let ip = command.get_arguments().find(|argument| argument.get_long() == Some("IP")).expect("the option");
    assert_eq!(ip.get_env().and_then(|name| name.to_str()), Some("IFM3D_IP"));
    assert_eq!(wanted(&["--ip", "10.0.0.1"]).deployment.device.address, "10.0.0.1");
    let command = Program::command().mut_arg("ip", |argument| argument.env("NAMED_BY_NOBODY"));
    for option in ["--IP", "--user", "--identity", "--port", "--lock-wait"] {
        let error = command.clone().try_get_matches_from(["o3r-deploy", option, ""]).expect_err("it says nothing");
        assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation, "{option}");
    }
}

#[test]
fn file_of_the_nearest_folder_above_is_used() {
    let folder = with_file("device: {address: above}\n");
    let inner = folder.path().join("a/b");
    std::fs::create_dir_all(&inner).expect("made");
    let found = wanted_in(&inner, &[]).expect("it is right");
    assert_eq!(found.deployment.device.address, "above");
    assert_eq!(found.config_file, Some(folder.path().join("o3r-deploy.yaml")));
    assert_eq!(wanted_in(&inner, &["--config", ""]).expect("it is right").config_file, None);
    assert!(!options(&["--IP", "a", "--quiet"]).names_a_stage() && options(&["--dirs_to_make", "~/x"]).names_a_stage());
}

#[test]
fn the_same_deployment_told_in_options_and_in_yaml_is_the_same() {
    let yaml = r#"
application: ignored_by_the_comparison
log_dir: ./logs
device: { address: vpu.local, port: 2222, user: me, identity: ./key }
logs: [ { remote: ~/share/logs, local: './From VPUs' } ]
rename: "python bench"
clean_up: { containers: true, volumes: true, images: true }
mount_usb: true
directories: [ ~/share, ~/other ]
stamp: ~/share/Stamps
transfers:
  from_device: [ { remote: ~/share/x, local: ./x }, { remote: ~/y, local: './y' } ]
  to_device: [ { local: ./config, remote: ~/share/config/ }, { local: './a,b.txt', remote: ~/a } ]
volume: [ { name: share, path: ~/share } ]
image: [ { on_device: ~/share/x.tar, name: "x:1" }, { source: ./python_app.tar, name: "python_app:1.0" }, { source: "b:1" } ]
leftovers: [ ~/share/old, ~/older ]
compose: { file: ./docker-compose.yml, services: [python_app], directory: ~/app }
autostart: { enable: [ { service: python_app, file: ~/x/docker-compose.yml }, { service: other } ], disable: [old, older] }
attach: { container: python_app, run_duration: 2.5, stop_upon_exit: true }
"#;
    let words = [
        "--config",
        "other.yaml",
        "--log_dir",
        "./logs",
        "--IP",
        "vpu.local",
        "--port",
        "2222",
        "--user",
        "me",
        "--identity",
        "./key",
        "--get-logs-from-vpu",
        "~/share/logs>./From VPUs",
        "--set_vpu_name",
        "python bench",
        "--remove_running_containers",
        "--remove_volumes",
        "--remove_images",
        "--mount_usb_volumes",
        "--dirs_to_make",
        "~/share",
        "~/other",
        "--append_deployment_timestamp_to",
        "~/share/Stamps",
        "--transfers_from_vpu",
        "~/share/x,./x",
        "--transfers_from_vpu",
        "~/y,./y",
        "--transfers_to_vpu",
        "./config,~/share/config/",
        "\"./a,b.txt\",~/a",
        "--volume_to_setup",
        "~/share,share",
        "--image_to_import",
        "~/share/x.tar,x:1",
        "--image",
        "./python_app.tar,python_app:1.0",
        "--image",
        "b:1",
        "--items_to_cleanup",
        "~/share/old,~/older",
        "--docker_compose_to_initialize",
        "./docker-compose.yml:python_app",
        "--enable_autostart",
        "~/x/docker-compose.yml:python_app,other",
        "--disable_autostart",
        "old",
        "older",
        "--attach_to",
        "python_app",
        "--run_duration",
        "2.5",
        "--stop_upon_exit",
    ];
    let folder = with_file(yaml);
    // What options cannot say is said by a file, which is the same for both.
    fs::write(folder.path().join("other.yaml"), "application: ignored_by_the_comparison\ncompose: {directory: ~/app}\n")
        .expect("a file");
    let by_yaml = wanted_in(folder.path(), &[]).unwrap_or_else(|error| panic!("{error}"));
    let by_options = wanted_in(folder.path(), &words).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(by_options.deployment, by_yaml.deployment);
    assert_eq!(by_yaml.config_file, Some(folder.path().join("o3r-deploy.yaml")));
}

#[test]
fn options_override_the_file_key_by_key() {
    let folder = with_file(
        "device: {address: a, port: 1}\nclean_up: {containers: true, images: true, keep: [x]}\nstamp: ~/a\n\
         transfers: {to_device: [{local: config, remote: a}], from_device: [{remote: a, local: a}]}\n\
         compose: {file: docker-compose.yml, services: [a], wait: 5}\nattach: {container: a, until: x, run_duration: 3}\n",
    );
    let words = ["--IP", "b", "--dont_remove_images", "--transfers_to_vpu", "", "--docker_compose_to_initialize", "~/x.yml"];
    let wanted = wanted_in(folder.path(), &[&words[..], &["--run_duration", "0"]].concat()).expect("a deployment").deployment;
    assert_eq!((wanted.device.address.as_str(), wanted.device.port), ("b", 1));
    assert!(wanted.clean_up.containers && !wanted.clean_up.images);
    assert_eq!(wanted.clean_up.keep, ["x"]);
    assert_eq!((wanted.transfers.to_device.len(), wanted.transfers.from_device.len()), (0, 1));
    let compose = wanted.compose.expect("a project");
    assert_eq!(compose.files, ComposeFiles::OnDevice(remote("~/x.yml")));
    assert_eq!((compose.services, compose.wait), (vec![], Duration::from_secs(5)));
    let attach = wanted.attach.expect("a container");
    assert_eq!((attach.container.as_str(), attach.until.as_deref(), attach.run_duration), ("a", Some("x"), None));
}

#[test]
fn an_empty_value_turns_a_stage_off() {
    let folder = with_file(
        "rename: x\nvolume: [{name: a, path: b}]\nimage: [{source: a}]\nleftovers: [a]\n\
         compose: {file: docker-compose.yml}\nautostart: {enable: [{service: a}], disable: [b]}\nattach: {container: a}\n",
    );
    let names = "get_logs_from_vpu dirs_to_make append_deployment_timestamp_to log_dir set_vpu_name volume_to_setup image \
        items_to_cleanup docker_compose_to_initialize enable_autostart disable_autostart attach_to";
    let words: Vec<_> = names.split_whitespace().flat_map(|name| [format!("--{name}"), String::new()]).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let wanted = wanted_in(folder.path(), &words).unwrap_or_else(|error| panic!("{error}")).deployment;
    assert!(wanted.logs.is_empty() && wanted.directories.is_empty() && wanted.volume.is_empty() && wanted.image.is_empty());
    assert!(wanted.leftovers.is_empty() && wanted.autostart == Default::default());
    assert_eq!((wanted.stamp, wanted.log_dir, wanted.rename), (None, None, None));
    assert_eq!((wanted.compose, wanted.attach), (None, None));
}

#[test]
fn an_address_comes_without_port_and_brackets() {
    assert_eq!(wanted(&["--IP", "[::1]"]).deployment.device.address, "::1");
    assert_eq!(wanted(&["--IP", "fe80::1%eth0"]).deployment.device.address, "fe80::1%eth0");
    insta::assert_snapshot!(refused(&["--IP", "127.0.0.9:22"]), @"--IP: `127.0.0.9:22` is the address `127.0.0.9` and the port `22`: the port goes into `--port`");
    insta::assert_snapshot!(refused(&["--IP", "[::1]:22"]), @"--IP: `[::1]:22` is the address `[::1]` and the port `22`: the port goes into `--port`");
}

#[test]
fn a_compose_file_is_named_or_turned_off_and_never_lost() {
    insta::assert_snapshot!(refused(&["--docker_compose_to_initialize", ":app"]), @"--docker_compose_to_initialize: names the service `app` and no file; expected `FILE:SERVICE`");
}

#[test]
fn several_images_stand_behind_one_option() {
    assert_eq!(wanted(&["--image", "./a.tar", "b:1"]).deployment.image.len(), 2);
}

#[test]
fn of_a_flag_and_its_twin_the_last_one_counts() {
    assert!(wanted(&["--dont_remove_volumes", "--remove-volumes"]).deployment.clean_up.volumes);
    assert!(!wanted(&["--remove_volumes", "--dont-remove-volumes"]).deployment.clean_up.volumes);
}

#[test]
fn windows_drives_are_no_separators() {
    let wanted = wanted(&["--get_logs_from_vpu", r"~/share/logs>C:\logs", "--image", r"C:\x\app.tar,app:1"]).deployment;
    assert!(wanted.logs[0].local.ends_with(r"C:\logs"));
    assert!(matches!(&wanted.image[0].source, ImageSource::Here(path) if path.ends_with(r"C:\x\app.tar")));
    insta::assert_snapshot!(refused(&["--docker_compose_to_initialize", r"C:\x\docker-compose.yml:app"]), @r"--docker_compose_to_initialize: `/folder/C:\x\docker-compose.yml` on this computer: there is no such file");
}

#[test]
fn a_compose_file_is_on_the_device_when_its_path_says_so() {
    let files = |text| wanted(&["--docker_compose_to_initialize", text]).deployment.compose.map(|compose| compose.files);
    assert_eq!(files("~/x/docker-compose.yml:app"), Some(ComposeFiles::OnDevice(remote("~/x/docker-compose.yml"))));
    assert_eq!(files("/x.yml"), Some(ComposeFiles::OnDevice(remote("/x.yml"))));
    assert!(matches!(files("./docker-compose.yml"), Some(ComposeFiles::Here { .. })));
}

#[test]
fn an_autostart_service_may_come_without_its_file() {
    let enable = wanted(&["--enable_autostart", "app,~/a:b/c.yml:other"]).deployment.autostart.enable;
    let other = AutostartService { service: "other".into(), file: Some(remote("~/a:b/c.yml")) };
    assert_eq!(enable, [AutostartService { service: "app".into(), file: None }, other]);
}

#[test]
fn all_wrong_options_are_reported_at_once_by_their_names() {
    insta::assert_snapshot!(refused(&[
        "--transfers_to_vpu", "a,b,c", "gone,x", "--get_logs_from_vpu", "x", "--image_to_import", "a,A b", "--image", "x,B b",
        "--run_duration", "5", "--IP", "a b", "--disable_autostart", "a/b",
    ]), @r#"
        7 things are wrong in the configuration
          --get_logs_from_vpu: `x` is understood as one part, `x`; expected `REMOTE>LOCAL`, such as `~/share/logs>~/o3r_logs/From_VPUs`
          --transfers_to_vpu: `a,b,c` is understood as 3 parts, `a`, `b`, `c`; expected `LOCAL,REMOTE`, such as `./config,~/share/config`; a `,` that belongs to a name stands in double quotes: '"a,b",c'
          --IP: expected a host name or an address, such as `192.168.0.69`, found `a b`
          --transfers_to_vpu: `/folder/gone` on this computer: there is no such file
          --image_to_import: expected `name:tag` in lower case, such as `python_app:1.0`, found `A b`
          --image: expected `name:tag` in lower case, such as `python_app:1.0`, found `B b`
          --disable_autostart: expected letters, digits, `_`, `.`, `:` and `-`, for it names a systemd unit, found `a/b`
        "#);
    insta::assert_snapshot!(refused(&["--run_duration", "5"]), @"--run_duration: nothing says which container to attach to: `container` of `attach`, or `--attach_to`");
    insta::assert_snapshot!(refused(&["--enable_autostart", "./docker-compose.yml"]), @"--enable_autostart: `./docker-compose.yml` is understood as one part, `./docker-compose.yml`; expected `[FILE:]SERVICE`, such as `~/python_app/docker-compose.yml:python_app`");
}

#[test]
fn mistakes_of_options_and_file_stand_together() {
    let folder = with_file("renam: x\nattach: {container: a, xyz: 1}\n");
    let error = wanted_in(folder.path(), &["--run_duration", "5", "--user", "a b"]).expect_err("it is refused");
    insta::assert_snapshot!(error.to_string(), @r"
        3 things are wrong in the configuration
          --user: expected a user's name, such as `oem`, found `a b`
          o3r-deploy.yaml:1:1: renam: there is no such key; did you mean `rename`?
          o3r-deploy.yaml:2:24: attach.xyz: there is no such key; there are `container`, `run_duration`, `stop_upon_exit`, `until`
        ");
}

#[test]
fn values_that_are_none_are_refused_by_the_parser() {
    let said = |words: &[&str]| {
        let words = std::iter::once("o3r-deploy").chain(words.iter().copied());
        Program::try_parse_from(words).expect_err("it is refused").to_string().lines().next().map(ToOwned::to_owned)
    };
    insta::assert_snapshot!(said(&["--run_duration", "-1"]).unwrap_or_default(), @"error: invalid value '-1' for '--run_duration <SECONDS>': expected seconds, a number from 0 such as `2.5`");
    insta::assert_snapshot!(said(&["--run_duration=NaN"]).unwrap_or_default(), @"error: invalid value 'NaN' for '--run_duration <SECONDS>': expected seconds, a number from 0 such as `2.5`");
    insta::assert_snapshot!(said(&["--port", "0"]).unwrap_or_default(), @"error: invalid value '0' for '--port <PORT>': expected a number from 1 to 65535");
    insta::assert_snapshot!(said(&["--port", "abc"]).unwrap_or_default(), @"error: invalid value 'abc' for '--port <PORT>': expected a number from 1 to 65535");
    insta::assert_snapshot!(said(&["--port", "-1"]).unwrap_or_default(), @"error: invalid value '-1' for '--port <PORT>': expected a number from 1 to 65535");
    insta::assert_snapshot!(said(&["--lock-wait", "-1"]).unwrap_or_default(), @"error: invalid value '-1' for '--lock-wait <SECONDS>': expected seconds, a number from 0 such as `2.5`");
    insta::assert_snapshot!(said(&["--reconnects", "-1"]).unwrap_or_default(), @"error: invalid value '-1' for '--reconnects <TIMES>': expected how often, a whole number from 0");
    insta::assert_snapshot!(said(&["--log_level", "loud"]).unwrap_or_default(), @"error: invalid value 'loud' for '--log_level <LEVEL>': expected DEBUG, INFO, WARNING, ERROR or CRITICAL");
    insta::assert_snapshot!(said(&["--transfer_to_vpu", "a"]).unwrap_or_default(), @"error: unexpected argument '--transfer_to_vpu' found");
}

#[test]
fn log_levels_are_those_of_python_and_ours() {
    for (text, level) in
        [("DEBUG", tracing::Level::DEBUG), ("Warning", tracing::Level::WARN), ("critical", tracing::Level::ERROR)]
    {
        assert_eq!(options(&["--log_level", text]).display.log_level, level);
    }
    assert_eq!(options(&[]).display.log_level, tracing::Level::INFO);
}

#[test]
fn the_configuration_file_is_found_or_named() {
    let folder = with_file("rename: a\n");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("a folder");
    fs::write(inner.join("o3r-deploy.yml"), "rename: b\nlog_dir: logs\n").expect("a file");
    let name = |words: &[&str]| wanted_in(folder.path(), words).expect("a deployment").deployment.rename;
    assert_eq!(name(&[]).as_deref(), Some("a"));
    assert_eq!(name(&["--config", "inner"]).as_deref(), Some("b"));
    assert_eq!(name(&["--config", "./inner/o3r-deploy.yml"]).as_deref(), Some("b"));
    assert_eq!(name(&["--config", ""]), None);
    let inside = wanted_in(folder.path(), &["--config", "inner"]).expect("a deployment");
    assert_eq!(inside.deployment.log_dir, Some(inner.join("logs")), "relative paths start at the file's folder");
}

#[test]
fn a_configuration_file_that_is_not_there_or_there_twice_is_refused() {
    let folder = with_file("");
    for (name, said) in [
        ("gone.yaml", "there is no configuration file `/folder/gone.yaml`"),
        ("config", "`/folder/config` has no `o3r-deploy.yaml`"),
    ] {
        let error = wanted_in(folder.path(), &["--config", name]).expect_err("it is refused");
        assert_eq!(error.to_string().replace(&folder.path().display().to_string(), "/folder"), said);
        assert_eq!(error.kind(), FailureKind::LocalFile);
    }
    fs::write(folder.path().join("o3r-deploy.yml"), "").expect("a file");
    assert!(matches!(wanted_in(folder.path(), &[]), Err(ConfigError::Ambiguous { .. })));
}

#[test]
fn the_example_parses_and_its_script_for_logs_pulls_logs_alone() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deployment_examples/python_app");
    let folder = tempfile::tempdir().expect("a folder");
    let all = wanted_in(folder.path(), &["--config", &example.display().to_string()]);
    let all = all.unwrap_or_else(|error| panic!("{error}")).deployment;
    assert_eq!(all.application.as_deref(), Some("python_app"));
    assert_eq!((all.image.len(), all.volume.len(), all.transfers.to_device.len()), (1, 1, 1));
    assert!(all.compose.is_some() && all.attach.is_some() && all.clean_up.only_this_application);
    let logs = wanted_in(folder.path(), &["--config", &example.join("get_logs.yaml").display().to_string()]);
    let logs = logs.unwrap_or_else(|error| panic!("{error}")).deployment;
    assert_eq!((logs.logs.len(), logs.directories.len(), logs.stamp, logs.compose), (1, 0, None, None));
}

#[test]
fn a_tilde_that_the_shell_has_replaced_is_noticed() {
    let home = std::env::home_dir().expect("a home").display().to_string();
    let said = refused(&["--dirs_to_make", &format!("{home}/share")]).replace(&home, "/here");
    insta::assert_snapshot!(said, @"--dirs_to_make: `/here/share` is below this computer's home: the shell made it of a `~`; quote it: '~/share'");
}

#[test]
fn who_deploys_nothing_needs_nothing_of_what_is_deployed() {
    let folder = with_file(
        "application: app\ndevice: {address: vpu.local, identity: ./key}\nhold_off: ~/held\nimage: [{source: ./gone.tar}]\n\
         transfers: {to_device: [{local: gone, remote: a}]}\ncompose: {file: gone.yml, wait: 5}\n",
    );
    assert_eq!(wanted_in(folder.path(), &[]).expect_err("it cannot be deployed").kind(), FailureKind::LocalFile);
    let of_device = DeviceOptions { port: Some(2222), ..DeviceOptions::default() };
    let wanted = device(&of_device, folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((wanted.device.address.as_str(), wanted.device.port), ("vpu.local", 2222));
    assert_eq!(wanted.device.identity, Some(folder.path().join("key")));

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: ApplicationOptions,
    }
    let command = Line::command().mut_arg("ip", |argument| argument.env("NAMED_BY_NOBODY"));
    let told = |words: &[&str]| {
        let matches = command.clone().try_get_matches_from([&["it"], words].concat()).expect("options");
        let line = Line::from_arg_matches(&matches).expect("options");
        application(&line.options, folder.path()).unwrap_or_else(|error| panic!("{error}"))
    };
    let wanted = told(&[]);
    assert_eq!((wanted.application.as_deref(), wanted.hold_off), (Some("app"), Some(remote("~/held"))));
    assert_eq!(wanted.compose.map(|compose| compose.wait), Some(Duration::from_secs(5)));
    let words = ["--config", "", "--docker_compose_to_initialize", "./gone/other/docker-compose.yml"];
    assert_eq!(told(&words).application.as_deref(), Some("other"), "named by the folder of the compose file");
}
