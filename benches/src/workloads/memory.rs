//! What an armed timer takes, in the future and behind it.

use std::time::{Duration, Instant};

use super::{BATCH, Metric, Places, Sample, Workload, compared, figure, grouped};
use crate::alarm;
use crate::peers::Peer;
use crate::usage::{resident, settle};

const FAR: Duration = Duration::from_secs(3_600);
/// How much later than its predecessor's each deadline is.
const STEP: Duration = Duration::from_micros(1);

pub struct Memory {
    count: usize,
}

impl Memory {
    pub fn variants(quick: bool) -> Vec<Memory> {
        let counts: &[_] =
            if quick { &[10_000] } else { &[10_000, 100_000, 1_000_000, 10_000_000] };
        counts.iter().map(|&count| Memory { count }).collect()
    }
}

impl Workload for Memory {
    const NAME: &'static str = "memory";
    const ABOUT: &'static str = "Bytes for each of so many armed sleeps: the size of the future, \
        and by how much the process's resident memory grows behind it. The futures lie in memory \
        that was there before. Each peer in a process of its own.";
    const METRICS: &'static [Metric] =
        &[compared("together", 0), figure("future", 0), figure("behind it", 0)];
    const REPEATED: bool = false;
    const ALONE: bool = true;

    fn column(&self) -> String {
        grouped(self.count)
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let places = Places::<P::Sleep>::new(self.count);
        let before = resident();
        let _places = peer.run(vec![arm(peer.clone(), places, self.count)]);
        settle();
        let grown = resident().zip(before).map(|(after, before)| after.saturating_sub(before));
        let behind = grown.map(|grown| grown as f64 / self.count as f64);
        let future = size_of::<P::Sleep>() as f64;
        Sample::of([behind.map(|behind| behind + future), Some(future), behind])
    }
}

async fn arm<P: Peer>(peer: P, mut places: Places<P::Sleep>, count: usize) -> Places<P::Sleep> {
    let waker = alarm::silent();
    let start = Instant::now() + FAR;
    for place in 0..count {
        let deadline = start + STEP * place as u32;
        assert!(places.arm(place, peer.sleep_until(deadline), &waker), "an hour has not passed");
        if place % BATCH == 0 {
            peer.breathe().await;
        }
    }
    places
}
