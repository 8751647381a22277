//! What this program is made of: permissive licences, one registry, and no second version of a crate that was not thought about.
//! `cargo deny` says the same and more, but takes longer to build than all tests take to run.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Each waits for another crate to move on: none of them is in an interface of this program.
const KNOWN_TWICE: &[&str] = &["getrandom", "syn", "windows-sys"];

fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata.get("packages").and_then(Value::as_array).expect("packages").clone()
}

fn name(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().unwrap_or_default(), package["version"].as_str().unwrap_or_default())
}

/// Whether an SPDX expression can be met with the licences above: each of what `AND` joins by one of what `OR` joins.
fn may_be_used(expression: &str) -> bool {
    let plain = expression.replace('/', " OR ").replace(['(', ')'], "");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn every_licence_is_permissive_and_every_crate_comes_from_the_registry() {
    let mut sources = BTreeSet::new();
    for package in packages().iter().filter(|package| package["name"] != "o3r-deploy") {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(may_be_used(licence), "{}: {licence}", name(package));
        sources.insert(package["source"].as_str().unwrap_or_default().to_owned());
    }
    assert!(sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
}

#[test]
fn no_crate_is_there_in_a_second_version_that_was_not_thought_about() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let several: Vec<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name.as_str()).collect();
    assert_eq!(several, KNOWN_TWICE, "see `cargo tree --duplicates`");
}
