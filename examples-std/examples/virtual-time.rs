//! A program that waits for hours, tried out in milliseconds, on three executors.
//!
//! It takes a `Timer` and knows no other clock. Here it is given one whose clock is moved by hand;
//! in the field it would be given `Timer::global()`.
//!
//! `cargo run --release --example virtual-time --features test-util`

use std::future::pending;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use moirai_timer_std::test::{Tracked, VirtualClock};
use moirai_timer_std::{Timer, block_on};

const HOUR: Duration = Duration::from_secs(3600);

/// Asks a server that answers never, with a limit for each try, and pauses that double; gives up
/// after six hours. Says how often it asked.
async fn ask(timer: Timer) -> u32 {
    let deadline = timer.now() + 6 * HOUR;
    let mut pause = Duration::from_secs(1);
    for tries in 1.. {
        let answer = timer.timeout(Duration::from_secs(10), pending::<()>()).await;
        if answer.is_ok() || timer.now() + pause > deadline {
            return tries;
        }
        timer.sleep(pause).await;
        pause = (2 * pause).min(HOUR);
    }
    unreachable!("six hours end")
}

type Program = Tracked<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// Six hours, one after the other, while the executor `spawn` runs the program. Gives how often it
/// asked, and how far the clock was moved.
fn six_hours(executor: &str, spawn: impl FnOnce(Program)) -> (u32, Duration) {
    let begin = Instant::now();
    let (clock, (sender, tries)) = (VirtualClock::new(), channel());
    let timer = clock.timer();
    let program: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        let _ = sender.send(ask(timer).await);
    });
    // The clock waits for what is tracked, whenever that has something to do.
    spawn(clock.track(program));
    block_on(async {
        // From its first poll on.
        clock.until_armed(1).await;
        clock.run_until_idle().await;
    });
    let tries = tries.recv().expect("nothing is armed, so it has given up");
    let hours = clock.elapsed().as_secs_f64() / 3600.0;
    println!(
        "{executor:>8}: {tries} tries in {hours:.1} hours, which took {:.1?}",
        begin.elapsed()
    );
    (tries, clock.elapsed())
}

fn main() -> std::io::Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let on_tokio = six_hours("tokio", |program| drop(tokio.spawn(program)));
    let on_smol = six_hours("smol", |program| smol::spawn(program).detach());
    let on_a_thread =
        six_hours("a thread", |program| drop(std::thread::spawn(|| block_on(program))));
    assert_eq!(on_tokio, on_smol);
    assert_eq!(on_tokio, on_a_thread);
    Ok(())
}
