//! The state of a virtual clock: what it shows, what is due, and who is busy.

use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use moirai_timer_core::Ticks;

use crate::clock;
use crate::sys::sync::atomic::{AtomicU64, Ordering::*};
use crate::sys::sync::{Mutex, MutexGuard};

/// Where virtual clocks begin: nine years after the system's zero, so that no instant of the
/// system's is mistaken for one of theirs; and always there, so that each run is like the other.
pub(crate) const START: Ticks = Ticks::new(1 << 58);

/// What is earlier than this was not read from a virtual clock.
const EARLIEST: u64 = 1 << 57;

#[derive(Debug)]
pub(crate) struct VirtualTime {
    now: AtomicU64,
    /// Held by whoever is in the engine's exclusive section. No code of the program's runs then.
    turning: Mutex<()>,
    due: Mutex<Due>,
    activity: Mutex<Activity>,
    #[cfg(feature = "clocks")]
    pub(crate) clocks: super::clocks::VirtualClocks,
}

/// What a turn found due, to be woken when it has ended.
#[derive(Debug)]
struct Due {
    wakers: Vec<Waker>,
    total: u64,
    seed: Option<u64>,
}

#[derive(Debug, Default)]
struct Activity {
    /// Tasks that were woken and have not come to rest, and holds.
    busy: usize,
    /// Those who want to look again when something has changed.
    watchers: Vec<Waker>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtualTime {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        VirtualTime {
            now: AtomicU64::new(START.get()),
            turning: Mutex::new(()),
            due: Mutex::new(Due { wakers: Vec::new(), total: 0, seed }),
            activity: Mutex::default(),
            #[cfg(feature = "clocks")]
            clocks: super::clocks::VirtualClocks::new(),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Ticks {
        Ticks::new(self.now.load(SeqCst))
    }

    /// Never goes back.
    pub(super) fn set(&self, to: Ticks) {
        self.now.fetch_max(to.get().min(Ticks::LAST.get()), SeqCst);
    }

    /// # Panics
    /// If the instant is one of the system's clock.
    pub(crate) fn ticks_at(&self, instant: Instant) -> Ticks {
        let at = clock::ticks_at(instant);
        assert!(
            at.get() >= EARLIEST,
            "this deadline was computed from `Instant::now()`, but the timer has a virtual clock: \
             ask the timer for the time, with `Timer::now`"
        );
        at
    }

    /// Keeps others out of the engine's exclusive section.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        lock(&self.turning)
    }

    /// Takes a waker from a turn.
    pub(crate) fn defer(&self, waker: Waker) {
        let mut due = lock(&self.due);
        due.wakers.push(waker);
        due.total += 1;
    }

    /// What the turns have left to be woken, in the order in which it is to be.
    pub(super) fn take_due(&self) -> Vec<Waker> {
        let mut due = lock(&self.due);
        let mut wakers = std::mem::take(&mut due.wakers);
        if let Some(seed) = &mut due.seed {
            shuffle(&mut wakers, seed);
        }
        wakers
    }

    /// How many wakers the turns have taken out so far.
    pub(super) fn total(&self) -> u64 {
        lock(&self.due).total
    }

    pub(super) fn begin(&self) {
        lock(&self.activity).busy += 1;
    }

    pub(super) fn end(&self) {
        let mut activity = lock(&self.activity);
        activity.busy -= 1;
        let idle = activity.busy == 0;
        drop(activity);
        if idle {
            self.notify();
        }
    }

    /// Counts as busy until what this returns is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.begin();
        Busy(self)
    }

    /// Has those look again who wait for something to change.
    pub(super) fn notify(&self) {
        let watchers = std::mem::take(&mut lock(&self.activity).watchers);
        watchers.into_iter().for_each(Waker::wake);
    }

    /// Ready if nobody is busy. In any case the task is woken when something has changed.
    pub(super) fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut activity = lock(&self.activity);
        if !activity.watchers.iter().any(|watcher| watcher.will_wake(cx.waker())) {
            activity.watchers.push(cx.waker().clone());
        }
        if activity.busy == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

pub(super) struct Busy<'a>(&'a VirtualTime);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

pub(super) fn elapsed(now: Ticks) -> Duration {
    Duration::from_nanos(now.since(START))
}

/// Fisher and Yates, with Steele, Lea and Flood's SplitMix64.
fn shuffle<T>(items: &mut [T], state: &mut u64) {
    for last in (1..items.len()).rev() {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = *state;
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^= random >> 31;
        items.swap(last, (random % (last as u64 + 1)) as usize);
    }
}
