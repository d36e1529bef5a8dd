//! What is measured: one file each, all of one shape.

pub mod burst;
pub mod churn;
pub mod extend;
pub mod fire;
pub mod growth;
pub mod idle;
pub mod memory;
pub mod precise;
pub mod scale;
pub mod tolerance;
pub mod window;

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::peers::Peer;

/// Operations between two turns of the executor: as many as tokio lets a task have in one poll.
const BATCH: usize = 128;

/// Something for a timer to do, in one of its variants.
pub trait Workload {
    const NAME: &'static str;
    /// What a reader has to know of it.
    const ABOUT: &'static str;
    /// What [`measure`](Self::measure) returns, in that order.
    const METRICS: &'static [Metric];
    /// Whether our precision matters to it.
    const HAS_PRECISION: bool = false;
    /// Whether it is so short that the median of several runs is taken.
    const REPEATED: bool = true;
    /// Whether each peer needs a process in which it is the only one.
    const ALONE: bool = false;

    /// The variants that share a table share this.
    fn table(&self) -> String {
        String::new()
    }

    /// Where in the table.
    fn column(&self) -> String {
        String::new()
    }

    /// Has one peer do it once.
    fn measure<P: Peer>(&self, peer: &P) -> Sample;
}

/// One figure of a workload.
pub struct Metric {
    pub name: &'static str,
    /// Digits after the point.
    pub digits: usize,
    /// Whether to say how many times ours it is.
    pub compared: bool,
}

const fn figure(name: &'static str, digits: usize) -> Metric {
    Metric { name, digits, compared: false }
}

const fn compared(name: &'static str, digits: usize) -> Metric {
    Metric { name, digits, compared: true }
}

/// What one run has shown.
#[derive(Clone, Default)]
pub struct Sample {
    /// One for each metric; None, if it cannot be known here.
    pub values: Vec<Option<f64>>,
    /// The lateness of every timer that was woken, in nanoseconds, in ascending order.
    pub lateness: Vec<i64>,
}

impl Sample {
    fn of(values: impl Into<Vec<Option<f64>>>) -> Self {
        Sample { values: values.into(), lateness: Vec::new() }
    }
}

/// The lateness that a share of `quantile` did not exceed; zero if there are none.
pub fn quantile(sorted: &[i64], quantile: f64) -> i64 {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

fn threads(count: usize) -> String {
    if count == 1 { "1 thread".into() } else { format!("{count} threads") }
}

/// A number with a comma after each third digit.
fn grouped(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

fn nanos_per(op: usize, time: Duration) -> f64 {
    time.as_nanos() as f64 / op as f64
}

/// Sleeps in places that were made beforehand, so that nobody's future costs an allocation.
struct Places<S> {
    places: Vec<Pin<Box<Option<S>>>>,
}

impl<S: Future> Places<S> {
    fn new(count: usize) -> Self {
        Places { places: (0..count).map(|_| Box::pin(None)).collect() }
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    /// Drops what was in the place, puts `sleep` there, and polls it once. Whether it waits.
    #[inline]
    fn arm(&mut self, place: usize, sleep: S, waker: &Waker) -> bool {
        self.places[place].set(Some(sleep));
        self.sleep(place).poll(&mut Context::from_waker(waker)).is_pending()
    }

    /// Drops what is in the place.
    #[inline]
    fn drop(&mut self, place: usize) {
        self.places[place].set(None);
    }

    /// The sleep in a place.
    #[inline]
    fn sleep(&mut self, place: usize) -> Pin<&mut S> {
        self.places[place].as_mut().as_pin_mut().expect("a sleep was put there")
    }
}
