//! Jobs at times of the wall clock, as cron runs them: they follow it when somebody sets it, and when
//! the machine has been asleep.
//!
//! `cargo run --release --features clocks --example cron`
//! `cargo run --release --features clocks --example cron -- "*/5 * * * * *" "0 30 9 * * MON-FRI"`

use std::env;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use croner::Cron;
use futures_util::future::join_all;
use jiff::Zoned;
use jiff::tz::TimeZone;
use moirai_timer_std::{Timer, timeout};

/// Without arguments: so many runs of each, which take four seconds or less.
const JOBS: [&str; 2] = ["* * * * * *", "*/2 * * * * *"];
const RUNS: usize = 2;
/// Something is wrong by then.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let patterns =
        if arguments.is_empty() { JOBS.map(String::from).into() } else { arguments.clone() };
    let parse = |pattern: &String| -> Result<Cron> {
        pattern.parse().with_context(|| format!("{pattern:?} is no pattern"))
    };
    let jobs: Vec<_> = patterns.iter().map(parse).collect::<Result<_>>()?;

    let timer = Timer::global();
    let runs = if arguments.is_empty() { RUNS } else { usize::MAX };
    let all = join_all(jobs.iter().map(|cron| run(timer, cron, runs)));
    timer.block_on(async {
        if arguments.is_empty() {
            assert_eq!(timeout(LIMIT, all).await?, [RUNS; JOBS.len()]);
        } else {
            all.await;
        }
        Ok(())
    })
}

/// Runs one job so many times, or until its pattern ends; gives how often it ran. With the timer of a
/// `VirtualClock`, a test has a year of it in a moment.
async fn run(timer: &Timer, cron: &Cron, times: usize) -> usize {
    // Each time is looked for when the last has come, and waited for whatever happens to the clock. So
    // what a suspend or a clock that was set forward has skipped is left out; and after one that was
    // set back, nothing that has run runs again.
    let mut now = local(timer.system_now());
    for run in 0..times {
        let Ok(next) = cron.find_next_occurrence(&now, false) else { return run };
        timer.sleep_until_system(SystemTime::from(next.timestamp())).await;
        now = local(timer.system_now());
        assert!(now >= next, "never early");
        println!("{cron}: due {}, runs {}", next.strftime("%T"), now.strftime("%T%.6f"));
    }
    times
}

fn local(time: SystemTime) -> Zoned {
    let timestamp = time.try_into().expect("the clock shows a year that a calendar has");
    Zoned::new(timestamp, TimeZone::system())
}
