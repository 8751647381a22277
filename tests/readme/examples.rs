//! Files that are named are there, and commands in the README are those that a test runs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use o3r_deploy::failure::ExitCode;

use super::{
    document::{calls, example, told},
    readme::{blocks, readme, root},
};

#[test]
fn library_example_stands_in_the_readme_as_it_is_run() {
    let example = fs::read_to_string(root().join("examples/deploy.rs")).expect("the example");
    let code = example.split_once("\n\n").expect("a comment, then code").1;
    assert!(readme().contains(&format!("```rust,no_run\n{code}```\n")), "README, \"As a library\"");
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for document in ["README.md", "CHANGELOG.md", "docker/vpu/README.md", "deployment_examples/python_app/README.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
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
                let text = fs::read_to_string(&file).expect("a document");
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

#[test]
fn the_symptoms_are_words_of_the_program() {
    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(&path).expect("read"));
            }
        }
    }
    let mut source = String::new();
    sources(&root().join("src"), &mut source);
    let text = readme();
    let section = text.split("\n## Troubleshooting").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let mut count = 0;
    for symptom in section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()) {
        for words in symptom.split('`').skip(1).step_by(2) {
            let of_others =
                ["Permission denied (publickey)", "exec format error", "version:", "share", "none"].contains(&words);
            assert!(of_others || source.contains(words), "`{words}` is said nowhere");
            count += 1;
        }
    }
    assert!(count > 12, "{count}");
}

#[test]
fn every_symptom_is_one_of_the_checks_of_doctor() {
    let text = readme();
    let section = text.split("\n## Troubleshooting").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let symptoms: Vec<_> = rows.filter(|symptom| *symptom != "symptom").collect();
    let known: Vec<_> = o3r_deploy::doctor::Check::ALL.iter().flat_map(|check| check.symptoms()).collect();
    assert!(symptoms.len() > 20, "{symptoms:?}");
    for symptom in &symptoms {
        assert!(known.iter().any(|words| symptom.contains(**words)), "no check knows `{symptom}`");
    }
    for words in known {
        assert!(symptoms.iter().any(|symptom| symptom.contains(words)), "`{words}` is no symptom any more");
    }
}

/// What is in the examples' folders, less what `build.sh` makes.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        match path.is_dir() {
            true if ["build", "__pycache__", "from_device"].contains(&name.as_str()) => {}
            true => found.extend(files(&path)),
            false if name.ends_with(".tar") || name.ends_with(".jsonl") || name.ends_with(".part") => {}
            false => found.push(path),
        }
    }
    found
}

fn passes(program: &str, words: &[&str], file: &Path) {
    let output = Command::new(program).args(words).arg(file).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_file_of_the_examples_is_what_it_is_to_be() {
    let files = files(&root().join("deployment_examples"));
    for file in &files {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        match name.as_str() {
            "docker-compose.yml" => {
                assert!(text.lines().any(|line| line.starts_with("version: ")), "old devices want a version");
            }
            // Copied into images and folders by what is tested elsewhere; `.ini` and `.env` are read by the application.
            "Dockerfile" | "README.md" | ".gitignore" | ".dockerignore" | "app.env" | "python_app.ini" => {}
            name if name.ends_with(".yaml") => {
                let words = ["--config".to_owned(), file.display().to_string()];
                told(&words, &example()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            }
            name if name.ends_with(".sh") => passes(if text.starts_with("#!/bin/sh") { "sh" } else { "bash" }, &["-n"], file),
            name if name.ends_with(".py") => {
                passes("python3", &["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"], file)
            }
            name if name.ends_with(".ps1") => {}
            _ => panic!("{} needs a test", file.display()),
        }
    }
    assert!(files.len() > 15, "{files:?}");
}

#[test]
fn the_one_click_scripts_explain_the_exit_codes_that_there_are() {
    let known: BTreeSet<_> = ExitCode::MEANINGS.iter().map(|(code, _)| *code as u32).collect();
    let explained = |name: &str| -> BTreeSet<u32> {
        let text = fs::read_to_string(example().join(name)).expect("there is a script");
        // `3) hint=…` in one language, `3 { '…' }` in the other.
        let lines = text.lines().map(str::trim).filter(|line| line.contains(") hint=") || line.contains(" { '"));
        lines.filter_map(|line| line.split([')', ' ']).next()?.parse().ok()).collect()
    };
    for (shell, powershell) in [("deploy.sh", "deploy.ps1"), ("get_logs.sh", "get_logs.ps1")] {
        // 126 is the shell's own: the program cannot be run.
        let codes = BTreeSet::from_iter(explained(shell).into_iter().filter(|code| *code != 126));
        assert_eq!(codes, explained(powershell), "{shell} and {powershell}");
        assert!(codes.is_subset(&known) && codes.len() > 7, "{codes:?}");
    }
    let all = &explained("deploy.sh") | &BTreeSet::from([ExitCode::Internal as u32]);
    assert!(known.is_subset(&all), "deploy.sh lacks {:?}", known.difference(&all));
}
