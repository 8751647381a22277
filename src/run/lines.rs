//! Makes whole lines of pieces of a container's output, each stream on its own, so that no character is torn.

use crate::{
    remote::Stream,
    report::{Event, Report},
    text::printable,
};

/// A line longer than this is cut: a container must not fill this computer's memory.
const LONGEST_LINE: usize = 64 << 10;

/// The output of one run of a container, which may have to be read several times: what was shown is not shown again.
#[derive(Debug, Default)]
pub(super) struct Lines {
    out: OneStream,
    err: OneStream,
    /// Whether lines are shown only where they match.
    only_matches: bool,
    /// Whether a line has matched: nothing behind it is shown.
    matched: bool,
}

#[derive(Debug, Default)]
struct OneStream {
    /// The line so far.
    line: Vec<u8>,
    /// Number of bytes of the run's output that have come.
    shown: u64,
    /// Number of bytes that will come a second time.
    again: u64,
    /// Number of bytes beyond [`LONGEST_LINE`] before which a line may not be cut, because a secret is there.
    more: usize,
}

impl Lines {
    /// Creates a state that shows only lines that match.
    pub(super) fn only_matches() -> Self {
        Self { only_matches: true, ..Self::default() }
    }

    /// Prepares for output that comes again from the beginning of the run.
    pub(super) fn read_again(&mut self) {
        for stream in [&mut self.out, &mut self.err] {
            stream.again = stream.shown;
        }
    }

    /// Prepares for output that continues where it stopped.
    pub(super) fn go_on(&mut self) {
        self.out.again = 0;
        self.err.again = 0;
    }

    /// Takes a piece; tells whether a line of it matches `until`.
    pub(super) fn take(
        &mut self,
        report: &mut dyn Report,
        until: Option<&regex_lite::Regex>,
        stream: Stream,
        bytes: &[u8],
    ) -> bool {
        let stream = if stream == Stream::Stdout { &mut self.out } else { &mut self.err };
        for byte in bytes {
            if self.matched {
                break;
            }
            if stream.again > 0 {
                stream.again -= 1;
                continue;
            }
            stream.shown += 1;
            if *byte != b'\n' {
                stream.line.push(*byte);
            }
            if *byte == b'\n' {
                self.matched = show(report, until, &std::mem::take(&mut stream.line), self.only_matches);
                stream.more = 0;
            } else if stream.line.len() >= LONGEST_LINE + stream.more {
                // A character or a secret that the cut would tear stays for what follows.
                let settled = match settled(&stream.line) {
                    0 if stream.more < LONGEST_SECRET => {
                        stream.more += LONGEST_LINE;
                        continue;
                    }
                    0 => whole_characters(&stream.line),
                    settled => settled,
                };
                let rest = stream.line.split_off(settled);
                self.matched = show(report, until, &std::mem::replace(&mut stream.line, rest), self.only_matches);
                stream.more = stream.line.len();
            }
        }
        self.matched
    }

    /// Ends the output of a run, before the next one begins: a last line may have no newline. Bytes that are still expected
    /// a second time belong to the next run.
    pub(super) fn end(&mut self, report: &mut dyn Report, until: Option<&regex_lite::Regex>) -> bool {
        for stream in [&mut self.out, &mut self.err] {
            stream.shown = stream.again;
            if stream.again == 0 && !stream.line.is_empty() && !self.matched {
                let line = String::from_utf8_lossy(&std::mem::take(&mut stream.line)).into_owned();
                // It may have been cut off.
                self.matched = show(report, until, crate::secret::masked_beginning(&line).as_bytes(), self.only_matches);
            }
        }
        self.matched
    }
}

/// The longest that a secret may be, in bytes, with all of its characters escaped.
const LONGEST_SECRET: usize = 8 << 20;

/// Returns how many of the bytes may be shown whatever comes next.
fn settled(bytes: &[u8]) -> usize {
    let whole = bytes.get(..whole_characters(bytes)).unwrap_or_default();
    // Nothing lies across what is no text.
    let text = whole.utf8_chunks().last().filter(|chunk| chunk.invalid().is_empty()).map_or("", |chunk| chunk.valid());
    whole.len() - text.len() + crate::secret::settled(text)
}

/// Returns the number of bytes that can be shown now: all but an incomplete character at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// Shows a line; tells whether it matches.
fn show(report: &mut dyn Report, until: Option<&regex_lite::Regex>, line: &[u8], only_matches: bool) -> bool {
    let line = printable(&String::from_utf8_lossy(line));
    let found = until.is_some_and(|until| until.is_match(&line));
    if found || !only_matches {
        report.event(&Event::Output { line });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Question;

    #[derive(Default)]
    struct Shown(Vec<String>);

    impl Report for Shown {
        fn event(&mut self, event: &Event) {
            if let Event::Output { line } = event {
                self.0.push(line.clone());
            }
        }

        fn ask(&mut self, _: &Question) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_character_torn_between_two_pieces_is_whole_again() {
        let (mut lines, mut shown) = (Lines::default(), Shown::default());
        for byte in "ü€😀\n".bytes() {
            lines.take(&mut shown, None, Stream::Stdout, &[byte]);
            lines.take(&mut shown, None, Stream::Stderr, b"x");
        }
        lines.end(&mut shown, None);
        assert_eq!(shown.0, ["ü€😀", "xxxxxxxxxx"]);
    }

    #[test]
    fn what_comes_once_more_is_not_shown_again_and_what_was_missed_is() {
        let (mut lines, mut shown) = (Lines::default(), Shown::default());
        lines.take(&mut shown, None, Stream::Stdout, b"one\ntw");
        lines.take(&mut shown, None, Stream::Stderr, b"bad\n");
        lines.read_again();
        lines.take(&mut shown, None, Stream::Stderr, b"bad\nworse\n");
        lines.take(&mut shown, None, Stream::Stdout, b"one\n");
        lines.take(&mut shown, None, Stream::Stdout, b"two\nthree");
        lines.end(&mut shown, None);
        assert_eq!(shown.0, ["one", "bad", "worse", "two", "three"]);
        lines.take(&mut shown, None, Stream::Stdout, b"next run\n");
        assert_eq!(shown.0.last().map(String::as_str), Some("next run"));
    }

    #[test]
    fn what_the_next_run_said_already_is_not_shown_again_with_it() {
        let (mut lines, mut shown) = (Lines::default(), Shown::default());
        lines.take(&mut shown, None, Stream::Stdout, b"first run\nsecond ");
        lines.read_again();
        lines.take(&mut shown, None, Stream::Stdout, b"first run\n");
        lines.end(&mut shown, None);
        lines.take(&mut shown, None, Stream::Stdout, b"second run\n");
        lines.read_again();
        lines.take(&mut shown, None, Stream::Stdout, b"second run\nends");
        lines.end(&mut shown, None);
        assert_eq!(shown.0, ["first run", "second run", "ends"]);
    }

    #[test]
    fn a_line_matches_whichever_way_it_ends() {
        let until = regex_lite::Regex::new("^ready$").expect("a pattern");
        let (mut lines, mut shown) = (Lines::default(), Shown::default());
        assert!(!lines.take(&mut shown, Some(&until), Stream::Stdout, b"not ready\nread"));
        assert!(lines.take(&mut shown, Some(&until), Stream::Stdout, b"y\nmore\nand more"));
        assert!(lines.end(&mut shown, Some(&until)), "it has matched");
        assert_eq!(shown.0, ["not ready", "ready"], "nothing behind the match is shown");
        let mut lines = Lines::default();
        lines.take(&mut shown, Some(&until), Stream::Stderr, b"ready");
        assert!(lines.end(&mut shown, Some(&until)));
        let (mut past, mut shown) = (Lines::only_matches(), Shown::default());
        assert!(past.take(&mut shown, Some(&until), Stream::Stdout, b"long ago\nready\nmore\n"));
        assert_eq!(shown.0, ["ready"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (mut lines, mut shown) = (Lines::default(), Shown::default());
        lines.take(&mut shown, None, Stream::Stdout, &vec![b'x'; LONGEST_LINE + 1]);
        lines.end(&mut shown, None);
        assert_eq!(shown.0.iter().map(String::len).collect::<Vec<_>>(), [LONGEST_LINE, 1]);
    }

    #[test]
    fn secret_is_masked_in_whatever_pieces_and_lines_it_comes() {
        let secret: String = (0..20_000).map(|number| format!("{:05x}", number * 7919 % 1_000_003)).collect();
        crate::secret::keep_from_sight(crate::secret::Secret::new(secret.clone()));
        crate::secret::keep_from_sight(crate::secret::Secret::new("in-two\tpieces"));
        let (mut lines, mut shown) = (Lines::default(), Shown::default());
        let before = "x".repeat(LONGEST_LINE - 5);
        for piece in ["say in-t", "wo\tpie", "ces\n", &before, "in-two\tpieces", &before, &secret, "after\nin-two\tpie"] {
            lines.take(&mut shown, None, Stream::Stdout, piece.as_bytes());
        }
        lines.end(&mut shown, None);
        assert!(shown.0.iter().all(|line| line.len() < 3 * LONGEST_LINE));
        let masked: Vec<_> = shown.0.iter().map(|line| crate::secret::masked(line).replace('x', "")).collect();
        assert_eq!(masked.join(""), "say ‹secret›‹secret›‹secret›after‹secret›");
    }
}
