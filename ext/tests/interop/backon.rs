//! Retries.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use moirai_timer_ext::Deadline;
use moirai_timer_ext::interop::BackonSleeper;
use moirai_timer_std::block_on;
use moirai_timer_std::test::VirtualClock;

use crate::{MS, SECOND, run};

const HOUR: Duration = Duration::from_secs(3600);

/// 1, 2, 4, .. seconds, a minute at most, for ever.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(SECOND)
        .with_max_delay(60 * SECOND)
        .without_max_times()
}

#[test]
fn an_hour_of_retries_takes_an_hour_of_virtual_time() {
    let clock = VirtualClock::new();
    let tries = Cell::new(0);
    // Up after an hour.
    let (timer, up) = (clock.timer(), clock.now() + HOUR);
    let fetch = async || {
        tries.set(tries.get() + 1);
        if timer.now() < up { Err("503") } else { Ok(timer.now()) }
    };
    let answer = fetch.retry(pauses()).sleep(BackonSleeper::on(clock.timer()));
    let answered = block_on(clock.auto_advance(answer)).unwrap();
    // 63 seconds in six steps, and then a minute each.
    assert_eq!(answered, up - HOUR + 63 * SECOND + 59 * 60 * SECOND);
    assert_eq!(tries.get(), 1 + 6 + 59);
}

#[test]
fn retries_with_jitter_end_with_their_budget_on_all_of_tokios_threads() {
    run(async {
        let clock = VirtualClock::new();
        let start = clock.now();
        let clients: Vec<_> = (0..100)
            .map(|seed| {
                let timer = clock.timer();
                tokio::spawn(clock.track(async move {
                    let tried = Mutex::new(Vec::new());
                    let fetch = async || {
                        tried.lock().unwrap().push(timer.now());
                        Err::<(), _>("503")
                    };
                    let budget = Deadline::after(timer.clone(), HOUR);
                    let pauses = pauses().with_jitter().with_jitter_seed(seed);
                    let retry = fetch.retry(pauses).sleep(BackonSleeper::on(timer.clone()));
                    let out_of_time = budget.run(retry).await.is_err();
                    (out_of_time, timer.now(), tried.into_inner().unwrap())
                }))
            })
            .collect();
        clock.run_until_idle().await;
        let mut second_tries = Vec::new();
        for client in clients {
            let (out_of_time, ended, tried) = client.await.unwrap();
            assert!(out_of_time);
            assert_eq!(ended, start + HOUR);
            // A pause is blurred by up to its own length.
            for (pair, bare) in tried.windows(2).zip([1, 2, 4, 8, 16, 32].map(|s| s * SECOND)) {
                let pause = pair[1] - pair[0];
                assert!((bare..2 * bare).contains(&pause), "{pause:?} instead of {bare:?}");
            }
            assert!((30..70).contains(&tried.len()), "{} tries in an hour", tried.len());
            second_tries.push(tried[1]);
        }
        // They don't come all at once.
        second_tries.sort();
        second_tries.dedup();
        assert!(second_tries.len() > 90);
    });
}

#[test]
fn retries_on_the_global_timer_are_never_early() {
    let timer = moirai_timer_std::Timer::global();
    let start = timer.now();
    let pauses = ExponentialBuilder::default().with_min_delay(MS).with_max_times(3);
    let fetch = async || Err::<(), _>("503");
    let retry = fetch.retry(pauses).sleep(BackonSleeper::default());
    assert_eq!(block_on(retry.into_future()), Err("503"));
    assert!(timer.now() >= start + 7 * MS);
}
