//! The compose project: its files on this computer, and what docker-compose on the device makes of them. `docs/compose.md` is the
//! picture.

mod send;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::{
    ComposeTool, FactsError,
    here::{self, HereError, Source},
    probe::{sections, text},
};
use crate::{
    command::{Command, DISK_SILENCE_MAX, nonce},
    compose::{self, Answer, Bind, DotEnv, Inputs, Model},
    config::{Compose, ComposeFiles, RemotePath},
    remote::{Input, Remote},
    small_file,
};

/// A compose project, as far as this computer knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCompose {
    /// The project's directory as it is staged: its path on this computer, or on the device where its files are there.
    directory: PathBuf,
    /// The compose files, staged in the same way, the first the base of the others.
    files: Vec<PathBuf>,
    /// The staged files, by path; empty where the project is on the device and is read there.
    staged: BTreeMap<PathBuf, Staged>,
    /// The `.env` as it is to be on the device, but for the name of the project.
    env: DotEnv,
    /// The files that need not be complete for docker-compose to be asked, each with the file that names it.
    unknown: BTreeMap<PathBuf, PathBuf>,
    /// Digest of all that docker-compose is asked about.
    pub digest: String,
    /// The answer of docker-compose on the device.
    pub answer: Option<Answer>,
    /// The way from the directory that is sent to the project's own; empty where they are the same.
    pub below: String,
    /// All that is sent, by the path below the directory that is sent; empty where the files are on the device.
    pub sources: BTreeMap<String, Source>,
    /// The files that the project names and that do not exist on this computer, by their path below the directory that is
    /// sent, each with the file that names it.
    pub missing: BTreeMap<String, PathBuf>,
    /// The missing paths at which docker creates directories that belong to root.
    pub made: BTreeSet<String>,
    /// A `.env` that was made here, for as long as it is needed.
    generated: Option<Generated>,
}

/// The content that is staged at a path.
#[derive(Clone, PartialEq, Eq)]
enum Staged {
    /// A file with this content.
    File(Vec<u8>),
    /// An empty directory.
    Directory,
    /// The file at this path on the device; an empty one where there is none.
    OnDevice(String),
}

/// Environment files hold secrets: no content is shown.
impl fmt::Debug for Staged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(content) => write!(formatter, "File({} bytes)", content.len()),
            Self::Directory => formatter.write_str("Directory"),
            Self::OnDevice(path) => write!(formatter, "OnDevice({path})"),
        }
    }
}

/// A temporary file, removed with its last user.
#[derive(Clone, Debug)]
struct Generated(Arc<tempfile::NamedTempFile>);

impl PartialEq for Generated {
    fn eq(&self, other: &Self) -> bool {
        self.0.path() == other.0.path()
    }
}

impl Eq for Generated {}

/// The files and secrets that a deployment brings to the device outside its compose stage.
pub struct Brought<'a> {
    /// Gives the file here that a transfer puts at a path on the device.
    pub file: &'a dyn Fn(&RemotePath) -> Option<PathBuf>,
    /// The names of its secrets.
    pub secrets: Vec<&'a String>,
}

impl LocalCompose {
    /// Reads the files of a project that docker-compose needs to be able to read it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn gather(wanted: &Compose, brought: &Brought<'_>) -> Result<Self, HereError> {
        match &wanted.files {
            ComposeFiles::Here { files, directory } => Self::here(files, directory, wanted, brought),
            ComposeFiles::OnDevice(path) => Self::on_device(path, brought),
        }
    }

    fn here(files: &[PathBuf], remote: &RemotePath, wanted: &Compose, brought: &Brought<'_>) -> Result<Self, HereError> {
        let files: Vec<_> =
            files.iter().map(|file| compose::clean(&std::path::absolute(file).unwrap_or(file.clone()))).collect();
        let directory = files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/")).to_owned();
        let env_file = (brought.file)(&remote.join(".env")).unwrap_or_else(|| directory.join(".env"));
        let mut env = if env_file.exists() { DotEnv::parse(&read(&env_file)?) } else { DotEnv::default() };
        complete(&mut env, &directory, &files, wanted);
        let mut local = Self { directory, files, env, ..Self::default() };
        let inputs = local.collect(&|path| small_file::read(path).ok());
        for file in &inputs.files {
            local.staged.insert(file.clone(), Staged::File(read(file)?.into_bytes()));
        }
        for name in &brought.secrets {
            local.staged.insert(local.directory.join("secrets").join(name), Staged::File(Vec::new()));
        }
        for (file, named_by) in &inputs.missing {
            if local.staged.contains_key(file) {
                continue;
            }
            let there = remote.join(&compose::relative(&local.directory, file));
            let staged = match (brought.file)(&there) {
                Some(path) => Staged::File(read(&path)?.into_bytes()),
                None => Staged::OnDevice(there.as_str().to_owned()),
            };
            local.staged.insert(file.clone(), staged);
            local.unknown.insert(file.clone(), named_by.clone());
        }
        local.stage_env(&inputs);
        local.digest = local.digest_of_inputs();
        Ok(local)
    }

    /// Reads a project from the device, unless a transfer of this deployment puts its compose file there.
    fn on_device(path: &RemotePath, brought: &Brought<'_>) -> Result<Self, HereError> {
        let directory = PathBuf::from(path.parent().as_str());
        let mut local = Self { directory, files: vec![PathBuf::from(path.as_str())], ..Self::default() };
        if (brought.file)(path).is_none() {
            return Ok(local);
        }
        let there = |path: &Path| RemotePath::new(&unix_text(path)).ok();
        let text = |path: &Path| small_file::read(&(brought.file)(&there(path)?)?).ok();
        let env = local.directory.join(".env");
        local.env = text(&env).map(|text| DotEnv::parse(&text)).unwrap_or_default();
        let inputs = local.collect(&text);
        for file in inputs.files.iter().filter_map(|file| Some((file, text(file)?))) {
            local.staged.insert(file.0.clone(), Staged::File(file.1.into_bytes()));
        }
        for file in inputs.missing.keys() {
            local.staged.insert(file.clone(), Staged::OnDevice(unix_text(file)));
        }
        let staged = text(&env).map_or_else(|| Staged::OnDevice(unix_text(&env)), |text| Staged::File(text.into_bytes()));
        local.staged.insert(env, staged);
        local.staged.extend(inputs.directories.iter().map(|directory| (directory.clone(), Staged::Directory)));
        local.digest = local.digest_of_inputs();
        Ok(local)
    }

    fn collect(&self, read: &dyn Fn(&Path) -> Option<String>) -> Inputs {
        let variables = self.env.variables();
        compose::collect(&self.files, &self.directory, read, &|name| variables.get(name).cloned())
    }

    fn stage_env(&mut self, inputs: &Inputs) {
        let env = self.env.text();
        if !env.is_empty() {
            self.staged.insert(self.directory.join(".env"), Staged::File(env.into_bytes()));
        }
        self.staged.extend(inputs.directories.iter().map(|directory| (directory.clone(), Staged::Directory)));
    }

    fn digest_of_inputs(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for file in &self.files {
            part(compose::relative(&self.directory, file).as_bytes());
        }
        for (path, staged) in &self.staged {
            part(compose::relative(&self.directory, path).as_bytes());
            match staged {
                Staged::File(content) => part(content),
                Staged::Directory => part(b"/"),
                Staged::OnDevice(path) => part(path.as_bytes()),
            }
        }
        here::hexadecimal(&hash.finalize())
    }

    /// Returns whether the same input always gets the same answer, which is not so where a part of the input is on the
    /// device.
    pub fn is_whole(&self) -> bool {
        !self.staged.is_empty() && !self.staged.values().any(|staged| matches!(staged, Staged::OnDevice(_)))
    }

    /// Returns the profiles that its `.env` enables.
    pub fn profiles(&self) -> BTreeSet<String> {
        let listed = self.env.get("COMPOSE_PROFILES").unwrap_or_default();
        listed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Returns the project as docker-compose understands it.
    pub fn model(&self) -> Option<&Model> {
        self.answer.as_ref()?.project.as_ref().ok()
    }

    /// Returns the compose files by their path below the project's directory.
    pub fn file_names(&self) -> Vec<String> {
        self.files.iter().map(|file| compose::relative(&self.directory, file)).collect()
    }

    /// Asks docker-compose on the device to interpret the project. Returns its answer and the line that names the compose
    /// tool; `known` is that line from an earlier answer.
    ///
    /// # Errors
    /// The device could not be asked. A project that docker-compose refuses is an answer.
    pub async fn ask(&self, remote: &impl Remote, project: &str, known: &str) -> Result<(Answer, String), FactsError> {
        let nonce = nonce();
        let links = self.staged.iter().filter_map(|(path, staged)| match staged {
            Staged::OnDevice(there) => Some([unix_text(path), there.clone()]),
            Staged::File(_) | Staged::Directory => None,
        });
        let place = if self.staged.is_empty() { "there" } else { "staged" };
        let command = Command::script_with(include_str!("../compose_tool.sh"), include_str!("config.sh"))
            .silent_for(DISK_SILENCE_MAX)
            .private()
            .args([&nonce, place, &unix_text(&self.directory), project, known])
            .args(links.flatten())
            .arg("--")
            .args(self.files.iter().map(|file| unix_text(file)));
        let input = if self.staged.is_empty() { Input::Empty } else { Input::Bytes(self.archive()) };
        let said = remote.run(&command, input).await?.success(&command)?;
        self.understand(&said, &nonce, project)
    }

    fn understand(&self, said: &[u8], nonce: &str, project: &str) -> Result<(Answer, String), FactsError> {
        let found: BTreeMap<_, _> = sections(said, nonce).into_iter().map(|(name, body)| (name, text(body))).collect();
        let get = |name: &str| found.get(name).map(|text| text.trim_end_matches('\n')).unwrap_or_default();
        let wrong = |reason: String| FactsError::Answer { section: "docker-compose", reason };
        if !found.contains_key("end") {
            return Err(wrong("its end is missing".into()));
        }
        let root = get("root");
        let here = if cfg!(windows) { self.directory.display().to_string() } else { String::new() };
        let lines = compose::diagnostics(get("errors"), root, &here);
        let line = get("tool").trim().to_owned();
        let tool = ComposeTool::parse(&line).map(|tool| tool.to_string()).unwrap_or_default();
        if get("status") == "0" {
            let mut model = Model::parse(get("config"), root).map_err(wrong)?;
            model.name_builds(project, tool.starts_with("plugin"));
            model.make_relative(Path::new(&unix_text(&self.directory)));
            return Ok((Answer { tool, project: Ok(model), warnings: lines }, line));
        }
        Ok((Answer { tool, project: Err(lines), warnings: Vec::new() }, line))
    }

    /// Returns a tar archive of the staged files.
    fn archive(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut add = |path: &Path, kind, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(if kind == tar::EntryType::Directory { 0o700 } else { 0o600 });
            header.set_size(content.len() as u64);
            let name = unix_text(path);
            // Only memory is written to.
            let _ = archive.append_data(&mut header, name.trim_start_matches('/'), content);
        };
        for (path, staged) in &self.staged {
            match staged {
                Staged::File(content) => add(path, tar::EntryType::Regular, content),
                Staged::Directory => add(path, tar::EntryType::Directory, &[]),
                Staged::OnDevice(_) => {}
            }
        }
        archive.into_inner().unwrap_or_default()
    }

    /// Returns the path on this computer of a file of the project, from docker-compose's answer.
    fn path_of(&self, bind: &Bind) -> PathBuf {
        compose::clean(&self.directory.join(&bind.source))
    }

    /// Returns where a file of the project is below the directory that is sent.
    pub fn name_of(&self, bind: &Bind) -> String {
        let mut name = compose::relative(&self.directory, &self.path_of(bind));
        let mut below = self.below.as_str();
        while let Some(rest) = name.strip_prefix("..") {
            name = rest.trim_start_matches('/').to_owned();
            below = below.rsplit_once('/').map_or("", |(above, _)| above);
        }
        [below, &name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }
}

/// Sets what the deployment itself says in the `.env`.
fn complete(env: &mut DotEnv, directory: &Path, files: &[PathBuf], wanted: &Compose) {
    for (name, value) in &wanted.set {
        env.set(name, Some(value));
    }
    if let Some(profiles) = &wanted.profiles {
        env.set("COMPOSE_PROFILES", (!profiles.is_empty()).then(|| profiles.join(",")).as_deref());
    }
    let names: Vec<_> = files.iter().map(|file| compose::relative(directory, file)).collect();
    let is_default = names == ["docker-compose.yml"] || names == ["docker-compose.yml", "docker-compose.override.yml"];
    if !is_default || env.get("COMPOSE_FILE").is_some() {
        let separator = env.get("COMPOSE_PATH_SEPARATOR").filter(|separator| !separator.is_empty()).unwrap_or(":".into());
        env.set("COMPOSE_FILE", Some(&names.join(&separator)));
    }
}

/// Returns an absolute path with `/` between its parts, on every system.
fn unix_text(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(compose::text_of(name)),
        std::path::Component::Prefix(prefix) => {
            Some(compose::text_of(prefix.as_os_str()).chars().filter(char::is_ascii_alphanumeric).collect())
        }
        _ => None,
    });
    format!("/{}", parts.collect::<Vec<_>>().join("/"))
}

fn read(path: &Path) -> Result<String, HereError> {
    small_file::read(path).map_err(|source| HereError::Read { path: path.into(), source })
}

#[cfg(test)]
impl LocalCompose {
    /// Returns a project of the file `/here/docker-compose.yml` that docker-compose understands as `text`, with its
    /// relative paths below `/stage/here`.
    pub fn understood(text: &str) -> Self {
        let mut project = Model::parse(text, "/stage").map_err(|error| vec![error]);
        if let Ok(model) = &mut project {
            model.name_builds("app", false);
            model.make_relative(Path::new("/here"));
        }
        Self {
            directory: "/here".into(),
            files: vec!["/here/docker-compose.yml".into()],
            answer: Some(Answer { tool: "hyphen 1.29.2".into(), project, warnings: Vec::new() }),
            ..Self::default()
        }
    }
}
