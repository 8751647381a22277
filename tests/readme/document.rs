//! The README's text, taken apart.

use std::path::{Path, PathBuf};

use o3r_deploy::{
    cli::options::{self, Options},
    config::Deployment,
};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the examples of the README are to be tried.
pub fn example() -> PathBuf {
    root().join("deployment_examples/python_app")
}

/// The README.
pub fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The nearest heading above it.
    pub heading: String,
    /// What stands behind the fence.
    pub language: String,
    /// The lines in it.
    pub text: String,
}

/// The fenced blocks of a document.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut open): (Vec<Block>, String, Option<Block>) = Default::default();
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(language)) => {
                open = Some(Block { heading: heading.clone(), language: language.into(), text: String::new() });
            }
            (None, None) if line.starts_with('#') => heading = line.trim_start_matches('#').trim().to_owned(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed under {heading}");
    blocks
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
