//! How the futures reach their timer, and the token that says whose slot it is.

use core::fmt;
use core::num::NonZeroU32;
use core::task::Waker;
use core::time::Duration;

use crate::Ticks;

/// The right to be the only one that uses a slot: its holder arms, moves and releases it.
///
/// Neither `Clone` nor constructible outside: it comes from an engine and goes back to it.
///
/// ```
/// # use moirai_timer_core::{Handle, ManualDriver, RegisterError, Timer};
/// # static TIMER: Timer<ManualDriver, 8> = Timer::new(ManualDriver::new());
/// let claim = TIMER.claim_at_hand()?.with_shard(3);
/// assert_eq!(claim.shard(), 3); // for a handle to several timers
/// // SAFETY: it came from there.
/// unsafe { (&TIMER).release(claim, false) };
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Claim {
    /// The slot's index plus one, so that an `Option<Claim>` is no larger.
    number: NonZeroU32,
    shard: u32,
}

impl Claim {
    pub(crate) fn new(index: u32) -> Claim {
        Claim { number: NonZeroU32::MIN.saturating_add(index), shard: 0 }
    }

    pub(crate) fn index(&self) -> u32 {
        self.number.get() - 1
    }

    /// Notes which of several engines it came from.
    #[must_use]
    pub fn with_shard(self, shard: u32) -> Claim {
        Claim { shard, ..self }
    }

    /// The number given to [`with_shard`](Self::with_shard), or 0.
    pub fn shard(&self) -> u32 {
        self.shard
    }
}

/// Why a timer could not be armed.
///
/// ```
/// # use moirai_timer_core::{ManualDriver, RegisterError, TickCount, Timer};
/// # static TIMER: Timer<ManualDriver, 8> = Timer::new(ManualDriver::new());
/// TIMER.shutdown();
/// match TIMER.try_sleep(TickCount(5)) {
///     Err(RegisterError::Full) => { /* say so to a client, or try again later */ }
///     Err(error) => assert_eq!(error.to_string(), "the timer was shut down"),
///     Ok(sleep) => drop(sleep),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegisterError {
    /// All slots are in use, and there may be no more.
    Full,
    /// The timer was shut down.
    ShutDown,
    /// Nobody drives the timer: the thread that would could not be started.
    NoDriver,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegisterError::Full => "all slots of the timer are in use",
            RegisterError::ShutDown => "the timer was shut down",
            RegisterError::NoDriver => "the timer's thread could not be started",
        })
    }
}

impl core::error::Error for RegisterError {}

/// A way to reach a timer: `&Engine`, or the handle type of a driver crate.
///
/// [`Sleep`](crate::Sleep), [`Timeout`](crate::Timeout) and [`Interval`](crate::Interval) are
/// generic over it; programs have no reason to call it.
///
/// # Safety
///
/// A claim that a handle gave out has to reach the same engine in every later call on that handle.
///
/// # Example
///
/// A handle to the program's only timer that takes no memory, so that each sleep is a word smaller:
///
/// ```
/// use core::{task::Waker, time::Duration};
/// use moirai_timer_core::{Claim, Handle, ManualDriver, RegisterError, Sleep, Ticks, Timer};
///
/// static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
///
/// #[derive(Clone, Copy)]
/// struct OnlyTimer;
///
/// // SAFETY: there is one engine.
/// unsafe impl Handle for OnlyTimer {
///     type Instant = Ticks;
///
///     fn now(&self) -> Ticks { TIMER.now() }
///     fn is_due(&self, at: Ticks) -> bool { (&TIMER).is_due(at) }
///     fn ticks_in(&self, duration: Duration) -> u64 { (&TIMER).ticks_in(duration) }
///     fn duration_of(&self, ticks: u64) -> Duration { (&TIMER).duration_of(ticks) }
///     fn ticks_at(&self, at: Ticks) -> Ticks { at }
///     fn instant_at(&self, at: Ticks) -> Ticks { at }
///     fn tolerance(&self) -> u64 { (&TIMER).tolerance() }
///     fn claim(&self) -> Result<Claim, RegisterError> { (&TIMER).claim() }
///     fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
///         (&TIMER).arm(at, waker)
///     }
///
///     unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
///         // SAFETY: the caller's promise, that the claim came from here, is what is asked for.
///         unsafe { (&TIMER).attend(claim, at, waker) }
///     }
///     unsafe fn move_to(&self, claim: &mut Claim, at: Ticks) {
///         // SAFETY: as above.
///         unsafe { (&TIMER).move_to(claim, at) }
///     }
///     unsafe fn is_armed(&self, claim: &Claim) -> bool {
///         // SAFETY: as above.
///         unsafe { (&TIMER).is_armed(claim) }
///     }
///     unsafe fn release(&self, claim: Claim, completed: bool) {
///         // SAFETY: as above.
///         unsafe { (&TIMER).release(claim, completed) }
///     }
///     fn stranded(&self) { (&TIMER).stranded() }
/// }
///
/// let sleep = Sleep::after(OnlyTimer, Duration::from_millis(5));
/// assert_eq!(sleep.deadline().get(), 5);
/// assert!(size_of_val(&sleep) < size_of_val(&TIMER.sleep_until(Ticks::new(5))));
/// ```
pub unsafe trait Handle {
    /// A point in time, in the terms of the handle's users.
    type Instant: Copy + fmt::Debug;

    /// The present.
    fn now(&self) -> Ticks;

    /// Whether `at` is not ahead any more. To be overridden where *not yet* is known sooner than the time.
    fn is_due(&self, at: Ticks) -> bool {
        at <= self.now()
    }

    /// The ticks that `duration` takes, rounded up; saturates.
    fn ticks_in(&self, duration: Duration) -> u64;

    /// The duration of so many ticks, rounded down.
    fn duration_of(&self, ticks: u64) -> Duration;

    /// `at` in ticks: 0 if it is before the driver's zero, *never* if it is beyond the last tick.
    fn ticks_at(&self, at: Self::Instant) -> Ticks;

    /// The point in time that `at` stands for. *Never* becomes the latest that there is, or some
    /// point far in the future.
    fn instant_at(&self, at: Ticks) -> Self::Instant;

    /// The tolerance, in ticks, of sleeps that are not given another.
    fn tolerance(&self) -> u64 {
        0
    }

    /// Takes a slot, not armed yet.
    fn claim(&self) -> Result<Claim, RegisterError>;

    /// Takes a slot, and arms it: `waker` is woken at `at` or soon after.
    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError>;

    /// Sees to it that `waker` is woken at `at` or soon after: arms the slot, or, if it is armed
    /// already, replaces its waker. False if the slot is in use at this moment by whoever fires it, or
    /// if nobody would fire it; it has to be given up then.
    ///
    /// # Safety
    /// The claim came from this handle.
    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool;

    /// Moves the deadline of an armed slot. Nothing happens to one that is not armed.
    ///
    /// # Safety
    /// The claim came from this handle.
    unsafe fn move_to(&self, claim: &mut Claim, at: Ticks);

    /// Whether the slot is armed; yes if that is not known, which is what it says unless it is
    /// overridden. For printing, and for intervals: they keep a slot that is not.
    ///
    /// # Safety
    /// The claim came from this handle.
    unsafe fn is_armed(&self, claim: &Claim) -> bool {
        let _ = claim;
        true
    }

    /// Gives the slot back; `completed` if the deadline was reached.
    ///
    /// # Safety
    /// The claim came from this handle.
    unsafe fn release(&self, claim: Claim, completed: bool);

    /// Hears that a task found no room, and is woken at once to ask again. For statistics.
    fn stranded(&self);
}
