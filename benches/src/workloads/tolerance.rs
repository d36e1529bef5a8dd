//! How often a processor has to wake up for ten thousand timers that may be a little late.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{BATCH, Metric, Places, Sample, Workload, compared, figure};
use crate::alarm;
use crate::peers::Peer;
use crate::usage::{context_switches, cpu, settle};

const TIMERS: usize = 10_000;

pub struct Tolerance {
    time: Duration,
    tolerance: Duration,
}

impl Tolerance {
    pub fn variants(quick: bool) -> Vec<Tolerance> {
        let millis = Duration::from_millis;
        let time = millis(if quick { 100 } else { 3_000 });
        let tolerances: &[_] = if quick { &[0, 50] } else { &[0, 1, 2, 5, 10, 20, 50, 100] };
        tolerances.iter().map(|&ms| Tolerance { time, tolerance: millis(ms) }).collect()
    }
}

impl Workload for Tolerance {
    const NAME: &'static str = "tolerance";
    const ABOUT: &'static str = "3 s of 10,000 timers with periods at random from 0.1 to 10 s, each \
        time a sleep of its own, armed beforehand. Wake-ups are the context switches of all threads. \
        The peers know no tolerance.";
    const METRICS: &'static [Metric] = &[compared("wake-ups/s", 0), figure("CPU %", 1)];
    const HAS_PRECISION: bool = true;
    const REPEATED: bool = false;

    fn column(&self) -> String {
        format!("{} ms", self.tolerance.as_millis())
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let mut rng = Rng::with_seed(1);
        let mut offsets = Vec::new();
        for _ in 0..TIMERS {
            let period = Duration::from_secs_f64(10f64.powf(rng.f64() * 2.0 - 1.0));
            let mut at = period.mul_f64(rng.f64());
            while at < self.time {
                offsets.push(at);
                at += period;
            }
        }
        let places = Places::<P::Sleep>::new(offsets.len());
        // Arming takes less than that.
        let start = Instant::now() + self.time / 3;
        let job = arm(peer.clone(), places, start, offsets, self.tolerance);
        let Some(_armed) = peer.run(vec![job]).swap_remove(0) else {
            return Sample::of([None, None]);
        };
        settle();
        thread::sleep(start.saturating_duration_since(Instant::now()));
        let before = (context_switches(), cpu());
        thread::sleep(self.time);
        let after = (cpu(), context_switches());
        let time = self.time.as_secs_f64();
        let switches = after.1.zip(before.0).map(|(after, before)| (after - before) as f64 / time);
        let cpu =
            after.0.zip(before.1).map(|(after, before)| (after - before).as_secs_f64() / time);
        Sample::of([switches, cpu.map(|cpu| cpu * 100.0)])
    }
}

/// None, if the peer knows no tolerance, and there is to be one.
async fn arm<P: Peer>(
    peer: P,
    mut places: Places<P::Sleep>,
    start: Instant,
    offsets: Vec<Duration>,
    tolerance: Duration,
) -> Option<Places<P::Sleep>> {
    let waker = alarm::silent();
    for (place, offset) in offsets.into_iter().enumerate() {
        let mut sleep = peer.sleep_until(start + offset);
        if tolerance > Duration::ZERO {
            sleep = P::with_tolerance(sleep, tolerance)?;
        }
        places.arm(place, sleep, &waker);
        if place % BATCH == 0 {
            peer.breathe().await;
        }
    }
    Some(places)
}
