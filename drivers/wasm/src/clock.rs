//! The engine's clock here: nanoseconds of `performance.now()`.

use std::time::Duration;

use moirai_timer_core::Ticks;
use web_time::Instant;

pub(crate) const NANOS: u64 = 1_000_000_000;

thread_local! {
    /// The instant at which the clock was zero: a minute before the first use, if the page is as old, so
    /// that instants of before have a number.
    static ZERO: Instant = {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(60)).unwrap_or(now)
    };
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(NANOS).saturating_add(duration.subsec_nanos().into())
}

pub(crate) fn now() -> Ticks {
    Ticks::of_clock(ticks_at(Instant::now()).get())
}

/// Zero for what was before the clock's zero.
pub(crate) fn ticks_at(instant: Instant) -> Ticks {
    Ticks::new(nanos(ZERO.with(|zero| instant.saturating_duration_since(*zero))))
}

/// *Never* is 36 years after the clock's zero.
pub(crate) fn instant_at(ticks: Ticks) -> Instant {
    ZERO.with(|zero| *zero + Duration::from_nanos(ticks.get()))
}
