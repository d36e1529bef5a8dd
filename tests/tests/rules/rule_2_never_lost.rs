//! Never lost: whenever nobody is inside, the alarm is at or before the earliest deadline, or a
//! turn is pending.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_core::{Driver, Handle, Sleep, Ticks};
use moirai_timer_std::{Timer, block_on};
use moirai_timer_tests::{Handoff, Task, forever, until};

use super::hooked_driver::{HookedTimer, hooked_timer, serve};

type SleepingIn<const N: usize> = Sleep<&'static HookedTimer<N>>;
type Sleeping = SleepingIn<8>;

fn armed<const N: usize>(timer: &'static HookedTimer<N>, at: u64, task: &Task) -> SleepingIn<N> {
    let mut sleep = timer.sleep_until(Ticks::new(at));
    assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    sleep
}

/// A turn beside the driver may take a sleep out of the queue before the driver comes for it. Then it
/// has to see to it that the driver comes; and only then.
#[test]
fn a_guest_tells_the_driver_of_an_earlier_deadline() {
    let timer = hooked_timer::<8>();
    let (clock, task) = (&timer.driver().manual, Task::new());
    let _early = armed(timer, 10, &task);
    assert!(clock.take_interrupt(), "the driver is on its way");
    assert_eq!(timer.turn(), Some(Ticks::new(10)));
    assert!(clock.take_interrupt(), "and still has to come");
    timer.on_alarm();

    let _late = armed(timer, 20, &task);
    for turns in 1..=3 {
        let before = timer.metrics().unwrap().turns;
        assert_eq!(timer.turn(), Some(Ticks::new(10)));
        assert_eq!(timer.metrics().unwrap().turns, before + 1);
        assert!(!clock.take_interrupt(), "its alarm suits, in turn {turns}");
    }
    clock.set(Ticks::new(10));
    assert_eq!(timer.turn(), Some(Ticks::new(20)));
    let _ = clock.arm(Ticks::new(20));
    assert!(!clock.take_interrupt(), "its alarm is earlier than it has to be");
    assert_eq!(task.wakes(), 1);
}

/// It must not, but nobody else is to pay for it: neither who waits for another time, nor the interrupt that
/// comes amid that, finds the store held, and leaves.
#[test]
fn a_driver_that_panics_while_the_store_is_held_loses_nobody() {
    for interrupted in [false, true] {
        let mut panics = 0;
        for call in 0.. {
            let timer = hooked_timer::<8>();
            let (clock, tasks) = (&timer.driver().manual, [(); 4].map(|()| Task::new()));
            let _later = armed(timer, 10, &tasks[0]);
            serve(timer);
            let _earlier = [1, 2, 3].map(|task| armed(timer, 5, &tasks[task]));
            clock.set(Ticks::new(7));
            timer.driver().hook(call, move || {
                if timer.metrics().is_none() {
                    if interrupted {
                        timer.on_alarm();
                    }
                    resume_unwind(Box::new("this driver panics"));
                }
            });
            assert!(clock.take_interrupt());
            panics += catch_unwind(AssertUnwindSafe(|| timer.on_alarm())).is_err() as u32;
            if !timer.driver().unhook() {
                break;
            }
            serve(timer);
            clock.set(Ticks::new(10));
            serve(timer);
            assert_eq!(tasks.map(|task| task.wakes()), [1; 4], "call {call}, {interrupted}");
        }
        assert!(panics > 1, "{panics}");
    }
}

/// A producer comes in at every call that the engine makes to its driver: while it reads the clock
/// with the store half-way, before and after it sets the alarm, between two wakes.
fn a_producer_in_the_middle(
    arrive: impl Fn(&'static HookedTimer<8>, &Task) -> Sleeping + Copy + Send + 'static,
) {
    let mut calls = 0;
    loop {
        let timer = hooked_timer::<8>();
        let others = Task::new();
        let due = [3, 3, 5, 300].map(|at| armed(timer, at, &others));
        timer.driver().manual.set(Ticks::new(5));

        let task: &'static Task = forever(Task::new());
        let place: &'static Handoff<Sleeping> = forever(Handoff::new());
        timer.driver().hook(calls, move || {
            place.replace(Some(arrive(timer, task)));
        });
        serve(timer);
        if !timer.driver().unhook() {
            break;
        }
        serve(timer);
        assert_eq!(timer.driver().manual.alarm(), Some(Ticks::new(50)), "in call {calls}");
        timer.driver().manual.set(Ticks::new(50));
        serve(timer);
        assert_eq!(task.wakes(), 1, "in call {calls}");
        assert_eq!(others.wakes(), 3);
        drop(due);
        calls += 1;
    }
    assert!(calls > 5, "only {calls} calls");
}

#[test]
fn an_earlier_sleep_that_comes_in_the_middle_of_a_turn_is_on_time() {
    a_producer_in_the_middle(|timer, task| armed(timer, 50, task));
}

#[test]
fn an_earlier_reset_in_the_middle_of_a_turn_is_on_time() {
    a_producer_in_the_middle(|timer, task| {
        let mut sleep = armed(timer, 400, task);
        sleep.reset(Ticks::new(50));
        sleep
    });
}

#[test]
fn a_visitor_in_the_middle_of_a_turn_takes_nothing_with_him() {
    a_producer_in_the_middle(|timer, task| {
        let sleep = armed(timer, 50, task);
        timer.turn();
        timer.metrics();
        timer.next_deadline();
        sleep
    });
}

/// A sleep arrives when a turn has already looked at the queue, and is due when the turn looks again:
/// the same turn fires it.
#[test]
fn what_comes_due_during_a_turn_is_fired_by_it() {
    for now in [7, 8] {
        let timer = hooked_timer::<8>();
        let (task, others) = (forever(Task::new()), Task::new());
        let _due = armed(timer, 5, &others);
        let place: &'static Handoff<Sleeping> = forever(Handoff::new());
        timer.driver().manual.set(Ticks::new(5));
        // The first call is that for the time: for what is due.
        timer.driver().hook(0, move || {
            place.replace(Some(armed(timer, 7, task)));
            timer.driver().manual.set(Ticks::new(now));
        });
        assert_eq!(timer.turn(), None);
        assert!(timer.driver().unhook());
        assert_eq!((others.wakes(), task.wakes()), (1, 1), "at {now}");
    }
}

/// Amid a turn that has more news than it takes in one visit, wakers drop a sleep and do `arms`, which is
/// given the slot; in between, the turn comes past the old deadline, at which nobody waits any more. The
/// store has the slot no longer, and has to be told.
fn a_slot_that_the_store_has_lost(
    timer: &'static HookedTimer<256>,
    arms: impl Fn() + Sync,
    check: impl FnOnce(),
) {
    let clock = &timer.driver().manual;
    let [bystander, first, second] = [(); 3].map(|()| Task::new());
    let dropped = Handoff::new();
    dropped.replace(Some(armed(timer, 10, &bystander)));
    let _first = armed(timer, 5, &first);
    let _second = armed(timer, 11, &second);
    serve(timer);
    // More than three visits take.
    let crowd: [_; 200] = std::array::from_fn(|_| armed(timer, 1_000, &bystander));

    let drops = || {
        drop(dropped.replace(None));
        clock.set(Ticks::new(12));
    };
    clock.set(Ticks::new(5));
    first.hooked(&drops, || second.hooked(&arms, || serve(timer)));
    assert_eq!((first.wakes(), second.wakes(), bystander.wakes()), (1, 1, 0));
    let metrics = timer.metrics().expect("nobody else is inside");
    assert_eq!((metrics.armed, metrics.fired, metrics.cancelled), (201, 2, 1));
    check();
    drop(crowd);
}

#[test]
fn a_slot_that_the_store_has_lost_is_told_of_again() {
    let timer = hooked_timer::<256>();
    let (place, task) = (Handoff::new(), Task::new());
    let arms = || {
        place.replace(Some(armed(timer, 20, &task)));
    };
    a_slot_that_the_store_has_lost(timer, arms, || {
        assert_eq!(timer.driver().manual.alarm(), Some(Ticks::new(20)));
        timer.driver().manual.set(Ticks::new(20));
        serve(timer);
        assert_eq!(task.wakes(), 1);
    });
    drop(place);
}

/// The same for somebody who waits for *never*, which is no later than what the store has lost it under.
#[test]
fn a_slot_that_the_store_has_lost_is_told_of_again_for_ever() {
    let timer = hooked_timer::<256>();
    let claim = Handoff::new();
    let arms = || {
        claim.replace(timer.arm_at_hand(Ticks::NEVER, Waker::noop()).ok());
    };
    a_slot_that_the_store_has_lost(timer, arms, || {
        let claim = claim.replace(None).expect("there is room");
        // SAFETY: it came from this timer.
        unsafe { Handle::release(&timer, claim, false) };
    });
}

/// The interrupt handler finds the section taken, leaves its mark, and is called again.
#[test]
fn an_interrupt_amid_a_visit_comes_back() {
    for visit in [
        |timer: &HookedTimer<8>| {
            timer.turn();
        },
        |timer: &HookedTimer<8>| {
            timer.on_alarm();
        },
    ] {
        let mut calls = 0;
        loop {
            let timer = hooked_timer::<8>();
            let task = Task::new();
            let sleeps = [3, 7].map(|at| armed(timer, at, &task));
            serve(timer);
            timer.driver().manual.set(Ticks::new(3));
            timer.driver().hook(calls, move || {
                timer.driver().manual.set(Ticks::new(7));
                while timer.driver().manual.take_interrupt() {
                    // The section may be taken, but not for ever: one look has to do.
                    timer.on_alarm();
                    if timer.driver().manual.alarm().is_none() {
                        break;
                    }
                }
            });
            visit(timer);
            let hooked = timer.driver().unhook();
            timer.driver().manual.set(Ticks::new(7));
            serve(timer);
            assert_eq!(task.wakes(), 2, "in call {calls}");
            drop(sleeps);
            if !hooked {
                break;
            }
            calls += 1;
        }
        assert!(calls > 2, "only {calls} calls");
    }
}

/// Threads that arm, move and drop as fast as they can, each waiting for short sleeps in between.
#[test]
fn threads_that_hammer_one_timer_all_get_on() {
    let timer = Timer::builder().shards(1).thread_name("hammered").build().unwrap();
    let progress: Arc<[AtomicU64; 4]> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (timer, progress, stop) = (timer.clone(), progress.clone(), stop.clone());
            thread::spawn(move || {
                let mut random = 0x9e37_79b9u64 * (thread + 1);
                while !stop.load(SeqCst) {
                    random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(11);
                    let nanos = random >> 44;
                    let far = timer.sleep(Duration::from_secs(100 + (random >> 60)));
                    let near = timer.sleep(Duration::from_nanos(nanos % 60_000));
                    let mut moved = timer.sleep(Duration::from_secs(50));
                    block_on(async {
                        let mut far = std::pin::pin!(far);
                        assert!(futures_poll_once(far.as_mut()).await.is_none());
                        assert!(futures_poll_once(Pin::new(&mut moved)).await.is_none());
                        moved.reset_after(Duration::from_nanos(nanos % 30_000));
                        near.await;
                        moved.await;
                    });
                    progress[thread as usize].fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    until(|| progress.iter().all(|rounds| rounds.load(SeqCst) >= 3_000));
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(timer.metrics().armed, 0);
}

async fn futures_poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Threads bring ever earlier deadlines, all of them far away, so that the timer's thread is nudged
/// all the time, while it is about to sleep, and while it is about to wake. Whoever then needs it
/// soon has to rouse it, however the nudges coincide.
#[test]
fn a_thread_that_is_nudged_again_and_again_hears_the_last() {
    let timer = Timer::builder().shards(1).thread_name("nudged").build().unwrap();
    let base = Instant::now() + Duration::from_secs(1_000_000);
    let (earlier, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let nudge = || {
        let far = Task::new();
        let mut sleep = timer.sleep_until(base);
        while !stop.load(SeqCst) {
            let before = Duration::from_micros(earlier.fetch_add(1, SeqCst));
            sleep.reset(base - before);
            assert!(far.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        }
    };
    let need = || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(4) && !stop.load(SeqCst) {
            let task = Task::new();
            let mut sleep = timer.sleep(Duration::from_micros(200));
            let asked = Instant::now();
            if task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending() {
                while !task.is_woken() {
                    // Late may be the machine, with so many threads; but not when they are gone.
                    stop.fetch_or(asked.elapsed() > Duration::from_secs(2), SeqCst);
                    if asked.elapsed() > Duration::from_secs(120) {
                        return false;
                    }
                    thread::yield_now();
                }
            }
        }
        true
    };
    thread::scope(|scope| {
        let nudgers = [(); 4].map(|()| scope.spawn(nudge));
        let heard = need();
        stop.store(true, SeqCst);
        nudgers.into_iter().for_each(|nudger| nudger.join().unwrap());
        assert!(heard, "the timer sleeps on");
    });
}

/// The deadline passes between the turn and the writing of the alarm: it would never ring. The
/// handler that set it must notice, and fire without another interrupt.
#[test]
fn an_alarm_that_is_over_before_it_is_set_is_not_waited_for() {
    let mut woken_at_once = vec![];
    loop {
        let timer = hooked_timer::<8>();
        let task = Task::new();
        let _sleep = armed(timer, 10, &task);
        timer.driver().hook(woken_at_once.len() as u32, || {
            timer.driver().manual.set(Ticks::new(20));
        });
        timer.on_alarm();
        if !timer.driver().unhook() {
            break;
        }
        woken_at_once.push(task.is_woken());
        serve(timer);
        assert_eq!(task.wakes(), 1);
    }
    // The last call is after the alarm was set, and was ahead.
    assert_eq!(woken_at_once.pop(), Some(false));
    assert!(woken_at_once.len() > 1);
    assert!(woken_at_once.iter().all(|woken| *woken), "{woken_at_once:?}");
}
