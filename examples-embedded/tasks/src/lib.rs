//! Tasks of embassy's executor that wait for one deadline after another, and what wakes them.
//!
//! Each of the programs has the same tasks, executor and clock, which is a variable. They differ in what
//! a task awaits, and in who has it woken.

#![no_std]

#[path = "../../bench/src/clock.rs"]
pub mod clock;
pub mod hal;
#[path = "../../../compat/embassy-time-queue-utils/src/queue_generic.rs"]
#[allow(dead_code, unexpected_cfgs)]
pub mod queue_generic;
#[path = "../../../compat/embassy-time-queue-utils/src/queue_integrated.rs"]
#[allow(dead_code)]
pub mod queue_integrated;
pub mod rounds;

/// Defines the program: its row's name, what a task awaits to wait `until` a time, and the alarm's
/// interrupt. What a task keeps from one to the next, if anything, comes before that.
#[macro_export]
macro_rules! program {
    ($name:literal, |$until:ident| $wait:expr, $ring:expr) => {
        $crate::program!($name, |_first, _period| (), |_kept, $until| $wait, $ring);
    };
    (
        $name:literal,
        |$first:ident, $period:ident| $keep:expr,
        |$kept:ident, $until:ident| $wait:expr,
        $ring:expr
    ) => {
        board::start!(main, BOARD: 1);

        #[embassy_executor::task(pool_size = 128)]
        #[allow(unused_mut)]
        async fn task($first: u64, $period: u64, count: u32) {
            let mut $kept = $keep;
            let mut $until = $first;
            for _ in 0..count {
                $wait.await;
                $until += $period;
            }
            $crate::rounds::end();
        }

        fn main() {
            let spawn = |spawner: embassy_executor::Spawner, first, period, count| {
                spawner.spawn(task(first, period, count).expect("the pool has as many"));
            };
            $crate::rounds::report($name, $ring, spawn);
        }
    };
}
