//! Keep-alive: one sleep, pushed further away by every packet.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::{BATCH, Metric, Places, Sample, Workload, compared, figure, nanos_per};
use crate::alarm;
use crate::peers::Peer;
use crate::usage::{cpu_of, settle};

const FAR: Duration = Duration::from_secs(30);
/// From packet to packet.
const STEP: Duration = Duration::from_micros(1);

pub struct Extend {
    packets: usize,
    /// Whether the task that waits is polled for every packet, too.
    polled: bool,
}

impl Extend {
    pub fn variants(quick: bool) -> Vec<Extend> {
        let packets = if quick { 10_000 } else { 1_000_000 };
        [false, true].map(|polled| Extend { packets, polled }).into()
    }
}

impl Workload for Extend {
    const NAME: &'static str = "extend";
    const ABOUT: &'static str = "One sleep, polled once, is reset for each of a million packets that \
        are 1 us apart, to 30 s after the packet; in the second half of the table it is polled \
        after each, too. Turns are how often our engine looked for work meanwhile.";
    const METRICS: &'static [Metric] = &[compared("CPU ns/packet", 1), figure("turns", 0)];

    fn column(&self) -> String {
        if self.polled { "reset and poll".into() } else { "reset".into() }
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let start = Instant::now();
        let mut places = peer.run(vec![arm(peer.clone(), start + FAR)]);
        settle();
        let turns = peer.turns();
        let place = places.remove(0);
        let job = extend(peer.clone(), place, start + FAR, self.packets, self.polled);
        let (_places, cpu) = cpu_of(|| peer.run(vec![job]));
        let turns = peer.turns().zip(turns).map(|(after, before)| (after - before) as f64);
        Sample::of([cpu.map(|cpu| nanos_per(self.packets, cpu)), turns])
    }
}

async fn arm<P: Peer>(peer: P, deadline: Instant) -> Places<P::Sleep> {
    let mut place = Places::new(1);
    assert!(place.arm(0, peer.sleep_until(deadline), &alarm::silent()));
    place
}

async fn extend<P: Peer>(
    peer: P,
    mut places: Places<P::Sleep>,
    mut deadline: Instant,
    packets: usize,
    polled: bool,
) -> Places<P::Sleep> {
    let waker = alarm::silent();
    for start in (0..packets).step_by(BATCH) {
        for _ in 0..BATCH.min(packets - start) {
            deadline += STEP;
            push::<P>(&mut places, deadline, polled.then_some(&waker));
        }
        peer.breathe().await;
    }
    places
}

#[inline]
fn push<P: Peer>(places: &mut Places<P::Sleep>, deadline: Instant, waker: Option<&Waker>) {
    let mut sleep = places.sleep(0);
    P::reset(sleep.as_mut(), deadline);
    if let Some(waker) = waker {
        assert!(sleep.poll(&mut Context::from_waker(waker)).is_pending(), "30 s have not passed");
    }
}
