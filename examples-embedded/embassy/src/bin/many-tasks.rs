//! Many tasks on embassy's executor, each with sleeps of ours: nothing else is needed for that, no
//! time driver and no queue.

#![no_std]
#![no_main]

use core::time::Duration;

use board::println;
use embassy_executor::{Executor, Spawner};
use moirai_timer_core::Ticks;
use portable_atomic::{AtomicU32, Ordering::Relaxed};
use static_cell::StaticCell;

const TASKS: u32 = 24;
const LASTS: Duration = Duration::from_millis(200);

// A sleep and a timeout for each, and one for the report.
board::start!(main, TIMER: 49);

static SLEPT: AtomicU32 = AtomicU32::new(0);
static ENDED: AtomicU32 = AtomicU32::new(0);

/// Sleeps for 1, 2 ... 24 ms, again and again, with a timeout that is never needed around it.
#[embassy_executor::task(pool_size = TASKS as usize)]
async fn sleeper(number: u32, end: Ticks) {
    let period = Duration::from_millis(number.into());
    let mut due = TIMER.now();
    while TIMER.now() < end {
        let ticks = TIMER.timeout(Duration::from_secs(60), TIMER.sleep(period));
        assert!(ticks.await.is_ok(), "a sleep of {period:?} took a minute");
        assert!(TIMER.now().since(due) >= ticks_in(period), "task {number} woke early");
        due = TIMER.now();
        SLEPT.fetch_add(1, Relaxed);
    }
    ENDED.fetch_add(1, Relaxed);
}

#[embassy_executor::task]
async fn report() {
    while ENDED.load(Relaxed) < TASKS {
        TIMER.sleep(Duration::from_millis(1)).await;
    }
    // Task n sleeps as often as n ms go into 200 ms, rounded up, or once less for what it takes.
    let most = (1..=TASKS).map(|number| 200_u32.div_ceil(number)).sum::<u32>();
    let slept = SLEPT.load(Relaxed);
    assert!((most / 2..=most).contains(&slept), "{slept} sleeps");
    println!("{TASKS} tasks have slept, and none woke early");
    board::exit(0)
}

fn ticks_in(duration: Duration) -> u64 {
    let hz = <board::Driver as moirai_timer_core::Driver>::TICK_HZ;
    duration.as_millis() as u64 * hz / 1000
}

fn main() {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let end = TIMER.now().after(ticks_in(LASTS));
    EXECUTOR.init(Executor::new()).run(|spawner: Spawner| {
        for number in 1..=TASKS {
            spawner.spawn(sleeper(number, end).expect("the pool has as many"));
        }
        spawner.spawn(report().expect("there is one"));
    })
}
