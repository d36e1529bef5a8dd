//! tokio's timer, used from threads that are not tokio's: what it costs, and no executor's turn.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::Sleep;

use super::{Peer, on_threads};

#[derive(Clone)]
pub struct Tokio {
    runtime: Arc<Runtime>,
}

impl Tokio {
    /// One worker, which has nothing to do but to drive the timer.
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build();
        Tokio { runtime: Arc::new(runtime.expect("the system has a thread to spare")) }
    }
}

impl Peer for Tokio {
    type Sleep = Sleep;

    #[inline]
    fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep_until(deadline.into())
    }

    #[inline]
    fn sleep(&self, duration: Duration) -> Sleep {
        tokio::time::sleep(duration)
    }

    #[inline]
    fn reset(sleep: Pin<&mut Sleep>, deadline: Instant) {
        sleep.reset(deadline.into());
    }

    fn run<F>(&self, jobs: Vec<F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        on_threads(jobs, || self.runtime.enter())
    }
}
