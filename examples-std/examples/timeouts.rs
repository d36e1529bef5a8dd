//! Deadlines around futures, and ticks that are missed.
//!
//! `cargo run --release --example timeouts`

use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{
    Interval, MissedTickBehavior, block_on, interval, sleep, timeout, timeout_at,
};

const MS: Duration = Duration::from_millis(1);

/// A request that takes as long as it is told to.
async fn request(takes: Duration) -> &'static str {
    sleep(takes).await;
    "200 OK"
}

fn main() {
    block_on(async {
        // In time: the value. The sleep behind the timeout is cancelled by being dropped.
        assert_eq!(timeout(60_000 * MS, request(5 * MS)).await, Ok("200 OK"));

        // Too late: the request is dropped along with the timeout, and so is its own sleep.
        match timeout(5 * MS, request(5_000 * MS)).await {
            Ok(answer) => println!("answered: {answer}"),
            Err(elapsed) => println!("request: {elapsed}"),
        }

        // One deadline for several steps: each gets what the others have left of it.
        let deadline = Instant::now() + 20 * MS;
        let mut steps = 0;
        while timeout_at(deadline, request(6 * MS)).await.is_ok() {
            steps += 1;
        }
        assert!(Instant::now() >= deadline, "never early");
        println!("steps before the deadline: {steps}");

        for behaviour in
            [MissedTickBehavior::Skip, MissedTickBehavior::Burst, MissedTickBehavior::Delay]
        {
            let mut ticks = interval(10 * MS);
            ticks.set_missed_tick_behavior(behaviour);
            println!("{behaviour:?}: ticks at {}", held_up(&mut ticks).await);
        }
    });
}

/// Takes five ticks, but is busy for 35 ms after the second. Gives when they were due.
///
/// Skip leaves out what was missed, and stays on schedule; Burst makes up for it; Delay starts a
/// new schedule from where it was held up.
async fn held_up(ticks: &mut Interval) -> String {
    let start = ticks.tick().await;
    let mut due = vec!["0".to_owned()];
    for tick in 1..5 {
        let at = ticks.tick().await - start;
        due.push(format!("{:.0}", at.as_secs_f64() * 1e3));
        if tick == 1 {
            thread::sleep(35 * MS);
        }
    }
    due.join(", ") + " ms"
}
