//! What an operation costs when a thousand timers are live, and when ten million are; with more
//! threads than there are processors, too.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;
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
    /// Whether each thread goes on, in every round, with the sleeps that another has armed.
    exchanged: bool,
}

impl Scale {
    pub fn variants(quick: bool) -> Vec<Scale> {
        let (sizes, ops): (&[usize], _) = match quick {
            true => (&[1_000], 8_000),
            false => (&[1_000, 10_000, 100_000, 1_000_000, 10_000_000], 1_000_000),
        };
        let own = [1, 2, 4, 8].into_iter().flat_map(|threads| {
            let sizes = sizes.iter().filter(move |live| threads == 1 || **live <= 1_000_000);
            sizes.map(move |&live| Scale { live, ops, threads, exchanged: false })
        });
        // As many as there are operations: all that are dropped were armed by another thread.
        own.chain([Scale { live: ops, ops, threads: 2, exchanged: true }]).collect()
    }
}

impl Workload for Scale {
    const NAME: &'static str = "scale";
    const ABOUT: &'static str = "So many sleeps are live, shared evenly by the threads, with \
        deadlines an hour ahead and 1 us apart. Then each new one is polled once and takes the place \
        of the oldest, which is dropped: a million in all, three times, of which the median counts. \
        The threads replace their own; in the last table each replaces what another armed, which in \
        a timer with a part for each thread is the dearer case.";
    const METRICS: &'static [Metric] = &[compared("CPU ns/op", 1)];
    const REPEATED: bool = false;

    fn table(&self) -> String {
        let threads = threads(self.threads);
        if self.exchanged { format!("{threads}, each with the other's sleeps") } else { threads }
    }

    fn column(&self) -> String {
        format!("{} live", grouped(self.live))
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let (live, ops) = (self.live / self.threads, self.ops / self.threads);
        let places = || Mutex::new(Some(Places::<P::Sleep>::new(live)));
        let all: Arc<[_]> = (0..self.threads).map(|_| places()).collect();
        // Where a round begins and ends. The threads are the same in all.
        let edge = Arc::new(Barrier::new(self.threads + 1));
        let job = |number: usize| {
            let (peer, all, edge, exchanged) =
                (peer.clone(), all.clone(), edge.clone(), self.exchanged);
            async move {
                let mut start = Instant::now() + FAR;
                for round in 0..=ROUNDS {
                    edge.wait();
                    let shift = if exchanged { round } else { 0 };
                    let place = &all[(number + shift) % all.len()];
                    let places = place.lock().unwrap().take().expect("the others have others");
                    let ops = if round == 0 { live } else { ops };
                    let places = window::run(peer.clone(), places, start, ops).await;
                    start += STEP * ops as u32;
                    *place.lock().unwrap() = Some(places);
                    edge.wait();
                }
            }
        };
        let jobs = (0..self.threads).map(job).collect();
        let mut rounds = thread::scope(|scope| {
            scope.spawn(|| peer.run(jobs));
            let round = || {
                edge.wait();
                edge.wait();
            };
            let times = [(); ROUNDS + 1].map(|()| cpu_of(round).1);
            // The first armed those that are live.
            times[1..].to_vec()
        });
        rounds.sort();
        Sample::of([rounds[ROUNDS / 2].map(|cpu| nanos_per(ops * self.threads, cpu))])
    }
}
