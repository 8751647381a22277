//! Tables of the README are written by the program: `UPDATE_README=1 cargo nextest run --test readme`.

use std::fmt::Write as _;

use o3r_deploy::{config::schema::schema, failure::ExitCode, stage::Stage};
use serde_json::Value;

use super::readme::{readme, root};

/// Holds what stands between `<!-- name: … -->` and `<!-- end -->` against `table`, or writes it there.
fn same(name: &str, table: &str) {
    // Tests run in processes of their own: what one writes must not be lost to another, nor be read in part.
    let lock = std::fs::File::open(root().join("Cargo.toml")).expect("there is one");
    lock.lock().expect("locked");
    let text = readme();
    let begin = text.find(&format!("<!-- {name}: ")).expect("the table has a place");
    let begin = begin + text[begin..].find("-->\n").expect("the comment ends") + 4;
    let end = begin + text[begin..].find("<!-- end -->").expect("the table ends");
    if std::env::var_os("UPDATE_README").is_some() {
        let text = format!("{}\n{table}\n{}", &text[..begin], &text[end..]);
        std::fs::write(root().join("README.md.part"), text).expect("written");
        std::fs::rename(root().join("README.md.part"), root().join("README.md")).expect("renamed");
    } else {
        assert_eq!(text[begin..end].trim(), table.trim(), "UPDATE_README=1 cargo nextest run --test readme");
    }
}

/// Text that may stand in a cell; what looks like code is set as code.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cells = Vec::new();
    for word in text.replace('|', "\\|").split(' ') {
        let bare = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let is_code = bare.starts_with("--") && bare.len() > 2;
        cells.push(if is_code { format!("`{bare}`{}", &word[bare.len()..]) } else { word.to_owned() });
    }
    cells.join(" ")
}

#[test]
fn the_options_are_those_of_the_program() {
    let mut table = "| option | meaning |\n|---|---|\n".to_owned();
    for option in o3r_deploy::cli::command_line().get_arguments().filter(|option| !option.is_hide_set()) {
        let Some(long) = option.get_long().filter(|long| !["help", "version"].contains(long)) else { continue };
        let values = if option.get_action().takes_values() { option.get_value_names().unwrap_or_default() } else { &[] };
        let more = if option.get_num_args().is_some_and(|number| number.max_values() > 1) { "…" } else { "" };
        let shown: String = values.iter().map(|value| format!(" {value}{more}")).collect();
        let help = option.get_help().expect("every option says what it does").to_string();
        // The default is put into code: it may hold what means something in a document.
        let help = match help.split_once(" [default: ") {
            Some((help, default)) => format!("{}; default `{}`", cell(help), default.trim_end_matches(']')),
            None => cell(&help),
        };
        writeln!(table, "| `--{long}{shown}` | {help} |").expect("a string takes all");
    }
    same("options", &table);
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    for (code, meaning) in ExitCode::MEANINGS {
        writeln!(table, "| {} | {} |", code as u8, cell(meaning)).expect("a string takes all");
    }
    same("exit codes", &table);
}

#[test]
fn the_keys_are_those_of_the_schema() {
    let schema = schema();
    let mut table = "| key | meaning | default |\n|---|---|---|\n".to_owned();
    let first = ["application", "log_dir", "device", "hold_off"];
    let names = first.into_iter().chain(Stage::ALL.iter().map(|stage| stage.name()));
    let mut count = 0;
    for name in names {
        if let Some(key) = schema["properties"].get(name) {
            count += 1;
            rows(name, key, &mut table);
        }
    }
    assert_eq!(Some(count), schema["properties"].as_object().map(serde_json::Map::len), "every key is in the table");
    same("keys", &table);
}

fn rows(path: &str, key: &Value, table: &mut String) {
    let meaning = key["description"].as_str().expect("every key is described");
    let (meaning, default) = match (meaning.split_once(" Default: "), &key["default"]) {
        (Some((meaning, default)), _) => (meaning, cell(default.trim_end_matches('.'))),
        (None, Value::Null) => (meaning, String::new()),
        (None, Value::String(default)) => (meaning, format!("`{default}`")),
        (None, default) => (meaning, format!("`{default}`")),
    };
    writeln!(table, "| `{path}` | {} | {default} |", cell(meaning)).expect("a string takes all");
    let alternatives = key["anyOf"].as_array().into_iter().flatten().chain([key]);
    for inner in alternatives {
        for (place, inner) in [(path.to_owned(), inner), (format!("{path}[]"), &inner["items"])] {
            for (name, key) in inner["properties"].as_object().into_iter().flatten() {
                rows(&format!("{place}.{name}"), key, table);
            }
        }
    }
}
