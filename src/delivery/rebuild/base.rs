//! Predicts the file contents that docker returns from an image on the device, the base of a rebuilt layer.
//!
//! `docker container cp` walks below a path in the order of the names, each directory's after its own, and archives a file
//! with several names once; `tar -xO` leaves the contents alone, one after the other. Layers lie over each other as the OCI
//! image specification says: `.wh.name` takes a name away, `.wh..wh..opq` all that is below in its directory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::index::{Kind, LayerIndex, Piece};

/// Cost of one more call of `docker container cp`, in bytes that could be read in the same time.
const CALL: u64 = 8 << 20;

/// A file, wherever its names are: which member of which layer.
type File = (usize, usize);

/// The file system of an image.
#[derive(Debug, Default)]
pub struct FileSystem<'a> {
    layers: Vec<&'a LayerIndex>,
    /// The node at each path, in which `\0` stands for `/`: in this order, the content of a directory comes right after it.
    nodes: BTreeMap<String, Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(File),
    Directory,
    Other,
}

/// The contents below some paths, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// The paths, from the root.
    pub roots: Vec<String>,
    /// Their contents.
    pub pieces: Vec<Piece>,
}

fn key(path: &str) -> String {
    path.replace('/', "\0")
}

/// Returns the range of all keys below `directory`.
fn below(directory: &str) -> std::ops::Range<String> {
    if directory.is_empty() {
        String::new()..char::MAX.to_string()
    } else {
        format!("{directory}\0")..format!("{directory}\u{1}")
    }
}

impl<'a> FileSystem<'a> {
    /// Lays layers over each other, bottom first.
    pub fn of(layers: Vec<&'a LayerIndex>) -> Self {
        let mut system = Self { layers: Vec::new(), nodes: BTreeMap::new() };
        layers.into_iter().for_each(|layer| system.lay(layer));
        system
    }

    fn lay(&mut self, layer: &'a LayerIndex) {
        let number = self.layers.len();
        self.layers.push(layer);
        let split = |path: &'a str| path.rsplit_once('/').unwrap_or(("", path));
        for (directory, name) in layer.members.iter().map(|member| split(&member.path)) {
            match name.strip_prefix(".wh.") {
                Some(".wh..opq") => self.clear(&key(directory)),
                Some(gone) => self.remove(key(&format!("{directory}/{gone}")).trim_start_matches('\0')),
                None => {}
            }
        }
        let mut own: HashMap<&str, File> = HashMap::new();
        for (member_number, member) in layer.members.iter().enumerate() {
            if member.path.is_empty() || split(&member.path).1.starts_with(".wh.") {
                continue;
            }
            let node = match &member.kind {
                Kind::File(_) => Node::File((number, member_number)),
                Kind::HardLink(target) => own.get(target.as_str()).map_or(Node::Other, |file| Node::File(*file)),
                Kind::Directory => Node::Directory,
                Kind::Other => Node::Other,
            };
            if let Node::File(file) = node {
                own.insert(&member.path, file);
            }
            self.put(&key(&member.path), node);
        }
    }

    fn put(&mut self, key: &str, node: Node) {
        let mut end = 0;
        while let Some(more) = key.get(end..).and_then(|rest| rest.find('\0')) {
            let directory = key.get(..end + more).unwrap_or_default();
            if self.nodes.get(directory) != Some(&Node::Directory) {
                self.nodes.insert(directory.to_owned(), Node::Directory);
            }
            end += more + 1;
        }
        if node != Node::Directory {
            self.clear(key);
        }
        self.nodes.insert(key.to_owned(), node);
    }

    fn remove(&mut self, key: &str) {
        self.nodes.remove(key);
        self.clear(key);
    }

    /// Removes what is below a directory.
    fn clear(&mut self, directory: &str) {
        let gone: Vec<_> = self.nodes.range(below(directory)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.nodes.remove(&key);
        }
    }

    fn pieces(&self, (layer, member): File) -> &'a [Piece] {
        match self.layers.get(layer).and_then(|layer| layer.members.get(member)).map(|member| &member.kind) {
            Some(Kind::File(pieces)) => pieces,
            _ => &[],
        }
    }

    /// Returns the contents that have some of the `wanted` pieces, read with as little beside them as calls allow.
    pub fn base(&self, wanted: &HashSet<Piece>) -> Base {
        let needed: BTreeSet<&str> = self
            .nodes
            .iter()
            .filter(
                |(_, node)| matches!(node, Node::File(file) if self.pieces(*file).iter().any(|piece| wanted.contains(piece))),
            )
            .map(|(key, _)| key.as_str())
            .collect();
        let mut keys = Vec::new();
        // The root itself is never read: docker adds files of its own there.
        for top in self.nodes.keys().filter(|key| !key.contains('\0')) {
            self.choose(top, &needed, &mut keys);
        }
        let pieces = keys.iter().flat_map(|root| self.contents(root)).collect();
        Base { roots: keys.iter().map(|key| format!("/{}", key.replace('\0', "/"))).collect(), pieces }
    }

    /// Chooses what to read below `key` and gives what that costs, in bytes.
    fn choose(&self, key: &str, needed: &BTreeSet<&str>, chosen: &mut Vec<String>) -> u64 {
        let within = needed.range(below(key).start.as_str()..below(key).end.as_str()).next().is_some();
        if !within && !needed.contains(key) {
            return 0;
        }
        let whole = CALL + self.contents(key).map(|piece| u64::from(piece.length)).sum::<u64>();
        let before = chosen.len();
        let mut apart = 0;
        if self.nodes.get(key) == Some(&Node::Directory) {
            let prefix = key.len() + 1;
            let children: Vec<_> = self
                .nodes
                .range(below(key))
                .map(|(key, _)| key)
                .filter(|key| !key.get(prefix..).unwrap_or_default().contains('\0'))
                .collect();
            apart = children.into_iter().map(|child| self.choose(child, needed, chosen)).sum();
        }
        if apart == 0 || whole <= apart {
            chosen.truncate(before);
            chosen.push(key.to_owned());
            return whole;
        }
        apart
    }

    /// Returns the contents at and below `key`, each file once.
    fn contents<'b>(&'b self, key: &'b str) -> impl Iterator<Item = Piece> + use<'a, 'b> {
        let mut seen = HashSet::new();
        let itself = self.nodes.get(key).into_iter();
        itself
            .chain(self.nodes.range(below(key)).map(|(_, node)| node))
            .filter_map(move |node| match node {
                Node::File(file) if seen.insert(*file) => Some(self.pieces(*file)),
                _ => None,
            })
            .flatten()
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::rebuild::index::Member;

    fn piece(hash: u64, length: u32) -> Piece {
        Piece { hash, length }
    }

    fn layer(members: &[(&str, Kind)]) -> LayerIndex {
        let members = members.iter().map(|(path, kind)| Member { path: (*path).into(), offset: 0, kind: kind.clone() });
        LayerIndex { members: members.collect() }
    }

    fn file(hash: u64) -> Kind {
        Kind::File(vec![piece(hash, 10_000_000)])
    }

    fn base(layers: &[LayerIndex], wanted: &[u64]) -> (Vec<String>, Vec<u64>) {
        let wanted = wanted.iter().map(|hash| piece(*hash, 10_000_000)).collect();
        let base = FileSystem::of(layers.iter().collect()).base(&wanted);
        (base.roots, base.pieces.iter().map(|piece| piece.hash).collect())
    }

    #[test]
    fn contents_come_in_the_order_of_docker_s_walk() {
        let all = layer(&[("a/b.txt", file(1)), ("a/b/c", file(2)), ("a/b", Kind::Directory), ("a/B", file(3))]);
        assert_eq!(base(&[all], &[1, 2, 3]), (vec!["/a".into()], vec![3, 2, 1]));
    }

    #[test]
    fn whiteouts_take_away_what_is_below_and_nothing_else() {
        let lower = layer(&[("a/one", file(1)), ("a/two", file(2)), ("b/x/three", file(3))]);
        let upper = layer(&[("a/.wh.one", Kind::Other), ("b/x/four", file(4)), ("b/x/.wh..wh..opq", Kind::Other)]);
        assert_eq!(base(&[lower, upper], &[1, 2, 3, 4]).1, [2, 4]);
    }

    #[test]
    fn a_file_takes_the_place_of_a_directory_and_the_other_way_round() {
        let lower = layer(&[("a/one", file(1)), ("b", file(2))]);
        let upper = layer(&[("a", file(3)), ("b/four", file(4))]);
        assert_eq!(base(&[lower, upper], &[1, 2, 3, 4]).1, [3, 4]);
    }

    #[test]
    fn a_file_with_two_names_comes_once() {
        let all = layer(&[("a/x", file(1)), ("a/b", Kind::HardLink("a/x".into())), ("a/c", file(2))]);
        assert_eq!(base(&[all], &[1, 2]).1, [1, 2]);
    }

    #[test]
    fn no_more_is_read_than_calls_are_worth() {
        let all = layer(&[("usr/big", file(1)), ("usr/lib/other", file(2)), ("usr/lib/small", file(3)), ("app/x", file(4))]);
        assert_eq!(base(std::slice::from_ref(&all), &[3]), (vec!["/usr/lib/small".into()], vec![3]));
        assert_eq!(base(&[all], &[4, 1, 2, 3]), (vec!["/app".into(), "/usr".into()], vec![4, 1, 2, 3]));
    }
}
