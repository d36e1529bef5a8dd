//! The engine's clock here: nanoseconds of [`Instant`].

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use moirai_timer_core::Ticks;

use crate::sys;

pub(crate) const NANOS: u64 = 1_000_000_000;

struct Epoch {
    instant: Instant,
    coarse: u64,
}

/// Some time ago, so that an instant that was taken before the first use still lies after it.
static EPOCH: LazyLock<Epoch> = LazyLock::new(|| {
    let (now, coarse) = (Instant::now(), sys::coarse_nanos());
    let past = |seconds| Some((now.checked_sub(Duration::from_secs(seconds))?, seconds * NANOS));
    let (instant, back) = past(3600).or_else(|| past(60)).unwrap_or((now, 0));
    Epoch { instant, coarse: coarse.wrapping_sub(back) }
});

pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(NANOS).saturating_add(duration.subsec_nanos() as u64)
}

/// The present.
#[inline]
pub(crate) fn now() -> Ticks {
    ticks_at(Instant::now())
}

/// Zero for what was before the epoch.
#[inline]
pub(crate) fn ticks_at(instant: Instant) -> Ticks {
    Ticks::new(nanos(instant.saturating_duration_since(EPOCH.instant)))
}

/// *Never* is 36 years after the epoch.
pub(crate) fn instant_at(ticks: Ticks) -> Instant {
    EPOCH.instant + Duration::from_nanos(ticks.get())
}

/// Whether `at` is reached. What is far away is seen from a clock that is cheap and lags a little.
#[inline]
pub(crate) fn is_due(at: Ticks) -> bool {
    let coarse = sys::coarse_nanos().wrapping_sub(EPOCH.coarse);
    if at.get() > coarse.saturating_add(2 * sys::COARSE_LAG) {
        return false;
    }
    at <= now()
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
