//! A timer that is driven by a thread of the program's own, because that thread is to have what only
//! the program can give it: a processor, and a real-time priority.
//!
//! `block_on` drives a timer that has no thread, so all that the thread does is to wait for the end
//! of the program in it. Where the system grants neither wish, the sleeps are on time as well as
//! they are on any other thread.
//!
//! `cargo run --release --example own-thread`

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use moirai_timer_std::{Precision, Timer};
use thread_priority::{ThreadPriority, set_current_thread_priority};

const FRAMES: u32 = 30;
/// Sixty pictures a second, or what else is to be paced.
const PERIOD: Duration = Duration::from_micros(16_667);

fn main() -> io::Result<()> {
    let timer = Timer::builder().without_thread().precision(Precision::Exact).build()?;
    let (end, ended) = oneshot::channel::<()>();

    let driver = thread::Builder::new().name("pacer".into()).spawn({
        let timer = timer.clone();
        move || {
            let last = core_affinity::get_core_ids().and_then(|cores| cores.last().copied());
            let pinned = last.is_some_and(core_affinity::set_for_current);
            let raised = set_current_thread_priority(ThreadPriority::Max);
            println!("a processor of its own: {pinned}; priority: {raised:?}");
            let _ = timer.block_on(ended);
        }
    })?;

    let start = Instant::now();
    let mut frames = timer.interval(PERIOD);
    for frame in 0..FRAMES {
        let due = smol::block_on(frames.tick());
        assert!(Instant::now() >= due && due >= start + frame * PERIOD, "never early");
    }
    println!("{FRAMES} frames in {:?}", start.elapsed());
    let lateness = timer.metrics().lateness;
    println!("late: {:?} in the middle, {:?} at most", lateness.quantile(0.5), lateness.max());

    drop(end);
    driver.join().expect("it does nothing that panics");
    Ok(())
}
