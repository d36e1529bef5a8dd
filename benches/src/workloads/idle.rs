//! Nothing to do for an hour: what a timer costs that only waits.

use std::thread;
use std::time::{Duration, Instant};

use super::{Metric, Places, Sample, Workload, figure};
use crate::alarm;
use crate::peers::Peer;
use crate::usage::{context_switches, cpu, settle};

const FAR: Duration = Duration::from_secs(3_600);

pub struct Idle {
    time: Duration,
}

impl Idle {
    pub fn variants(quick: bool) -> Vec<Idle> {
        vec![Idle { time: Duration::from_millis(if quick { 100 } else { 5_000 }) }]
    }
}

impl Workload for Idle {
    const NAME: &'static str = "idle";
    const ABOUT: &'static str = "5 s with one sleep of an hour armed. Each peer in a process of its \
        own; context switches are those of all its threads, and one of them is the switch of the \
        thread that measures.";
    const METRICS: &'static [Metric] = &[figure("context switches", 0), figure("CPU us", 0)];
    const HAS_PRECISION: bool = true;
    const REPEATED: bool = false;
    const ALONE: bool = true;

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let _armed = peer.run(vec![arm(peer.clone())]);
        settle();
        let before = (context_switches(), cpu());
        thread::sleep(self.time);
        let after = (cpu(), context_switches());
        let switches = after.1.zip(before.0).map(|(after, before)| (after - before) as f64);
        let cpu = after.0.zip(before.1).map(|(after, before)| (after - before).as_secs_f64() * 1e6);
        Sample::of([switches, cpu])
    }
}

async fn arm<P: Peer>(peer: P) -> Places<P::Sleep> {
    let mut place = Places::new(1);
    assert!(place.arm(0, peer.sleep_until(Instant::now() + FAR), &alarm::silent()));
    place
}
