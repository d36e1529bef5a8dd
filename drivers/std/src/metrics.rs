//! What a timer has done.

use crate::Lateness;

/// What has happened in a timer so far; see [`Timer::metrics`](crate::Timer::metrics).
///
/// With the feature `serde` it can be serialised, and read back: also by a version that counts more
/// things than the one that wrote it, which are zero then.
///
/// ```
/// # #[cfg(feature = "test-util")] {
/// use moirai_timer_std::{Metrics, block_on, test::VirtualClock};
/// use std::time::Duration;
///
/// let clock = VirtualClock::new();
/// let timer = clock.timer();
/// let work = timer.sleep(Duration::from_secs(1));
/// let limit = Duration::from_secs(60);
/// assert!(block_on(clock.auto_advance(timer.timeout(limit, work))).is_ok());
///
/// let Metrics { registered, fired, cancelled, armed, .. } = timer.metrics();
/// // The work was done; its limit is not needed any more.
/// assert_eq!((registered, fired, cancelled, armed), (2, 1, 1, 0));
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Metrics {
    /// Sleeps that are armed now.
    pub armed: u64,
    /// Sleeps that were armed so far: those that are, and those that were and ended.
    pub registered: u64,
    /// Sleeps that reached their deadline.
    pub fired: u64,
    /// Sleeps that were dropped before their deadline.
    pub cancelled: u64,
    /// Polls that found no slot, and woke their task at once to try again.
    pub full_repolls: u64,
    /// Visits to the shards by those who turn. An idle timer makes none.
    pub turns: u64,
    /// Those that came when a deadline was expected and found nothing to do: the sleep has ended or
    /// was moved, or there were far deadlines to sort.
    pub vain_turns: u64,
    /// Wakers that panicked.
    pub waker_panics: u64,
    /// Slots that have been put to use. There may be memory for some more.
    pub slots: u64,
    /// How late the timers fired that a turn fired; a sleep that was polled after its deadline,
    /// and before the turn, is not among them.
    pub lateness: Lateness,
}
