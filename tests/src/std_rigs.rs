//! The std driver, in each of the ways in which a program can have it driven.

use std::sync::mpsc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};
use std::vec::Vec;

use moirai_timer_core::{Handle, Metrics, Ticks};
use moirai_timer_std::Timer;

use crate::{AloneRig, CAPACITY, Rig};

/// Far beyond what anything here takes.
const FAR_BEYOND: Duration = Duration::from_secs(120);
const MILLISECOND: u64 = 1_000_000;

/// Waits until `done`, on a machine where something else makes it true.
///
/// # Panics
/// If that takes far too long.
#[track_caller]
pub fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < FAR_BEYOND, "waited for {FAR_BEYOND:?} in vain");
        thread::park_timeout(Duration::from_micros(50));
    }
}

/// Does each job on a thread of its own, one after the other, and lets none of the threads end before all
/// are done: so no two are in one place of the timer because one has taken the other's.
///
/// # Panics
/// If a job does.
pub fn on_live_threads<J, T>(jobs: impl IntoIterator<Item = J>) -> Vec<T>
where
    J: FnOnce() -> T + Send,
    T: Send,
{
    thread::scope(|scope| {
        let mut alive = Vec::new();
        let live = |job: J| {
            let (done, result) = mpsc::channel();
            let (end, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                let _ = done.send(job());
                let _ = ended.recv();
            });
            alive.push(end);
            result.recv().expect("a job panicked")
        };
        jobs.into_iter().map(live).collect()
    })
}

fn core_metrics(timer: &Timer) -> Metrics {
    let std = timer.metrics();
    let mut core = Metrics::default();
    core.armed = u32::try_from(std.armed).expect("a test arms few");
    core.registered = std.registered;
    core.fired = std.fired;
    core.cancelled = std.cancelled;
    core.full_repolls = std.full_repolls;
    core.turns = std.turns;
    core
}

fn wait_for_clock(timer: &Timer, at: Ticks) {
    until(|| Handle::now(timer) >= at);
}

/// A timer with a thread of its own.
pub struct Threaded(Timer);

impl Threaded {
    /// A timer with a thread of its own.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let builder = Timer::builder().capacity(CAPACITY).shards(1).thread_name("conformance");
        Threaded(builder.build().expect("the settings are valid"))
    }
}

impl Rig for Threaded {
    type Handle = Timer;
    const UNIT: u64 = MILLISECOND;

    fn handle(&self) -> &Timer {
        &self.0
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        until(done);
    }

    fn wait_until(&self, at: Ticks) {
        wait_for_clock(&self.0, at);
    }
}

/// A timer without a thread, whose owner calls `turn`.
pub struct Turned(Timer);

impl Turned {
    /// A timer without a thread.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let builder =
            Timer::builder().capacity(CAPACITY).shards(1).driven_by(Waker::noop().clone());
        Turned(builder.build().expect("the settings are valid"))
    }
}

impl Rig for Turned {
    type Handle = Timer;
    const UNIT: u64 = MILLISECOND;

    fn handle(&self) -> &Timer {
        &self.0
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        until(|| {
            self.0.turn();
            done()
        });
    }

    fn wait_until(&self, at: Ticks) {
        self.wait(&mut || self.now() >= at);
    }
}

/// A timer without a thread, that a call of `block_on` drives.
pub struct BlockOn(Timer);

impl BlockOn {
    /// A timer without a thread.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        BlockOn(Timer::builder().without_thread().build().expect("the settings are valid"))
    }
}

impl Rig for BlockOn {
    type Handle = Timer;
    const UNIT: u64 = MILLISECOND;

    fn handle(&self) -> &Timer {
        &self.0
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        let start = Instant::now();
        self.0.block_on(async {
            while !done() {
                assert!(start.elapsed() < FAR_BEYOND, "waited for {FAR_BEYOND:?} in vain");
                self.0.sleep(Duration::from_micros(50)).await;
            }
        });
    }

    fn wait_until(&self, at: Ticks) {
        self.0.block_on(self.0.sleep_until(self.0.instant_at(at)));
    }
}

/// The timer that the whole process shares.
pub struct Global;

impl Rig for Global {
    type Handle = Timer;
    const UNIT: u64 = MILLISECOND;

    fn handle(&self) -> &Timer {
        Timer::global()
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        until(done);
    }

    fn wait_until(&self, at: Ticks) {
        wait_for_clock(Timer::global(), at);
    }
}

macro_rules! alone {
    ($($rig:ty)*) => {$(
        impl AloneRig for $rig {
            fn metrics(&self) -> Metrics {
                core_metrics(&self.0)
            }

            fn turn(&self) {
                self.0.turn();
            }

            fn shutdown(&self) {
                self.0.shutdown();
            }
        }
    )*};
}

alone!(Threaded Turned);
