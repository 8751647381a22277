//! Finds secrets in a text, in every form that one takes on its way here.
//!
//! On that way white space is replaced, control characters are dropped, and others are quoted and escaped by shells, JSON, Python
//! or URLs, sometimes twice. Both sides are therefore compared without white space, control characters, quotes and backslashes,
//! see [`essence`]. Of long values each piece of [`PIECE`] bytes is looked for, so that one stays hidden that comes in parts, as
//! docker passes on long lines. Base64 leaves no character as it was: the characters that a value has in it are looked for as well,
//! wherever the value begins in what was encoded.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
    ops::Range,
};

use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine};

use super::MASK;
use essence::{Essence, essence, is_escape, readings};

mod essence;

/// Minimum length of a secret that is looked for, in bytes: shorter ones are part of too many other words.
const SHORTEST: usize = 4;

/// Length in bytes from which on a value is looked for piece by piece.
const LONG: usize = 32;

/// The length of these pieces, in bytes.
const PIECE: usize = 16;

/// The longest that is taken for a name before `=`, in bytes.
const LONGEST_NAME: usize = 64;

/// The longest escape that a cut may tear, in bytes.
const LONGEST_ESCAPE: usize = 16;

/// Minimum length of a secret that is looked for in base64, in characters: shorter ones are part of too many other words.
const ENCODED_MIN: usize = 6;

/// Maximum length of a secret that is looked for in base64, in bytes: each has up to six forms there.
const ENCODED_MAX: usize = 16 << 10;

/// The secrets that are known.
#[derive(Default)]
pub(super) struct Mask {
    /// Short values by their first bytes.
    short: HashMap<[u8; SHORTEST], Vec<Vec<u8>>>,
    /// The long values.
    long: Vec<Vec<u8>>,
    /// All pieces of long values.
    pieces: HashSet<[u8; PIECE]>,
    /// Values of which hardly anything is compared.
    literal: Vec<String>,
}

impl Mask {
    /// Adds a value: as it is, by its lines and, as environment files have them, what stands after `=` in each.
    pub(super) fn add(&mut self, value: &str) {
        let whole = essence(value);
        if whole.len() < SHORTEST && value.trim().len() >= SHORTEST {
            self.literal.push(value.trim().to_owned());
        }
        if whole.len() < LONG {
            self.add_essence(whole);
        }
        let assigned = value.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| is_name(name));
        for value in assigned.map(|(_, value)| value.trim()).chain([value]) {
            encoded(value).into_iter().for_each(|encoded| self.add_essence(encoded.into_bytes()));
        }
        for line in value.lines() {
            let assigned = line.split_once('=').filter(|(name, _)| is_name(name)).map(|(_, value)| essence(value));
            let line = essence(line);
            // A name is no secret by itself: the pieces of a long line would hide it everywhere.
            if assigned.as_ref().is_none_or(|assigned| assigned.len() < SHORTEST || line.len() < LONG) {
                self.add_essence(line);
            }
            assigned.into_iter().for_each(|assigned| self.add_essence(assigned));
        }
    }

    fn add_essence(&mut self, essence: Vec<u8>) {
        if essence.len() >= LONG {
            self.pieces.extend(essence.windows(PIECE).filter_map(|piece| piece.first_chunk().copied()));
            self.long.push(essence);
        } else if let Some(first) = essence.first_chunk() {
            self.short.entry(*first).or_default().push(essence);
        }
    }

    /// Returns the text with the mask in the place of each secret.
    pub(super) fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replaced(text, &self.places(text))
    }

    /// Returns the same of a text whose end is missing: what may be the beginning of a secret is masked as well.
    pub(super) fn masked_beginning<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut places = self.places(text);
        let settled = self.settled(text);
        // A letter or two may be anything.
        if text.get(settled..).is_some_and(|rest| essence(rest).len() >= SHORTEST) {
            places.push(settled..text.len());
        }
        replaced(text, &united(places))
    }

    /// Returns how much of a text is not part of a secret that ends behind it.
    pub(super) fn settled(&self, text: &str) -> usize {
        // An escape that goes on behind it is none yet.
        let mut end = text.rfind(is_escape).filter(|at| text.len() - at < LONGEST_ESCAPE).unwrap_or(text.len());
        for reading in [text, text.get(..end).unwrap_or_default()].into_iter().flat_map(readings) {
            let known = self.long.iter().chain(self.short.values().flatten());
            let begun = known.filter_map(|known| begun(known, &reading.bytes)).min();
            end = begun.and_then(|begun| reading.places.get(begun)).map_or(end, |place| end.min(place.start));
        }
        // What is a secret already is not torn.
        self.places(text).iter().rev().find(|place| place.contains(&end)).map_or(end, |place| place.start)
    }

    /// Finds the secrets in a text.
    fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut places: Vec<_> = readings(text).iter().flat_map(|reading| self.found(reading, text)).collect();
        for literal in &self.literal {
            places.extend(text.match_indices(literal.as_str()).map(|(at, found)| at..at + found.len()));
        }
        united(places)
    }

    fn found(&self, reading: &Essence, text: &str) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> = Vec::new();
        // Up to where the bytes are part of a secret.
        let mut secret = 0;
        for (at, place) in reading.places.iter().enumerate() {
            let starts_new = at >= secret;
            let rest = reading.bytes.get(at..).unwrap_or_default();
            if rest.first_chunk().is_some_and(|piece| self.pieces.contains::<[u8; PIECE]>(piece)) {
                secret = secret.max(at + PIECE);
            }
            let short = rest.first_chunk().and_then(|first: &[u8; SHORTEST]| self.short.get(first)).into_iter().flatten();
            let longest = short.filter(|known| rest.starts_with(known)).map(Vec::len).max();
            secret = longest.map_or(secret, |longest| secret.max(at + longest));
            if at >= secret {
                continue;
            }
            match places.last_mut() {
                // What was passed over within a secret goes with it; lines stay lines.
                Some(last) if !starts_new && !text.get(last.end..place.start).is_some_and(|gap| gap.contains('\n')) => {
                    last.end = last.end.max(place.end);
                }
                _ => places.push(place.clone()),
            }
        }
        places
    }
}

/// Returns whether a text is the name of a variable.
fn is_name(text: &str) -> bool {
    let text = text.trim().trim_start_matches("export ");
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Returns the characters that a value has in base64, behind any number of other bytes: those that nothing beside it changes.
fn encoded(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    if value.len() > ENCODED_MAX {
        return forms;
    }
    // A character has six bits. Of those bytes before the value that share a group of three with it there may be none, one or two.
    for (before, first) in [(0, 0), (1, 2), (2, 3)] {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.bytes()).collect();
        let end = bytes.len() * 8 / 6;
        for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            forms.extend(text.get(first..end).filter(|form| form.len() >= ENCODED_MIN).map(str::to_owned));
        }
    }
    forms
}

/// Returns where the bytes end with the beginning of `known`, but not with the whole.
fn begun(known: &[u8], bytes: &[u8]) -> Option<usize> {
    let first = bytes.len().saturating_sub(known.len().saturating_sub(1));
    (first..bytes.len()).find(|at| bytes.get(*at..).is_some_and(|end| known.starts_with(end)))
}

/// Puts places in order, and unites those that overlap or touch.
fn united(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.retain(|place| !place.is_empty());
    places.sort_by_key(|place| place.start);
    let mut united: Vec<Range<usize>> = Vec::with_capacity(places.len());
    for place in places {
        match united.last_mut() {
            Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
            _ => united.push(place),
        }
    }
    united
}

fn replaced<'a>(text: &'a str, places: &[Range<usize>]) -> Cow<'a, str> {
    if places.is_empty() {
        return text.into();
    }
    let (mut shown, mut at) = (String::new(), 0);
    for place in places {
        shown.push_str(text.get(at..place.start).unwrap_or_default());
        shown.push_str(MASK);
        at = place.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::printable;

    fn mask(values: &[&str]) -> Mask {
        let mut mask = Mask::default();
        values.iter().for_each(|value| mask.add(value));
        mask
    }

    /// Returns the forms in which a text may come back.
    fn forms(text: &str) -> Vec<String> {
        let json = |text: &str| serde_json::to_string(text).expect("JSON");
        let go = |text: &str| json(text).replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
        let ascii = |text: &str| {
            let unit = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            json(text).chars().map(|c| if c.is_ascii() { c.to_string() } else { unit(c) }).collect::<String>()
        };
        let bytes = |text: &str| {
            text.bytes()
                .map(|b| if b.is_ascii_graphic() && b != b'\\' { char::from(b).to_string() } else { format!("\\x{b:02x}") })
                .collect::<String>()
        };
        let url = |text: &str| {
            text.bytes()
                .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
                .collect::<String>()
        };
        let octal = |text: &str| {
            text.bytes()
                .map(|b| if b.is_ascii_graphic() && b != b'\\' { char::from(b).to_string() } else { format!("\\{b:03o}") })
                .collect::<String>()
        };
        vec![
            text.to_owned(),
            printable(text),
            json(text),
            go(text),
            ascii(text),
            json(&json(text)),
            go(&json(&go(text))),
            format!("'{}'", text.replace('\'', r"'\''")),
            format!("{text:?}"),
            text.escape_default().to_string(),
            text.escape_unicode().to_string(),
            bytes(text),
            url(text),
            octal(text),
        ]
    }

    const HARD: [&str; 9] = [
        "hunter2",
        "tab\tin it",
        "cr\rin it",
        "esc\u{1b}[2Jape",
        "bidi\u{202e}cod.exe",
        "e-Tz7#q's \"w$HOME` \\ <&>é😀",
        r"back\new\\u0026 \t<",
        "next\u{85}\u{2028}li\u{9b}\u{7f}ne",
        "C0LON:a=b&c=d%20e",
    ];

    #[test]
    fn secret_is_masked_in_every_form_that_it_comes_in() {
        for value in HARD {
            let mask = mask(&[value]);
            for form in forms(value) {
                let shown = mask.masked(&format!("before {form} after")).into_owned();
                let rest = shown.trim_start_matches("before ").trim_end_matches(" after");
                let rest: String = rest.replace(MASK, "").chars().filter(|c| c.is_alphanumeric()).collect();
                assert!(shown.contains(MASK) && rest.len() <= 4, "{value:?} as {form:?}: {shown:?}");
                assert!(shown.starts_with("before ") && shown.ends_with(" after"), "{shown:?}");
            }
        }
    }

    #[test]
    fn names_short_values_and_what_is_no_secret_stay() {
        let mask = mask(&["TOKEN=\"s3cr&t/one\"\nabc\nsecond line\\", "\"'\" \\'"]);
        assert_eq!(mask.masked(r#"{"Env":["A=s3cr\u0026t/one","second line\\"]}"#), r#"{"Env":["A=‹secret›","‹secret›\\"]}"#);
        assert_eq!(mask.masked("s3cr&t/one abc TOKEN"), "‹secret› abc TOKEN");
        assert_eq!(mask.masked("s3cr&t/one\nsecond line"), "‹secret›\n‹secret›");
        assert_eq!(mask.masked("plain C:\\new\\path 100%"), "plain C:\\new\\path 100%");
        assert_eq!(mask.masked("odd \"'\" \\' one"), "odd ‹secret› one");
    }

    #[test]
    fn secret_is_masked_in_base64_wherever_it_begins_in_it() {
        use base64::prelude::BASE64_STANDARD;
        for value in HARD.into_iter().chain(["TOKEN=s3cr&t/one"]) {
            let mask = mask(&[value]);
            let secret = value.strip_prefix("TOKEN=").unwrap_or(value);
            for before in ["", "u", "us", "user:", "Basic of somebody:"] {
                for engine in [BASE64_STANDARD, base64::prelude::BASE64_URL_SAFE] {
                    let form = engine.encode(format!("{before}{secret} and more"));
                    let shown = mask.masked(&form).into_owned();
                    // One character on each side has bits of both.
                    let rest = shown.replace(MASK, "").len();
                    let others = engine.encode(format!("{before} and more")).len();
                    assert!(shown.contains(MASK) && rest <= others + 4, "{value:?} behind {before:?}: {form} {shown}");
                    let wrapped = format!("{}\n{}", &form[..form.len() / 2], &form[form.len() / 2..]);
                    assert!(mask.masked(&wrapped).contains(MASK), "{wrapped}");
                }
            }
        }
        assert_eq!(mask(&["hunter2"]).masked("aHVudGVyMg=="), "‹secret›g==");
        assert_eq!(mask(&["abcd"]).masked("YWJjZA=="), "YWJjZA==", "too short to be told from chance");
    }

    fn long() -> String {
        let mut state = 1_u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32('(' as u32 + (state >> 33) as u32 % 50).expect("ASCII")
        };
        (0..100_000).map(|_| letter()).collect()
    }

    #[test]
    fn long_secret_is_masked_wherever_it_is_cut() {
        let value = long();
        let mask = mask(&[&value]);
        for piece in [&value[..], &value[..70_000], &value[70_000..], &value[333..400], &value[99_900..]] {
            let shown = mask.masked(piece).into_owned();
            assert!(shown.replace(MASK, "").len() < 3, "{}", shown.len());
        }
        let wrapped: Vec<_> = value.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        assert!(mask.masked(&wrapped.join("\n")).split('\n').all(|line| line.replace(MASK, "").len() < 3));
    }

    #[test]
    fn no_cut_tears_a_secret() {
        let text = r#"some words, tab	in it, then "tab\tin it" and cod\u00e9 "#;
        let mask = mask(&["tab\tin it", "codé"]);
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let (begin, _) = text.split_at(cut);
            let shown = mask.masked(&begin[..mask.settled(begin)]).into_owned();
            let (_, rest) = text.split_at(mask.settled(begin));
            let both = shown + &mask.masked(rest);
            assert_eq!(both, mask.masked(text), "cut at {cut}");
            let beginning = mask.masked_beginning(begin);
            assert!(!["tab i", "tab\ti", "tab in"].iter().any(|torn| beginning.ends_with(torn)), "{beginning}");
        }
        let value = long();
        let mask = super::tests::mask(&[&value]);
        assert_eq!(mask.settled(&format!("x {}", &value[..80_000])), 2);
        assert_eq!(mask.masked_beginning(&format!("x {}", &value[..9])), "x ‹secret›");
    }
}
