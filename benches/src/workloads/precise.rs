//! One timer after another: how late a task is that does nothing but sleep.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{Metric, Sample, Workload, compared, figure, quantile};
use crate::alarm::Alarm;
use crate::peers::Peer;

pub struct Precise {
    count: usize,
}

impl Precise {
    pub fn variants(quick: bool) -> Vec<Precise> {
        vec![Precise { count: if quick { 20 } else { 500 } }]
    }
}

impl Workload for Precise {
    const NAME: &'static str = "precise";
    const ABOUT: &'static str = "500 sleeps of 0.5 to 2 ms, one after the other. The task that waits \
        gets its thread parked, or its worker if it is tokio's. Lateness is read from the clock \
        inside the waker, before it wakes the task.";
    const METRICS: &'static [Metric] =
        &[compared("late p50 us", 1), compared("p99 us", 1), figure("early", 0)];
    const HAS_PRECISION: bool = true;

    fn table(&self) -> String {
        String::new()
    }

    fn column(&self) -> String {
        String::new()
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let [mut lateness] = peer.run(vec![run(peer.clone(), self.count)]).try_into().expect("one");
        lateness.sort_unstable();
        let early = lateness.partition_point(|late| *late < 0);
        let micros = |share| Some(quantile(&lateness, share) as f64 / 1e3);
        Sample { values: vec![micros(0.5), micros(0.99), Some(early as f64)], lateness }
    }
}

async fn run<P: Peer>(peer: P, count: usize) -> Vec<i64> {
    let mut rng = Rng::with_seed(1);
    let mut lateness = Vec::with_capacity(count);
    for _ in 0..count {
        lateness.push(one(&peer, Duration::from_micros(rng.u64(500..2_000))).await);
    }
    lateness
}

async fn one<P: Peer>(peer: &P, duration: Duration) -> i64 {
    let deadline = Instant::now() + duration;
    let mut sleep = pin!(peer.sleep_until(deadline));
    let mut waiting: Option<Arc<Alarm>> = None;
    poll_fn(|task| {
        let alarm = waiting.get_or_insert_with(|| {
            let alarm = Alarm::for_task(deadline, task.waker().clone());
            if sleep.as_mut().poll(&mut Context::from_waker(&alarm.clone().into())).is_ready() {
                alarm.ring();
            }
            alarm
        });
        alarm.lateness().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
