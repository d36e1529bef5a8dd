//! A server's timeouts: ten thousand requests are always under way, and each that begins ends one.

use std::time::{Duration, Instant};

use super::{BATCH, Metric, Places, Sample, Workload, compared, nanos_per, threads};
use crate::alarm;
use crate::peers::Peer;
use crate::usage::cpu_of;

const FAR: Duration = Duration::from_secs(30);
const LIVE: usize = 10_000;
/// How much later than its predecessor's each deadline is.
pub(super) const STEP: Duration = Duration::from_micros(1);

pub struct Window {
    ops: usize,
    threads: usize,
}

impl Window {
    pub fn variants(quick: bool) -> Vec<Window> {
        let ops = if quick { 20_000 } else { 1_000_000 };
        [1, 2].map(|threads| Window { ops, threads }).into()
    }
}

impl Workload for Window {
    const NAME: &'static str = "window";
    const ABOUT: &'static str = "10,000 sleeps a thread are live, with deadlines 30 s ahead and 1 us \
        apart; each new one is polled once and takes the place of the oldest, which is dropped. A \
        million a thread, of which the first 10,000 only fill the window. CPU and wall as above.";
    const METRICS: &'static [Metric] = &[compared("CPU ns/op", 1), compared("wall ns/op", 1)];

    fn column(&self) -> String {
        threads(self.threads)
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let places = || Places::<P::Sleep>::new(LIVE);
        let places: Vec<_> = (0..self.threads).map(|_| places()).collect();
        let work = || {
            let start = Instant::now() + FAR;
            let job = |places| run(peer.clone(), places, start, self.ops);
            let jobs = places.into_iter().map(job).collect();
            let start = Instant::now();
            let places = peer.run(jobs);
            (places, start.elapsed())
        };
        let ((_places, wall), cpu) = cpu_of(work);
        let ops = self.ops * self.threads;
        Sample::of([cpu.map(|cpu| nanos_per(ops, cpu)), Some(nanos_per(ops, wall))])
    }
}

/// Goes through the places round and round, so many sleeps in all, from the deadline `start` on.
pub(super) async fn run<P: Peer>(
    peer: P,
    mut places: Places<P::Sleep>,
    start: Instant,
    ops: usize,
) -> Places<P::Sleep> {
    let waker = alarm::silent();
    let live = places.len();
    let mut deadline = start;
    let mut place = 0;
    for done in (0..ops).step_by(BATCH) {
        for _ in 0..BATCH.min(ops - done) {
            deadline += STEP;
            let waits = places.arm(place, peer.sleep_until(deadline), &waker);
            assert!(waits, "the first deadline has not passed");
            place = if place + 1 == live { 0 } else { place + 1 };
        }
        peer.breathe().await;
    }
    places
}
