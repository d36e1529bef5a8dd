//! The life of most timeouts: created, polled once, dropped long before the deadline.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::{BATCH, Metric, Sample, Workload, compared, nanos_per, threads};
use crate::alarm;
use crate::peers::Peer;
use crate::usage::cpu_of;

const FAR: Duration = Duration::from_secs(30);

pub struct Churn {
    ops: usize,
    threads: usize,
    /// Whether the deadline is given, or a duration, so that each reads the clock.
    given: Given,
}

#[derive(Clone, Copy, PartialEq)]
enum Given {
    Deadline,
    Duration,
}

impl Churn {
    pub fn variants(quick: bool) -> Vec<Churn> {
        let ops = if quick { 10_000 } else { 1_000_000 };
        let variants = [Given::Deadline, Given::Duration].map(|given| (given, [1, 2]));
        let variants =
            variants.into_iter().flat_map(|(given, threads)| threads.map(|t| (given, t)));
        variants.map(|(given, threads)| Churn { ops, threads, given }).collect()
    }
}

impl Workload for Churn {
    const NAME: &'static str = "churn";
    const ABOUT: &'static str = "Create a sleep of 30 s, poll it once, drop it; a million times a \
        thread. CPU is that of all threads of the process, with what is left to be done later, by \
        the number of operations. Wall is the time taken, by the same number: with two threads, \
        half of what one operation takes.";
    const METRICS: &'static [Metric] = &[compared("CPU ns/op", 1), compared("wall ns/op", 1)];

    fn table(&self) -> String {
        match self.given {
            Given::Deadline => "deadline given".into(),
            Given::Duration => "duration given".into(),
        }
    }

    fn column(&self) -> String {
        threads(self.threads)
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let work = || {
            let jobs = (0..self.threads).map(|_| run(peer.clone(), self.ops, self.given)).collect();
            let start = Instant::now();
            peer.run(jobs);
            start.elapsed()
        };
        let (wall, cpu) = cpu_of(work);
        let ops = self.ops * self.threads;
        Sample::of([cpu.map(|cpu| nanos_per(ops, cpu)), Some(nanos_per(ops, wall))])
    }
}

async fn run<P: Peer>(peer: P, ops: usize, given: Given) {
    let waker = alarm::silent();
    let deadline = Instant::now() + FAR;
    for start in (0..ops).step_by(BATCH) {
        let batch = BATCH.min(ops - start);
        match given {
            Given::Deadline => churn(batch, &waker, || peer.sleep_until(deadline)),
            Given::Duration => churn(batch, &waker, || peer.sleep(FAR)),
        }
        peer.breathe().await;
    }
}

#[inline]
fn churn<S: Future>(ops: usize, waker: &Waker, sleep: impl Fn() -> S) {
    for _ in 0..ops {
        let sleep = pin!(sleep());
        assert!(sleep.poll(&mut Context::from_waker(waker)).is_pending(), "30 s have not passed");
    }
}
