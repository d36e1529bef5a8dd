//! Tasks of RTIC 2 at two priorities, which sleep on a timer of ours. SysTick drives it, at a priority
//! above both.

#![no_std]
#![no_main]

use moirai_timer_core::Timer;
use moirai_timer_cortex_m::SysTick;
use semihosting as _;

const HZ: u64 = 12_500_000;

// SAFETY: nobody else uses the timer.
static TIMER: Timer<SysTick<HZ>, 8> = Timer::new(unsafe { SysTick::take() });

#[rtic::app(device = lm3s6965, dispatchers = [UART0, UART1])]
mod app {
    use core::time::Duration;

    use cortex_m::peripheral::syst::SystClkSource;
    use semihosting::println;

    use super::{HZ, TIMER};

    #[shared]
    struct Shared {
        beats: u32,
    }

    #[local]
    struct Local {}

    #[init]
    fn init(_: init::Context) -> (Shared, Local) {
        TIMER.driver().start(SystClkSource::Core);
        beat::spawn().expect("it is spawned once");
        count::spawn().expect("it is spawned once");
        (Shared { beats: 0 }, Local {})
    }

    #[task(binds = SysTick, priority = 3)]
    fn tick(_: tick::Context) {
        TIMER.on_alarm();
    }

    /// The urgent one.
    #[task(priority = 2, shared = [beats])]
    async fn beat(mut context: beat::Context) {
        let mut ticks = TIMER.interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            context.shared.beats.lock(|beats| *beats += 1);
        }
    }

    /// The other one, which is interrupted by it.
    #[task(priority = 1, shared = [beats])]
    async fn count(mut context: count::Context) {
        for round in 1..=3 {
            let start = TIMER.now();
            // For a while it does not sleep, and is interrupted.
            while TIMER.now().since(start) < HZ / 50 {}
            TIMER.sleep(Duration::from_millis(80)).await;
            let beats = context.shared.beats.lock(|beats| *beats);
            assert!(beats >= 10 * round, "{beats} beats in {round} rounds");
            println!("{} ms: the urgent task has run {} times and more", 100 * round, 10 * round);
        }
        let never = TIMER.sleep(Duration::from_secs(60));
        assert!(TIMER.timeout(Duration::from_millis(20), never).await.is_err());
        println!("a timeout of 20 ms has ended a sleep of a minute");
        semihosting::process::exit(0)
    }
}
