//! Measures the rate of a transfer and estimates its end.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::text;

/// Time over which the rate is averaged: long enough to be calm, short enough to follow a link that changes.
const WINDOW: Duration = Duration::from_secs(5);
/// Interval at which samples are kept.
const GRAIN: Duration = Duration::from_millis(200);

/// The bytes of one step over time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    samples: VecDeque<(Instant, u64)>,
    last: Option<(Instant, u64)>,
}

impl Pace {
    /// Notes that `bytes` of the step were through at `now`.
    pub(super) fn add(&mut self, now: Instant, bytes: u64) {
        self.last = Some((now, bytes));
        if self.samples.back().is_none_or(|(time, _)| now.saturating_duration_since(*time) >= GRAIN) {
            self.samples.push_back((now, bytes));
        }
        while self.samples.get(1).is_some_and(|(time, _)| now.saturating_duration_since(*time) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes per second over the last seconds, once there is something to tell.
    fn rate(&self) -> Option<f64> {
        let ((first, from), (last, to)) = (*self.samples.front()?, self.last?);
        let time = last.saturating_duration_since(first);
        (time >= GRAIN && to > from).then(|| (to - from) as f64 / time.as_secs_f64())
    }

    /// Returns the transferred and total bytes, the rate and the remaining time as text.
    pub(super) fn shown(&self, total: Option<u64>) -> String {
        let bytes = self.last.map_or(0, |(_, bytes)| bytes);
        let through = match total {
            Some(total) => format!("{} of {}", text::bytes(bytes), text::bytes(total)),
            None => text::bytes(bytes),
        };
        let Some(rate) = self.rate() else { return through };
        let speed = text::bytes(rate as u64);
        match total.map(|total| total.saturating_sub(bytes)) {
            Some(left) if left > 0 => {
                // A century is as good as never, and more does not fit into a `Duration`.
                let left = Duration::from_secs_f64((left as f64 / rate).clamp(1.0, 3e9).round());
                format!("{through}, {speed}/s, {} left", text::span(left).replace(".0", ""))
            }
            _ => format!("{through}, {speed}/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(samples: &[(u64, u64)]) -> Pace {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        for (millis, bytes) in samples {
            pace.add(begin + Duration::from_millis(*millis), *bytes);
        }
        pace
    }

    #[test]
    fn rate_and_time_left_follow_the_last_seconds() {
        let slow_then_fast: Vec<_> =
            (0..20).map(|s| (s * 1000, if s < 10 { s } else { 10 + (s - 10) * 10 } * 1_000_000)).collect();
        assert_eq!(pace(&slow_then_fast).shown(Some(200_000_000)), "100 MB of 200 MB, 10 MB/s, 10 s left");
        assert_eq!(pace(&[(0, 0), (100, 5)]).shown(Some(100)), "5 B of 100 B");
        assert_eq!(pace(&[(0, 0), (1000, 5_000_000)]).shown(None), "5.0 MB, 5.0 MB/s");
    }

    #[test]
    fn a_resumed_step_does_not_count_what_was_there() {
        let resumed = pace(&[(0, 900_000_000), (1000, 910_000_000)]);
        assert_eq!(resumed.shown(Some(1_000_000_000)), "910 MB of 1.0 GB, 10 MB/s, 9 s left");
    }

    #[test]
    fn odd_figures_do_no_harm() {
        assert_eq!(pace(&[(0, 10), (1000, 5)]).shown(Some(3)), "5 B of 3 B");
        assert!(pace(&[(0, 0), (100_000, 1)]).shown(Some(u64::MAX)).ends_with("left"));
        assert_eq!(pace(&[]).shown(None), "0 B");
    }

    #[test]
    fn memory_stays_bounded() {
        let pace = pace(&(0..100_000).map(|n| (n * 10, n)).collect::<Vec<_>>());
        assert!(pace.samples.len() < 40, "{}", pace.samples.len());
    }
}
