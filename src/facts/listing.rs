//! Reads what the probe's `describe` says of paths: names, modes and digests in batches, NUL between them.

use std::collections::BTreeMap;

use super::{PathFact, PathKind};

/// Reads any number of batches. A batch whose parts do not fit together (a file came or went meanwhile) is left out: what is
/// not known is treated as not there, and sent or fetched again.
pub fn parse(bytes: &[u8]) -> BTreeMap<String, PathFact> {
    let mut fields = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).peekable();
    let mut facts = BTreeMap::new();
    while fields.peek().is_some_and(|field| !field.is_empty()) {
        let names = take_names(&mut fields);
        let stats: Vec<_> = fields.next().unwrap_or_default().lines().filter_map(parse_stat).collect();
        let hashed = take_names(&mut fields);
        let digests: Vec<_> = fields.next().unwrap_or_default().lines().filter_map(parse_digest).collect();
        let mut digests: BTreeMap<_, _> =
            if hashed.len() == digests.len() { hashed.into_iter().zip(digests).collect() } else { BTreeMap::new() };
        if names.len() == stats.len() {
            facts.extend(names.into_iter().zip(stats).map(|(name, mut fact)| {
                fact.sha256 = digests.remove(&name);
                (name, fact)
            }));
        }
    }
    facts
}

fn take_names<'a>(fields: &mut impl Iterator<Item = std::borrow::Cow<'a, str>>) -> Vec<String> {
    fields.map_while(|field| (!field.is_empty()).then(|| field.into_owned())).collect()
}

/// `81a4 17`: st_mode in hexadecimal and the size, as `stat -c '%f %s'` of coreutils and busybox prints them.
fn parse_stat(line: &str) -> Option<PathFact> {
    let (mode, size) = line.split_once(' ')?;
    let mode = u32::from_str_radix(mode, 16).ok()?;
    let kind = match mode & 0o170_000 {
        0o100_000 => PathKind::File,
        0o040_000 => PathKind::Directory,
        _ => PathKind::Other,
    };
    Some(PathFact { kind, mode: mode & 0o7777, size: size.parse().ok()?, sha256: None })
}

/// The digest at the start of a line of `sha256sum`, which puts a backslash before it when it escapes the name.
fn parse_digest(line: &str) -> Option<String> {
    let digest = line.strip_prefix('\\').unwrap_or(line).get(..64)?;
    digest.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_modes_and_digests_are_joined() {
        let text = "/a\nb\0/d\0\0".to_owned() + "81a4 0\n41ed 4096\n\0/a\nb\0\0" + &format!("\\{DIGEST}  /a\\nb\n\0");
        let facts = parse(text.as_bytes());
        let file = facts.get("/a\nb").expect("the file is known");
        assert_eq!((file.kind, file.mode, file.size), (PathKind::File, 0o644, 0));
        assert_eq!(file.sha256.as_deref(), Some(DIGEST));
        let directory = facts.get("/d").expect("the directory is known");
        assert_eq!((directory.kind, directory.mode), (PathKind::Directory, 0o755));
    }

    #[test]
    fn a_batch_that_does_not_fit_together_is_left_out_and_the_next_one_read() {
        let text = format!("/gone\0/a\0\081a4 0\nstat: cannot stat '/gone'\n\0/a\0\0{DIGEST}  /a\n\0/b\0\081a4 5\n\0\0\0");
        let facts = parse(text.as_bytes());
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["/b"]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(parse(b"").is_empty());
        assert!(parse(b"\n").is_empty());
    }
}
