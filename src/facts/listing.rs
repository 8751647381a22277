//! Reads what the probe's `describe` says of paths: names, modes, letters and digests in batches, NUL between them.

use std::{borrow::Cow, collections::BTreeMap, io::Read};

use flate2::bufread::MultiGzDecoder;

use super::{LeftOut, PathFact, PathKind, Tree};
use crate::remote::CAPTURE_LIMIT;

/// Reads any number of batches. What came or went while the probe ran is left out: what is not known is treated as not there.
pub fn parse(bytes: &[u8]) -> BTreeMap<String, PathFact> {
    let mut fields = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).peekable();
    let mut facts = BTreeMap::new();
    while fields.peek().is_some_and(|field| !field.is_empty()) {
        let names: Vec<_> = fields.by_ref().map_while(|field| (!field.is_empty()).then(|| field.into_owned())).collect();
        let stats = fields.next().unwrap_or_default();
        let letters = fields.next().unwrap_or_default();
        let files: Vec<_> = names.iter().zip(letters.chars()).filter(|(_, letter)| "ru".contains(*letter)).collect();
        let named = |(name, digest): (String, String)| match name.strip_prefix('#').map(str::parse::<usize>) {
            None => Some((name, digest)),
            Some(number) => files.get(number.ok()?.checked_sub(1)?).map(|(name, _)| ((*name).clone(), digest)),
        };
        let digests = fields.next().unwrap_or_default();
        let mut digests: BTreeMap<_, _> = digests.lines().filter_map(parse_digest).filter_map(named).collect();
        let mut stats: &str = &stats;
        for (name, letter) in names.into_iter().zip(letters.chars()) {
            let known = match take_stat(&mut stats, &name) {
                None if letter == 'l' => {
                    Some(PathFact { kind: PathKind::Other, mode: 0, size: 0, readable: false, own: false, sha256: None })
                }
                known => known,
            };
            if let Some(mut fact) = known {
                (fact.readable, fact.own) = (letter == 'r', letter == 'd');
                fact.sha256 = digests.remove(&name);
                facts.insert(name, fact);
            }
        }
    }
    facts
}

/// Parses the output of the probe's `list` and `others` about a tree, compressed or not; `None` when its end is missing.
/// `tree` is the name of the tree itself, which the output contains when it is a file.
pub fn parse_tree(bytes: &[u8], tree: &str) -> Option<Tree> {
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes).take(CAPTURE_LIMIT as u64).read_to_end(&mut text).ok()?;
    } else {
        text.extend_from_slice(bytes);
    }
    let mut fields = text.strip_suffix(b"\0end")?.split(|byte| *byte == 0).map(String::from_utf8_lossy).peekable();
    let mut found = Tree::default();
    while fields.peek().is_some_and(|field| !field.is_empty()) {
        let names: Vec<_> = fields.by_ref().map_while(|field| (!field.is_empty()).then(|| field.into_owned())).collect();
        let stats = fields.next()?;
        let letters = fields.next()?;
        let mut stats: &str = &stats;
        let named = stats.lines().next().is_some_and(|line| line.splitn(3, ' ').count() == 3);
        for (path, letter) in names.into_iter().zip(letters.chars()) {
            let fact = if named { take_stat(&mut stats, &path) } else { take_nameless_stat(&mut stats) };
            let link = (letter == 'l').then(|| Some((fields.next()?, fields.next()?)));
            let Some(name) = below(path, tree) else { continue };
            match letter {
                'r' | 'u' => found.files.extend(fact.map(|fact| (name, PathFact { readable: letter == 'r', ..fact }))),
                'f' | 'g' => {
                    found.linked.insert(name.clone());
                    found.files.extend(fact.map(|fact| (name, PathFact { readable: letter == 'f', ..fact })));
                }
                'd' => found.directories.extend(fact.map(|fact| (name, fact.mode))),
                'D' => {
                    found.closed.insert(name);
                }
                'l' => {
                    let (says, leads) = link.flatten()?;
                    let target = link_target(&name, &says, &leads);
                    found.links.insert(name, target);
                }
                'x' => {
                    found.left_out.insert(name, LeftOut::Dangling);
                }
                'e' => {
                    found.left_out.insert(name, LeftOut::LeadsOut);
                }
                _ => {
                    found.left_out.insert(name, LeftOut::Special);
                }
            }
        }
    }
    Some(found)
}

/// Returns the path below a tree: `./a` becomes `a`, and `.` the tree itself.
fn below(path: String, tree: &str) -> Option<String> {
    if path == tree || path == "." { Some(String::new()) } else { path.strip_prefix("./").map(str::to_owned) }
}

/// Returns the target of a link as it can stand in a copy of its tree, wherever that is: as it is written when it is relative and does
/// not climb out of the tree on its way; else the way from the link's directory to `leads`, which begins at the tree.
pub fn link_target(link: &str, says: &str, leads: &str) -> String {
    let above = link.matches('/').count();
    let mut depth = Some(above);
    for part in says.split('/').filter(|part| !part.is_empty() && *part != ".") {
        depth = depth.and_then(|depth| if part == ".." { depth.checked_sub(1) } else { Some(depth + 1) });
    }
    if depth.is_some() && !says.starts_with('/') {
        return says.to_owned();
    }
    let leads = leads.trim_start_matches('/');
    let way = format!("{}{leads}", "../".repeat(above));
    let way = way.trim_end_matches('/');
    if way.is_empty() { ".".to_owned() } else { way.to_owned() }
}

/// Takes a line like `81a4 17`, in the form of [`take_stat`] without a name, from a list in which no file is missing.
fn take_nameless_stat(stats: &mut &str) -> Option<PathFact> {
    let (line, rest) = stats.split_once('\n')?;
    *stats = rest;
    take_stat(&mut format!("{line} \n").as_str(), "")
}

/// Takes a line `81a4 17 NAME`: st_mode in hexadecimal, the size, and the name, as `stat -c '%f %s %n'` of coreutils and
/// busybox prints them. The lines are in the order of the names; a line with another name means that this file does not
/// exist any more. Names may contain line breaks.
fn take_stat(stats: &mut &str, name: &str) -> Option<PathFact> {
    let (mode, rest) = stats.split_once(' ')?;
    let (size, rest) = rest.split_once(' ')?;
    let rest = rest.strip_prefix(name)?.strip_prefix('\n')?;
    let mode = u32::from_str_radix(mode, 16).ok()?;
    let kind = match mode & 0o170_000 {
        0o100_000 => PathKind::File,
        0o040_000 => PathKind::Directory,
        _ => PathKind::Other,
    };
    let fact = PathFact { kind, mode: mode & 0o7777, size: size.parse().ok()?, readable: false, own: false, sha256: None };
    *stats = rest;
    Some(fact)
}

/// Parses a line `DIGEST  NAME` of `sha256sum`, which begins the line with a backslash when it escapes the name.
fn parse_digest(line: &str) -> Option<(String, String)> {
    let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |line| (true, line));
    let (digest, name) = line.split_once("  ")?;
    let name = if escaped { unescape(name) } else { Cow::Borrowed(name) };
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| (name.into_owned(), digest.to_owned()))
}

fn unescape(name: &str) -> Cow<'_, str> {
    let mut escaped = false;
    let plain = name.chars().filter_map(|c| match (std::mem::take(&mut escaped), c) {
        (true, 'n') => Some('\n'),
        (true, 'r') => Some('\r'),
        (false, '\\') => {
            escaped = true;
            None
        }
        _ => Some(c),
    });
    Cow::Owned(plain.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_modes_and_digests_are_joined() {
        let text =
            "/a\nb\\\0/d\0\0".to_owned() + "81a4 0 /a\nb\\\n41ed 4096 /d\n\0ro\0" + &format!("\\{DIGEST}  /a\\nb\\\\\n\0");
        let facts = parse(text.as_bytes());
        let file = facts.get("/a\nb\\").expect("the file is known");
        assert_eq!((file.kind, file.mode, file.size, file.readable), (PathKind::File, 0o644, 0, true));
        assert_eq!(file.sha256.as_deref(), Some(DIGEST));
        let directory = facts.get("/d").expect("the directory is known");
        assert_eq!((directory.kind, directory.mode, directory.readable), (PathKind::Directory, 0o755, false));
    }

    #[test]
    fn what_went_meanwhile_hides_nothing_else_and_the_next_batch_is_read() {
        let text = format!(
            "/gone\0/a\0/later\0\081a4 7 /a\n81a4 8 /later\n\0orr\0{DIGEST}  /a\n\0/secret\0/none\0/link\0\08180 5 /secret\n\0uol\0\0"
        );
        let facts = parse(text.as_bytes());
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["/a", "/later", "/link", "/secret"]);
        let known = |name: &str| facts.get(name).map(|fact| (fact.readable, fact.sha256.is_some()));
        assert_eq!(known("/a"), Some((true, true)));
        assert_eq!(known("/later"), Some((true, false)));
        assert_eq!(known("/secret"), Some((false, false)));
        assert_eq!(facts.get("/link").map(|fact| fact.kind), Some(PathKind::Other));
    }

    #[test]
    fn a_tree_is_read_whether_or_not_something_went_meanwhile() {
        let whole = b"./a\0./b c\0\081a4 7\n81a0 8\n\0ru\0\0end";
        let facts = parse_tree(whole, "/t").expect("it ends").files;
        let known = |name: &str| facts.get(name).map(|fact| (fact.mode, fact.size, fact.readable));
        assert_eq!((known("a"), known("b c")), (Some((0o644, 7, true)), Some((0o640, 8, false))));
        let gone = b"./a\0./b c\0\081a0 8 ./b c\n\0ur\0./d\0\081a4 9\n\0r\0\0end";
        let facts = parse_tree(gone, "/t").expect("it ends").files;
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["b c", "d"]);
        let mut squeezed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut squeezed, whole).expect("written");
        assert_eq!(parse_tree(&squeezed.finish().expect("written"), "/t"), parse_tree(whole, "/t"));
        assert_eq!(parse_tree(b"\0end", "/t"), Some(Tree::default()));
        assert_eq!(parse_tree(b"./a\0\081a4 7\n", "/t"), None);
    }

    #[test]
    fn directories_links_and_what_is_left_out_are_told_apart() {
        let text = b"./a\0\081a4 7\n\0u\0.\0./d\0./closed\0./l\0./abs\0./fifo\0./gone\0./out\0\0\
                     41ed 1 .\n41c0 1 ./d\n41c0 1 ./closed\n81a4 7 ./l\n81a4 7 ./abs\n1180 0 ./fifo\n41ed 1 ./out\n\0ddDlloxe\0\
                     a\0/a\0/home/t/d/x\0/d/x\0\0end";
        let tree = parse_tree(text, "/t").expect("it ends");
        assert_eq!(tree.files.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(tree.directories, [(String::new(), 0o755), ("d".into(), 0o700)].into());
        assert_eq!(tree.closed, ["closed".to_owned()].into());
        assert_eq!(tree.links, [("l".to_owned(), "a".to_owned()), ("abs".to_owned(), "d/x".to_owned())].into());
        let left_out = [("fifo", LeftOut::Special), ("gone", LeftOut::Dangling), ("out", LeftOut::LeadsOut)];
        assert_eq!(tree.left_out, left_out.map(|(name, why)| (name.to_owned(), why)).into());
        let closed = parse_tree(b".\0\0\0D\0\0end", "/t").expect("it ends");
        assert_eq!(closed.closed, [String::new()].into());
    }

    #[test]
    fn link_target_stays_as_written_unless_it_leaves_the_tree_on_its_way() {
        assert_eq!(link_target("a/l", "../b/c", "/b/c"), "../b/c");
        assert_eq!(link_target("a/l", "../../tree/b", "/b"), "../b");
        assert_eq!(link_target("a/l", "/abs/tree/b", "/b"), "../b");
        assert_eq!(link_target("l", "/abs/tree", ""), ".");
        assert_eq!(link_target("a/l", "/abs/tree", "/"), "..");
    }

    #[test]
    fn digest_without_its_name_is_that_of_the_file_with_its_number() {
        let text = format!("/d\0/a\nb\0/c\0\041ed 1 /d\n81a4 1 /a\nb\n81a4 1 /c\n\0orr\0{DIGEST}  #1\n\0");
        let facts = parse(text.as_bytes());
        let known = |name: &str| facts.get(name).is_some_and(|fact| fact.sha256.is_some());
        assert_eq!((known("/d"), known("/a\nb"), known("/c")), (false, true, false));
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(parse(b"").is_empty());
        assert!(parse(b"\n").is_empty());
    }
}
