//! Applies each action to the facts, as docker, docker-compose, systemd and the scripts do it, independently of the
//! planner's own expectations.

use super::{super::*, cases::Case, cases::registry_digest};
use crate::{
    config::ComposeFiles,
    facts::{Archive, DockerVolume, Health, SecretThere, compare::Copy, here::Present},
    plan::{Action, ComposeUp, Fetch, KeepVersion, LoadImage, Upload},
    reference::Reference,
};

/// Returns the facts after a plan has been carried out.
pub(super) fn after(case: &Case, plan: &Plan) -> Facts {
    let mut facts = case.facts.clone();
    for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
        apply(case, action, &mut facts);
    }
    probe_archives(case, &mut facts);
    facts
}

fn apply(case: &Case, action: &Action, facts: &mut Facts) {
    match action {
        Action::Run(command) | Action::Touch(command) | Action::Make { make: command, .. } => {
            run(case, &command.shown(), facts)
        }
        Action::Rename { to, .. } => facts.name = Some(to.clone()),
        Action::Send(sending) => send(sending, facts),
        Action::RemoveFile(path) => remove(path, facts),
        Action::Fetch(fetch) => fetched(fetch, facts),
        Action::Load(loading) => load(loading, facts),
        Action::Keep(keeping) => keep(keeping, facts),
        Action::Up(bringing) => up(case, bringing, facts),
        Action::WriteSecret(writing) => {
            facts.secrets.insert(writing.path.clone(), SecretThere::Same);
        }
        Action::Attach(_) | Action::PullAgain(_) | Action::CheckRoom(_) => {}
    }
}

/// Applies the effect of a command, which is recognised by its words; of a script these are its first line.
fn run(case: &Case, shown: &str, facts: &mut Facts) {
    let words = shlex::split(shown).expect("it is quoted");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let names = |words: &[&str]| {
        words.iter().skip_while(|word| **word != "--").skip(1).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    match words.as_slice() {
        ["docker", "container", "rm", ..] => {
            let gone = names(&words);
            docker(facts).containers.retain(|container| !gone.contains(&container.name));
        }
        ["docker", "volume", "rm", ..] => {
            let gone = names(&words);
            let used =
                docker(facts).containers.iter().any(|container| container.volumes.iter().any(|name| gone.contains(name)));
            assert!(!used, "docker refuses to remove a volume in use: {shown}");
            docker(facts).volumes.retain(|volume| !gone.contains(&volume.name));
        }
        ["docker", "image", "rm", ..] => names(&words).iter().for_each(|id| remove_image(id, facts)),
        ["docker", "volume", "create", ..] => {
            let device = words.iter().find_map(|word| word.strip_prefix("device=")).expect("a path");
            let options =
                [("type", "none"), ("o", "bind"), ("device", device)].map(|(key, value)| (key.to_owned(), value.to_owned()));
            let name = words.last().expect("a name").to_string();
            assert!(facts.is_directory(device), "a volume binds what is there: {shown}");
            docker(facts).volumes.push(DockerVolume {
                name,
                driver: "local".into(),
                options: options.into(),
                project: None,
                application: Some("app".into()),
            });
        }
        ["docker", "image", "tag", "--", id, reference] => tag(id, reference, facts),
        ["sh", "-c", script, "sh", arguments @ ..] => script_runs(case, script, arguments, facts),
        ["rm", "-rf", "--", paths @ ..] => paths.iter().for_each(|path| remove(path, facts)),
        _ => panic!("nobody knows what this does: {shown}"),
    }
}

fn script_runs(case: &Case, script: &str, arguments: &[&str], facts: &mut Facts) {
    let title = script.trim_start_matches("# ").trim_end_matches('…');
    match (title, arguments) {
        ("writes a file", [file, content]) => {
            assert_eq!(*file, "/home/oem/.o3r-deploy/app/record.json");
            facts.records.insert("app".into(), serde_json::from_str(content).expect("a record"));
        }
        ("appends a line to a file", [file, _]) => {
            for above in remote(file).above() {
                facts.paths.entry(above.as_str().into()).or_insert_with(directory);
            }
            put(facts, file, Some("lines"));
        }
        ("loads an image archive that is on the device, unless its image is there", [path, name, ..]) => {
            let there = facts.paths.get(*path).expect("the archive is there");
            let archive = case.archives.get(there.sha256.as_ref().expect("it has a digest")).expect("it is known");
            let (ids, archive) = match archive {
                Archive::Images(ids) => (ids.clone(), None),
                Archive::RootFileSystem(digest) => {
                    let there = docker(facts).images.iter().find(|image| image.archive.as_ref() == Some(digest));
                    (vec![there.map_or_else(|| "sha256:imported".to_owned(), |image| image.id.clone())], Some(digest.clone()))
                }
                Archive::Oci => panic!("docker does not load it"),
            };
            for id in &ids {
                if docker(facts).image(id).is_none() {
                    docker(facts).images.push(DockerImage {
                        id: id.clone(),
                        archive: archive.clone(),
                        ..DockerImage::default()
                    });
                }
            }
            if !name.is_empty() {
                tag(&ids[0], name, facts);
            }
        }
        ("removes what a delivery needed on its way", _) => remove_partial(facts),
        ("has external storage mounted" | "notes a deployment in the history", _) => {}
        ("enables a service and links its compose file", [service, file, _, kind]) => {
            let fact = facts.services.entry((*service).to_owned()).or_default();
            fact.enabled = true;
            match *kind {
                "directory" => (fact.directory_link, fact.file_link) = (Some(remote(file).parent().as_str().to_owned()), None),
                _ => (fact.directory_link, fact.file_link) = (None, Some((*file).to_owned())),
            }
        }
        ("disables a service", [service, project]) => {
            facts.services.entry((*service).to_owned()).or_default().enabled = false;
            set_policy(facts, "no", |container| container.project.as_deref() == Some(project));
        }
        ("has containers come back with docker", [project]) => {
            assert!(docker(facts).project(project).next().is_some(), "the script refuses a project without containers");
            facts.autostart = AutostartModel::Single { enabled: true };
            set_policy(facts, "unless-stopped", |container| {
                container.project.as_deref() == Some(project)
                    && !matches!(container.restart_policy.as_str(), "always" | "unless-stopped")
            });
        }
        ("keeps containers from coming back", [name]) => {
            let is_project = docker(facts).project(name).next().is_some();
            set_policy(facts, "no", |container| {
                if is_project { container.project.as_deref() == Some(name) } else { container.name == *name }
            });
        }
        _ => panic!("nobody knows what this does: {title} {arguments:?}"),
    }
}

fn set_policy(facts: &mut Facts, policy: &str, which: impl Fn(&Container) -> bool) {
    docker(facts)
        .containers
        .iter_mut()
        .filter(|container| which(container))
        .for_each(|container| container.restart_policy = policy.into());
}

/// Removes an image with all its names, and the nameless ones that nothing is built on any more.
fn remove_image(id: &str, facts: &mut Facts) {
    let docker = docker(facts);
    let user = docker.containers.iter().find(|container| container.image == id);
    assert!(user.is_none(), "docker refuses to remove image {id}, which {user:?} uses");
    let child = docker.images.iter().find(|image| image.parent.as_deref() == Some(id));
    assert!(child.is_none(), "docker refuses to remove image {id}, which {child:?} was built on");
    let Some(at) = docker.images.iter().position(|image| image.id == id) else { panic!("there is no image {id}") };
    let parent = docker.images.remove(at).parent;
    let is_free = |parent: &String| {
        docker.images.iter().any(|image| image.id == *parent && image.tags.is_empty() && image.digests.is_empty())
            && docker.images.iter().all(|image| image.parent.as_ref() != Some(parent))
            && docker.containers.iter().all(|container| container.image != *parent)
    };
    if let Some(parent) = parent.filter(is_free) {
        remove_image(&parent, facts);
    }
}

fn remove_partial(facts: &mut Facts) {
    let docker = docker(facts);
    docker.images.iter_mut().for_each(|image| image.tags.retain(|tag| !tag.starts_with(crate::delivery::PARTIAL)));
}

fn tag(id: &str, reference: &str, facts: &mut Facts) {
    let reference = Reference::normalised(reference);
    let docker = docker(facts);
    docker.images.iter_mut().for_each(|image| image.tags.retain(|tag| *tag != reference));
    docker.images.iter_mut().find(|image| image.id == id).expect("an image that is tagged is there").tags.push(reference);
}

fn directory() -> PathFact {
    PathFact { kind: PathKind::Directory, mode: 0o755, size: 4096, readable: false, own: true, sha256: None }
}

fn send(sending: &Upload, facts: &mut Facts) {
    for (path, mode) in &sending.directories {
        let above = remote(path).parent();
        assert!(above.as_str() == "/" || facts.is_directory(above.as_str()), "{path} is made in a directory that is there");
        facts.paths.insert(path.clone(), PathFact { mode: *mode, ..directory() });
    }
    for file in &sending.files {
        let (path, above) = (file.remote.as_str(), file.remote.parent());
        assert!(facts.is_directory(above.as_str()), "{path} goes into a directory that is there");
        assert!(facts.links.remove(path).is_some() || file.new != facts.paths.contains_key(path), "{path} is new or is not");
        let fact = PathFact {
            kind: PathKind::File,
            mode: file.mode,
            size: file.size,
            readable: true,
            own: false,
            sha256: file.sha256.clone(),
        };
        facts.paths.insert(path.into(), fact);
        facts.archives.remove(path);
    }
    for link in &sending.links {
        facts.links.insert(link.remote.as_str().into(), link.target.clone());
    }
    for (path, mode) in &sending.modes {
        facts.paths.get_mut(path).expect("it gets a mode").mode = *mode;
    }
}

fn remove(gone: &str, facts: &mut Facts) {
    let below = format!("{gone}/");
    let stays = |path: &String| path != gone && !path.starts_with(&below);
    facts.paths.retain(|path, _| stays(path));
    facts.links.retain(|path, _| stays(path));
    facts.archives.retain(|path, _| stays(path));
}

fn fetched(fetch: &Fetch, facts: &mut Facts) {
    for file in &fetch.files {
        facts.here.copies.insert(file.local.clone(), Copy { path: file.local.clone(), bytes: file.size });
    }
    facts.here.present.extend(fetch.directories.iter().map(|(path, _)| (path.clone(), Present::Directory)));
    facts.here.present.extend(fetch.links.iter().map(|link| (link.link.clone(), Present::Link(link.target.clone()))));
}

fn load(loading: &LoadImage, facts: &mut Facts) {
    let layers = facts.here.images.iter().find(|image| image.id == loading.id).expect("it is here").layers.clone();
    let layers = layers.into_iter().map(|(layer, _)| layer).collect();
    assert!(docker(facts).image(&loading.id).is_none(), "what is there is not sent");
    docker(facts).images.push(DockerImage { id: loading.id.clone(), layers, ..DockerImage::default() });
    loading.references.iter().for_each(|reference| tag(&loading.id, reference, facts));
    remove_partial(facts);
}

/// Gives the images of the kept version names that keep them.
fn keep(keeping: &KeepVersion, facts: &mut Facts) {
    for id in keeping.snapshot.services.iter().map(|service| service.image.as_str()) {
        let name = format!("{}:app.{}", crate::release::versions::PREVIOUS, &id[7..]);
        tag(id, &name, facts);
    }
    put(facts, "/home/oem/.o3r-deploy/app/swap/state", Some("state"));
}

/// Finds the image of a service; where it is missing, docker-compose has it pulled.
fn found_or_pulled(reference: &str, facts: &mut Facts) -> String {
    if let Some(image) = docker(facts).image(reference) {
        return image.id.clone();
    }
    let parsed: Reference = reference.parse().expect("a reference");
    let id = format!("sha256:pulled-{}", digest(reference));
    let mut image = DockerImage { id: id.clone(), ..DockerImage::default() };
    image.digests.push(format!("{}@{}", parsed.name(), parsed.digest().map_or_else(|| registry_digest(&id), str::to_owned)));
    docker(facts).images.push(image);
    if parsed.digest().is_none() {
        tag(&id, reference, facts);
    }
    id
}

fn up(case: &Case, bringing: &ComposeUp, facts: &mut Facts) {
    let model = facts.here.compose.as_ref().and_then(LocalCompose::model).expect("a project").clone();
    let project = Some(bringing.project.name.clone());
    docker(facts).containers.retain(|container| {
        container.project != project || container.service.as_ref().is_some_and(|name| model.services.contains_key(name))
    });
    for name in &bringing.expected {
        let service = &model.services[name];
        let image = found_or_pulled(service.image.as_deref().expect("an image"), facts);
        let containers = &mut docker(facts).containers;
        containers.retain(|there| {
            there.project != project || there.service.as_ref() != Some(name) || (there.image == image && !bringing.recreate)
        });
        let of_service = |there: &&mut Container| there.project == project && there.service.as_ref() == Some(name);
        containers
            .iter_mut()
            .filter(of_service)
            .for_each(|there| (there.state, there.health) = (ContainerState::Running, None::<Health>));
        let there = containers.iter_mut().filter(of_service).count();
        for number in there..service.replicas.unwrap_or(1) {
            let made = if number == 0 { name.clone() } else { format!("{name}_{number}") };
            assert!(
                containers.iter().all(|other| other.name != made || other.project == project),
                "the name {made} is another's"
            );
            let more = Container {
                name: made,
                service: Some(name.clone()),
                restart_policy: case.policy.into(),
                ..container(name, &image)
            };
            containers.push(more);
        }
    }
    let ComposeFiles::Here { .. } = &case.wanted.compose.as_ref().expect("it is wanted").files else { return };
    facts.records.insert("app".into(), serde_json::from_str(&bringing.settling.record).expect("a record"));
    for version in ["swap", "first"] {
        facts.paths.remove(&format!("/home/oem/.o3r-deploy/app/{version}/state"));
    }
}

/// Looks into the archives that exist, as the next probe does.
fn probe_archives(case: &Case, facts: &mut Facts) {
    let there: Vec<_> = facts
        .paths
        .iter()
        .filter_map(|(path, fact)| Some((path.clone(), case.archives.get(fact.sha256.as_ref()?)?.clone())))
        .collect();
    facts.archives.extend(there);
}

/// Returns the facts after an update has failed while its project was brought up, and the device has restored the kept
/// version.
pub(super) fn after_way_back(case: &Case, plan: &Plan) -> Option<Facts> {
    let actions = || plan.stages.iter().flat_map(|stage| &stage.actions);
    let mut facts = case.facts.clone();
    let mut kept = None;
    for action in actions() {
        match action {
            Action::Keep(keeping) => kept = Some((keeping, facts.clone())),
            Action::Up(_) => break,
            _ => {}
        }
        apply(case, action, &mut facts);
    }
    let (keeping, before) = kept?;
    let snapshot = &keeping.snapshot;
    for path in &snapshot.new {
        facts.paths.remove(path);
        facts.links.remove(path);
        facts.secrets.entry(path.to_owned()).and_modify(|there| *there = SecretThere::None);
    }
    for path in &snapshot.replaced {
        before.paths.get(path).map(|fact| facts.paths.insert(path.to_owned(), fact.clone()));
        before.links.get(path).map(|target| facts.links.insert(path.to_owned(), target.clone()));
        before.secrets.get(path).map(|there| facts.secrets.insert(path.to_owned(), *there));
    }
    let mut made = snapshot.made.clone();
    made.sort_by(|a, b| b.cmp(a));
    for path in &made {
        let below = format!("{path}/");
        if !facts.paths.keys().chain(facts.links.keys()).any(|name| name.starts_with(&below)) {
            facts.paths.remove(path);
        }
    }
    for (mode, path) in &snapshot.modes {
        facts.paths.get_mut(path).expect("it is there").mode = *mode;
    }
    Some(facts)
}
