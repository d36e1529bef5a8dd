//! One timer after another: how late a task is that does nothing but sleep.

use std::future::poll_fn;
use std::hint::black_box;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{Metric, Sample, Workload, compared, figure, quantile};
use crate::alarm::Alarm;
use crate::peers::Peer;
use crate::usage::cpu_of;

pub struct Precise {
    count: usize,
    /// Microseconds, at random.
    durations: Range<u64>,
    /// Whether other threads want every processor.
    busy: bool,
}

impl Precise {
    pub fn variants(quick: bool) -> Vec<Precise> {
        let count = |count| if quick { 10 } else { count };
        vec![
            Precise { count: count(500), durations: 500..2_000, busy: false },
            Precise { count: count(200), durations: 5_000..15_000, busy: false },
            Precise { count: count(200), durations: 5_000..15_000, busy: true },
        ]
    }
}

impl Workload for Precise {
    const NAME: &'static str = "precise";
    const ABOUT: &'static str = "Sleeps at random durations, one after the other: 500 of 0.5 to 2 ms, \
        some 800 a second; 200 of 5 to 15 ms, 100 a second; and the same while a thread for each \
        processor does nothing but count. The task that waits gets its thread parked, or its worker \
        if it is tokio's. Lateness is read from the clock inside the waker, before it wakes the task. \
        CPU is that of the whole process.";
    const METRICS: &'static [Metric] = &[
        compared("late p50 us", 1),
        compared("p99 us", 1),
        figure("early", 0),
        figure("CPU us/timer", 0),
    ];
    const HAS_PRECISION: bool = true;

    fn table(&self) -> String {
        let (from, to) = (self.durations.start as f64 / 1e3, self.durations.end as f64 / 1e3);
        let busy = if self.busy { ", every processor busy" } else { "" };
        format!("{from} to {to} ms{busy}")
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let job = run(peer.clone(), self.count, self.durations.clone());
        let measured = || cpu_of(|| peer.run(vec![job]).swap_remove(0));
        let (mut lateness, cpu) = if self.busy { amid_others(measured) } else { measured() };
        let cpu = cpu.filter(|_| !self.busy);
        lateness.sort_unstable();
        let early = lateness.partition_point(|late| *late < 0);
        let micros = |share| Some(quantile(&lateness, share) as f64 / 1e3);
        let values = vec![
            micros(0.5),
            micros(0.99),
            Some(early as f64),
            cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / self.count as f64),
        ];
        Sample { values, lateness }
    }
}

/// Has a thread for each processor count as long as it takes.
fn amid_others<T>(work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    black_box((0..1_000u64).fold(0, |sum, number| black_box(sum + number)));
                }
            });
        }
        let result = work();
        done.store(true, Relaxed);
        result
    })
}

async fn run<P: Peer>(peer: P, count: usize, durations: Range<u64>) -> Vec<i64> {
    let mut rng = Rng::with_seed(1);
    let mut lateness = Vec::with_capacity(count);
    for _ in 0..count {
        lateness.push(one(&peer, Duration::from_micros(rng.u64(durations.clone()))).await);
    }
    lateness
}

/// How late a task is woken from one sleep.
pub(super) async fn one<P: Peer>(peer: &P, duration: Duration) -> i64 {
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
