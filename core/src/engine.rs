//! The timer: registration on one side, the turn on the other, and the alarm between them.
//!
//! # Never lost
//!
//! Let *alarm* be the published time at which the driver will turn without being asked. Then, at
//! every moment at which nobody is inside a call, the alarm is at or before the earliest live
//! deadline, or a turn is pending:
//!
//! * A producer pushes its slot, *then* reads the alarm; if its deadline is earlier, it pends.
//! * A turner publishes the alarm, *then* looks at the queue once more.
//!
//! All four are sequentially consistent, so at least one of the two sees the other. If the turner
//! sees the slot, it lowers the alarm to suit it, and never raises it without looking once more.
//! Lowering needs no further look: a producer that read the alarm before had compared itself with
//! a later time, so it pended if it mattered. A producer with a deadline that is no earlier than
//! the alarm does nothing: the turn that comes at the alarm takes the queue before it looks at the
//! store.
//!
//! A slot that is armed, parked or kept, and not linked, is in the store under a key that is no later than the
//! deadline in its word, or in the turner's hands, which look at the word. (It was filed under its deadline;
//! since then, whoever made that earlier has linked it.) So whoever makes it later, or adopts it for a later
//! deadline, says nothing. Where the turner files a slot anew, it may have read the word before its deadline
//! was made earlier: then that was pushed, and the turner has yet to publish the alarm and look at the queue.
//!
//! Whoever finds the exclusive section taken leaves a mark, and the one inside pends when it
//! leaves. So a turner that could not enter may sleep, whatever it failed to see.
//!
//! # Timeouts that are never needed
//!
//! Most timeouts are cancelled, many before the turn that they asked for has even begun. That turn
//! finds nothing armed. If it took the alarm away, the next timeout would have to ask for a turn
//! again, and the next. So it leaves the alarm where the timeout had wanted it: at the price of
//! one turn in vain then, all timeouts that are later ask for nothing.
//!
//! # Other turners
//!
//! Any number of callers may turn, also beside the driver. A turn may take a slot out of the queue
//! between its producer's push and the producer's reading of the alarm; the producer then finds an
//! alarm that suits it, and is content. So who lowers the alarm has to see to it that the driver
//! follows: the driver itself sets its own ([`Engine::drive`]), everybody else pends.
//!
//! What a producer does is in `produce`, what a turner does in `turn`.

mod produce;
mod turn;

use core::ops::{Deref, DerefMut};
use core::time::Duration;

use crate::batch::Unfinished;
use crate::exclusive::{Exclusive, Section};
use crate::kept::Kept;
use crate::parked::Parked;
use crate::pool::{Pool, room};
use crate::queue::CommandQueue;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use crate::ticks::ticks_in;
use crate::{Driver, HeapStore, Inline, Slot, Slots, Store, Ticks};

/// A timer with room for `N` armed sleeps, all of it in the value itself.
///
/// An armed sleep takes 48 bytes on a 64-bit machine, 40 on a 32-bit one.
///
/// ```
/// use moirai_timer_core::{ManualDriver, Timer};
/// static TIMER: Timer<ManualDriver, 32> = Timer::new(ManualDriver::new());
/// ```
pub type Timer<D, const N: usize> = Engine<D, [Slot; N], HeapStore<Inline<N>>>;

/// How many commands a caller of [`Engine::drain`] applies at most.
const HELPING: u32 = 256;

/// From how many commands on a producer applies some. Fewer may wait for the next turn, and may
/// annihilate each other until then; if more did, what is due among them would wait for the rest.
const CROWD: u32 = if cfg!(loom) { 3 } else { 1 << 12 };

/// Each time that so many more have come, it applies twice as many: so it is done with what it has
/// taken when half as many have come, and takes 2 * `CROWD` at most. Several producers of one engine
/// get in each other's way there, and it may be a few times as many.
const SHARE: u32 = if cfg!(loom) { 1 } else { 4 };

/// What producers write. On machines with caches it has lines of its own.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[derive(Debug)]
struct Producers {
    pool: Pool,
    queue: CommandQueue,
    parked: Parked,
    kept: Kept,
    /// Index plus one of a slot that may be revived; 0: none is known.
    cancelled: AtomicU32,
    stranded: AtomicU64,
}

/// What producers read and the turner writes.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[derive(Debug)]
struct Published {
    /// [Mirrored](Ticks::mirrored).
    alarm: AtomicU64,
    closed: AtomicBool,
}

/// What belongs to whoever turns.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[derive(Debug)]
struct Inside<S> {
    store: S,
    /// The rest of the batch that was taken last: index plus one of its first slot.
    backlog: u32,
    /// The earliest deadline of those that were cancelled before a turn saw them armed, since the
    /// alarm was published last. [Mirrored](Ticks::mirrored).
    vain: Ticks,
    turns: u64,
    vain_turns: u64,
    fired: u64,
    /// What `fired` was when the alarm was published last.
    fired_before: u64,
    cancelled: u64,
}

/// A timer over any driver `D`, any place for slots `M`, and any store `S`; see [`Timer`].
///
/// All methods may be called from anywhere, interrupts included, unless they say otherwise; none
/// of them waits for another caller.
///
/// Programs ask it for futures; here of a clock with one tick a millisecond.
///
/// ```
/// # use core::{future::Future, pin::pin, task::{Context, Poll, Waker}};
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let (mut future, mut cx) = (pin!(future), Context::from_waker(Waker::noop()));
/// #     loop {
/// #         match future.as_mut().poll(&mut cx) {
/// #             Poll::Ready(value) => return value,
/// #             Poll::Pending => TIMER.driver().advance(1),
/// #         }
/// #         TIMER.on_alarm();
/// #     }
/// # }
/// use core::{future::pending, time::Duration};
/// use moirai_timer_core::{Elapsed, ManualDriver, RegisterError, Ticks, Timer};
///
/// static TIMER: Timer<ManualDriver<1_000>, 2> = Timer::new(ManualDriver::new());
/// let ms = Duration::from_millis;
///
/// # let program =
/// async {
///     TIMER.sleep(ms(5)).await;
///     TIMER.sleep_until(Ticks::new(7)).await;
///     assert_eq!(TIMER.now(), Ticks::new(7));
///
///     assert_eq!(TIMER.timeout(ms(3), async { 42 }).await, Ok(42));
///     assert_eq!(TIMER.timeout_at(Ticks::new(9), pending::<()>()).await, Err(Elapsed::new()));
///
///     let mut ticks = TIMER.interval(ms(10));
///     assert_eq!(ticks.tick().await, Ticks::new(9)); // at once
///     ticks = TIMER.interval_at(Ticks::new(30), ms(10));
///     assert_eq!(ticks.tick().await, Ticks::new(30));
///     drop(ticks);
///
///     // For those who want to know now whether there is room.
///     let one = TIMER.try_sleep(ms(5))?;
///     let another = TIMER.try_sleep_until(TIMER.after(ms(5)))?;
///     assert_eq!(TIMER.try_sleep(ms(5)).err(), Some(RegisterError::Full));
///     one.await;
///     another.await;
///     Ok::<(), RegisterError>(())
/// }
/// # ;
/// # block_on(program).unwrap();
/// ```
///
/// Whoever drives it turns it, and can see what it is doing.
///
/// ```
/// use core::{future::Future, pin::pin, task::{Context, Waker}};
/// use moirai_timer_core::{ManualDriver, Slots, TickCount, Ticks, Timer};
///
/// static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut sleep = pin!(TIMER.sleep(TickCount(5)));
/// assert!(sleep.as_mut().poll(&mut cx).is_pending());
///
/// assert!(TIMER.driver().take_interrupt());
/// TIMER.on_alarm(); // the handler of that interrupt
/// assert_eq!(TIMER.alarm(), Ticks::new(5));
/// assert_eq!(TIMER.next_deadline(), Some(Ticks::new(5)));
///
/// TIMER.driver().advance(5);
/// assert_eq!(TIMER.turn(), None); // somebody else, who need not wait for anything more
/// let metrics = TIMER.metrics().expect("nobody else is inside");
/// assert_eq!((metrics.armed, metrics.fired), (0, 1));
/// assert_eq!(TIMER.slots().capacity(), 8);
///
/// TIMER.shutdown();
/// assert!(TIMER.is_shut_down() && TIMER.try_sleep(TickCount(5)).is_err());
/// ```
// A model prints every atomic before its threads start.
#[cfg_attr(loom, derive(Debug))]
pub struct Engine<D, M, S> {
    producers: Producers,
    published: Published,
    inside: Exclusive<Inside<S>>,
    /// Of sleeps that do not say; in ticks.
    tolerance: u64,
    driver: D,
    slots: M,
}

/// What has happened in a timer so far.
///
/// ```
/// # use moirai_timer_core::{ManualDriver, TickCount, Timer};
/// # use core::{future::Future, pin::Pin, task::{Context, Waker}};
/// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
/// let mut sleep = TIMER.sleep(TickCount(5));
/// # let mut cx = Context::from_waker(Waker::noop());
/// assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
/// assert_eq!(TIMER.metrics().map(|so_far| so_far.armed), Some(1));
///
/// drop(sleep);
/// TIMER.on_alarm();
/// let so_far = TIMER.metrics().expect("nobody else is inside");
/// assert_eq!((so_far.registered, so_far.cancelled, so_far.armed), (1, 1, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Metrics {
    /// Sleeps that are armed now, of those whose registration a turn has seen.
    pub armed: u32,
    /// Sleeps that were armed so far: those that are, and those that were and ended.
    pub registered: u64,
    /// Sleeps that reached their deadline.
    pub fired: u64,
    /// Sleeps that were dropped before their deadline.
    pub cancelled: u64,
    /// Polls that found no slot, and woke their task at once to try again.
    pub full_repolls: u64,
    /// Turns, each the visit of one caller to the exclusive section.
    pub turns: u64,
    /// Those at the time of the alarm that fired nothing: the sleep that it was set for was dropped
    /// or moved, or the store had far deadlines to sort.
    pub vain_turns: u64,
}

/// What a [`drain`](Engine::drain) did.
///
/// ```
/// # use moirai_timer_core::{Drained, ManualDriver, TickCount, Timer};
/// # use core::{future::Future, pin::Pin, task::{Context, Waker}};
/// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
/// let mut sleep = TIMER.sleep(TickCount(5));
/// # let mut cx = Context::from_waker(Waker::noop());
/// assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
/// drop(sleep);
/// // Registered and cancelled: one command.
/// assert_eq!(TIMER.drain(), Drained { applied: 1, freed: 1 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drained {
    /// Commands that it applied.
    pub applied: u32,
    /// Slots that it gave back to the pool.
    pub freed: u32,
}

impl<D: Driver, const N: usize> Timer<D, N> {
    /// A timer with nothing armed.
    ///
    /// Fails to compile if `N` is 0 or more than 2^24, or the driver's clock has 0 ticks a second:
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// static TIMER: Timer<ManualDriver<1_000>, 0> = Timer::new(ManualDriver::new());
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// static TIMER: Timer<ManualDriver<0>, 8> = Timer::new(ManualDriver::new());
    /// ```
    pub const fn new(driver: D) -> Self {
        const { room::<N>() };
        Engine::with_parts(driver, [const { Slot::new() }; N], HeapStore::new())
    }
}

impl<D: Driver, M: Slots, S: Store> Engine<D, M, S> {
    /// A timer made of its parts: none of the slots in use, the store empty, and with room for as many
    /// as there are slots. A store without room, that cannot make any, panics in a turn, and the next goes on.
    ///
    /// An array of 0 slots, or of more than 2^24, fails to compile where the timer is used:
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_core::{Engine, HeapStore, Inline, ManualDriver, Slot};
    /// static TIMER: Engine<ManualDriver, [Slot; 0], HeapStore<Inline<8>>> =
    ///     Engine::with_parts(ManualDriver::new(), [], HeapStore::new());
    /// TIMER.metrics();
    /// let _ = TIMER.try_sleep(core::time::Duration::ZERO);
    /// ```
    ///
    /// ```
    /// use moirai_timer_core::{Engine, HeapStore, Inline, ManualDriver, Slot};
    ///
    /// // What `Timer<ManualDriver, 8>` is.
    /// static TIMER: Engine<ManualDriver, [Slot; 8], HeapStore<Inline<8>>> =
    ///     Engine::with_parts(ManualDriver::new(), [const { Slot::new() }; 8], HeapStore::new());
    /// # assert!(TIMER.next_deadline().is_some_and(|at| at.is_never()));
    /// ```
    pub const fn with_parts(driver: D, slots: M, store: S) -> Self {
        const { assert!(D::TICK_HZ > 0, "a clock has at least one tick a second") };
        Engine {
            producers: Producers {
                pool: Pool::new(),
                queue: CommandQueue::new(),
                parked: Parked::new(),
                kept: Kept::new(),
                cancelled: AtomicU32::new(0),
                stranded: AtomicU64::new(0),
            },
            published: Published {
                alarm: AtomicU64::new(Ticks::NEVER.mirrored().get()),
                closed: AtomicBool::new(false),
            },
            inside: Exclusive::new(Inside {
                store,
                backlog: 0,
                vain: Ticks::NEVER.mirrored(),
                turns: 0,
                vain_turns: 0,
                fired: 0,
                fired_before: 0,
                cancelled: 0,
            }),
            tolerance: 0,
            driver,
            slots,
        }
    }

    /// The tolerance of sleeps that are not given [another](crate::Sleep::with_tolerance): none by
    /// default.
    ///
    /// ```
    /// use core::time::Duration;
    /// use moirai_timer_core::{ManualDriver, Timer};
    ///
    /// static TIMER: Timer<ManualDriver<1_000>, 32> =
    ///     Timer::new(ManualDriver::new()).with_tolerance(Duration::from_millis(50));
    ///
    /// let sleep = TIMER.sleep(Duration::from_millis(5));
    /// # let driver = TIMER.driver();
    /// # let mut sleep = core::pin::pin!(sleep);
    /// # let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
    /// # assert!(core::future::Future::poll(sleep.as_mut(), &mut cx).is_pending());
    /// # while driver.take_interrupt() { TIMER.on_alarm() }
    /// // Its task is woken after 5 to 55 milliseconds, at the roundest point of the clock in between.
    /// assert_eq!(driver.alarm().unwrap().get(), 32);
    /// ```
    pub const fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = ticks_in(tolerance, D::TICK_HZ);
        self
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// Where the slots are.
    pub fn slots(&self) -> &M {
        &self.slots
    }

    /// Refuses new sleeps from now on. Those that are armed still fire on time.
    pub fn shutdown(&self) {
        self.published.closed.store(true, Relaxed);
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.published.closed.load(Relaxed)
    }

    /// When the earliest sleep is due, or earlier if the store sorts by then, or many sleeps have been moved
    /// further away; never, if nothing is armed. `None` while another caller is inside.
    ///
    /// Applies the commands that wait, as [`metrics`](Self::metrics) does.
    pub fn next_deadline(&self) -> Option<Ticks> {
        let mut inside = self.try_enter_up_to_date()?;
        self.refile(&mut inside);
        let first = inside.store.next();
        self.leave(inside);
        Some(first.unwrap_or(Ticks::NEVER))
    }

    /// When the driver was told to turn next, at the latest: an earlier deadline that has been
    /// registered since has called [`Driver::pend`]. Costs a load.
    pub fn alarm(&self) -> Ticks {
        Ticks::new(self.published.alarm.load(Relaxed)).mirrored()
    }

    /// What has happened so far; `None` while another caller is inside.
    ///
    /// Applies the commands that wait, so that they are counted. Meanwhile the driver's turn is kept out, also while
    /// the caller is preempted: where tasks have several priorities, call it in a critical section.
    pub fn metrics(&self) -> Option<Metrics> {
        let inside = self.try_enter_up_to_date()?;
        let armed = inside.store.len();
        let cancelled = inside.cancelled + self.producers.kept.cancelled();
        let metrics = Metrics {
            armed,
            registered: armed as u64 + inside.fired + cancelled,
            fired: inside.fired,
            cancelled,
            full_repolls: self.producers.stranded.load(Relaxed),
            turns: inside.turns,
            vain_turns: inside.vain_turns,
        };
        self.leave(inside);
        Some(metrics)
    }

    /// Keeps every turner out until [`thaw`](Self::thaw); false if somebody is inside.
    ///
    /// For the moment of a `fork`, which must not copy a store that is half-way changed. Producers
    /// are not affected.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// assert!(TIMER.try_freeze());
    /// assert!(!TIMER.try_freeze() && TIMER.turn().is_none());
    /// # // SAFETY: it was frozen.
    /// # assert!(unsafe { TIMER.thaw() });
    /// ```
    pub fn try_freeze(&self) -> bool {
        self.inside.try_enter().map(core::mem::forget).is_some()
    }

    /// Undoes a [`try_freeze`](Self::try_freeze) that returned true. Whether somebody was kept out meanwhile:
    /// then the caller sees to it that a turn follows.
    ///
    /// # Safety
    /// It did return true, and has not been undone.
    ///
    /// ```
    /// # use moirai_timer_core::{Driver, ManualDriver, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// # fn fork() -> u32 { 0 }
    /// assert!(TIMER.try_freeze());
    /// let child = fork();
    /// // SAFETY: it was frozen, two lines above.
    /// if unsafe { TIMER.thaw() } {
    ///     TIMER.driver().pend();
    /// }
    /// # assert_eq!((child, TIMER.next_deadline()), (0, Some(moirai_timer_core::Ticks::NEVER)));
    /// ```
    #[must_use = "somebody may rely on a turn"]
    pub unsafe fn thaw(&self) -> bool {
        // SAFETY: by the caller's promise the section was entered and forgotten.
        unsafe { self.inside.resume() }.leave()
    }

    /// Forgets whom to wake, for all sleeps: each of them has to be polled again. The wakers are
    /// leaked.
    ///
    /// For a forked child, in which those that were to be woken run on threads that it does not
    /// have, and may have left locks taken that their wakers need. Looks at every slot that was
    /// ever used.
    ///
    /// # Safety
    /// Nobody else uses the timer at this time.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// # fn fork() -> u32 { 0 }
    /// if fork() == 0 {
    ///     // SAFETY: the child has one thread, which is here.
    ///     unsafe { TIMER.forget_wakers() };
    /// }
    /// ```
    pub unsafe fn forget_wakers(&self) {
        for index in 0..self.producers.pool.reach() {
            // SAFETY: by the caller's promise.
            unsafe { self.slots.slot(index).forget_waker() };
        }
    }

    fn try_enter(&self) -> Option<Held<'_, D, S>> {
        self.inside.try_enter().map(|section| self.held(section))
    }

    fn held<'a>(&'a self, section: Section<'a, Inside<S>>) -> Held<'a, D, S> {
        Held { section, unfinished: Unfinished(&self.driver) }
    }

    fn leave(&self, inside: Held<'_, D, S>) {
        let Held { section, unfinished } = inside;
        core::mem::forget(unfinished);
        if section.leave() {
            self.driver.pend();
        }
    }
}

/// The section, entered. If a panic takes it away, the section is free first, and then somebody is asked to come
/// for what was not done, and for those who were kept out: so its fields are dropped in this order.
struct Held<'a, D: Driver, S> {
    section: Section<'a, Inside<S>>,
    unfinished: Unfinished<'a, D>,
}

impl<D: Driver, S> Deref for Held<'_, D, S> {
    type Target = Inside<S>;
    fn deref(&self) -> &Inside<S> {
        &self.section
    }
}

impl<D: Driver, S> DerefMut for Held<'_, D, S> {
    fn deref_mut(&mut self) -> &mut Inside<S> {
        &mut self.section
    }
}
