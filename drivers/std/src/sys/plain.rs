//! Systems on which there is nothing special to be done.

use std::sync::LazyLock;
use std::time::Instant;

/// This clock does not lag.
pub(crate) const COARSE_LAG: u64 = 0;

/// Nanoseconds since some point in the past.
pub(crate) fn coarse_nanos() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// There is no slack to be set.
pub(crate) fn minimise_timer_slack() {}
