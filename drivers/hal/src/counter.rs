//! What a port to a new timer has to write.

/// A free-running up-counter with a compare interrupt, at the level of its registers.
///
/// The counter wraps at 2^`BITS`, and nobody ever stops or sets it, so it loses no time. It is read
/// from several interrupt levels at once. A [`CompareDriver`](crate::CompareDriver) does all the
/// rest, and its documentation says how it is used.
pub trait Counter {
    /// Counts a second.
    const TICK_HZ: u64;

    /// The counter's width: 16 to 64 bits.
    const BITS: u32;

    /// How many counts ahead a compare value has to be so that the hardware is sure to see it.
    ///
    /// 1: the next count is soon enough. Timers that pass the value into a slower clock need more.
    const LEAD: u64 = 1;

    /// Starts the counter, and enables the compare interrupt in the timer itself. Called once.
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
