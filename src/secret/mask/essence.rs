//! Reduces a text to the bytes that are compared: those that no way of quoting or showing changes.

use std::ops::Range;

/// The compared bytes of a text, each with the place in the text that it comes from.
#[derive(Default)]
pub(super) struct Essence {
    pub(super) bytes: Vec<u8>,
    pub(super) places: Vec<Range<usize>>,
}

/// Characters, each with the place in the text that it comes from.
type Characters = Vec<(char, Range<usize>)>;

/// Maximum number of times that escapes may be escaped themselves: docker's JSON can be a string in other JSON.
const LEVELS: usize = 3;

/// Returns the compared bytes of a value.
pub(super) fn essence(value: &str) -> Vec<u8> {
    compared(&characters(value)).bytes
}

/// Returns the compared bytes of a text as it is, and with its escapes read, as often as there may be some.
pub(super) fn readings(text: &str) -> Vec<Essence> {
    let mut characters = characters(text);
    let mut readings = vec![compared(&characters)];
    // Each kind of escapes is read by itself: a value may look as if it had some.
    for level in 0..=LEVELS {
        if characters.iter().any(|(c, _)| *c == '%') {
            readings.push(compared(&unescaped(&characters, |c| c == '%')));
        }
        if level == LEVELS || !characters.iter().any(|(c, _)| "\\$".contains(*c)) {
            break;
        }
        characters = unescaped(&characters, |c| c != '%');
        readings.push(compared(&characters));
    }
    readings
}

fn characters(text: &str) -> Characters {
    text.char_indices().map(|(at, c)| (c, at..at + c.len_utf8())).collect()
}

fn compared(characters: &[(char, Range<usize>)]) -> Essence {
    let mut essence = Essence::default();
    for (c, place) in characters.iter().filter(|(c, _)| !is_passed_over(*c)) {
        let bytes = c.encode_utf8(&mut [0; 4]).len();
        essence.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        essence.places.extend(std::iter::repeat_n(place.clone(), bytes));
    }
    essence
}

/// Returns whether a character is not compared: white space, control characters of terminals and text direction, and
/// quotes.
fn is_passed_over(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\\' | '\'' | '"' | '\u{ad}' | '\u{61c}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Returns whether an escape may begin with a character.
pub(super) fn is_escape(c: char) -> bool {
    matches!(c, '\\' | '%' | '$')
}

/// Reads the escapes of JSON, Python, Rust, shells and URLs that begin as wanted.
fn unescaped(text: &[(char, Range<usize>)], is_wanted: impl Fn(char) -> bool) -> Characters {
    let mut read = Characters::with_capacity(text.len());
    let mut at = 0;
    while let Some((c, place)) = text.get(at) {
        let escape = if is_escape(*c) && is_wanted(*c) { text.get(at..).and_then(character) } else { None };
        let (meant, length) = escape.unwrap_or((*c, 1));
        let end = text.get(at + length - 1).map_or(place.end, |(_, place)| place.end);
        read.push((meant, place.start..end));
        at += length;
    }
    read
}

/// The meaning of an escape.
enum Meant {
    Character(char),
    /// One byte of a character.
    Byte(u8),
}

/// Reads the character that a text begins with, which may have an escape for each of its bytes; returns their length too.
fn character(text: &[(char, Range<usize>)]) -> Option<(char, usize)> {
    let (first, mut length) = match escape(text)? {
        (Meant::Character(c), length) => return Some((c, length)),
        (Meant::Byte(byte), length) => (byte, length),
    };
    let (mut bytes, short) = (vec![first], length);
    for _ in 1..first.leading_ones() {
        let Some((Meant::Byte(byte), more)) = text.get(length..).and_then(escape) else { break };
        bytes.push(byte);
        length += more;
    }
    let whole = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
    Some(whole.map_or((char::from(first), short), |c| (c, length)))
}

fn escape(text: &[(char, Range<usize>)]) -> Option<(Meant, usize)> {
    let at = |index: usize| text.get(index).map(|(c, _)| *c);
    let digits = |from: usize, count: usize, radix: u32| {
        (from..from + count).try_fold(0, |number: u32, index| Some(number.checked_mul(radix)? + at(index)?.to_digit(radix)?))
    };
    let byte = |number: u32| u8::try_from(number).ok().map(Meant::Byte);
    let character = |number: u32| char::from_u32(number).map(Meant::Character);
    match (at(0)?, at(1)?) {
        ('%', _) => Some((byte(digits(1, 2, 16)?)?, 3)),
        // A shell's `$'…'`.
        ('$', '\'') => Some((Meant::Character('\''), 2)),
        ('\\', '\\') => Some((Meant::Character('\\'), 2)),
        ('\\', 'n' | 'r' | 't' | 'b' | 'f' | 'v' | 'a' | 'e' | 'E') => Some((Meant::Character('\n'), 2)),
        ('\\', 'x') => Some((byte(digits(2, 2, 16)?)?, 4)),
        ('\\', 'U') => Some((character(digits(2, 8, 16)?)?, 10)),
        ('\\', 'u') if at(2)? == '{' => {
            let count = (1..=6).find(|count| at(3 + count) == Some('}'))?;
            Some((character(digits(3, count, 16)?)?, count + 4))
        }
        ('\\', 'u') => {
            let first = digits(2, 4, 16)?;
            if let Some(c) = character(first) {
                return Some((c, 6));
            }
            let second = if (at(6)?, at(7)?) == ('\\', 'u') { digits(8, 4, 16)? } else { return None };
            let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            Some((Meant::Character(char::decode_utf16(pair).next()?.ok()?), 12))
        }
        ('\\', '0'..='3') => Some((byte(digits(1, 3, 8)?)?, 4)),
        _ => None,
    }
}
