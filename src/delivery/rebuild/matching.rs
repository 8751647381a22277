//! Finds the ranges of a stream that are already in a base, which is read once, from front to back.

use std::collections::HashMap;

use super::index::Piece;

/// A range of the stream that is copied from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Position in the stream, in bytes.
    pub at: u64,
    /// Position in the base, in bytes.
    pub from: u64,
    /// Length of the run, in bytes.
    pub length: u64,
}

/// A shorter range is sent: each range costs two commands on the device.
const LEAST: u64 = 12 << 10;

/// Maximum number of places that are considered for a piece that the base has several times, besides those next to the
/// place of a neighbour.
const PLACES: usize = 4;

/// One way to go on: a piece of the stream found at a place of the base.
struct Step {
    run: Run,
    /// Bytes copied up to here.
    total: u64,
    before: Option<usize>,
}

/// Finds the ranges of a stream, given as its pieces with their places, that copy the most bytes while both sides only go
/// forward.
pub fn runs(stream: &[(u64, Piece)], base: &[Piece]) -> Vec<Run> {
    let mut places: HashMap<Piece, Vec<usize>> = HashMap::new();
    let mut starts = Vec::with_capacity(base.len());
    let mut position = 0;
    for (number, piece) in base.iter().enumerate() {
        starts.push(position);
        position += u64::from(piece.length);
        let places = places.entry(*piece).or_default();
        if places.len() < PLACES {
            places.push(number);
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut best = Best::new(base.len());
    for ((at, piece), places) in stream.iter().zip(candidates(stream, base, &places)) {
        // From the back, so that no place of this piece builds on another.
        for number in places.iter().rev() {
            let length = u64::from(piece.length);
            let before = best.before(*number);
            let total = length + before.and_then(|step| steps.get(step)).map_or(0, |step| step.total);
            let from = starts.get(*number).copied().unwrap_or_default();
            best.put(*number, steps.len(), total);
            steps.push(Step { run: Run { at: *at, from, length }, total, before });
        }
    }
    let mut found = Vec::new();
    let mut next = best.before(base.len());
    while let Some(step) = next.and_then(|step| steps.get(step)) {
        found.push(step.run);
        next = step.before;
    }
    found.reverse();
    join(found)
}

/// Returns the places of each piece of the stream that are considered, rising. What is all over the base is found where the
/// pieces beside it are, which are not.
fn candidates(stream: &[(u64, Piece)], base: &[Piece], places: &HashMap<Piece, Vec<usize>>) -> Vec<Vec<usize>> {
    let mut all: Vec<_> = stream.iter().map(|(_, piece)| places.get(piece).cloned().unwrap_or_default()).collect();
    let mut beside = Vec::new();
    for ((_, piece), places) in stream.iter().zip(&mut all) {
        let lead = beside.iter().map(|number| number + 1);
        beside = lead_to(places, lead, piece, base);
    }
    beside.clear();
    for ((_, piece), places) in stream.iter().zip(&mut all).rev() {
        let lead = beside.iter().filter_map(|number: &usize| number.checked_sub(1));
        beside = lead_to(places, lead, piece, base);
    }
    all.iter_mut().for_each(|places| places.sort_unstable());
    all
}

/// Adds the places that have the piece; gives all, those that were led to before the others: they lead on.
fn lead_to(places: &mut Vec<usize>, lead: impl Iterator<Item = usize>, piece: &Piece, base: &[Piece]) -> Vec<usize> {
    let mut led: Vec<_> = lead.filter(|number| base.get(*number) == Some(piece)).take(PLACES).collect();
    places.retain(|number| !led.contains(number));
    led.append(places);
    places.clone_from(&led);
    led
}

/// Joins ranges that follow each other on both sides, and leaves out the short ones.
fn join(runs: Vec<Run>) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if last.at + last.length == run.at && last.from + last.length == run.from => last.length += run.length,
            _ => joined.push(run),
        }
    }
    joined.retain(|run| run.length >= LEAST);
    joined
}

/// The step with the most bytes copied that ends before a place of the base (a Fenwick tree of maxima).
struct Best(Vec<Option<(u64, usize)>>);

impl Best {
    fn new(places: usize) -> Self {
        Self(vec![None; places + 1])
    }

    /// Returns the best step at a place before `place`.
    fn before(&self, place: usize) -> Option<usize> {
        let mut node = place;
        let mut best: Option<(u64, usize)> = None;
        while node > 0 {
            // Of equals the first: it leaves the most of the base to come.
            if let Some(Some(found)) = self.0.get(node)
                && best.is_none_or(|best| best.0 < found.0)
            {
                best = Some(*found);
            }
            node &= node - 1;
        }
        best.map(|(_, step)| step)
    }

    fn put(&mut self, place: usize, step: usize, total: u64) {
        let mut node = place + 1;
        while let Some(slot) = self.0.get_mut(node) {
            if slot.is_none_or(|(there, _)| there < total) {
                *slot = Some((total, step));
            }
            node += node & node.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(letters: &str) -> Vec<Piece> {
        letters.bytes().map(|letter| Piece { hash: letter.into(), length: 20_000 + u32::from(letter) }).collect()
    }

    /// Returns the letters of the stream that are copied, each range in brackets.
    fn copied(stream: &str, base: &str) -> String {
        let mut at = 0;
        let placed: Vec<_> = pieces(stream)
            .into_iter()
            .map(|piece| {
                at += u64::from(piece.length);
                (at - u64::from(piece.length), piece)
            })
            .collect();
        let mut said = String::new();
        let mut read = 0;
        for run in runs(&placed, &pieces(base)) {
            assert!(run.from >= read, "the base is read forward");
            read = run.from + run.length;
            let within = placed.iter().zip(stream.chars()).filter(|((at, _), _)| (run.at..run.at + run.length).contains(at));
            said.push_str(&format!("[{}]", within.map(|(_, letter)| letter).collect::<String>()));
        }
        said
    }

    #[test]
    fn what_both_have_in_the_same_order_is_copied() {
        assert_eq!(copied("abcXdef", "abcdef"), "[abc][def]");
        assert_eq!(copied("abcXf", "abcdef"), "[abc][f]");
        assert_eq!(copied("XY", "abc"), "");
    }

    #[test]
    fn of_two_orders_the_one_with_more_bytes_is_kept() {
        assert_eq!(copied("defabcg", "abcdefg"), "[def][g]");
        assert_eq!(copied("xabcdefg", "abcdefgx"), "[abcdefg]");
    }

    #[test]
    fn a_piece_that_is_there_often_does_not_lead_astray() {
        assert_eq!(copied("abzcdz", "abzcdz"), "[abzcdz]");
        assert_eq!(copied("zab", "abz"), "[ab]");
        // More often than places are looked at, and only what is beside it tells which it is.
        assert_eq!(copied("zzzzzzzzzazzb", "zzzzzzzzzazzb"), "[zzzzzzzzzazzb]");
        assert_eq!(copied("yzyazyz", "zyzyzyzyzyzyzyazyz"), "[yzyazyz]");
    }
}
