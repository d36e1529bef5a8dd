//! What the timer's driver sleeps on, and what wakes it early.

use std::cell::UnsafeCell;
use std::task::{Wake, Waker};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use moirai_timer_core::Ticks;

use crate::contain::contain;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::*};
use crate::sys::thread::{self, Thread};
use crate::{Builder, Precision, clock, sys};

/// Nothing was asked for.
const NOTHING: u8 = 0;
/// That there be room for more sleeps soon. It is not urgent.
const ROOM: u8 = 1;
/// A turn.
const TURN: u8 = 2;

/// The nudge of one timer. Whoever drives it registers a waker here, looks whether a turn is
/// wanted, turns, and sleeps.
#[derive(Debug)]
pub(crate) struct Parker {
    /// What the driver was asked for, and does not know of yet.
    asked: AtomicU8,
    /// The processor of who asked for room last, if it is known.
    asker: AtomicU32,
    driver: UnsafeCell<AtomicWaker>,
}

// SAFETY: an `AtomicWaker` is `Sync`, and what replaces it is alone.
unsafe impl Sync for Parker {}

impl Parker {
    /// No processor has this number.
    const UNKNOWN: u32 = u32::MAX;

    pub(crate) const fn new() -> Self {
        Parker {
            asked: AtomicU8::new(NOTHING),
            asker: AtomicU32::new(Self::UNKNOWN),
            driver: UnsafeCell::new(AtomicWaker::new()),
        }
    }

    fn driver(&self) -> &AtomicWaker {
        // SAFETY: `forget` is not called while anybody else is about.
        unsafe { &*self.driver.get() }
    }

    /// Forgets the driver. A forked child may find it half-way registered, for ever.
    ///
    /// # Safety
    /// Nobody else uses this at this time.
    pub(crate) unsafe fn forget(&self) {
        // SAFETY: by the caller's promise. What was there is leaked, as it may be half-way.
        unsafe { self.driver.get().write(AtomicWaker::new()) };
    }

    /// Asks for a turn. One system call at most, and only if the driver does not know yet.
    pub(crate) fn pend(&self) {
        if self.asked.swap(TURN, SeqCst) != TURN {
            self.driver().wake();
        }
    }

    /// Asks for room, at the same cost, from a processor.
    pub(crate) fn ask_for_room(&self, from: Option<u32>) {
        self.asker.store(from.unwrap_or(Self::UNKNOWN), Relaxed);
        if self.asked.compare_exchange(NOTHING, ROOM, SeqCst, SeqCst).is_ok() {
            self.driver().wake();
        }
    }

    /// Whether this runs on the processor of who asked for room: what the caller does for them, they wait for.
    pub(crate) fn is_in_their_way(&self) -> bool {
        sys::processor().is_some_and(|here| here == self.asker.load(Relaxed))
    }

    /// The caller will do now what it was asked for; whether that is room, and no turn. A nudge from now on wakes
    /// `waker`, or is seen by [`is_pended`](Self::is_pended).
    ///
    /// In this order: a nudge uses up the waker, so one that came between registering and
    /// forgetting it would leave neither. One that comes between forgetting and registering may
    /// find no waker, and those after it rely on it: so `waker` is woken for it. A loop of the
    /// program's own has nothing else to go by.
    pub(crate) fn attend(&self, waker: &Waker) -> bool {
        let asked = self.asked.swap(NOTHING, SeqCst);
        self.register(waker);
        asked == ROOM
    }

    fn register(&self, waker: &Waker) {
        self.driver().register(waker);
        if self.is_pended() {
            waker.wake_by_ref();
        }
    }

    /// Whether anything was asked for; forgets it.
    #[cfg(feature = "test-util")]
    pub(crate) fn take_pended(&self) -> bool {
        self.asked.swap(NOTHING, SeqCst) != NOTHING
    }

    pub(crate) fn is_pended(&self) -> bool {
        self.asked.load(SeqCst) != NOTHING
    }
}

/// Unparks a thread, and stays set until the thread has seen it: whatever runs on that thread may
/// park for reasons of its own, and be the one that is unparked.
pub(crate) struct Signal {
    set: AtomicBool,
    thread: Thread,
}

impl Signal {
    /// For this thread.
    pub(crate) fn current() -> Arc<Signal> {
        Arc::new(Signal { set: AtomicBool::new(false), thread: thread::current() })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(SeqCst)
    }

    /// Makes visible what everybody wrote who has set it. (A store would not: who finds it set
    /// leaves it alone, and is only seen by reading it.)
    pub(crate) fn clear(&self) {
        self.set.swap(false, SeqCst);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.set.swap(true, SeqCst) {
            self.thread.unpark();
        }
    }
}

/// A waker of the program's, whose panics end here. A timer calls it where nothing may unwind:
/// while a sleep is armed, and within a fork.
pub(crate) struct Contained(pub(crate) Waker);

impl Wake for Contained {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        contain(|| self.0.wake_by_ref(), |_| {});
    }
}

/// Sleeps until a deadline as precisely as it is told to, and learns how late the system is.
pub(crate) struct Sleeper {
    precision: Precision,
    /// Smoothed lateness of a parked thread, and its mean deviation, in nanoseconds: as TCP does
    /// for round trips (Jacobson 1988).
    late: u64,
    deviation: u64,
    allowance: Allowance,
    /// When the last sleep that was not cut short ended.
    woke: Ticks,
}

impl Sleeper {
    /// A deadline that is nearer than this is waited for without parking: no system could do it.
    const BRIEF: u64 = 5_000;
    /// So is one that is nearer than half of what parking makes late, up to this: about so long the
    /// processor is busy with putting the thread to sleep and waking it, so spinning costs no more
    /// (Karlin, Manasse, McGeoch and Owicki 1994).
    const BRIEF_AT_MOST: u64 = 20_000;
    /// So long before an exact deadline the driver turns without pause: the turn that fires then
    /// finds everything in the cache.
    const HOT: u64 = 3_000;
    /// Between two wake-ups, if they need not be precise.
    const RELAXED: u64 = 1_000_000;

    pub(crate) fn new(config: &Builder) -> Self {
        Sleeper {
            precision: config.precision,
            late: 50_000,
            deviation: 25_000,
            allowance: Allowance { share: config.spin_budget, left: 0.0, filled: clock::now() },
            woke: Ticks::ZERO,
        }
    }

    /// Waits until `until`, or until this thread is unparked or `stop` says so.
    ///
    /// It must not go on waiting once it was unparked: a nudge uses up the registered waker, and
    /// the next one would find none.
    pub(crate) fn sleep(&mut self, until: Option<Ticks>, stop: impl Fn() -> bool) {
        let Some(mut until) = until else {
            if !stop() {
                thread::park();
            }
            return;
        };
        if self.precision == Precision::Relaxed {
            until = until.max(self.woke.after(Self::RELAXED));
        }
        let begun = clock::now();
        // So long before the end it is not parked any more, and so long before, it turns.
        let (early, hot) = match self.precision {
            Precision::Relaxed => (0, 0),
            Precision::Default => (self.allowance.grant(begun, self.late + self.deviation), 0),
            Precision::Exact => (self.late + 4 * self.deviation, Self::HOT),
        };
        let early = early.min(1_000_000);
        let brief = match self.precision {
            Precision::Relaxed => 0,
            _ => early.max((self.late / 2).clamp(Self::BRIEF, Self::BRIEF_AT_MOST)),
        };
        let mut now = begun;
        let mut spinning = None;
        while !stop() {
            let left = until.since(now);
            if left <= hot {
                break;
            }
            if left <= brief {
                spinning.get_or_insert(now);
                sys::spin_loop();
                now = clock::now();
                continue;
            }
            let end = now.after(left - early);
            thread::park_timeout(Duration::from_nanos(end.since(now)));
            now = clock::now();
            if now < end {
                break;
            }
            self.learn(now.since(end));
        }
        if let (1.., Some(start)) = (early, spinning) {
            self.allowance.spend(now.since(start));
        }
        if now >= until {
            self.woke = now;
        }
    }

    fn learn(&mut self, late: u64) {
        let error = late.abs_diff(self.late);
        self.late = (7 * self.late + late) / 8;
        self.deviation = (3 * self.deviation + error) / 4;
    }
}

/// Processor time for being precise: a share of the time that passes.
struct Allowance {
    share: f64,
    /// In nanoseconds. Less than nothing after a wait that took longer than was granted.
    left: f64,
    filled: Ticks,
}

impl Allowance {
    /// What is not needed is saved up, but no more than this.
    const MOST: f64 = 1e6;

    /// All of `wanted`, or nothing.
    fn grant(&mut self, now: Ticks, wanted: u64) -> u64 {
        let earned = now.since(self.filled) as f64 * self.share;
        self.left = (self.left + earned).min(Self::MOST);
        self.filled = now;
        if self.left >= wanted as f64 { wanted } else { 0 }
    }

    fn spend(&mut self, nanos: u64) {
        self.left -= nanos as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{RawWaker, RawWakerVTable};

    #[test]
    fn precision_is_granted_until_the_share_is_spent() {
        let start = Ticks::new(1_000);
        let mut allowance = Allowance { share: 0.01, left: 0.0, filled: start };
        assert_eq!(allowance.grant(start.after(4_999_900), 50_000), 0);
        assert_eq!(allowance.grant(start.after(5_000_100), 50_000), 50_000);
        allowance.spend(50_000);
        assert_eq!(allowance.grant(start.after(5_000_200), 50_000), 0);
        // An hour saves up no more than a millisecond.
        let later = start.after(3_600_000_000_000);
        assert_eq!(allowance.grant(later, 1_000_000), 1_000_000);
        allowance.spend(1_000_000);
        assert_eq!(allowance.grant(later, 1), 0);
    }

    #[test]
    fn a_nudge_that_comes_while_the_waker_is_registered_is_not_forgotten() {
        // Registering clones the waker; this one nudges when it is cloned.
        static PARKER: Parker = Parker::new();
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                PARKER.pend();
                RawWaker::new(data, &QUIET)
            },
            |_| {},
            |_| {},
            |_| {},
        );
        static QUIET: RawWakerVTable =
            RawWakerVTable::new(|data| RawWaker::new(data, &QUIET), |_| {}, |_| {}, |_| {});
        // SAFETY: the functions of both tables do nothing with the data.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
        PARKER.attend(&waker);
        assert!(PARKER.is_pended());
    }

    #[test]
    fn who_asks_for_room_does_not_take_away_a_turn() {
        let parker = Parker::new();
        let is_room_alone = |requests: &[fn(&Parker)]| {
            requests.iter().for_each(|request| request(&parker));
            parker.attend(Waker::noop())
        };
        assert!(!is_room_alone(&[]));
        let ask_for_room = |parker: &Parker| parker.ask_for_room(None);
        assert!(is_room_alone(&[ask_for_room]));
        assert!(!is_room_alone(&[ask_for_room, Parker::pend]));
        assert!(!is_room_alone(&[Parker::pend, ask_for_room]));
    }

    /// The two steps of [`Parker::attend`], and the nudge that finds no waker between them.
    #[test]
    fn a_nudge_between_forgetting_and_registering_wakes_who_registers() {
        struct Wakes(std::sync::atomic::AtomicU32);
        impl std::task::Wake for Wakes {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let wakes = std::sync::Arc::new(Wakes(0.into()));
        let waker = Waker::from(wakes.clone());
        let parker = Parker::new();
        parker.asked.store(NOTHING, SeqCst);
        parker.pend();
        parker.register(&waker);
        assert_eq!(wakes.0.load(SeqCst), 1, "for the nudge before it");
        // Those that follow rely on that one.
        parker.pend();
        assert_eq!(wakes.0.load(SeqCst), 1);
        parker.attend(&waker);
        assert_eq!(wakes.0.load(SeqCst), 1, "nothing has happened since");
        parker.pend();
        assert_eq!(wakes.0.load(SeqCst), 2);
    }
}
