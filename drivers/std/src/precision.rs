//! What being on time may cost.

/// How hard the timer's thread tries to be on time. In no case is a timer early.
///
/// Figures from a virtual machine with two processors, where a parked thread wakes some 50 us
/// late; on hardware of one's own it is a fraction of that. `docs/bench` has the measurements.
///
/// ```
/// use moirai_timer_std::{Precision, Timer, block_on};
/// use std::time::Duration;
///
/// // For the few timers that have to be exact, a timer of their own.
/// let exact = Timer::builder().precision(Precision::Exact).build()?;
/// let start = exact.now();
/// block_on(exact.sleep(Duration::from_millis(1)));
/// assert!(exact.now() - start >= Duration::from_millis(1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Wakes up a thousand times a second at most, and fires together what has come due: up to a
    /// millisecond late. Costs least when very many timers fire.
    Relaxed,
    /// Parks until shortly before the deadline and spins for the rest, as long as that takes no more than
    /// a hundredth of a processor's time ([`Builder::spin_budget`](crate::Builder::spin_budget)); beyond
    /// that, parks until the deadline. So timers that are due alone, a few hundred a second, are a few
    /// microseconds late, and others as late as the system wakes a thread. Deadlines that are less
    /// than 5 to 20 us ahead (half of what parking makes late) are waited for without parking, outside that
    /// budget: with 50,000 timers a second that takes four tenths of a processor, with 500,000 all of it.
    #[default]
    Default,
    /// Parks until a little before the deadline and spins for the rest, always: a microsecond late, or a few
    /// when timers are rare, as long as there is a processor free. How early is learned from how late
    /// the system has been, so each wake-up costs 50 to 200 us of processor time; from 50,000 timers a second
    /// on, the thread takes a whole processor.
    Exact,
}
