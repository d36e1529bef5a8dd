//! The engine's clock here: nanoseconds of the system's monotonic clock.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use moirai_timer_core::Ticks;

use crate::sys;

pub(crate) const NANOS: u64 = 1_000_000_000;

/// The instant at which the clock was zero.
///
/// Two clocks can't be read at once. The system's is read second here, so that this is a little
/// too early and deadlines a little too late, by some tens of nanoseconds: the least of a few tries.
static ZERO: LazyLock<Instant> = LazyLock::new(|| {
    let tries = (0..8).map(|_| {
        let before = Instant::now();
        let nanos = sys::now_nanos();
        (before.elapsed(), before - Duration::from_nanos(nanos))
    });
    tries.min_by_key(|(took, _)| *took).expect("there are eight").1
});

#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(NANOS).saturating_add(duration.subsec_nanos() as u64)
}

/// The present.
#[inline]
pub(crate) fn now() -> Ticks {
    Ticks::new(sys::now_nanos())
}

/// Zero for what was before the clock's zero.
#[inline]
pub(crate) fn ticks_at(instant: Instant) -> Ticks {
    Ticks::new(nanos(instant.saturating_duration_since(*ZERO)))
}

/// *Never* is 36 years after the clock's zero.
pub(crate) fn instant_at(ticks: Ticks) -> Instant {
    *ZERO + Duration::from_nanos(ticks.get())
}

/// Whether `at` is reached. What is far away is seen from a clock that is cheap and lags a little.
#[inline]
pub(crate) fn is_due(at: Ticks) -> bool {
    at.get() <= sys::coarse_nanos() + sys::COARSE_LAG && at <= now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_way_to_ticks_and_back() {
        let now = Instant::now();
        for ahead in [0, 1, 999, NANOS, 10 * 365 * 86_400 * NANOS] {
            let at = now + Duration::from_nanos(ahead);
            assert_eq!(instant_at(ticks_at(at)), at);
        }
    }

    #[test]
    fn the_cheap_look_never_takes_the_past_for_the_future() {
        for back in [0, 1, 1_000, 1_000_000, sys::COARSE_LAG, NANOS] {
            assert!(is_due(Ticks::new(now().get().saturating_sub(back))));
        }
    }

    #[test]
    fn what_is_ahead_is_not_due() {
        for ahead in [NANOS / 2, NANOS, 1 << 59] {
            assert!(!is_due(now().after(ahead)));
        }
        assert!(!is_due(Ticks::NEVER));
    }
}
