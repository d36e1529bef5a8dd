//! The future that waits for a point in time.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::{Claim, Handle, RegisterError, Ticks};

/// Completes when its deadline is reached, never before.
///
/// Every poll asks the clock: at or after the deadline it is ready, whether or not anybody has
/// woken the task; before, it is pending, whatever woke it. Polling it again after it was ready is
/// allowed, and ready again.
///
/// # Cost
///
/// Creating one reads the clock, if it was given a duration. The first poll before the deadline
/// takes a slot: a handful of atomic operations, no lock, no allocation. Polling again with the
/// same waker is one read of the clock; a new waker replaces the old one.
///
/// # Interrupts
///
/// On a microcontroller it may be created, polled, reset and dropped in interrupt handlers and
/// critical sections, also in one that interrupts a turn or another call: none waits for another.
/// Polling clones a waker and dropping drops one, which the executor has to allow there, as it has to
/// allow being woken from the timer's interrupt.
///
/// # When there is no slot
///
/// If the pool is full, or the timer was shut down, the sleep stays correct and on time: it wakes
/// its own task at once, over and over, until it is due or a slot is free. That keeps a processor
/// busy, and is counted in the timer's metrics. `try_sleep` fails instead.
///
/// # Cancellation
///
/// Dropping it before it was polled has no effect at all. Dropping it later drops its waker, and either
/// passes its slot to the next sleep, or leaves it to the next turn to take the deadline out and the slot back.
/// It does not wait.
///
/// ```
/// use moirai_timer_core::{ManualDriver, Timer};
/// use core::{pin::pin, task::{Context, Waker}, time::Duration};
///
/// static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
///
/// let mut sleep = pin!(TIMER.sleep(Duration::from_millis(5)));
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(sleep.as_mut().poll(&mut cx).is_pending());
///
/// // Pushed away in time: it is not ready at 5 ms, but at 9.
/// TIMER.driver().advance(4);
/// sleep.reset_after(Duration::from_millis(5));
/// TIMER.driver().advance(4);
/// assert!(sleep.as_mut().poll(&mut cx).is_pending());
/// TIMER.driver().advance(1);
/// assert!(sleep.as_mut().poll(&mut cx).is_ready());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Sleep<H: Handle> {
    handle: H,
    deadline: Ticks,
    tolerance: u64,
    claim: Option<Claim>,
}

impl<H: Handle> Unpin for Sleep<H> {}

impl<H: Handle> Sleep<H> {
    /// Waits until `deadline`.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Sleep, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// let sleep = Sleep::at(&TIMER, Ticks::new(5));
    /// assert_eq!(sleep.deadline(), Ticks::new(5));
    /// ```
    pub fn at(handle: H, deadline: H::Instant) -> Self {
        let deadline = handle.ticks_at(deadline);
        Self::new(handle, deadline)
    }

    /// Waits for `duration` from now; for ever, if that overflows the clock.
    ///
    /// ```
    /// # use moirai_timer_core::{Handle, ManualDriver, Sleep, Timer};
    /// # use core::time::Duration;
    /// // On whichever timer a program has.
    /// async fn settle<H: Handle>(timer: H) {
    ///     Sleep::after(timer, Duration::from_millis(5)).await;
    /// }
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// # drop(settle(&TIMER));
    /// ```
    pub fn after(handle: H, duration: Duration) -> Self {
        let deadline = handle.now().after(handle.ticks_in(duration));
        Self::new(handle, deadline)
    }

    /// Waits for ever, until it is [`reset`](Self::reset).
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Sleep, Timer};
    /// # use core::time::Duration;
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// let mut watchdog = Sleep::never(&TIMER);
    /// assert!(watchdog.deadline().is_never());
    /// watchdog.reset_after(Duration::from_secs(1));
    /// assert_eq!(watchdog.deadline().get(), 1_000);
    /// ```
    pub fn never(handle: H) -> Self {
        Self::new(handle, Ticks::NEVER)
    }

    #[inline]
    fn new(handle: H, deadline: Ticks) -> Self {
        let tolerance = handle.tolerance();
        Sleep { handle, deadline, tolerance, claim: None }
    }

    /// Takes the slot now, instead of at the first poll; none, if the deadline is never.
    ///
    /// # Errors
    /// If there is none, or the timer was shut down.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, RegisterError, Ticks, Timer};
    /// static TIMER: Timer<ManualDriver, 1> = Timer::new(ManualDriver::new());
    /// let first = TIMER.sleep_until(Ticks::new(5)).reserved()?;
    /// let second = TIMER.sleep_until(Ticks::new(5)).reserved();
    /// assert_eq!(second.err(), Some(RegisterError::Full));
    /// # drop(first);
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn reserved(mut self) -> Result<Self, RegisterError> {
        if self.claim.is_none() && !self.deadline.is_never() {
            self.claim = Some(self.handle.claim()?);
        }
        Ok(self)
    }

    /// Lets the sleep wake its task up to `tolerance` after the deadline, so that it can share a
    /// wake-up with others: all of them aim at the roundest point of the clock in their windows.
    ///
    /// Saturates; zero asks for the deadline itself, and is the default unless the timer has
    /// another. A poll in between is ready as always. Takes effect on the next registration or reset.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// # use core::{pin::pin, task::{Context, Waker}, time::Duration};
    /// static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// let ms = Duration::from_millis;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let mut one = pin!(TIMER.sleep(ms(1_003)).with_tolerance(ms(50)));
    /// let mut other = pin!(TIMER.sleep(ms(1_019)).with_tolerance(ms(50)));
    /// assert!(one.as_mut().poll(&mut cx).is_pending() && other.as_mut().poll(&mut cx).is_pending());
    /// TIMER.on_alarm();
    /// // One alarm, for both.
    /// assert_eq!(TIMER.driver().alarm().map(|at| at.get()), Some(1_024));
    /// ```
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = self.handle.ticks_in(tolerance);
        self
    }

    /// The deadline.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, TickCount, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// assert_eq!(TIMER.sleep(TickCount(5)).deadline(), Ticks::new(5));
    /// ```
    pub fn deadline(&self) -> H::Instant {
        self.handle.instant_at(self.deadline)
    }

    /// Whether the deadline is reached.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// let sleep = TIMER.sleep_until(Ticks::new(5));
    /// assert!(!sleep.is_elapsed());
    /// TIMER.driver().advance(5);
    /// assert!(sleep.is_elapsed());
    /// ```
    pub fn is_elapsed(&self) -> bool {
        self.handle.is_due(self.deadline)
    }

    /// Moves the deadline, also of a sleep that has completed.
    ///
    /// A later deadline for an armed sleep is one compare-and-swap; an earlier one is a command
    /// for the next turn, which is made to come in time. The task that waits need not poll again,
    /// unless the sleep had completed or was never polled with a deadline that could be reached.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// let mut sleep = TIMER.sleep_until(Ticks::new(5));
    /// sleep.reset(Ticks::new(9));
    /// TIMER.driver().advance(5);
    /// assert!(!sleep.is_elapsed());
    /// ```
    pub fn reset(&mut self, deadline: H::Instant) {
        self.move_to(self.handle.ticks_at(deadline));
    }

    /// Moves the deadline to `duration` from now; see [`reset`](Self::reset).
    pub fn reset_after(&mut self, duration: Duration) {
        self.move_to(self.handle.now().after(self.handle.ticks_in(duration)));
    }

    pub(crate) fn move_to(&mut self, deadline: Ticks) {
        self.deadline = deadline;
        let alarm = self.alarm();
        if let Some(claim) = &mut self.claim {
            // SAFETY: the claim came from this handle.
            unsafe { self.handle.move_to(claim, alarm) };
        }
    }

    pub(crate) fn handle(&self) -> &H {
        &self.handle
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.deadline
    }

    /// When the task is to be woken.
    #[inline]
    fn alarm(&self) -> Ticks {
        self.deadline.coarsened(self.tolerance)
    }

    #[inline]
    fn release(&mut self, completed: bool) {
        if let Some(claim) = self.claim.take() {
            // SAFETY: the claim came from this handle.
            unsafe { self.handle.release(claim, completed) };
        }
    }

    #[inline]
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.handle.is_due(self.deadline) {
            self.release(true);
            return Poll::Ready(());
        }
        self.wait(cx)
    }

    /// As [`poll_due`](Self::poll_due), but if the slot has fired it is kept for the next deadline,
    /// which is given by [`aim`](Self::aim). Nothing is armed in between.
    pub(crate) fn poll_keeping(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.handle.is_due(self.deadline) {
            // SAFETY: the claim came from this handle.
            if self.claim.as_ref().is_some_and(|claim| unsafe { self.handle.is_armed(claim) }) {
                self.release(true);
            }
            return Poll::Ready(());
        }
        self.wait(cx)
    }

    /// Sets the deadline of a sleep that is not armed.
    pub(crate) fn aim(&mut self, deadline: Ticks) {
        self.deadline = deadline;
    }

    /// Has the task woken at the deadline, which is ahead.
    #[inline]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline.is_never() && self.claim.is_none() {
            return Poll::Pending;
        }
        let alarm = self.alarm();
        if let Some(claim) = &mut self.claim {
            // SAFETY: the claim came from this handle.
            if unsafe { self.handle.attend(claim, alarm, cx.waker()) } {
                return Poll::Pending;
            }
            // Whoever fires it has it in use, or nobody would fire it: leave it, and go on with another.
            self.release(false);
        }
        match self.handle.arm(alarm, cx.waker()) {
            Ok(claim) => self.claim = Some(claim),
            Err(_) => {
                self.handle.stranded();
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl<H: Handle> Future for Sleep<H> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_due(cx)
    }
}

impl<H: Handle> Drop for Sleep<H> {
    #[inline]
    fn drop(&mut self) {
        self.release(false);
    }
}

/// What a [`Sleep`] is waiting for, to be printed.
#[derive(Debug)]
enum State {
    /// The deadline is beyond every clock.
    Never,
    /// The next poll is ready.
    Elapsed,
    /// Nothing will wake the task: it was not polled yet, or the timer had no slot for it then.
    Unarmed,
    /// The same with a slot: it was not polled since that was taken, or since a reset after its end, or
    /// since an interval's last tick.
    Reserved,
    /// The task will be woken.
    Armed,
}

impl<H: Handle> Sleep<H> {
    fn state(&self, now: Ticks) -> State {
        match &self.claim {
            _ if self.deadline.is_never() => State::Never,
            _ if self.deadline <= now => State::Elapsed,
            None => State::Unarmed,
            // SAFETY: the claim came from this handle.
            Some(claim) if unsafe { self.handle.is_armed(claim) } => State::Armed,
            Some(_) => State::Reserved,
        }
    }
}

/// The state (`Never`, `Elapsed`, `Unarmed`, `Reserved`, `Armed`), the deadline, and how far that is.
impl<H: Handle> fmt::Debug for Sleep<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.handle.now();
        let state = self.state(now);
        let mut out = f.debug_struct("Sleep");
        out.field("state", &state);
        if let State::Never = state {
            return out.finish();
        }
        out.field("deadline", &self.deadline());
        let (ahead, behind) = (self.deadline.since(now), now.since(self.deadline));
        match state {
            State::Elapsed => out.field("overdue", &self.handle.duration_of(behind)),
            _ => out.field("remaining", &self.handle.duration_of(ahead)),
        };
        if self.tolerance > 0 {
            out.field("tolerance", &self.handle.duration_of(self.tolerance));
        }
        out.finish()
    }
}
