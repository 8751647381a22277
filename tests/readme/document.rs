//! What the README's examples tell.

use std::path::{Path, PathBuf};

use o3r_deploy::{
    cli::options::{self, Options},
    config::Deployment,
};

use super::readme::root;

/// Where the examples of the README are to be tried.
pub fn example() -> PathBuf {
    root().join("deployment_examples/python_app")
}

/// The words behind `o3r-deploy` of each call in a shell text, as the shell splits them.
pub fn calls(text: &str) -> Vec<Vec<String>> {
    let script = format!("o3r-deploy() {{ printf '%s\\0' \"$#\" \"$@\"; }}\n{text}");
    let output = std::process::Command::new("bash").args(["-euc", &script]).env("HOME", "/home/me").output().expect("bash");
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    let words = String::from_utf8(output.stdout).expect("text");
    let mut words = words.split_terminator('\0').map(str::to_owned);
    let mut calls = Vec::new();
    while let Some(count) = words.next() {
        calls.push(words.by_ref().take(count.parse().expect("a count")).collect());
    }
    calls
}

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// The deployment that options tell in a folder with the files of the example and no configuration file of its own.
pub fn told(words: &[String], folder: &Path) -> Result<Deployment, String> {
    let words = ["o3r-deploy"].into_iter().chain(words.iter().map(String::as_str));
    let line = <Line as clap::Parser>::try_parse_from(words).map_err(|error| error.to_string())?;
    options::deployment(&line.options, folder).map(|wanted| wanted.deployment).map_err(|error| error.to_string())
}

/// A folder with the files that the README's examples name.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let from = example();
    for name in ["docker-compose.yml", "app.env", "config/python_app.ini"] {
        let to = folder.path().join(name);
        std::fs::create_dir_all(to.parent().expect("it is in the folder")).expect("made");
        std::fs::copy(from.join(name), to).expect("copied");
    }
    for name in ["python_app.tar", "root_file_system.tar"] {
        std::fs::write(folder.path().join(name), "an image").expect("written");
    }
    std::fs::write(folder.path().join("docker-compose.bench.yml"), "version: '2.4'\nservices: {}\n").expect("written");
    folder
}
