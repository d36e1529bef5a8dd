//! The same async function on tokio, on smol, and on no executor at all.
//!
//! A sleep does not care who polls it: there is no runtime to enter, no feature to choose, and the
//! timer's own thread serves all of them at once.
//!
//! `cargo run --release --example any-executor`

use std::time::{Duration, Instant};

use moirai_timer_std::{block_on, sleep, timeout};

/// Waits twice, and is told off for a third wait that would be too long.
async fn nap(runner: &str) {
    let start = Instant::now();
    sleep(Duration::from_millis(10)).await;
    sleep(Duration::from_millis(10)).await;

    let an_hour = sleep(Duration::from_secs(3600));
    let verdict = timeout(Duration::from_millis(10), an_hour).await;
    assert!(verdict.is_err());

    let took = start.elapsed();
    assert!(took >= Duration::from_millis(30), "never early");
    println!("{runner:8} waited 3 x 10 ms, and took {took:?}");
}

fn main() -> std::io::Result<()> {
    // tokio. Note that its own time driver is not enabled.
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    runtime.block_on(nap("tokio"));

    // smol.
    smol::block_on(nap("smol"));

    // This thread, and nothing else.
    block_on(nap("block_on"));

    // A future may even move house between two polls. Here it is polled once on this thread, and
    // then goes on as a task of tokio's.
    let mut moving = Box::pin(nap("both"));
    block_on(async {
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(moving.as_mut().poll(cx)));
        assert!(first.await.is_pending());
    });
    runtime.block_on(async { runtime.spawn(moving).await }).map_err(std::io::Error::other)
}
