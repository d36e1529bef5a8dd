//! A system that is not there: threads whose order is random and can be repeated, and a clock that
//! advances when the schedule says so. For the tests in `schedules`, under `cfg(shuttle)`.
//!
//! Only the driver is taken apart: the engine's calls are single steps here, save where they read the
//! clock, look up a slot or a node, or call the driver. What happens inside them is loom's matter, see the
//! core's models.

use std::sync::Mutex;

use shuttle::sync::atomic::{AtomicU64, Ordering::*};

pub(crate) const COARSE_LAG: u64 = 0;

pub(crate) mod sync {
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic};
    pub(crate) use std::sync::OnceLock;
}

struct System {
    now: AtomicU64,
    drivers: AtomicU64,
    /// Who is parked until when. No thread is stopped while it has this lock.
    parked: Mutex<Vec<(u64, thread::Thread)>>,
    /// Makes time pass, and waits for somebody who is parked.
    clockmaker: Mutex<Option<thread::Thread>>,
    /// The threads that the driver started.
    started: Mutex<Vec<thread::JoinHandle<()>>>,
}

shuttle::lazy_static! {
    /// One for each schedule.
    static ref SYSTEM: System = System {
        // Not zero: the past has to exist.
        now: AtomicU64::new(1 << 40),
        drivers: AtomicU64::new(0),
        parked: Mutex::default(),
        clockmaker: Mutex::default(),
        started: Mutex::default(),
    };
}

/// The clock; another thread may run before it is read.
pub(crate) fn now_nanos() -> u64 {
    SYSTEM.now.load(SeqCst)
}

pub(crate) fn coarse_nanos() -> u64 {
    now_nanos()
}

/// Who spins sees time pass.
pub(crate) fn spin_loop() {
    SYSTEM.now.fetch_add(10_000, SeqCst);
    thread::yield_now();
}

pub(crate) fn thread_number() -> usize {
    shuttle::current::me().into()
}

/// Whoever begins to drive a timer wants this once.
pub(crate) fn minimise_timer_slack() {
    SYSTEM.drivers.fetch_add(1, SeqCst);
}

/// How many began to drive a timer so far.
pub(crate) fn drivers() -> u64 {
    SYSTEM.drivers.load(SeqCst)
}

pub(crate) fn processor() -> Option<u32> {
    None
}

/// Memory is there, but whoever drives a timer does not know.
pub(crate) const POPULATES: bool = true;

pub(crate) fn populate(_: *mut u8, _: usize) {}

pub(crate) fn no_large_pages(_: *mut u8, _: usize) {}

/// There is no `fork` in these schedules.
pub(crate) fn on_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

pub(crate) mod thread {
    use super::{SYSTEM, SeqCst};
    use std::time::Duration;

    pub(crate) use shuttle::thread::{JoinHandle, Thread, current, park, yield_now};

    pub(crate) fn park_timeout(duration: Duration) {
        let end = SYSTEM.now.load(SeqCst) + duration.as_nanos() as u64;
        let me = current();
        SYSTEM.parked.lock().unwrap().push((end, me.clone()));
        let clockmaker = SYSTEM.clockmaker.lock().unwrap().clone();
        if let Some(clockmaker) = clockmaker {
            clockmaker.unpark();
        }
        park();
        SYSTEM.parked.lock().unwrap().retain(|(_, thread)| thread.id() != me.id());
    }
}

/// Its end is waited for by [`join_all`].
pub(crate) fn start_thread(
    name: String,
    _forked: bool,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<()> {
    let thread = shuttle::thread::Builder::new().name(name).spawn(run)?;
    SYSTEM.started.lock().unwrap().push(thread);
    Ok(())
}

/// Advances the clock to when the first of the parked threads wants to go on, and unparks it; parks
/// the caller if there is none.
pub(crate) fn pass_time() {
    let first = SYSTEM.parked.lock().unwrap().iter().min_by_key(|(end, _)| *end).cloned();
    let Some((end, thread)) = first else {
        *SYSTEM.clockmaker.lock().unwrap() = Some(thread::current());
        if SYSTEM.parked.lock().unwrap().is_empty() {
            thread::park();
        }
        return;
    };
    SYSTEM.now.fetch_max(end, SeqCst);
    SYSTEM.parked.lock().unwrap().retain(|(_, other)| other.id() != thread.id());
    thread.unpark();
}

/// How many threads the driver started so far.
pub(crate) fn threads_started() -> usize {
    SYSTEM.started.lock().unwrap().len()
}

/// Waits until the threads have ended that the driver started.
pub(crate) fn join_all() {
    loop {
        let Some(thread) = SYSTEM.started.lock().unwrap().pop() else { return };
        thread.join().unwrap();
    }
}
