//! A rate limiter: a token bucket that needs no task to fill it.
//!
//! The bucket is one point in time: when the next token is there. Who takes a token moves it on by
//! the time that a token takes, and sleeps until the old one. So the waiters come in the order in
//! which they asked, each has exactly one sleep, and an idle limiter costs nothing. Time that is
//! saved up counts for a burst and no more.
//!
//! `cargo run --release --example rate-limiter`

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use moirai_timer_std::Timer;

struct RateLimiter {
    timer: Timer,
    /// The time that a token takes.
    period: Duration,
    /// What is saved up at most.
    burst: Duration,
    /// When the next token is there.
    next: Mutex<Instant>,
}

impl RateLimiter {
    /// So many a second, and up to `burst` at once after a time of rest. None a second is an error.
    fn new(timer: Timer, per_second: u32, burst: u32) -> Result<Self> {
        ensure!(per_second > 0, "a limit of 0 a second lets nobody through");
        let period = Duration::from_secs(1) / per_second;
        // The token that is there, and those that are saved up.
        let burst = period * burst.saturating_sub(1);
        let next = Mutex::new(timer.now() - burst);
        Ok(RateLimiter { timer, period, burst, next })
    }

    /// Takes a token, as soon as there is one. Whoever does not wait for the end loses the token.
    async fn acquire(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(self.timer.now() - self.burst);
            *next = at + self.period;
            at
        };
        self.timer.sleep_until(at).await;
    }
}

fn main() -> Result<()> {
    const PER_SECOND: u32 = 2_000;
    const BURST: u32 = 50;
    const TASKS: u32 = 10;
    const REQUESTS: u32 = 100;

    assert!(RateLimiter::new(Timer::global().clone(), 0, BURST).is_err());
    let tokio = tokio::runtime::Builder::new_multi_thread().build()?;
    tokio.block_on(async {
        let start = Instant::now();
        let limiter = Arc::new(RateLimiter::new(Timer::global().clone(), PER_SECOND, BURST)?);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move {
                    for _ in 0..REQUESTS {
                        limiter.acquire().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let took = start.elapsed();
        let limited = TASKS * REQUESTS - BURST;
        assert!(took >= limited * limiter.period, "never faster");
        let rate = f64::from(limited) / took.as_secs_f64();
        println!("{} requests in {took:.1?}", TASKS * REQUESTS);
        println!("{rate:.0} a second after the burst of {BURST}; allowed are {PER_SECOND}");
        Ok(())
    })
}
