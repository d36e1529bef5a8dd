//! This project's timer.

use std::pin::Pin;
use std::time::{Duration, Instant};

use moirai_timer_std::{Precision, Sleep, Timer};

use super::Peer;

#[derive(Clone)]
pub struct Moirai {
    timer: Timer,
}

impl Moirai {
    /// The one that the crate's functions use.
    pub fn global() -> Self {
        Moirai { timer: Timer::global().clone() }
    }

    /// One of its own.
    pub fn with(precision: Precision) -> Self {
        let timer = Timer::builder().precision(precision).build();
        Moirai { timer: timer.expect("these settings are valid") }
    }
}

impl Peer for Moirai {
    type Sleep = Sleep;

    #[inline]
    fn sleep_until(&self, deadline: Instant) -> Sleep {
        self.timer.sleep_until(deadline)
    }

    #[inline]
    fn sleep(&self, duration: Duration) -> Sleep {
        self.timer.sleep(duration)
    }

    #[inline]
    fn reset(sleep: Pin<&mut Sleep>, deadline: Instant) {
        sleep.get_mut().reset(deadline);
    }

    fn with_tolerance(sleep: Sleep, tolerance: Duration) -> Option<Sleep> {
        Some(sleep.with_tolerance(tolerance))
    }

    fn turns(&self) -> Option<u64> {
        Some(self.timer.metrics().turns)
    }
}
