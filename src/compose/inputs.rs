//! Collects the files that docker-compose needs to read a project: compose files with the files that they extend and
//! include, environment files, and directories of builds. Only docker-compose decides what the files mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use super::{
    environment::{VariableLookup, interpolate},
    node::Node,
};

/// The files of a project, by their absolute paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Compose files and environment files that are there.
    pub files: BTreeSet<PathBuf>,
    /// Directories that docker-compose only wants to be there: contexts of builds.
    pub directories: BTreeSet<PathBuf>,
    /// Files that are named and not there, each with the file that names it.
    pub missing: BTreeMap<PathBuf, PathBuf>,
}

/// Collects what compose files name, relative to the project's directory or to the file that names it. `read` gives the text of
/// a file that is there.
pub fn collect(
    files: &[PathBuf],
    project: &Path,
    read: &dyn Fn(&Path) -> Option<String>,
    lookup: &VariableLookup<'_>,
) -> Inputs {
    let mut collector = Collector { inputs: Inputs::default(), seen: BTreeSet::new(), read, lookup };
    for file in files {
        collector.compose_file(file, file, project);
    }
    collector.inputs
}

struct Collector<'a> {
    inputs: Inputs,
    /// Files that were read, and services of files of which only these count.
    seen: BTreeSet<(PathBuf, Option<String>)>,
    read: &'a dyn Fn(&Path) -> Option<String>,
    lookup: &'a VariableLookup<'a>,
}

impl Collector<'_> {
    /// Reads a compose file whose relative paths start at `base`.
    fn compose_file(&mut self, file: &Path, named_by: &Path, base: &Path) {
        if !self.seen.insert((file.to_owned(), None)) {
            return;
        }
        let Some(node) = self.parsed(file, named_by) else { return };
        for include in node.get("include").map(Node::elements).unwrap_or_default() {
            self.include(include, file, base);
        }
        for (_, service) in services(&node).entries() {
            self.service(service, file, base);
        }
    }

    /// Reads the one service of a file that another service extends: docker-compose passes over the others there.
    fn extended(&mut self, name: &str, file: &Path, named_by: &Path, base: &Path) {
        if !self.seen.insert((file.to_owned(), Some(name.to_owned()))) {
            return;
        }
        let Some(node) = self.parsed(file, named_by) else { return };
        if let Some(service) = services(&node).get(name) {
            self.service(service, file, base);
        }
    }

    /// Returns a compose file as YAML. Text that is not YAML names no files; docker-compose reports what is wrong with it.
    fn parsed(&mut self, file: &Path, named_by: &Path) -> Option<Node> {
        let text = self.file(file, named_by)?;
        Node::parse(&text).ok()
    }

    fn include(&mut self, include: &Node, file: &Path, base: &Path) {
        let paths = include.get("path").unwrap_or(include).elements().iter().filter_map(|path| self.path(path, base));
        let paths: Vec<_> = paths.collect();
        let directory = include.get("project_directory").and_then(|path| self.path(path, base));
        let first = paths.first().and_then(|path| path.parent()).map(Path::to_owned);
        for env in include.get("env_file").map(Node::elements).unwrap_or_default() {
            self.named(env, file, base);
        }
        let Some(base) = directory.or(first) else { return };
        if include.get("env_file").is_none() && (self.read)(&base.join(".env")).is_some() {
            self.inputs.files.insert(base.join(".env"));
        }
        for path in paths {
            self.compose_file(&path, file, &base);
        }
    }

    fn service(&mut self, service: &Node, file: &Path, base: &Path) {
        for entry in service.get("env_file").map(Node::elements).unwrap_or_default() {
            let optional = entry.get("required").and_then(Node::text) == Some("false");
            let path = entry.get("path").unwrap_or(entry);
            match self.path(path, base) {
                Some(path) if optional && (self.read)(&path).is_none() => {}
                _ => self.named(path, file, base),
            }
        }
        if let Some(build) = service.get("build")
            && let Some(context) = build.get("context").unwrap_or(build).text()
            && !context.contains("://")
            && !context.starts_with("git@")
            && let Some(directory) = self.path(&Node::Text(context.to_owned()), base)
        {
            self.inputs.directories.insert(directory);
        }
        if let Some(extends) = service.get("extends")
            && let Some(name) = extends.get("service").unwrap_or(extends).text()
        {
            match extends.get("file") {
                None => self.extended(name, file, file, base),
                Some(other) => {
                    let Some(other) = self.path(other, base) else { return };
                    let base = other.parent().unwrap_or(base).to_owned();
                    self.extended(name, &other, file, &base);
                }
            }
        }
    }

    fn named(&mut self, path: &Node, file: &Path, base: &Path) {
        if let Some(path) = self.path(path, base) {
            let _ = self.file(&path, file);
        }
    }

    fn file(&mut self, path: &Path, named_by: &Path) -> Option<String> {
        let text = (self.read)(path);
        if text.is_some() {
            self.inputs.files.insert(path.to_owned());
        } else {
            self.inputs.missing.entry(path.to_owned()).or_insert_with(|| named_by.to_owned());
        }
        text
    }

    /// Returns the path that a node names, with its variables replaced; `None` for an absolute one, which is a path on the
    /// device.
    fn path(&self, node: &Node, base: &Path) -> Option<PathBuf> {
        let text = interpolate(node.text()?, self.lookup);
        let on_device = text.is_empty() || text.starts_with(['/', '~']);
        (!on_device).then(|| clean(&base.join(text)))
    }
}

/// Returns the services of a compose file; the first file format has them at the top.
fn services(node: &Node) -> &Node {
    node.get("services").unwrap_or(node)
}

/// Returns a path without `.` and `..` in it, as far as they can be resolved by the names alone.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Returns the way from one absolute directory to a path, with `/` between the names; with `..` where it leads out of it.
pub fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(common).map(|_| "..".to_owned());
    let down = to.iter().skip(common).map(|part| text_of(part.as_os_str()));
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// Returns a name as text.
pub fn text_of(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(files: &[(&str, &str)]) -> Inputs {
        let texts: BTreeMap<_, _> = files.iter().map(|(name, text)| (Path::new("/p").join(name), (*text).to_owned())).collect();
        let lookup = |name: &str| (name == "STAGE").then(|| "test".to_owned());
        collect(&[PathBuf::from("/p/app/c.yml")], Path::new("/p/app"), &|path| texts.get(path).cloned(), &lookup)
    }

    fn names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<String> {
        paths.into_iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn files_that_docker_compose_reads_are_collected() {
        let main = "
x-base: &base { env_file: [app.env, {path: ./optional.env, required: false}] }
include: [../common/c.yml, {path: [more.yml], project_directory: ../common, env_file: inc.env}]
services:
  web: { <<: *base, extends: { file: ../common/base.yml, service: x }, build: { context: ./src } }
  job: { env_file: '${STAGE:-prod}.env', volumes: ['./data:/data'], build: https://x/y.git }
  abs: { env_file: /etc/app.env }
";
        let inputs = collected(&[
            ("app/c.yml", main),
            ("app/app.env", ""),
            ("app/test.env", ""),
            ("app/more.yml", "services: {}"),
            ("common/c.yml", "services: { a: { env_file: a.env } }"),
            ("common/.env", ""),
            ("common/a.env", ""),
            ("common/base.yml", "services: { x: { env_file: x.env } }"),
        ]);
        let read = [
            "/p/app/app.env",
            "/p/app/c.yml",
            "/p/app/more.yml",
            "/p/app/test.env",
            "/p/common/.env",
            "/p/common/a.env",
            "/p/common/base.yml",
            "/p/common/c.yml",
        ];
        assert_eq!(names(&inputs.files), read);
        assert_eq!(names(inputs.missing.keys()), ["/p/app/inc.env", "/p/common/x.env"]);
        assert_eq!(names(&inputs.directories), ["/p/app/src"]);
    }

    #[test]
    fn of_an_extended_file_only_the_extended_services_count() {
        let base = "
services:
  x: { extends: y, env_file: x.env }
  y: { extends: { service: z } }
  z: { env_file: z.env, extends: { file: c.yml, service: x } }
  other: { env_file: absent.env, build: ./absent }
";
        let inputs = collected(&[
            ("app/c.yml", "services: { web: { extends: { file: ../common/c.yml, service: x } } }"),
            ("common/c.yml", base),
            ("common/x.env", ""),
            ("common/z.env", ""),
        ]);
        assert_eq!(names(&inputs.files), ["/p/app/c.yml", "/p/common/c.yml", "/p/common/x.env", "/p/common/z.env"]);
        assert!(inputs.missing.is_empty() && inputs.directories.is_empty(), "{inputs:?}");
    }

    #[test]
    fn a_text_that_is_no_yaml_names_nothing_and_is_there() {
        let inputs = collected(&[("app/c.yml", "a: [b")]);
        assert_eq!(names(&inputs.files), ["/p/app/c.yml"]);
    }

    #[test]
    fn ways_lead_down_and_up() {
        assert_eq!(relative(Path::new("/p/app"), Path::new("/p/app/a/b")), "a/b");
        assert_eq!(relative(Path::new("/p/app"), Path::new("/p/src")), "../src");
        assert_eq!(relative(Path::new("/p/app"), Path::new("/p/app")), "");
        assert_eq!(clean(Path::new("/p/app/.././x")), Path::new("/p/x"));
    }
}
