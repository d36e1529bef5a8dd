//! What the AWS SDK's clients do with a sleep.

use aws_smithy_async::future::rendezvous;
use aws_smithy_async::future::timeout::Timeout;
use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep};
use moirai_timer_ext::interop::SmithySleep;
use moirai_timer_std::block_on;
use moirai_timer_std::test::VirtualClock;

use crate::{MS, SECOND, run};

#[test]
fn an_attempt_times_out_at_its_time_and_the_next_one_is_answered() {
    let clock = VirtualClock::new();
    let (timer, start) = (clock.timer(), clock.now());
    let sleep = SharedAsyncSleep::new(SmithySleep::on(timer.clone()));
    // As the SDK nests them: a timeout for each attempt, and one for the operation.
    let operation = async {
        let slow = Timeout::new(sleep.sleep(3 * SECOND), sleep.sleep(2 * SECOND));
        assert!(slow.await.is_err());
        assert_eq!(timer.now(), start + 2 * SECOND);
        sleep.sleep(SECOND).await;
        let quick = Timeout::new(sleep.sleep(SECOND), sleep.sleep(2 * SECOND));
        quick.await.unwrap();
        timer.now()
    };
    let operation = Timeout::new(operation, sleep.sleep(10 * SECOND));
    assert_eq!(block_on(clock.auto_advance(operation)).unwrap(), start + 4 * SECOND);
    assert_eq!(clock.armed(), 0);
}

#[test]
fn pages_that_come_too_slowly_are_given_up() {
    run(async {
        let clock = VirtualClock::new();
        let (pages, mut page) = rendezvous::channel::<u32>();
        let sleep = SharedAsyncSleep::new(SmithySleep::on(clock.timer()));
        // Each page takes a second longer than the one before.
        let server = sleep.clone();
        tokio::spawn(clock.track(async move {
            for number in 0..10 {
                server.sleep(number * SECOND).await;
                if pages.send(number).await.is_err() {
                    return;
                }
            }
        }));
        let client = tokio::spawn(clock.track(async move {
            let mut got = Vec::new();
            let patience = 4 * SECOND + 500 * MS;
            while let Ok(Some(number)) = Timeout::new(page.recv(), sleep.sleep(patience)).await {
                got.push(number);
            }
            got
        }));
        clock.run_until_idle().await;
        assert_eq!(client.await.unwrap(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_sleep_of_the_global_timer_is_never_early() {
    let start = std::time::Instant::now();
    block_on(SmithySleep::default().sleep(5 * MS));
    assert!(start.elapsed() >= 5 * MS);
}
