//! What runs under the schedules. Each says which promise it is after.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moirai_timer_core::Ticks;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::spawn;

use super::{Time, explore, pool};
use crate::block_on::block_on;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sys::thread::{self, Thread};
use crate::{Builder, Precision, Sleep, Timer, clock, sys};

/// Between two events. Nothing here takes as long while time stands.
const UNIT: Duration = Duration::from_millis(1);

macro_rules! programs {
    ($($name:ident)*) => {
        pub(super) const COUNT: usize = [$(stringify!($name)),*].len();

        mod tests {
            $(
                #[test]
                fn $name() {
                    super::explore(super::$name);
                }
            )*
        }
    };
}

programs! {
    sleeps_move_between_the_threads_of_a_pool
    losers_of_a_race_are_dropped_anywhere
    the_first_sleeps_start_one_driver
    the_last_handle_goes_while_the_thread_sleeps
    timers_come_and_go
    the_seat_is_handed_over
    a_loop_of_its_own_turns
    guests_turn_beside_the_thread
    a_full_shard_takes_from_the_next
    deadlines_are_moved_from_another_thread
    an_exact_timer_spins_and_stops
    shutting_down_loses_nothing
}

/// A timer with two shards, so that threads meet in one, or do not.
fn builder() -> Builder {
    Timer::builder().shards(2)
}

fn timer() -> Timer {
    builder().build().unwrap()
}

/// 1 to 4 units.
fn some_time() -> Duration {
    UNIT * thread_rng().gen_range(1..5)
}

/// Waits for `duration`. Never early; and, if time stands, on time.
async fn sleep(timer: &Timer, duration: Duration, time: Time) {
    let start = clock::now();
    timer.sleep(duration).await;
    check(start, duration, time);
}

/// That `duration` has passed since `start`, and, if time stands, not much more.
#[track_caller]
fn check(start: Ticks, duration: Duration, time: Time) {
    let took = Duration::from_nanos(clock::now().since(start));
    assert!(took >= duration, "early: {took:?} instead of {duration:?}");
    assert!(time == Time::Runs || took < duration + UNIT, "{took:?} instead of {duration:?}");
}

/// Completes as the first of the two does; the other one is dropped.
async fn first(a: impl Future<Output = ()>, b: impl Future<Output = ()>) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(move |cx| match a.as_mut().poll(cx) {
        Poll::Pending => b.as_mut().poll(cx),
        ready => ready,
    })
    .await;
}

fn sleeps_move_between_the_threads_of_a_pool(time: Time) {
    let timer = timer();
    let tasks = (0..4).map(|_| {
        let timer = timer.clone();
        Box::pin(async move {
            for _ in 0..2 {
                sleep(&timer, some_time(), time).await;
            }
        }) as Pin<Box<dyn Future<Output = ()> + Send>>
    });
    pool::run(3, tasks.collect());
    assert_eq!(timer.metrics().armed, 0);
}

fn losers_of_a_race_are_dropped_anywhere(time: Time) {
    let timer = timer();
    let tasks = (0..3).map(|_| {
        let timer = timer.clone();
        Box::pin(async move {
            let (start, short, long) = (clock::now(), some_time(), some_time());
            first(timer.sleep(short), timer.sleep(long)).await;
            check(start, short.min(long), time);

            let (start, limit) = (clock::now(), some_time());
            assert!(timer.timeout(limit, pending::<()>()).await.is_err());
            check(start, limit, time);

            let soon = sleep(&timer, UNIT, time);
            let outcome = timer.timeout(Duration::from_secs(3600), soon).await;
            // Where time runs, an hour may pass between two looks at the clock.
            assert!(outcome.is_ok() || time == Time::Runs);
        }) as Pin<Box<dyn Future<Output = ()> + Send>>
    });
    pool::run(2, tasks.collect());
    assert_eq!(timer.metrics().armed, 0);
}

/// Each of the first may start a thread. One of these drives, and the others end.
fn the_first_sleeps_start_one_driver(time: Time) {
    let timer = timer();
    let threads = [(); 3].map(|()| {
        let timer = timer.clone();
        spawn(move || timer.block_on(sleep(&timer, some_time(), time)))
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(sys::drivers() == 1 || time == Time::Runs && sys::drivers() <= 1);
}

/// Its thread must not sleep until a deadline that nobody waits for any more. It is waited for
/// when the clock has stopped.
fn the_last_handle_goes_while_the_thread_sleeps(time: Time) {
    let timer = timer();
    let hour = Duration::from_secs(3600);
    let mut forgotten = timer.sleep(hour);
    let other = spawn({
        let timer = timer.clone();
        move || timer.block_on(first(sleep(&timer, UNIT, time), timer.sleep(hour)))
    });
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut forgotten).poll(&mut cx).is_pending() || time == Time::Runs);
    drop(timer);
    if thread_rng().r#gen() {
        other.join().unwrap();
        drop(forgotten);
    } else {
        drop(forgotten);
        other.join().unwrap();
    }
}

fn timers_come_and_go(time: Time) {
    let threads = [(); 2].map(|()| {
        spawn(move || {
            for _ in 0..2 {
                let timer = timer();
                timer.block_on(sleep(&timer, some_time(), time));
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // A sleep that was due when it was polled first needs no thread.
    assert!(sys::threads_started() == 4 || time == Time::Runs);
}

/// Without a thread, one of those who wait drives for all; another one takes over when it is done.
fn the_seat_is_handed_over(time: Time) {
    let timer = builder().without_thread().build().unwrap();
    let threads = [1, 2, 3].map(|units| {
        let timer = timer.clone();
        spawn(move || {
            timer.block_on(async {
                sleep(&timer, UNIT * units, time).await;
                sleep(&timer, some_time(), time).await;
            });
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(sys::threads_started(), 0);
    assert_eq!(timer.metrics().armed, 0);
}

/// Unparks a thread, and says so.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// An event loop drives the timer, and is told of what is earlier than its own sleep.
fn a_loop_of_its_own_turns(time: Time) {
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), thread: thread::current() });
    let timer = builder().driven_by(bell.clone().into()).build().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let sleeper = spawn({
        let (timer, over, bell) = (timer.clone(), over.clone(), bell.clone());
        move || {
            block_on(
                async {
                    sleep(&timer, UNIT * 4, time).await;
                    first(timer.sleep(UNIT * 9), sleep(&timer, some_time(), time)).await;
                },
                |woken, _, _| {
                    while !woken() {
                        thread::park();
                    }
                },
            );
            over.store(true, SeqCst);
            bell.wake();
        }
    });
    // Nudges follow each other closely: this one is inside when the loop comes, and arms as well.
    let guest = spawn({
        let timer = timer.clone();
        move || {
            for _ in 0..2 {
                let _ = timer.metrics();
                let mut never = pin!(timer.sleep(UNIT * 90));
                let _ = never.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                let _ = timer.metrics();
            }
        }
    });
    while !over.load(SeqCst) {
        let next = timer.turn().map(clock::ticks_at);
        if bell.rung.swap(false, SeqCst) {
            continue;
        }
        match next.map(|at| at.since(clock::now())) {
            Some(0) => {}
            Some(left) => thread::park_timeout(Duration::from_nanos(left)),
            None => thread::park(),
        }
    }
    sleeper.join().unwrap();
    guest.join().unwrap();
}

/// Whoever is inside when the timer's thread comes has to tell it, for it goes to sleep.
fn guests_turn_beside_the_thread(time: Time) {
    let timer = builder().shards(1).build().unwrap();
    let sleepers = [(); 2].map(|()| {
        let timer = timer.clone();
        spawn(move || timer.block_on(sleep(&timer, some_time(), time)))
    });
    for _ in 0..3 {
        timer.turn();
        timer.next_deadline();
        timer.metrics();
    }
    sleepers.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(timer.metrics().armed, 0);
}

fn a_full_shard_takes_from_the_next(time: Time) {
    let timer = builder().capacity(2).build().unwrap();
    let threads = [(); 2].map(|()| {
        let timer = timer.clone();
        spawn(move || {
            let start = clock::now();
            match timer.try_sleep(UNIT) {
                Ok(sleep) => timer.block_on(sleep),
                Err(error) => panic!("two sleeps, room for two, and {error}"),
            }
            check(start, UNIT, time);
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(timer.metrics().full_repolls, 0);
}

/// A sleep that is polled by one thread, and reset by another, which polls it then.
fn deadlines_are_moved_from_another_thread(time: Time) {
    let timer = timer();
    let mut sleep: Sleep = timer.sleep(UNIT * 3);
    let mut cx = Context::from_waker(Waker::noop());
    let _ = Pin::new(&mut sleep).poll(&mut cx);
    let other = spawn({
        let timer = timer.clone();
        move || {
            let (start, duration) = (clock::now(), some_time());
            sleep.reset_after(duration);
            timer.block_on(sleep);
            check(start, duration, time);
        }
    });
    timer.block_on(self::sleep(&timer, UNIT * 2, time));
    other.join().unwrap();
}

fn an_exact_timer_spins_and_stops(time: Time) {
    let timer = builder().precision(Precision::Exact).build().unwrap();
    let other = spawn({
        let timer = timer.clone();
        move || timer.block_on(sleep(&timer, UNIT, time))
    });
    timer.block_on(first(sleep(&timer, UNIT * 2, time), timer.sleep(UNIT * 3)));
    other.join().unwrap();
}

/// What is armed fires on time; what comes later is refused.
fn shutting_down_loses_nothing(time: Time) {
    let timer = timer();
    let other = spawn({
        let timer = timer.clone();
        move || {
            let start = clock::now();
            if let Ok(sleep) = timer.try_sleep(UNIT) {
                timer.block_on(sleep);
                check(start, UNIT, time);
            }
        }
    });
    timer.shutdown();
    other.join().unwrap();
    assert!(timer.try_sleep(UNIT).is_err());
}
