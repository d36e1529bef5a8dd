//! async-io's timer.

use std::pin::Pin;
use std::time::{Duration, Instant};

use async_io::Timer;

use super::Peer;

#[derive(Clone)]
pub struct AsyncIo;

impl Peer for AsyncIo {
    type Sleep = Timer;

    #[inline]
    fn sleep_until(&self, deadline: Instant) -> Timer {
        Timer::at(deadline)
    }

    #[inline]
    fn sleep(&self, duration: Duration) -> Timer {
        Timer::after(duration)
    }

    #[inline]
    fn reset(sleep: Pin<&mut Timer>, deadline: Instant) {
        sleep.get_mut().set_at(deadline);
    }
}
