//! Holds the shape of the program: imports point one way, only the report prints, and no shell line is pasted together.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What each part may import of the others. Those without an entry here are the tools: they import tools alone.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("device", &[]),
    ("image", &["config"]),
    ("remote", &[]),
    ("commands", &["config", "facts"]),
    ("facts", &["config", "remote", "image"]),
    ("release", &["config", "commands", "facts"]),
    ("delivery", &["facts", "image", "commands"]),
    ("report", &[]),
    ("plan", &["config", "facts", "image", "delivery", "commands", "release", "report"]),
    ("run", &["config", "facts", "plan", "image", "delivery", "commands", "release", "device", "remote", "report"]),
    ("doctor", &["facts", "device"]),
    ("deploy", &["config", "facts", "plan", "run", "image", "delivery", "commands", "release", "device", "remote", "report"]),
    ("fuzz", &["config", "facts", "image", "device", "remote", "cli"]),
    (
        "cli",
        &[
            "config", "facts", "plan", "run", "delivery", "commands", "release", "device", "remote", "report", "doctor",
            "deploy",
        ],
    ),
];

const TOOLS: &[&str] = &["command", "compose", "failure", "holes", "reference", "secret", "small_file", "stage", "text"];

/// Each source file below `src` with its text, unit tests left out.
fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(directory: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            let is_test = ["tests", "tests.rs", "fake.rs"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !is_test {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                let text = fs::read_to_string(&path).expect("readable");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                found.insert(path, code.to_owned());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 50, "the sources are found");
    found
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// The part a file belongs to: the first name below `src`.
fn part(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The parts that a text names after `crate::`, also in a group of imports.
fn imports(text: &str) -> Vec<String> {
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    let code = code(text).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && c.is_alphabetic() => {
                    found.push(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn imports_are_read_from_single_lines_and_groups() {
    let text =
        "use crate::a::B;\nuse crate::{\n    c,\n    d::{E, F},\n    g::H,\n};\n// crate::comment\nlet x = crate::i::j();";
    assert_eq!(imports(text), ["a", "c", "d", "g", "i"]);
}

#[test]
fn imports_point_one_way() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let part = part(&path);
        if ["lib", "main"].contains(&part.as_str()) {
            continue;
        }
        let may = allowed.get(part.as_str()).copied().unwrap_or_default();
        for import in imports(&text) {
            let fine = import == part || may.contains(&import.as_str()) || TOOLS.contains(&import.as_str());
            if !fine {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the program or a report of it ends: only there a kind of failure becomes an exit code.
const EDGE: &[&str] = &["main.rs", "failure.rs", "cli/", "report/tee.rs", "report/tally.rs", "run/interrupt.rs"];

#[test]
fn exit_codes_are_made_at_the_edge_and_decide_nothing() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
        let is_edge = EDGE.iter().any(|edge| below.starts_with(edge.trim_end_matches('/')));
        let names = |line: &&str| {
            let line = line.replace("\"ExitCode\"", "");
            let makes =
                line.contains(".exit_code()") || line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ExitCode");
            let decides =
                ["== ExitCode::", "!= ExitCode::", "match failure.kind().exit_code()"].iter().any(|way| line.contains(way));
            (makes && !is_edge) || (decides && !below.starts_with("failure.rs"))
        };
        wrong.extend(code(&text).filter(names).map(|line| format!("{}: {}", below.display(), line.trim())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_report_prints() {
    let words = ["println!", "eprintln!", "print!(", "eprint!(", "dbg!(", "io::stdout(", "io::stderr("];
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| part(path) != "report") {
        let prints = code(&text).filter(|line| words.iter().any(|word| line.contains(word)));
        wrong.extend(prints.map(|line| format!("{}: {}", path.display(), line.trim())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A script is a file beside its command, taken whole; `Command::script` takes nothing that is made at run time anyway.
#[test]
fn a_script_is_a_file_and_no_program_is_pasted_together() {
    let mut wrong = Vec::new();
    let mut scripts = 0;
    for (path, text) in sources() {
        // However the lines are broken.
        let words = code(&text).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        let code = words.replace("concat!( include_str!(", "concat!(include_str!(");
        // Of one with shared functions both parts are.
        for rest in code.split("Command::script_with(").skip(1) {
            let is_file = |part: &str| ["include_str!(", "PRELUDE"].iter().any(|file| part.trim_start().starts_with(file));
            let preludes =
                code.split("const PRELUDE: &str =").skip(1).all(|rest| rest.trim_start().starts_with("concat!(include_str!("));
            let script = rest.strip_prefix("PRELUDE,").or_else(|| Some(rest.split_once("),")?.1));
            if !preludes || !is_file(rest) || !script.is_some_and(is_file) {
                wrong.push(format!("{}: a script that is no file", path.display()));
            }
        }
        for rest in code.split("Command::script(").skip(1) {
            scripts += 1;
            let files = ["include_str!(", "concat!(include_str!(", "script)"];
            let is_file = |text: &str| files.iter().any(|file| text.trim_start().starts_with(file));
            let name = rest.split(')').next().unwrap_or_default();
            let constant = code.split(&format!("const {name}: &str =")).nth(1);
            if !is_file(rest) && !constant.is_some_and(is_file) {
                wrong.push(format!("{}: a script that is no file", path.display()));
            }
        }
        for shell in [".arg(\"-c\").arg(format!", "Command::new(format!"] {
            if code.contains(shell) {
                wrong.push(format!("{}: {shell}", path.display()));
            }
        }
    }
    assert!(scripts > 10 && wrong.is_empty(), "{scripts} scripts; {}", wrong.join("\n"));
}

#[test]
fn modules_say_what_they_are_and_stay_small() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} has no sentence about itself", path.display());
        let lines = text.lines().count();
        assert!(lines <= 450, "{} has {lines} lines: is there a second idea?", path.display());
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_switched_off() {
    for (path, text) in sources() {
        let off = code(&text).any(|line| line.contains("#[allow(") || line.contains("#![allow("));
        assert!(!off, "{} switches a lint off", path.display());
    }
}

/// A whole description of a container or an image holds its environment and its command line.
#[test]
fn device_describes_nothing_without_a_format() {
    fn scripts(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                scripts(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "sh") {
                let text = fs::read_to_string(&path).expect("readable");
                found.push((path, text));
            }
        }
    }
    let mut texts: Vec<_> = sources().into_iter().filter(|(path, _)| part(path) == "commands").collect();
    scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let describes = |line: &&str| line.contains("\"inspect\"") || (line.contains("docker ") && line.contains(" inspect "));
    let mut asked = 0;
    let mut wrong = Vec::new();
    for (path, text) in &texts {
        for line in code(text).filter(describes) {
            asked += 1;
            if !line.contains("--format") {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(asked > 10 && wrong.is_empty(), "{asked} asked; {}", wrong.join("\n"));
}

/// A comment that is shorter only repeats the name. The help of the command line and of the configuration file is judged by its
/// readers.
#[test]
fn doc_comments_say_more_than_the_name() {
    let mut wrong = Vec::new();
    let mut comments = 0;
    for (path, text) in sources() {
        if part(&path) == "cli" || path.ends_with("config/settings.rs") {
            continue;
        }
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(comment) = line.strip_prefix("///") else { continue };
            let is_of_one_line = |index: usize| !lines.get(index).is_some_and(|line| line.starts_with("///"));
            comments += 1;
            let alone = is_of_one_line(index + 1) && index.checked_sub(1).is_none_or(is_of_one_line);
            if alone && comment.trim().chars().count() < 15 {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(comments > 1000 && wrong.is_empty(), "{comments} comments; {}", wrong.join("\n"));
}
