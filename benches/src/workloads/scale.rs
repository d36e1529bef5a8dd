//! What an operation costs when a thousand timers are live, and when ten million are; with more
//! threads than there are processors, too.

use std::time::{Duration, Instant};

use super::window::{self, STEP};
use super::{Metric, Places, Sample, Workload, compared, grouped, nanos_per, threads};
use crate::peers::Peer;
use crate::usage::cpu_of;

/// Longer than it takes to arm ten million.
const FAR: Duration = Duration::from_secs(3_600);
/// How often the operations are measured.
const ROUNDS: usize = 3;

pub struct Scale {
    live: usize,
    ops: usize,
    threads: usize,
}

impl Scale {
    pub fn variants(quick: bool) -> Vec<Scale> {
        let (sizes, ops): (&[usize], _) = match quick {
            true => (&[1_000], 8_000),
            false => (&[1_000, 10_000, 100_000, 1_000_000, 10_000_000], 1_000_000),
        };
        let all = [1, 2, 4, 8].into_iter().flat_map(|threads| {
            let sizes = sizes.iter().filter(move |live| threads == 1 || **live <= 1_000_000);
            sizes.map(move |&live| Scale { live, ops, threads })
        });
        all.collect()
    }
}

impl Workload for Scale {
    const NAME: &'static str = "scale";
    const ABOUT: &'static str = "So many sleeps are live, shared evenly by the threads, with \
        deadlines an hour ahead and 1 us apart. Then each new one is polled once and takes the place \
        of the oldest, which is dropped: a million in all, three times, of which the median counts. \
        Each time by new threads: with a million live or more, all that are dropped were armed by \
        others, which in a timer with a part for each thread is the dearer case.";
    const METRICS: &'static [Metric] = &[compared("CPU ns/op", 1)];
    const REPEATED: bool = false;

    fn table(&self) -> String {
        threads(self.threads)
    }

    fn column(&self) -> String {
        format!("{} live", grouped(self.live))
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let live = self.live / self.threads;
        let mut places: Vec<_> = (0..self.threads).map(|_| Places::<P::Sleep>::new(live)).collect();
        let mut start = Instant::now() + FAR;
        let mut go = |ops: usize| {
            let job = |places| window::run(peer.clone(), places, start, ops);
            places = peer.run(std::mem::take(&mut places).into_iter().map(job).collect());
            start += STEP * ops as u32;
        };
        go(live);
        let ops = self.ops / self.threads;
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| cpu_of(|| go(ops)).1).collect();
        rounds.sort();
        Sample::of([rounds[ROUNDS / 2].map(|cpu| nanos_per(ops * self.threads, cpu))])
    }
}
