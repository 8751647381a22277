//! Files that are named are there, and commands in the README are those that a test runs.

use std::process::Command;

use super::{
    document::calls,
    readme::{blocks, readme, root},
};

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for document in ["README.md", "CHANGELOG.md", "docker/vpu/README.md", "deployment_examples/python_app/README.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.starts_with("http") {
                continue;
            }
            links += 1;
            let file = if path.is_empty() {
                root().join(document)
            } else {
                root().join(document).parent().expect("a file has a folder").join(path)
            };
            assert!(file.exists(), "{document}: {target}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&file).expect("a document");
                let names = text.lines().filter(|line| line.starts_with('#')).map(name_of_heading);
                assert!(names.into_iter().any(|name| name == anchor), "{document}: {target}");
            }
        }
    }
    assert!(links > 15, "{links}");
}

/// As GitHub names a heading: lower case, without punctuation, spaces as hyphens.
fn name_of_heading(line: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn every_option_in_a_command_of_the_readme_is_one() {
    let commands = blocks(&readme()).into_iter().filter(|block| block.language == "sh" && block.text.contains("o3r-deploy "));
    let mut count = 0;
    for block in commands {
        let lines: String =
            block.text.lines().filter(|line| line.contains("o3r-deploy ")).map(|line| format!("{line}\n")).collect();
        let lines = lines.replace("cd deployment_examples/python_app && ./build.sh", ":").replace("> ", "#");
        for call in calls(&lines) {
            count += 1;
            let words = ["o3r-deploy".to_owned()].into_iter().chain(call.clone());
            let read = o3r_deploy::cli::command_line().try_get_matches_from(words);
            assert!(read.is_ok(), "{call:?}: {read:?}");
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn the_scripts_explain_themselves_and_change_nothing_by_that() {
    for script in ["scripts/demo", "scripts/check", "docker/vpu/up", "docker/vpu/down", "docker/engine"] {
        assert!(readme().contains(script) || script == "docker/engine");
        let output = Command::new(root().join(script)).arg("--help").env("PATH", "/usr/bin:/bin").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with(&format!("usage: {script}")), "{script}: {said}");
    }
}
