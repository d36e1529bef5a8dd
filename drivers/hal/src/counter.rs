//! What a port to a new timer has to write.

/// A free-running up-counter with a compare interrupt, at the level of its registers.
///
/// The counter wraps at 2^`BITS`, and nobody ever stops or sets it, so it loses no time. It is read
/// from several interrupt levels at once. A [`CompareDriver`](crate::CompareDriver) does all the
/// rest, and its documentation says how it is used.
///
/// # Example
///
/// On three registers that a machine may have:
///
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
/// use moirai_timer_core::Driver;
/// use moirai_timer_hal::{CompareDriver, Counter};
///
/// # static COUNT: AtomicU32 = AtomicU32::new(5);
/// # static COMPARE: AtomicU32 = AtomicU32::new(0);
/// # static CONTROL: AtomicU32 = AtomicU32::new(0);
/// # mod nvic { pub fn pend() {} }
/// struct Tim2;
///
/// impl Counter for Tim2 {
///     const TICK_HZ: u64 = 1_000_000;
///     const BITS: u32 = 32;
///
///     fn start(&self) {
///         CONTROL.store(0b11, SeqCst); // count, and interrupt
///     }
///
///     fn count(&self) -> u64 {
///         COUNT.load(SeqCst).into()
///     }
///
///     fn set_compare(&self, at: u64) {
///         COMPARE.store(at as u32, SeqCst);
///     }
///
///     fn acknowledge(&self) {
///         CONTROL.fetch_and(!0b100, SeqCst);
///     }
///
///     fn pend(&self) {
///         nvic::pend();
///     }
/// }
///
/// let driver = CompareDriver::new(Tim2);
/// assert_eq!(driver.now().get(), 0);
/// driver.start();
/// assert_eq!(driver.now().get(), 5);
/// ```
pub trait Counter {
    /// Counts a second.
    const TICK_HZ: u64;

    /// The counter's width: 16 to 64 bits.
    const BITS: u32;

    /// How many counts ahead a compare value has to be so that the hardware is sure to see it.
    ///
    /// 1: the next count is soon enough. Timers that pass the value into a slower clock need more.
    const LEAD: u64 = 1;

    /// Starts the counter at zero, and enables the compare interrupt in the timer itself. Called once.
    ///
    /// A counter that goes on from somewhere makes the clock jump there from zero, and fires what was armed
    /// before that at once. If it cannot be set, have [`count`](Self::count) give the distance from where it
    /// was here.
    fn start(&self);

    /// The count: below 2^`BITS`.
    fn count(&self) -> u64;

    /// Has the interrupt raised when the count becomes `at`, below 2^`BITS`. Need not do anything
    /// if it is that already, or if fewer than `LEAD` counts remain.
    ///
    /// Hardware that is told how far ahead, and not when, is told with interrupts masked since the
    /// count was read: one in between would put off the alarm, and nobody would notice.
    fn set_compare(&self, at: u64);

    /// Withdraws an interrupt that was raised.
    fn acknowledge(&self);

    /// Has the handler of the compare interrupt run soon, whatever the counter says. May be called
    /// from anywhere, and before [`start`](Self::start).
    fn pend(&self);
}
