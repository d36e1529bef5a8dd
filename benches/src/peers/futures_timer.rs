//! futures-timer's timer. It knows durations only, so a deadline has to be turned into one first.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;

use super::Peer;

#[derive(Clone)]
pub struct FuturesTimer;

impl Peer for FuturesTimer {
    type Sleep = Delay;

    #[inline]
    fn sleep_until(&self, deadline: Instant) -> Delay {
        Delay::new(deadline.saturating_duration_since(Instant::now()))
    }

    #[inline]
    fn sleep(&self, duration: Duration) -> Delay {
        Delay::new(duration)
    }

    #[inline]
    fn reset(sleep: Pin<&mut Delay>, deadline: Instant) {
        sleep.get_mut().reset(deadline.saturating_duration_since(Instant::now()));
    }
}
