//! The program and docker-compose agree on compose projects. Each project is understood by the program, and independently of it by
//! docker-compose, run by hand on the device: on a copy of the whole folder, and on a copy of what a deployment would send.
//!
//! The projects are those of `tests/compose`: a sample, or all with `O3R_COMPOSE_TOOLS`, the versions of docker-compose to compare
//! with (`1.25,1.29,2`). `O3R_COMPOSE_PROJECTS` names a folder with others, of which each folder is one repository;
//! `O3R_COMPOSE_TABLE` the file that gets the table. `docs/compose.md` has the commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
};

use o3r_deploy::{
    compose,
    config::{self, ComposeFiles, Deployment},
    facts::{compose::LocalCompose, gather, here::Source},
    plan,
    remote::ssh::{self, Ssh, Target},
    secret::Secret,
};

use crate::device::{Kind, OVP80X, OVP81X, Vpu, must, root};

/// Where copies of the projects are on the device. Both have the same length: docker-compose folds long lines.
const WHOLE: &str = "/home/oem/projects/whole";
const SENT: &str = "/home/oem/projects/parts";
/// Compose files of one repository that are looked at.
const FILES_PER_REPOSITORY_MAX: usize = 15;

/// Why the program refuses what docker-compose takes, each by words of its message. `docs/compose.md` explains them.
const REFUSED_ON_PURPOSE: [(&str, &str); 3] = [
    ("has `build:` and no `image:`", "nothing is built on the device"),
    ("no service to bring up", "nothing would run"),
    ("is neither on this computer nor at", "a file would be missing when it starts"),
];
/// Why the program takes what docker-compose refuses, each by words of docker-compose's message. What is sent it takes.
const TAKEN_ON_PURPOSE: [(&str, &str); 2] = [
    ("build path", "the folder of a build is created on the device"),
    ("No such file or directory: './\"", "quotes in a `.env` are understood for every version"),
];
/// The projects of `tests/compose` that each run of the tests looks at.
const SAMPLE: [&str; 11] = [
    "anchors_bom_crlf",
    "binds",
    "build_with_image",
    "driver_options",
    "env_file_absent",
    "env_names_files_by_variables",
    "env_refers_to_itself",
    "extends_across_folders",
    "override",
    "secrets_and_configs",
    "yaml_ending",
];
/// The names that docker-compose finds by itself.
const FOUND: [&str; 4] = ["docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"];

/// A project, as a folder with compose files.
struct Project {
    /// What the table calls it.
    name: String,
    /// The folder that is copied as a whole, and its number.
    repository: (usize, PathBuf),
    /// The folder of its first compose file.
    directory: PathBuf,
    /// Its compose files, relative to that folder; none where docker-compose is to find them.
    files: Vec<String>,
}

/// What the program makes of a project.
struct Understood {
    /// The image of each service; none for one that is built.
    images: BTreeMap<String, Option<String>>,
    /// The services that are brought up.
    expected: BTreeSet<String>,
    /// The directory from which paths in `sent` start, and the project's own.
    top: PathBuf,
    sent: Vec<(String, PathBuf)>,
}

/// What docker-compose makes of a project.
#[derive(Clone)]
struct Answer {
    accepted: bool,
    errors: String,
    services: BTreeSet<String>,
    text: String,
}

/// What docker-compose makes of the two copies of a project.
struct ByHand<'a> {
    whole: Answer,
    sent: Option<&'a Answer>,
}

/// One row of the table.
struct Row {
    name: String,
    /// Why the plan refuses it.
    refusal: Option<String>,
    /// Why docker-compose refuses it.
    errors: Option<String>,
    services: usize,
    differences: Vec<String>,
    purpose: Option<&'static str>,
}

/// Nobody who could answer.
struct Nobody;

impl ssh::Ask for Nobody {
    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn secret(&mut self, _: &str) -> Option<Secret> {
        None
    }
}

/// The projects of `tests/compose`: each folder is one; `files.txt` in it names the compose files where they have to be named.
fn corpus() -> Vec<Project> {
    let folders = folders(&root().join("tests/compose"));
    folders.into_iter().enumerate().map(|(number, folder)| of_corpus(number, &folder)).collect()
}

fn of_corpus(number: usize, folder: &Path) -> Project {
    let listed = fs::read_to_string(folder.join("files.txt")).unwrap_or_default();
    let listed: Vec<_> = listed.lines().map(|name| folder.join(name)).collect();
    let directory = listed.first().and_then(|file| file.parent()).unwrap_or(folder).to_owned();
    let files = listed.iter().map(|file| compose::relative(&directory, file)).collect();
    Project { name: name_of(folder), repository: (number, folder.to_owned()), directory, files }
}

/// The projects of a folder of repositories: each folder with a compose file, and each further compose file by itself.
fn projects_below(folder: &Path) -> Vec<Project> {
    let mut projects = Vec::new();
    for (number, repository) in folders(folder).into_iter().enumerate() {
        let mut files = Vec::new();
        compose_files(&repository, &mut files);
        files.sort();
        for file in files.into_iter().take(FILES_PER_REPOSITORY_MAX) {
            let directory = file.parent().expect("below the repository").to_owned();
            let name = name_of(&file);
            let is_found = FOUND.contains(&name.as_str());
            projects.push(Project {
                name: file.strip_prefix(folder).expect("below").display().to_string(),
                repository: (number, repository.clone()),
                directory,
                files: if is_found { Vec::new() } else { vec![name] },
            });
        }
    }
    projects
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("read").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn compose_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("read").flatten() {
        let (path, name) = (entry.path(), name_of(&entry.path()));
        let kind = entry.file_type().expect("known");
        if kind.is_dir() && !name.starts_with('.') {
            compose_files(&path, found);
        }
        let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
        let is_plain = !path.display().to_string().contains([' ', '\t']) && !name.contains("override");
        if kind.is_file() && is_yaml && is_plain && (name.starts_with("docker-compose") || name.starts_with("compose")) {
            found.push(path);
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

impl Project {
    /// The deployment of this project, as a folder with an `o3r-deploy.yaml` describes it.
    fn deployment(&self, folder: &Path) -> Result<Deployment, String> {
        let named = self.files.iter().map(|file| compose::clean(&self.directory.join(file)).display().to_string());
        let files: Vec<_> = if self.files.is_empty() { vec![self.directory.display().to_string()] } else { named.collect() };
        let compose = serde_json::json!({ "file": files, "settle": 0 });
        let text = format!("application: app\nlogs: []\nstamp: ''\ndirectories: []\ncompose: {compose}\n");
        fs::create_dir_all(folder).expect("made");
        let file = folder.join("o3r-deploy.yaml");
        fs::write(&file, text).expect("written");
        let (layer, problems) = config::file::read(&file, "o3r-deploy.yaml").map_err(|error| error.to_string())?;
        config::check(&[layer], problems)
            .map_err(|error| error.problems().iter().map(|problem| format!("{problem:?}")).collect::<Vec<_>>().join("; "))
    }

    /// What the program makes of it.
    async fn understand(&self, device: &Ssh, folder: &Path) -> Result<Understood, String> {
        let wanted = self.deployment(folder)?;
        let compose = wanted.compose.as_ref().expect("it has one");
        let here = gather::gather(&wanted).map_err(|failure| failure.to_string())?;
        let mut local = here.compose.expect("gathered");
        let project = plan::project_name(&wanted);
        let (answer, _) = local.ask(device, &project, "").await.expect("the device is asked");
        let model = answer.project.clone().map_err(|lines| lines.join("\n"))?;
        local.take(answer, compose, &project).map_err(|error| error.to_string())?;
        let expected = model.expected(&[], &local.profiles()).expect("none is named").into_iter().collect();
        let images = model.services.iter();
        let images = images.map(|(name, service)| (name.clone(), service.image.clone().filter(|_| !service.builds))).collect();
        Ok(Understood { images, expected, top: self.top(compose, &local), sent: sent(&local) })
    }

    /// The directory here that stands for the one that is sent.
    fn top(&self, compose: &config::Compose, local: &LocalCompose) -> PathBuf {
        let ComposeFiles::Here { files, .. } = &compose.files else { panic!("they are here") };
        let directory = files[0].parent().expect("a folder");
        let depth = local.below.split('/').filter(|part| !part.is_empty()).count();
        directory.ancestors().nth(depth).expect("above it").to_owned()
    }

    fn copy(&self) -> String {
        let (number, repository) = &self.repository;
        let below = compose::relative(repository, &self.directory);
        format!("{WHOLE}/{number:04}/{below}")
    }
}

/// All files that a deployment sends, by their path below the directory that is sent.
fn sent(local: &LocalCompose) -> Vec<(String, PathBuf)> {
    let mut sent = Vec::new();
    for (name, source) in &local.sources {
        match source {
            Source::File(file) => sent.push((name.clone(), file.path.clone())),
            Source::Tree { files, .. } => {
                let prefix = if name.is_empty() { String::new() } else { format!("{name}/") };
                sent.extend(files.iter().map(|(below, file)| (format!("{prefix}{below}"), file.path.clone())));
                sent.push((prefix, PathBuf::new()));
            }
        }
    }
    // The `.env` may be a temporary one, which goes with `local`.
    for (name, path) in &mut sent {
        if path.starts_with(std::env::temp_dir()) && name.ends_with(".env") {
            let kept = tempfile::NamedTempFile::new().expect("a file").into_temp_path().keep().expect("kept");
            fs::copy(&*path, &kept).expect("copied");
            *path = kept;
        }
    }
    sent
}

impl Vpu {
    /// Copies a folder to the device.
    fn copy_folder(&self, folder: &Path, there: &str) {
        let mut tar = std::process::Command::new("tar");
        let mut tar = tar.args(["-c", "-C"]).arg(folder).arg(".").stdout(Stdio::piped()).spawn().expect("tar runs");
        let mut ssh = self.ssh_command(&format!("mkdir -p {there} && tar -x -C {there}"));
        must(ssh.stdin(tar.stdout.take().expect("its output")));
        assert!(tar.wait().expect("ended").success());
    }

    /// What docker-compose makes of projects, each a directory on the device and its compose files; in two runs at once.
    fn compose_by_hand(&self, projects: &[(String, Vec<String>)]) -> Vec<Answer> {
        let half = projects.len().div_ceil(2).max(1);
        thread::scope(|scope| {
            let runs: Vec<_> = projects.chunks(half).map(|chunk| scope.spawn(|| self.compose_in_turn(chunk))).collect();
            runs.into_iter().flat_map(|run| run.join().expect("it ran")).collect()
        })
    }

    fn compose_in_turn(&self, projects: &[(String, Vec<String>)]) -> Vec<Answer> {
        let lines: String = projects.iter().map(|(directory, files)| format!("{directory}\t{}\n", files.join(" "))).collect();
        let script = include_str!("projects.sh").replace('\'', r"'\''");
        let mut ssh = self.ssh_command(&format!("sh -c '{script}'"));
        let mut child = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh runs");
        child.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("ended");
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let fields: Vec<_> = said.split('\u{1e}').skip(1).collect();
        assert_eq!(fields.len(), projects.len() * 4, "four fields of each project");
        let answer = |fields: &[&str]| Answer {
            accepted: fields[0] == "0",
            errors: fields[1].to_owned(),
            services: fields[2].lines().map(str::to_owned).collect(),
            text: fields[3].to_owned(),
        };
        fields.chunks(4).map(answer).collect()
    }

    /// What the program itself says to a project that the library takes: the message with which it refuses it.
    fn planned(&self, folder: &Path) -> Option<String> {
        let output = self.command(&["plan", "--json", "--config"]).arg(folder).output().expect("the program runs");
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let event: serde_json::Value = serde_json::from_str(&last).unwrap_or_else(|_| panic!("{last}"));
        (event["exit_code"] != 0).then(|| event["error"].as_str().unwrap_or_default().to_owned())
    }

    async fn connect(&self) -> Ssh {
        let ours = |name: &str| self.home.path().join(name);
        let target = Target {
            known_hosts: vec![ours(".ssh/known_hosts")],
            keys: vec![ours(".ssh/id_o3r")],
            devices: Some(ours(".o3r-deploy/devices")),
            agent: None,
            ..Target::new(&self.address)
        };
        ssh::connect(&target, &mut Nobody).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Compares all projects on one device. `with_plan`: the program's own `plan` is asked, too.
fn compare(vpu: &Vpu, projects: &[Project], with_plan: bool) -> Vec<Row> {
    let repositories: BTreeMap<_, _> = projects.iter().map(|project| project.repository.clone()).collect();
    for (number, folder) in &repositories {
        vpu.copy_folder(folder, &format!("{WHOLE}/{number:04}"));
    }
    let folder = |number: usize| vpu.home.path().join(format!("deployments/{number:04}"));
    let whole: Vec<_> = projects.iter().map(|project| (project.copy(), project.files.clone())).collect();
    let (hand, programs) = thread::scope(|scope| {
        let hand = scope.spawn(|| vpu.compose_by_hand(&whole));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let programs = runtime.block_on(async {
            let device = vpu.connect().await;
            let mut programs = Vec::new();
            for (number, project) in projects.iter().enumerate() {
                programs.push(project.understand(&device, &folder(number)).await);
            }
            programs
        });
        (hand.join().expect("it ran"), programs)
    });
    let sent = by_hand_of_sent(vpu, projects, &programs);
    let rows = projects.iter().zip(programs).zip(hand).enumerate();
    rows.map(|(number, ((project, program), hand))| {
        let asked = program.is_ok() && (with_plan || !hand.accepted);
        let refusal = if asked { vpu.planned(&folder(number)) } else { None };
        let refusal = refusal.or_else(|| program.as_ref().err().cloned());
        let by_hand = ByHand { whole: hand, sent: sent.get(&number) };
        judge(project, number, (program.ok(), refusal), &by_hand)
    })
    .collect()
}

/// docker-compose on copies of what deployments send, as autostart finds it.
fn by_hand_of_sent(vpu: &Vpu, projects: &[Project], programs: &[Result<Understood, String>]) -> BTreeMap<usize, Answer> {
    let copies = tempfile::tempdir().expect("a folder");
    let mut directories = Vec::new();
    for (number, (project, program)) in projects.iter().zip(programs).enumerate() {
        let Ok(program) = program else { continue };
        let repository = &project.repository.1;
        let Ok(top) = program.top.strip_prefix(repository) else { continue };
        let copy = copies.path().join(format!("{number:04}"));
        for (name, path) in &program.sent {
            let to = copy.join(top).join(name);
            if path.as_os_str().is_empty() {
                fs::create_dir_all(&to).expect("made");
            } else {
                fs::create_dir_all(to.parent().expect("below")).expect("made");
                fs::copy(path, &to).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
        let below = compose::relative(repository, &project.directory);
        fs::create_dir_all(copy.join(&below)).expect("made");
        directories.push((number, (format!("{SENT}/{number:04}/{below}"), Vec::new())));
    }
    vpu.copy_folder(copies.path(), SENT);
    let (numbers, lines): (Vec<_>, Vec<_>) = directories.into_iter().unzip();
    numbers.into_iter().zip(vpu.compose_by_hand(&lines)).collect()
}

fn judge(
    project: &Project,
    number: usize,
    (understood, refusal): (Option<Understood>, Option<String>),
    by_hand: &ByHand<'_>,
) -> Row {
    let ByHand { whole: hand, sent } = by_hand;
    let purpose = |table: &[(&str, &'static str)], message: &str| {
        table.iter().find(|(words, _)| message.contains(words)).map(|(_, why)| *why)
    };
    let (mut differences, mut on_purpose) = (Vec::new(), None);
    match (&refusal, hand.accepted) {
        (Some(message), true) => match purpose(&REFUSED_ON_PURPOSE, message) {
            Some(why) => on_purpose = Some(why),
            None => differences.push(format!("only the program refuses it: {message}")),
        },
        (None, false) => {
            on_purpose = purpose(&TAKEN_ON_PURPOSE, &hand.errors).filter(|_| sent.is_some_and(|sent| sent.accepted));
            if on_purpose.is_none() {
                differences.push(format!("only docker-compose refuses it: {}", hand.errors));
            }
        }
        _ => {}
    }
    // What the plan refuses on purpose is understood all the same.
    if let (Some(understood), true) = (&understood, hand.accepted) {
        let whole = hand.text.replace(&format!("{WHOLE}/{:04}", project.repository.0), "");
        let mut found = disagreements(understood, hand, &whole);
        found.extend(unsent_binds(project, &whole, understood));
        match sent {
            Some(sent) => found.extend(of_sent(sent, &whole, &sent.text.replace(&format!("{SENT}/{number:04}"), ""))),
            None => on_purpose = Some("it reaches out of its repository"),
        }
        let of_several = FOUND.iter().filter(|name| project.directory.join(name).exists()).count() > 1;
        if of_several && project.files.is_empty() && !found.is_empty() {
            on_purpose = Some("of several compose files, that of Docker Compose 2 counts");
        } else {
            differences.extend(found);
        }
    }
    let errors = (!hand.accepted).then(|| hand.errors.clone());
    let services = understood.map_or(0, |understood| understood.images.len());
    Row { name: project.name.clone(), refusal, errors, services, differences, purpose: on_purpose }
}

/// Differences between what the program understands and docker-compose's answer.
fn disagreements(understood: &Understood, hand: &Answer, whole: &str) -> Vec<String> {
    let mut found = Vec::new();
    let project: serde_yaml::Value = serde_yaml::from_str(whole).expect("docker-compose writes YAML");
    let services = project["services"].as_mapping().cloned().unwrap_or_default();
    let images: BTreeMap<_, _> = services.iter().map(|(name, service)| (word(name), service.get("image").map(word))).collect();
    if images != understood.images {
        found.push(format!("services and images: {:?} here, {images:?} there", understood.images));
    }
    let is_named = !hand.services.is_empty();
    // A service of no containers is not expected.
    let missing: Vec<_> = understood.expected.difference(&hand.services).collect();
    let more = hand.services.difference(&understood.expected).filter(|name| replicas(&services, name) != Some(0));
    let more: Vec<_> = more.collect();
    if is_named && !(missing.is_empty() && more.is_empty()) {
        found.push(format!("brought up: only here {missing:?}, only there {more:?}"));
    }
    found
}

fn word(value: &serde_yaml::Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn replicas(services: &serde_yaml::Mapping, name: &str) -> Option<u64> {
    let service = services.get(name)?;
    service.get("scale").or_else(|| service.get("deploy")?.get("replicas"))?.as_u64()
}

/// What docker-compose makes of the copy of what is sent is what it makes of the whole folder.
fn of_sent(sent: &Answer, whole: &str, text: &str) -> Option<String> {
    if !sent.accepted {
        return Some(format!("what is sent is refused: {}", sent.errors));
    }
    if text == whole {
        return None;
    }
    let only = |a: &str, b: &str| {
        let there: BTreeSet<_> = b.lines().collect();
        a.lines().filter(|line| !there.contains(line)).take(3).map(str::trim).collect::<Vec<_>>().join(" | ")
    };
    Some(format!("what is sent means something else: {} instead of {}", only(text, whole), only(whole, text)))
}

/// Files and folders of the project that docker-compose would bind and that are not sent.
fn unsent_binds(project: &Project, whole: &str, understood: &Understood) -> Vec<String> {
    let value: serde_yaml::Value = serde_yaml::from_str(whole).expect("YAML");
    let services = value["services"].as_mapping().cloned().unwrap_or_default();
    let mut sources: BTreeSet<String> = BTreeSet::new();
    for volume in services.values().filter_map(|service| service.get("volumes")?.as_sequence()).flatten() {
        match volume.as_str() {
            Some(text) => sources.extend(text.split_once(':').map(|(source, _)| source.to_owned())),
            None => sources.extend(volume["source"].as_str().map(str::to_owned)),
        }
    }
    for top in ["secrets", "configs"] {
        let entries = value.get(top).and_then(serde_yaml::Value::as_mapping);
        sources.extend(
            entries
                .into_iter()
                .flat_map(serde_yaml::Mapping::values)
                .filter_map(|entry| entry["file"].as_str().map(str::to_owned)),
        );
    }
    let volumes = value.get("volumes").and_then(serde_yaml::Value::as_mapping);
    let devices = volumes
        .into_iter()
        .flat_map(serde_yaml::Mapping::values)
        .filter_map(|volume| volume.get("driver_opts")?["device"].as_str());
    sources.extend(devices.map(str::to_owned));
    let repository = &project.repository.1;
    let is_sent = |path: &Path| {
        let name = compose::relative(&understood.top, path);
        understood
            .sent
            .iter()
            .any(|(sent, _)| sent.trim_end_matches('/') == name || name.is_empty() || sent.starts_with(&format!("{name}/")))
    };
    sources
        .iter()
        // What was below the copy begins with a slash now, as do paths on the device; those are not in the repository.
        .filter_map(|source| source.strip_prefix('/').map(|below| repository.join(below)))
        .filter(|path| path.starts_with(repository) && path != repository && path.exists() && !is_sent(path))
        .map(|path| format!("not sent: {}", path.display()))
        .collect()
}

/// The table, a row each project.
fn table(tool: &str, rows: &[Row]) -> String {
    let mut text = format!("docker-compose {tool}\n");
    for row in rows {
        let verdict_of = |refusal: &Option<String>| match refusal {
            None => "accepts".to_owned(),
            Some(message) => format!("refuses: {}", message.lines().last().unwrap_or_default()),
        };
        let (program, hand) = (verdict_of(&row.refusal), verdict_of(&row.errors));
        let verdict = match (row.purpose, row.differences.as_slice()) {
            (Some(purpose), []) => format!("on purpose: {purpose}"),
            (None, []) => "same".into(),
            (_, differences) => format!("DIFFERENT: {}", differences.join("; ")),
        };
        let _ = writeln!(text, "{} | {} services | {program} | {hand} | {verdict}", row.name, row.services);
    }
    let count = |is: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| is(row)).count();
    let _ = writeln!(
        text,
        "{} projects: {} accepted by both, {} refused by both, {} different on purpose, {} different\n",
        rows.len(),
        count(&|row| row.refusal.is_none() && row.errors.is_none()),
        count(&|row| row.refusal.is_some() && row.errors.is_some()),
        count(&|row| row.purpose.is_some() && row.differences.is_empty()),
        count(&|row| !row.differences.is_empty()),
    );
    text
}

/// A device with this version of docker-compose.
fn device_with(tool: &str) -> Vpu {
    let kind: Kind = if tool == "1.25" { OVP80X } else { OVP81X };
    let vpu = Vpu::trusted(kind);
    if tool == "2" {
        must(std::process::Command::new(root().join("docker/vpu/compose-v2")).args(["--address", &vpu.address]));
    }
    vpu
}

#[test]
fn compose_projects_mean_the_same_to_program_and_docker_compose() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (named, tools) = (variable("O3R_COMPOSE_PROJECTS"), variable("O3R_COMPOSE_TOOLS"));
    let is_long = named.is_some() || tools.is_some();
    let projects = match &named {
        Some(folder) => projects_below(&fs::canonicalize(folder).unwrap_or_else(|error| panic!("{folder}: {error}"))),
        None => corpus().into_iter().filter(|project| is_long || SAMPLE.contains(&project.name.as_str())).collect(),
    };
    let (mut tables, mut differing) = (String::new(), Vec::new());
    for tool in tools.as_deref().unwrap_or("1.29").split(',') {
        let rows = compare(&device_with(tool), &projects, is_long);
        tables += &table(tool, &rows);
        let different = rows.iter().filter(|row| !row.differences.is_empty());
        differing.extend(different.map(|row| format!("{tool} {}", row.name)));
        if let Some(file) = variable("O3R_COMPOSE_TABLE") {
            fs::write(file, &tables).expect("written");
        }
    }
    println!("{tables}");
    assert!(differing.is_empty(), "{differing:?}");
}
