//! The wakers that wait, and one slot of a timer that wakes the first of them.
//!
//! embassy hands over a time and a waker, and no future that could hold a slot of the timer. So the
//! wakers wait in a queue here, and the queue holds one slot, which is set to the first of their
//! deadlines. When the timer fires it, it wakes *our* waker, which takes out of the queue what is
//! due, wakes it, and sets the slot anew.
//!
//! # The Holder Invariant
//!
//! The queue and the claim of its slot are used in a critical section only, so there is one holder
//! at a time, as the slot wants it. After each such section the slot is set to the queue's first
//! deadline or an earlier time, or our waker is about to be woken; the exception is a timer without
//! a free slot, then the task in question is woken, and asks again.

use core::cell::RefCell;
use core::mem;
use core::task::{RawWaker, RawWakerVTable, Waker};

use critical_section::Mutex;
use embassy_time_driver::TICK_HZ;
use moirai_timer_core::{Claim, Driver, Engine, Handle, Slots, Store, Ticks, WakerQueue};

use crate::scale;

/// `embassy-time`'s driver on a timer; made by [`time_driver_impl!`](crate::time_driver_impl).
///
/// Up to `N` wakers can wait at the same time, each once, with the earliest deadline that it has
/// asked for. Each takes 28 bytes on a 32-bit machine. All of them together take one slot of the
/// timer `T`, from the first request on.
///
/// # Cost
///
/// A waker that asks again for the time that it waits for, or a later one, is looked up and
/// compared, nothing else. A request for another time is filed in O(log N), inside a critical
/// section; the timer is told only if it is the earliest. Wakers are cloned and woken outside of
/// it, in the timer's turn: usually in its interrupt.
///
/// If the timer's clock has another rate than `embassy-time`'s (its `tick-hz-*` feature), times are
/// converted, rounded so that nothing is early. Rates that don't divide each other cost a division
/// of 128 bits whenever the time is asked for.
///
/// # When there is no room
///
/// With `N` wakers waiting, or no slot for the queue, a waker that asks is woken at once. Its task
/// asks again, over and over, until it is due or there is room; nobody else is disturbed. Each time is
/// counted in the timer's [`full_repolls`](moirai_timer_core::Metrics::full_repolls); with the feature
/// `defmt` the core warns, each time that the number has doubled.
///
/// # Example
///
/// What [`time_driver_impl!`](crate::time_driver_impl) does; by hand, to be asked by somebody else too:
///
/// ```
/// use core::task::Waker;
/// use moirai_timer_core::{ManualDriver, Timer};
/// use moirai_timer_embassy::TimeDriver;
///
/// static TIMER: Timer<ManualDriver<1_000_000>, 8> = Timer::new(ManualDriver::new());
/// static DRIVER: TimeDriver<Timer<ManualDriver<1_000_000>, 8>, 32> = TimeDriver::new(&TIMER);
///
/// assert_eq!(DRIVER.now(), 0);
/// DRIVER.schedule_wake(5, Waker::noop());
/// assert_eq!(TIMER.metrics().map(|so_far| so_far.armed), Some(1));
/// ```
pub struct TimeDriver<T: 'static, const N: usize> {
    timer: &'static T,
    inside: Mutex<RefCell<Inside<N>>>,
}

struct Inside<const N: usize> {
    queue: WakerQueue<N>,
    claim: Option<Claim>,
}

/// No more than its name: what is inside is used in critical sections only.
#[cfg(feature = "defmt")]
impl<T, const N: usize> defmt::Format for TimeDriver<T, N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "TimeDriver");
    }
}

/// There is no room for another waker, or none in the timer for the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Full;

impl<T, const N: usize> TimeDriver<T, N> {
    /// Nobody waits.
    pub const fn new(timer: &'static T) -> Self {
        let inside = Inside { queue: WakerQueue::new(), claim: None };
        TimeDriver { timer, inside: Mutex::new(RefCell::new(inside)) }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inside<N>) -> R) -> R {
        critical_section::with(|section| f(&mut self.inside.borrow_ref_mut(section)))
    }
}

impl<D, M, S, const N: usize> TimeDriver<Engine<D, M, S>, N>
where
    D: Driver,
    M: Slots,
    S: Store,
    Engine<D, M, S>: Sync,
{
    /// The timer's present, at `embassy-time`'s rate.
    pub fn now(&self) -> u64 {
        scale::down(self.timer.now().get(), D::TICK_HZ, TICK_HZ)
    }

    /// Has `waker` woken at `at`, unless it is to be woken earlier anyway.
    ///
    /// May be called from anywhere, interrupts included.
    pub fn schedule_wake(&'static self, at: u64, waker: &Waker) {
        let at = Ticks::new(scale::up(at, TICK_HZ, D::TICK_HZ));
        if at.is_never() {
            return;
        }
        let known = self.with(|inside| {
            let is_first = inside.queue.bring_forward(at, waker)?;
            Some(self.follow(inside, is_first))
        });
        let filed = match known {
            Some(outcome) => outcome,
            None => {
                let waker = waker.clone();
                let filed = self.with(|inside| {
                    inside.queue.insert(at, waker).map(|is_first| self.follow(inside, is_first))
                });
                // A waker that is refused is dropped here, as it runs code of the task's.
                filed.unwrap_or(Err(Full))
            }
        };
        if filed == Err(Full) {
            self.timer.stranded();
            // What was given back may only wait to be counted.
            self.timer.drain();
            self.timer.driver().wake(waker.clone());
        }
    }

    /// Sets the slot to the first deadline of the queue, if that has changed.
    fn follow(&'static self, inside: &mut Inside<N>, has_changed: bool) -> Result<(), Full> {
        if inside.claim.is_none() {
            inside.claim = Some(self.timer.claim_at_hand().map_err(|_| Full)?);
        } else if !has_changed {
            return Ok(());
        }
        let (Some(claim), Some(first)) = (&mut inside.claim, inside.queue.next()) else {
            return Ok(());
        };
        // SAFETY: the claim came from this timer; by the Holder Invariant we are its only holder.
        unsafe {
            if self.timer.attend(claim, first, &self.waker()) {
                self.timer.move_to(claim, first);
            }
            // Otherwise it is being fired at this moment, and our waker will look at the queue.
        }
        Ok(())
    }

    /// What the timer wakes.
    fn waker(&'static self) -> Waker {
        let data = core::ptr::from_ref(self).cast();
        // SAFETY: the functions of the table take a pointer to a driver, which is a static. Nothing
        // is owned, so that cloning and dropping are free; and a driver is `Sync`.
        unsafe { Waker::new(data, &Self::TABLE) }
    }

    const TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| RawWaker::new(data, &Self::TABLE),
        Self::wake,
        Self::wake,
        |_| {},
    );

    fn wake(data: *const ()) {
        // SAFETY: `waker` is the only one that uses the table, and its data is a static driver.
        let this: &'static Self = unsafe { &*data.cast() };
        this.wake_due();
    }

    /// Wakes what is due, and sets the slot anew. A waker that panics does not keep the others
    /// from it. (If two do, that is a panic while unwinding, which aborts.)
    fn wake_due(&'static self) {
        struct Rest<F: FnMut() -> bool>(F);
        impl<F: FnMut() -> bool> Drop for Rest<F> {
            fn drop(&mut self) {
                while (self.0)() {}
            }
        }
        let now = self.timer.now();
        let mut rest = Rest(|| self.wake_first(now));
        while (rest.0)() {}
        mem::forget(rest);
    }

    /// Wakes the first waker that is due; if there is none, sets the slot.
    fn wake_first(&'static self, now: Ticks) -> bool {
        let first = self.with(|inside| {
            let first = inside.queue.pop_due(now);
            if first.is_none() {
                // There is a claim: it is what has fired.
                let _ = self.follow(inside, true);
            }
            first
        });
        first.map(|waker| self.timer.driver().wake(waker)).is_some()
    }
}
