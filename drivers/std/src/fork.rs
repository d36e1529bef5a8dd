//! A forked child has the memory of the timer, and none of its threads.
//!
//! Before a fork, every timer is frozen: nobody is inside a store while it is copied, and wakers
//! that had left it have been woken. In the child the generation is another, so the next sleep
//! that is created or waited for starts a new thread, without what the parent's other threads may have
//! locked (see `sys`).
//!
//! Nor has the child the threads of the executors whose tasks were waiting. Their wakers would
//! find locks that are taken for ever, and hang the child's timer; or rouse the parent, through a
//! file that both have. So the child forgets them all: a sleep of before the fork wakes nobody
//! until it is polled in the child. `block_on` sees to that for the thread that forked. (If that was by a
//! waker, those that were to be woken with it are woken in the child as well.)

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{ptr, thread};

#[cfg(feature = "clocks")]
use crate::clocks;
use crate::shards::{Core, Seat};
use crate::sys;

/// Of the process that was not forked from one with timers.
const FIRST: u32 = 1;

static GENERATION: AtomicU32 = AtomicU32::new(FIRST);
static TIMERS: Mutex<Vec<Weak<Core>>> = Mutex::new(Vec::new());

/// Held while something is made that all timers share: a child that was forked amid that would wait for
/// ever for the thread that makes it.
static MAKING: Mutex<()> = Mutex::new(());

/// A timer that nobody can turn or begin to drive. Its fields are dropped in this order.
struct Frozen {
    /// Borrows from `core`.
    seat: sys::sync::MutexGuard<'static, Seat>,
    core: Arc<Core>,
}

/// What a fork holds: the timers, and what is not to be copied while another thread changes it.
struct Fork {
    frozen: Vec<Frozen>,
    locks: Locks,
}

struct Locks {
    _timers: MutexGuard<'static, Vec<Weak<Core>>>,
    #[cfg(feature = "clocks")]
    changes: clocks::Held,
    _making: MutexGuard<'static, ()>,
}

thread_local! {
    /// A box that `prepare` left for `parent` or `child`, which run on the same thread; or null. Without a
    /// destructor, so that it is there for a fork by one.
    static HELD: Cell<*mut Fork> = const { Cell::new(ptr::null_mut()) };
}

/// A waker may hold the turn for as long as it likes; a fork waits for it for so long at most.
const PATIENCE: Duration = Duration::from_millis(100);

/// Changes in a forked child.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Relaxed)
}

/// Whether a process of this generation is a forked child.
pub(crate) fn is_child(generation: u32) -> bool {
    generation != FIRST
}

/// From now on, forks are noticed.
fn notice() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| sys::on_fork(prepare, parent, child));
}

/// Makes what all timers share. A fork waits for that, unless nothing has ever been made here before.
pub(crate) fn make<R>(make: impl FnOnce() -> R) -> R {
    notice();
    let _making = making();
    make()
}

fn making() -> MutexGuard<'static, ()> {
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, forks respect this timer.
pub(crate) fn watch(core: &Arc<Core>) {
    notice();
    let mut timers = timers();
    timers.retain(|timer| timer.strong_count() > 0);
    timers.push(Arc::downgrade(core));
}

fn timers() -> MutexGuard<'static, Vec<Weak<Core>>> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Frozen {
    fn new(core: Arc<Core>) -> Self {
        let seat = core.seat();
        // SAFETY: the mutex does not move while `core` is held, and the guard is dropped first.
        let seat: sys::sync::MutexGuard<'static, Seat> = unsafe { std::mem::transmute(seat) };
        core.freeze();
        Frozen { seat, core }
    }

    /// Lets others drive it.
    fn into_core(self) -> Arc<Core> {
        let Frozen { seat, core } = self;
        drop(seat);
        core
    }
}

extern "C" fn prepare() {
    let making = making();
    let timers = timers();
    let frozen: Vec<_> = timers.iter().filter_map(Weak::upgrade).map(Frozen::new).collect();
    let start = Instant::now();
    while frozen.iter().any(|timer| timer.core.is_turning()) && start.elapsed() < PATIENCE {
        thread::yield_now();
    }
    let locks = Locks {
        _timers: timers,
        #[cfg(feature = "clocks")]
        changes: clocks::hold(),
        _making: making,
    };
    HELD.set(Box::into_raw(Box::new(Fork { frozen, locks })));
}

/// What `prepare` left.
fn held() -> Option<Box<Fork>> {
    let held = HELD.replace(ptr::null_mut());
    // SAFETY: it came out of its box in `prepare`, and is taken once.
    (!held.is_null()).then(|| unsafe { Box::from_raw(held) })
}

/// Lets everybody go on; gives the timers, and of each whether somebody has wanted a turn meanwhile. The last
/// handle may be among them, so none is dropped before all go on.
fn let_go(fork: Fork) -> Vec<(Arc<Core>, bool)> {
    let cores: Vec<_> = fork.frozen.into_iter().map(Frozen::into_core).collect();
    drop(fork.locks);
    // SAFETY: `Frozen::new` froze it.
    let wanted: Vec<_> = cores.iter().map(|core| unsafe { core.thaw() }).collect();
    cores.into_iter().zip(wanted).collect()
}

extern "C" fn parent() {
    let Some(fork) = held() else { return };
    // Programs' wakers may be called, so nothing is held any more.
    for (core, wanted) in let_go(*fork) {
        if wanted {
            core.parker.pend();
        }
    }
}

extern "C" fn child() {
    GENERATION.fetch_add(1, SeqCst);
    let Some(mut fork) = held() else { return };
    #[cfg(feature = "clocks")]
    fork.locks.changes.forget();
    for timer in &mut fork.frozen {
        // Those who turned and drove it are threads that this process does not have.
        timer.core.forget_turns();
        // SAFETY: the child has this thread alone, and it is here.
        unsafe { timer.core.forget_others() };
        *timer.seat = Seat::default();
    }
    // Whoever wanted to turn was a thread of the parent's.
    drop(let_go(*fork));
}
