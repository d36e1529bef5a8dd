//! How late timers fired: a histogram that costs a few nanoseconds to write.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Each power of two is divided into so many buckets, so a value is known to an eighth.
const STEPS_LOG2: u32 = 3;
const STEPS: u32 = 1 << STEPS_LOG2;
/// The last bucket takes everything from 2^40 ns on, 18 minutes.
const BUCKETS: usize = ((40 - STEPS_LOG2 + 1) * STEPS) as usize;

fn bucket(nanos: u64) -> usize {
    let octave = (nanos | STEPS as u64).ilog2() - STEPS_LOG2;
    let index = octave as usize * STEPS as usize + (nanos >> octave) as usize;
    index.min(BUCKETS - 1)
}

/// The largest value that a bucket takes.
fn upper(bucket: usize) -> u64 {
    let octave = (bucket / STEPS as usize).saturating_sub(1);
    let step = bucket - octave * STEPS as usize;
    ((step as u64 + 1) << octave) - 1
}

/// Written by one thread at a time, read by any.
#[derive(Debug)]
pub(crate) struct Recorder {
    counts: [AtomicU64; BUCKETS],
    max: AtomicU64,
}

impl Recorder {
    pub(crate) const fn new() -> Self {
        Recorder { counts: [const { AtomicU64::new(0) }; BUCKETS], max: AtomicU64::new(0) }
    }

    /// To be called by one thread at a time: it is a load and a store, not an addition in one step.
    pub(crate) fn record(&self, nanos: u64) {
        let count = &self.counts[bucket(nanos)];
        count.store(count.load(Relaxed) + 1, Relaxed);
        if nanos > self.max.load(Relaxed) {
            self.max.store(nanos, Relaxed);
        }
    }

    /// How many there were.
    #[cfg(feature = "tracing")]
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(crate) fn add_to(&self, lateness: &mut Lateness) {
        for (sum, count) in lateness.counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Relaxed);
        }
        lateness.max = lateness.max.max(self.max.load(Relaxed));
    }
}

/// How long after their deadlines timers fired, as a histogram with an eighth of resolution.
///
/// Measured by the clock that the turn read before it woke the batch that the timer was in.
///
/// ```
/// use moirai_timer_std::{Timer, block_on};
/// use std::time::Duration;
///
/// let timer = Timer::new();
/// block_on(async {
///     for _ in 0..3 {
///         timer.sleep(Duration::from_millis(1)).await;
///     }
/// });
/// let lateness = timer.metrics().lateness;
/// println!("half of {} within {:?}", lateness.count(), lateness.quantile(0.5));
/// for (most, count) in lateness.buckets() {
///     println!("{count} up to {most:?}");
/// }
/// assert!(lateness.quantile(0.5) <= lateness.quantile(0.99));
/// assert_eq!(lateness.quantile(1.0), lateness.max());
/// assert_eq!(lateness.buckets().map(|(_, count)| count).sum::<u64>(), lateness.count());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Written", into = "Written"))]
pub struct Lateness {
    counts: Vec<u64>,
    max: u64,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness { counts: vec![0; BUCKETS], max: 0 }
    }
}

impl Lateness {
    /// How many timers it has counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The lateness that a share of `quantile` of the timers did not exceed, rounded up to the
    /// histogram's resolution; zero if there were none. 0.5 is the median; clamped to 0..=1, and 0 if it
    /// is not a number.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (quantile.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper(bucket).min(self.max));
            }
        }
        Duration::ZERO
    }

    /// The longest lateness.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// What was counted since `earlier`, an older state of the same histogram.
    ///
    /// The longest lateness since then is known to the histogram's resolution only. Zero for what
    /// `earlier` has more of.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on, sleep};
    /// # use std::time::Duration;
    /// # block_on(sleep(Duration::from_millis(1)));
    /// let before = Timer::global().metrics().lateness;
    /// // .. a second later ..
    /// let now = Timer::global().metrics().lateness;
    /// assert_eq!(now.since(&before).count(), now.count() - before.count());
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Lateness) -> Lateness {
        let pairs = self.counts.iter().zip(&earlier.counts);
        let counts: Vec<_> = pairs.map(|(now, then)| now.saturating_sub(*then)).collect();
        let last = counts.iter().rposition(|&count| count > 0);
        Lateness { max: last.map_or(0, |bucket| upper(bucket).min(self.max)), counts }
    }

    /// The buckets that are not empty: the largest lateness of each, and how many it counted.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let used = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        used.map(|(bucket, count)| (Duration::from_nanos(upper(bucket)), *count))
    }
}

/// How a histogram is written down: the buckets that are not empty, each by its largest lateness.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    max_nanos: u64,
    /// Largest lateness in nanoseconds, and how many were counted.
    buckets: Vec<(u64, u64)>,
}

#[cfg(feature = "serde")]
impl From<Lateness> for Written {
    fn from(lateness: Lateness) -> Written {
        let used = lateness.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets = used.map(|(bucket, count)| (upper(bucket), *count)).collect();
        Written { max_nanos: lateness.max, buckets }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Written> for Lateness {
    type Error = String;

    fn try_from(Written { max_nanos, buckets }: Written) -> Result<Lateness, String> {
        let mut lateness = Lateness { max: max_nanos, ..Lateness::default() };
        let mut all = 0u64;
        for (nanos, count) in buckets {
            let bucket = bucket(nanos);
            if upper(bucket) != nanos {
                return Err(format!(
                    "no bucket of the histogram ends at {nanos} ns; the nearest ends at {} ns",
                    upper(bucket)
                ));
            }
            let sum = all.checked_add(count);
            all = sum.ok_or_else(|| {
                format!("the counts up to the bucket of {nanos} ns are more than {}", u64::MAX)
            })?;
            lateness.counts[bucket] += count;
        }
        let latest = lateness.counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        let least = latest.checked_sub(1).map_or(0, |before| upper(before) + 1);
        if max_nanos < least {
            return Err(format!(
                "the longest of {max_nanos} ns is in no bucket that is used: the last begins at {least} ns"
            ));
        }
        Ok(lateness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        let mut last = 0;
        for nanos in (0..100_000).chain((17..40).flat_map(|b| [(1 << b) - 1, 1 << b, (1 << b) + 1]))
        {
            let at = bucket(nanos);
            assert!(at >= last || nanos < 1 << 17, "{nanos}");
            assert!(nanos <= upper(at), "{nanos} above {}", upper(at));
            assert!(at == 0 || nanos > upper(at - 1), "{nanos} not above {}", upper(at - 1));
            last = at;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_right_to_an_eighth() {
        let recorder = Recorder::new();
        (1..=1_000).for_each(|us| recorder.record(us * 1_000));
        let mut lateness = Lateness::default();
        recorder.add_to(&mut lateness);
        assert_eq!(lateness.count(), 1_000);
        for (quantile, us) in [(0.0, 1), (0.5, 500), (0.99, 990), (1.0, 1_000)] {
            let got = lateness.quantile(quantile).as_nanos() as u64;
            assert!((us * 1_000..=us * 1_125).contains(&got), "{quantile}: {got}");
        }
        assert_eq!(lateness.max(), Duration::from_millis(1));
        assert_eq!(lateness.quantile(1.0), lateness.max());
        assert_eq!(lateness.buckets().map(|(_, count)| count).sum::<u64>(), 1_000);
    }

    #[test]
    fn the_difference_of_two_states_is_what_came_between_them() {
        let recorder = Recorder::new();
        let state = || {
            let mut lateness = Lateness::default();
            recorder.add_to(&mut lateness);
            lateness
        };
        recorder.record(5_000_000);
        let before = state();
        (1..=100).for_each(|us| recorder.record(us * 1_000));
        let since = state().since(&before);
        assert_eq!(since.count(), 100);
        assert!((100_000..=112_500).contains(&since.max().as_nanos()), "{:?}", since.max());
        assert_eq!(since.quantile(1.0), since.max());
        recorder.record(6_000_000);
        assert_eq!(state().since(&before).max(), Duration::from_millis(6));
        assert_eq!(before.since(&state()), Lateness::default());
    }

    #[test]
    fn an_empty_histogram_says_zero() {
        assert_eq!(Lateness::default().quantile(0.5), Duration::ZERO);
        assert_eq!(Lateness::default().count(), 0);
    }
}
