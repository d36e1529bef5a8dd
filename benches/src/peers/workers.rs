//! tokio's timers, used from tokio's own workers: where its unstable timer has to be used, and for
//! comparison the standard one as well.

use std::pin::Pin;
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::Sleep;

use super::Peer;

/// The most workers that a workload asks for.
const MOST: usize = 8;

#[derive(Clone)]
pub struct Workers {
    /// The runtime of one worker, that of two, ...; made when it is needed.
    runtimes: Arc<[OnceLock<Runtime>; MOST]>,
    enable: fn(&mut Builder) -> &mut Builder,
}

impl Workers {
    /// With the standard timer.
    pub fn new() -> Self {
        Self::enabling(Builder::enable_time)
    }

    /// With the unstable timer, which has a wheel for each worker.
    #[cfg(tokio_unstable)]
    pub fn with_wheels() -> Self {
        Self::enabling(Builder::enable_alt_timer)
    }

    fn enabling(enable: fn(&mut Builder) -> &mut Builder) -> Self {
        Workers { runtimes: Arc::new([const { OnceLock::new() }; MOST]), enable }
    }

    fn runtime(&self, workers: usize) -> &Runtime {
        self.runtimes[workers - 1].get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            (self.enable)(builder.worker_threads(workers))
                .build()
                .expect("the system has a thread to spare")
        })
    }
}

impl Peer for Workers {
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
        let runtime = self.runtime(jobs.len());
        // Holds the first worker until the last has a job too, so none has two.
        let everybody = Arc::new(Barrier::new(jobs.len()));
        let spawn = |job: F| {
            let everybody = everybody.clone();
            runtime.spawn(async move {
                everybody.wait();
                job.await
            })
        };
        let tasks: Vec<_> = jobs.into_iter().map(spawn).collect();
        tasks.into_iter().map(|task| runtime.block_on(task).expect("a job panicked")).collect()
    }

    /// The timer is driven when the worker is between two tasks.
    async fn breathe(&self) {
        tokio::task::yield_now().await;
    }
}
