//! Jobs at times of the wall clock, as cron runs them: they follow it when somebody sets it, and when
//! the machine has been asleep.
//!
//! `cargo run --release --features clocks --example cron`
//! `cargo run --release --features clocks --example cron -- "*/5 * * * * *" "0 30 9 * * MON-FRI"`

use std::env;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use croner::Cron;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Zoned;
use jiff::tz::TimeZone;
use moirai_timer_std::{Timer, timeout};

/// Without arguments: three seconds of it.
const JOBS: [&str; 2] = ["* * * * * *", "*/2 * * * * *"];
const SHOWN_FOR: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let patterns =
        if arguments.is_empty() { JOBS.map(String::from).into() } else { arguments.clone() };
    let parse = |pattern: &String| -> Result<Cron> {
        pattern.parse().with_context(|| format!("{pattern:?} is no pattern"))
    };
    let jobs: Vec<_> = patterns.iter().map(parse).collect::<Result<_>>()?;

    let timer = Timer::global();
    let mut all: FuturesUnordered<_> = jobs.iter().map(|cron| run(timer, cron)).collect();
    let end = async { while all.next().await.is_some() {} };
    timer.block_on(async {
        if arguments.is_empty() {
            let _ = timeout(SHOWN_FOR, end).await;
        } else {
            end.await;
        }
    });
    Ok(())
}

/// Runs one job for ever. With the timer of a `VirtualClock`, a test has a year of it in a moment.
async fn run(timer: &Timer, cron: &Cron) {
    // Each time is looked for when the last has come, and waited for whatever happens to the clock. So
    // what a suspend or a clock that was set forward has skipped is left out; and after one that was
    // set back, nothing that has run runs again.
    let mut now = local(timer.system_now());
    while let Ok(next) = cron.find_next_occurrence(&now, false) {
        timer.sleep_until_system(SystemTime::from(next.timestamp())).await;
        now = local(timer.system_now());
        println!("{cron}: due {}, runs {}", next.strftime("%T"), now.strftime("%T%.6f"));
    }
}

fn local(time: SystemTime) -> Zoned {
    let timestamp = time.try_into().expect("the clock shows a year that a calendar has");
    Zoned::new(timestamp, TimeZone::system())
}
