//! The crate deploys without its command line: the example of the README does it.

use std::process::Command;

use crate::device::{OVP81X, Vpu, must, root, text};

#[test]
fn example_program_deploys_through_the_library() {
    let python_app = root().join("deployment_examples/python_app");
    must(Command::new(python_app.join("build.sh")).arg("--packages"));
    let vpu = Vpu::trusted(OVP81X);
    // Where cargo puts the examples that it builds with the tests.
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_o3r-deploy")).with_file_name("examples").join("deploy");
    if !program.is_file() {
        must(Command::new(env!("CARGO")).args(["build", "--locked", "--example", "deploy"]).current_dir(root()));
    }
    let run = || {
        let mut command = Command::new(&program);
        let output = vpu.environment(&mut command).arg(&python_app).arg(&vpu.address).output().expect("it runs");
        (output.status.success(), text(&output))
    };
    let (deployed, said) = run();
    assert!(deployed && said.contains("compose: python_app up and healthy"), "{said}");
    assert_eq!(vpu.container("python_app", "{{.State.Health.Status}}"), "healthy");
    let (deployed, said) = run();
    assert!(deployed && !said.contains("compose: "), "nothing is left to do: {said}");
    // What fails is an error with its reason.
    vpu.root("systemctl stop docker.socket docker.service");
    let (deployed, said) = run();
    assert!(!deployed && said.contains("docker does not answer"), "{said}");
}
