//! The file `o3r-deploy.yaml`: found, read within bounds, and held against its schema.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde_yaml::Value;

use super::{
    key_path::KeyPath,
    layer::{Layer, Origin},
    locate::Target,
    problem::{ConfigError, MOST, Problem, ProblemKind},
    schema::schema,
    settings::Settings,
    shape, yaml,
};
use crate::small_file;

/// The largest file that is read, in bytes.
pub const SIZE_LIMIT: u64 = 1 << 20;

/// The names it is found under.
pub const NAMES: [&str; 2] = ["o3r-deploy.yaml", "o3r-deploy.yml"];

/// Finds the configuration file: the one `named` with `--config` (a file, or a directory that contains one; empty for
/// none), else the one in the working directory or in the nearest directory above it. Returns `None` where there is none.
///
/// # Errors
/// The named file does not exist, or both spellings of the file name exist.
pub fn find(named: Option<&str>, working_directory: &Path) -> Result<Option<PathBuf>, ConfigError> {
    match named {
        Some("") => Ok(None),
        None => {
            let absolute = std::path::absolute(working_directory).unwrap_or_else(|_| working_directory.to_owned());
            absolute.ancestors().find_map(|directory| in_directory(directory).transpose()).transpose()
        }
        Some(named) => {
            let path = super::LocalPath::resolve(named, working_directory).unwrap_or_else(|_| named.into());
            if path.is_dir() {
                return in_directory(&path)?.map(Some).ok_or(ConfigError::NoneInside { directory: path });
            }
            if path.exists() { Ok(Some(path)) } else { Err(ConfigError::Missing { path }) }
        }
    }
}

fn in_directory(directory: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let mut found = NAMES.iter().map(|name| directory.join(name)).filter(|path| path.exists());
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => Err(ConfigError::Ambiguous { first, second }),
        (found, _) => Ok(found),
    }
}

/// Reads the file. What is wrong with single keys is returned beside what the other stages say, so that all can be reported
/// at once; `name` is what it is called in reports.
///
/// # Errors
/// It cannot be read, is too large, or is no YAML.
pub fn read(path: &Path, name: &str) -> Result<(Layer, Vec<Problem>), ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    // `/dev/null`, or what a shell's `<(…)` stands for, is named on purpose; another pipe would be waited for without end.
    if !path.starts_with("/dev") {
        small_file::check(path).map_err(unreadable)?;
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let wrong = |place, text| ConfigError::Wrong(vec![Problem::new(place, text)]);
    let text = String::from_utf8(bytes).map_err(|_| wrong(name.to_owned(), "it is not UTF-8 text".to_owned()))?;
    let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base = std::path::absolute(base).map_err(unreadable)?;
    parse(text, base, name).map_err(|error| {
        let place = error.location.map_or_else(|| name.to_owned(), |(line, column)| format!("{name}:{line}:{column}"));
        wrong(place, error.text)
    })
}

/// Understands a file's text as if it stood in the working directory.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_text(text: &str, name: &str) -> Result<(Layer, Vec<Problem>), ConfigError> {
    parse(text.to_owned(), PathBuf::from("/"), name)
        .map_err(|error| ConfigError::Wrong(vec![Problem::new(name.to_owned(), error.text)]))
}

fn parse(text: String, base: PathBuf, name: &str) -> Result<(Layer, Vec<Problem>), yaml::YamlError> {
    let text = text.trim_start_matches('\u{feff}').to_owned();
    let mut value = yaml::read(&text)?;
    let origin = Origin::File { name: name.to_owned(), text };
    if value.is_null() {
        return Ok((Layer { settings: Settings::default(), base, origin }, Vec::new()));
    }
    let misfits = shape::misfits(&value, &schema());
    let mut problems: Vec<_> = misfits
        .iter()
        .map(|misfit| {
            let target = if misfit.is_key { Target::Key } else { Target::Value };
            let kind = if misfit.is_key { ProblemKind::UnknownKey } else { ProblemKind::Said };
            Problem { kind, ..origin.problem(&misfit.path, target, &misfit.text) }
        })
        .collect();
    if let Value::Mapping(mapping) = &mut value
        && misfits.len() < MOST
    {
        // The rest of a stage that is wrong says nothing reliable; the other stages can still be checked.
        mapping.retain(|key, _| {
            let stage = KeyPath::default().key(key.as_str().unwrap_or_default());
            !misfits.iter().any(|misfit| misfit.path.is_within(&stage))
        });
        turn_off_what_is_null(mapping);
    } else {
        value = Value::Mapping(serde_yaml::Mapping::new());
    }
    let settings = serde_path_to_error::deserialize(value).unwrap_or_else(|error| {
        problems.push(Problem::new(format!("{name}: {}", error.path()), error.inner().to_string()));
        Settings::default()
    });
    Ok((Layer { settings, base, origin }, problems))
}

/// Turns off the settings that have a key without a value, also where their default is not empty.
fn turn_off_what_is_null(mapping: &mut serde_yaml::Mapping) {
    for (key, off) in [
        ("log_dir", Value::String(String::new())),
        ("stamp", Value::String(String::new())),
        ("hold_off", Value::String(String::new())),
        ("logs", Value::Sequence(Vec::new())),
        ("directories", Value::Sequence(Vec::new())),
    ] {
        if let Some(value) = mapping.get_mut(key).filter(|value| value.is_null()) {
            *value = off;
        }
    }
}
