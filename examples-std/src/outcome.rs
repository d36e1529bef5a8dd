//! What one run on one executor brought, small enough to hand from process to process.

use std::time::Duration;

use moirai_timer_std::Metrics;
use serde::{Deserialize, Serialize};

use crate::options::Kind;

/// The outcome of a run. What the system does not tell is `None`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) executor: Kind,
    /// Sleeps that were created; each was one of the next four.
    pub(crate) count: u64,
    pub(crate) fired: u64,
    pub(crate) cancelled: u64,
    /// Completed before their deadline.
    pub(crate) early: u64,
    /// Not completed half a minute after the last deadline.
    pub(crate) lost: u64,
    pub(crate) lateness: Distribution,
    /// Nanoseconds of processor time a sleep, whatever the process did.
    pub(crate) processor_each: Option<f64>,
    /// Bytes of resident memory a sleep, its task included.
    pub(crate) memory_each: Option<f64>,
    /// Deadlines were reached before all sleeps were armed.
    pub(crate) arming_overran: bool,
    /// From the first creation to the last completion.
    pub(crate) took: Duration,
    pub(crate) engine: Engine,
}

impl Outcome {
    pub(crate) fn is_flawless(&self) -> bool {
        self.early == 0 && self.lost == 0
    }
}

/// Nanoseconds of lateness.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Distribution {
    pub(crate) median: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) max: u64,
    /// Points `(lateness, share that was no later)` of the whole distribution, ascending.
    pub(crate) curve: Vec<(u64, f64)>,
}

impl Distribution {
    /// Points of the curve; more would not be seen.
    const POINTS: usize = 500;

    /// Exact: nothing is rounded to buckets. All zero if there are no values.
    pub(crate) fn of(values: &mut [u64]) -> Distribution {
        values.sort_unstable();
        let Some(&max) = values.last() else { return Distribution::default() };
        let count = values.len();
        let rank = |share: f64| ((share * count as f64).ceil() as usize).clamp(1, count);
        let at = |share| values[rank(share) - 1];
        let points = Self::POINTS.min(count);
        let curve = (0..=points).map(|point| {
            let rank = rank(point as f64 / points as f64);
            (values[rank - 1], rank as f64 / count as f64)
        });
        Distribution {
            median: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max,
            curve: curve.collect(),
        }
    }
}

/// What the timer says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    pub(crate) registered: u64,
    pub(crate) fired: u64,
    pub(crate) cancelled: u64,
    pub(crate) full_repolls: u64,
    pub(crate) turns: u64,
    /// Lateness in nanoseconds, to the moment at which the task was woken.
    pub(crate) median: u64,
    pub(crate) p99: u64,
}

impl Engine {
    pub(crate) fn of(metrics: &Metrics) -> Engine {
        let lateness = |quantile| metrics.lateness.quantile(quantile).as_nanos() as u64;
        Engine {
            registered: metrics.registered,
            fired: metrics.fired,
            cancelled: metrics.cancelled,
            full_repolls: metrics.full_repolls,
            turns: metrics.turns,
            median: lateness(0.5),
            p99: lateness(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact() {
        let mut values: Vec<u64> = (1..=10_000).rev().collect();
        let d = Distribution::of(&mut values);
        assert_eq!((d.median, d.p99, d.p99_9, d.max), (5_000, 9_900, 9_990, 10_000));
        assert_eq!(d.curve.first(), Some(&(1, 0.000_1)));
        assert_eq!(d.curve.last(), Some(&(10_000, 1.0)));
        assert!(d.curve.is_sorted());
    }

    #[test]
    fn one_value_and_none_are_distributions_too() {
        let d = Distribution::of(&mut [7]);
        assert_eq!((d.median, d.p99_9, d.max, d.curve.len()), (7, 7, 7, 2));
        assert_eq!(Distribution::of(&mut []).max, 0);
    }
}
