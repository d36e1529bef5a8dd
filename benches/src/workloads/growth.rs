//! Ten million timers, one after the other, each call timed: does one of them have to wait until
//! something has grown?

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{BATCH, Metric, Places, Sample, Workload, compared};
use crate::alarm;
use crate::peers::Peer;

const FAR: Duration = Duration::from_secs(3_600);
/// How much later than its predecessor's each deadline is.
const STEP: Duration = Duration::from_micros(1);
/// After so many, an older one is moved, and another dropped.
const OFTEN: usize = 8;

pub struct Growth {
    count: usize,
}

impl Growth {
    pub fn variants(quick: bool) -> Vec<Growth> {
        vec![Growth { count: if quick { 20_000 } else { 10_000_000 } }]
    }
}

impl Workload for Growth {
    const NAME: &'static str = "growth";
    const ABOUT: &'static str = "Ten million sleeps are made and polled once, by one thread; after \
        every eighth, an older one is moved, by turns a second further away and a second nearer, and \
        another dropped. Each call by \
        itself, timed by the clock, which takes some 30 ns of it; what the system does meanwhile is \
        in it, too. One sleep was armed and dropped before, so the peers' threads run. Each peer in a \
        process of its own.";
    const METRICS: &'static [Metric] = &[
        compared("register p99.99 us", 1),
        compared("register max us", 0),
        compared("reset p99.99 us", 1),
        compared("reset max us", 0),
        compared("drop p99.99 us", 1),
        compared("drop max us", 0),
    ];
    const ALONE: bool = true;

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let places = Places::<P::Sleep>::new(self.count);
        let times = peer.run(vec![grow(peer.clone(), places)]).swap_remove(0);
        let micros = |nanos| Some(nanos as f64 / 1e3);
        let figures =
            |time: &Histogram<u64>| [micros(time.value_at_quantile(0.9999)), micros(time.max())];
        Sample::of(times.iter().flat_map(figures).collect::<Vec<_>>())
    }
}

/// The times that it took to register, to reset, and to drop.
async fn grow<P: Peer>(peer: P, mut places: Places<P::Sleep>) -> [Histogram<u64>; 3] {
    let waker = alarm::silent();
    let start = Instant::now() + FAR;
    let _ = Places::new(1).arm(0, peer.sleep_until(start), &waker);
    let mut times = [(); 3].map(|()| Histogram::new(3).expect("three digits are allowed"));
    let mut note = |which: usize, since: Instant| {
        let nanos = since.elapsed().as_nanos() as u64;
        times[which].record(nanos).expect("it grows as it must");
    };
    for place in 0..places.len() {
        let deadline = start + STEP * place as u32;
        let begin = Instant::now();
        let waits = places.arm(place, peer.sleep_until(deadline), &waker);
        note(0, begin);
        assert!(waits, "an hour has not passed");
        if place % OFTEN == OFTEN - 1 {
            // The first eighth of those that are there is dropped; what is moved is in the middle.
            let (moved, dropped) = (place / 2, place / OFTEN);
            let second = Duration::from_secs(1);
            let before = start + STEP * moved as u32;
            let later = (place / OFTEN).is_multiple_of(2);
            let after = if later { before + second } else { before - second };
            let begin = Instant::now();
            P::reset(places.sleep(moved), after);
            note(1, begin);
            let begin = Instant::now();
            places.drop(dropped);
            note(2, begin);
        }
        if place % BATCH == 0 {
            peer.breathe().await;
        }
    }
    times
}
