//! The commands of the README do what they say, one after the other as they stand there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    device::{OVP81X, Vpu, must, root, text},
    readme::{blocks, readme},
};

/// Commands that are themselves what runs the tests, that `scripts/check` runs, or that take an hour.
const ELSEWHERE: [&str; 4] = ["scripts/check", "cargo install --locked --path .", "cargo nextest run --lib", "benches/run.py"];

/// A copy of the project in which the example may be built and deployed.
fn project(vpu: &Vpu) -> PathBuf {
    let example = root().join("deployment_examples/python_app");
    must(Command::new(example.join("build.sh")).arg("--packages"));
    let project = vpu.home.path().join("project");
    fs::create_dir_all(&project).expect("made");
    must(Command::new("cp").arg("-a").args(["deployment_examples", "docker"].map(|name| root().join(name))).arg(&project));
    project
}

/// What a shell text says, run with the program on the PATH; it must succeed.
fn shell(vpu: &Vpu, folder: &Path, text_of_block: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_o3r-deploy"));
    let path = format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").expect("a PATH"));
    // Nobody sits at a terminal to be asked about a host key, and the device has another address and the user another home.
    let script = text_of_block
        .replace("192.168.0.69", &vpu.address)
        .replace("127.0.0.70", &vpu.address)
        .replace("ssh-keygen -R", &format!("ssh-keygen -f {}/.ssh/known_hosts -R", vpu.home.path().display()))
        .replace("o3r-deploy trust  ", "o3r-deploy trust --accept-new  ");
    let mut command = Command::new("bash");
    command.args(["-euxc", &script]).env("PATH", path).env("HOME", vpu.home.path()).env("IFM3D_IP", &vpu.address);
    command.env_remove("SSH_AUTH_SOCK").env_remove("O3R_DEPLOY_PASSWORD").current_dir(folder);
    let output = command.output().expect("bash runs");
    assert!(output.status.success(), "{script}\n{}", text(&output));
    text(&output)
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let vpu = Vpu::new(OVP81X);
    let project = project(&vpu);
    // The examples of the stages stand for themselves, without a file.
    let stages = vpu.home.path().join("python_app");
    must(Command::new("cp").arg("-a").arg(project.join("deployment_examples/python_app")).arg(&stages));
    fs::remove_file(stages.join("o3r-deploy.yaml")).expect("removed");

    let mut heading_before = String::new();
    let (mut in_stages, mut said) = (false, String::new());
    for block in blocks(&readme()).iter().filter(|block| block.language == "sh") {
        if block.heading != heading_before {
            heading_before.clone_from(&block.heading);
            in_stages = block.heading == "connect" || (in_stages && block.heading == block.heading.to_lowercase());
        }
        if ELSEWHERE.iter().any(|line| block.text.contains(line)) {
            continue;
        }
        if block.heading == "image" && block.text.contains("--image_to_import") {
            // It speaks of an archive that is on the device.
            vpu.succeed(&["--transfers_to_vpu", &format!("{},~/share/", stages.join("python_app.tar").display())]);
        }
        let folder = match block.heading.as_str() {
            _ if in_stages => &stages,
            "First deployment" | "The virtual VPU" => &project,
            _ => &project.join("deployment_examples/python_app"),
        };
        said += &shell(&vpu, folder, &block.text);
    }
    // A few of the things that were to be seen on the way.
    for seen in ["dry run: nothing was changed", "python_app up and healthy", "enable python_app", "python bench"] {
        assert!(said.contains(seen), "{seen} is not in {said}");
    }
    assert!(stages.join("from_device/Deployments").is_file());
    events(&fs::read_to_string(project.join("deployment_examples/python_app/deployment.jsonl")).expect("there are events"));
}

/// Every event stands in the README's table with all its keys, and the order is the one described there.
fn events(lines: &str) {
    let text = readme();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let mut kinds = Vec::new();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).expect("a line is an object");
        let kind = event["event"].as_str().expect("it has a kind").to_owned();
        let row = rows
            .iter()
            .find(|row| row.starts_with(&format!("| `{kind}` ")))
            .unwrap_or_else(|| panic!("{kind} is not in the README"));
        for key in event.as_object().expect("an object").keys().filter(|key| !["event", "device"].contains(&key.as_str())) {
            assert!(row.contains(&format!("`{key}`")), "{key} in {row}");
        }
        kinds.push(kind);
    }
    assert_eq!(kinds[0], "note", "the configuration file in use comes first: {kinds:?}");
    kinds.retain(|kind| kind != "warning" && kind != "note");
    assert_eq!(kinds[..3], ["stage_started", "connected", "planned"], "{kinds:?}");
    assert_eq!(kinds[kinds.len() - 2..], ["traffic", "finished"], "{kinds:?}");
    let mut open = false;
    for kind in &kinds[3..kinds.len() - 2] {
        match kind.as_str() {
            "stage_started" | "stage_finished" => {
                assert_eq!(open, kind == "stage_finished", "{kinds:?}");
                open = !open;
            }
            _ => assert!(open, "{kind} outside of a stage: {kinds:?}"),
        }
    }
    assert!(!open, "{kinds:?}");
}

#[test]
fn the_demonstration_runs_without_a_terminal_and_ends_with_the_logs_on_this_computer() {
    // For its address, and so that it is gone at the end.
    let vpu = Vpu::new(OVP81X);
    let target = Path::new(env!("CARGO_BIN_EXE_o3r-deploy")).ancestors().nth(2).expect("the target folder");
    let mut demo = Command::new(root().join("scripts/demo"));
    demo.args(["--address", &vpu.address, "--home"]).arg(vpu.home.path());
    demo.env("CARGO_TARGET_DIR", target).env_remove("SUDO_USER").env("CI", "true").stdin(std::process::Stdio::null());
    let output = demo.output().expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for seen in ["python_app ready", "nothing to change on the device"] {
        assert!(said.contains(seen), "{said}");
    }
    let log = must(Command::new("find").arg(vpu.home.path().join("o3r_logs/From_VPUs")).args(["-name", "python_app_0001.log"]));
    let log = fs::read_to_string(log.trim()).expect("the log is here");
    assert!(log.contains("python_app ready"), "{log}");
    assert!(vpu.home.path().join("from_device/os-release").is_file(), "{said}");
}
