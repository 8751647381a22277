//! Text as people may see it: lines from the device made harmless, and figures in one form everywhere.

use std::time::Duration;

/// Returns one line from the device as it may be shown: nothing in it controls a terminal or reorders the text. Tabs and
/// line breaks become spaces; other control characters and the bidirectional overrides of Unicode go.
pub fn printable(line: &str) -> String {
    let spaced = line.chars().map(|c| if matches!(c, '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}') { ' ' } else { c });
    spaced.filter(|c| !c.is_control() && !is_override(*c)).collect::<String>().trim_end().to_owned()
}

/// Returns whether a character changes the direction of the text after it: with such characters `gpj.exe` reads as
/// `exe.jpg`.
fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a name fits a pattern in which `*` stands for any text and `?` for any character. It takes no more time
/// than the product of both lengths, whatever the pattern.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // What to go back to: the pattern after the last `*`, and the name from where that has not been tried yet.
    let mut back = None;
    loop {
        let (wanted, found) = (pattern.clone().next(), name.clone().next());
        match (wanted, found) {
            (None, None) => return true,
            (Some('*'), _) => {
                pattern.next();
                back = Some((pattern.clone(), name.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern.next();
                name.next();
            }
            _ => {
                let Some((after, from)) = &mut back else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, name) = (after.clone(), from.clone());
            }
        }
    }
}

/// Formats a number of bytes with a decimal unit, as used for disks and links: `812 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        // 999.5 is where a figure without decimals would round up to 1000.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Formats a span of time: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        _ if time.as_secs_f64() < 9.95 => format!("{:.1} s", time.as_secs_f64()),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Formats a number of things: `1 file`, `2 files`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left_of_a_line() {
        assert_eq!(printable("\u{1b}[2Jred\u{7}\ttab\r\nnext\u{9b}31m \u{202e}cod.exe\0 "), "[2Jred tab  next31m cod.exe");
        assert_eq!(printable("Grüße °C 漢字"), "Grüße °C 漢字");
    }

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("mosquitto*", "mosquitto-1", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*x*y", "1x2y", true),
            ("*x*y", "1y2x", false),
            ("a*a", "a", false),
            ("", "a", false),
            ("ü*", "üb", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_answered_at_once() {
        let begin = std::time::Instant::now();
        assert!(!fits(&"*a".repeat(200), &format!("{}b", "a".repeat(1000))));
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }

    #[test]
    fn bytes_have_two_or_three_figures_and_a_unit() {
        let shown = [0, 999, 1000, 9_949, 9_950, 999_499, 999_500, 812_000_000, 4_200_000_000, u64::MAX].map(bytes);
        assert_eq!(shown.join(", "), "0 B, 999 B, 1.0 kB, 9.9 kB, 10 kB, 999 kB, 1.0 MB, 812 MB, 4.2 GB, 18447 PB");
    }

    #[test]
    fn spans_are_short_to_read() {
        let shown = [0.04, 9.94, 9.96, 59.4, 59.6, 200.0, 7500.0].map(|seconds| span(Duration::from_secs_f64(seconds)));
        assert_eq!(shown.join(", "), "0.0 s, 9.9 s, 10 s, 59 s, 1 min 0 s, 3 min 20 s, 2 h 5 min");
    }
}
