//! The example application as a technician deploys it: by its own scripts, with nothing but the program on the PATH.

use std::{fs, path::Path, process::Command};

use crate::{
    device::{OVP81X, Vpu, must, root, text},
    witness::{listing, wait_for},
};

#[test]
fn the_example_is_deployed_and_its_logs_are_fetched_by_one_click_and_it_outlives_a_power_cut() {
    let example = root().join("deployment_examples/python_app");
    must(Command::new(example.join("build.sh")).arg("--packages"));
    let vpu = Vpu::trusted(OVP81X);

    click(&vpu, &example.join("deploy.sh"));
    assert_eq!(vpu.name(), "python bench");
    assert_eq!(
        vpu.container("python_app", "{{.State.Health.Status}} {{.HostConfig.RestartPolicy.Name}}"),
        "healthy unless-stopped"
    );
    assert_eq!(vpu.ssh("systemctl --user is-enabled oem-dc@python_app"), "enabled\n");
    assert_eq!(vpu.ssh("cat ~/share/python_app_config/python_app.ini"), read(&example.join("config/python_app.ini")));

    let before = vpu.state();
    let said = click(&vpu, &example.join("deploy.sh"));
    assert!(said.contains("nothing to change on the device"), "{said}");
    assert_eq!(vpu.state(), before, "the second deployment changes nothing");

    let start = vpu.container("python_app", "{{.State.StartedAt}}");
    vpu.power_cut();
    assert_ne!(vpu.wait_for_container("python_app"), start, "it was started anew");
    assert_eq!(vpu.name(), "python bench");

    // A run begins to log before its first sample.
    wait_for("two runs", || (vpu.ssh("ls ~/share/logs/python_app | wc -l").trim() == "2").then_some(()));
    click(&vpu, &example.join("get_logs.sh"));
    // The folder was made when the first deployment pulled the logs of a device that had no name yet.
    let logs = vpu.home.path().join(format!("o3r_logs/From_VPUs/sn{}/logs/python_app", vpu.serial()));
    let runs = listing(&logs);
    assert_eq!(runs.iter().map(|run| &run[..6]).collect::<Vec<_>>(), ["000001", "000002"], "{runs:?}");
    assert!(read(&logs.join(&runs[0])).contains("run 1 on station"));
    assert!(read(&logs.join(&runs[0])).contains("python_app ready"));
}

/// Runs a one-click script, which must succeed, and gives what it said.
fn click(vpu: &Vpu, script: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_o3r-deploy"));
    let path = format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").expect("a PATH"));
    let output = vpu.environment(Command::new(script).env("PATH", path)).output().expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Done, without errors"), "{said}");
    said
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
