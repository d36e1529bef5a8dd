//! Idle is silent: no armed timer, no wake-up; one far timer, one wake-up.
//!
//! What the std timer's thread does about that is in `threads`; large crowds are in `edges`.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::Waker;

use moirai_timer_core::{Handle, ManualDriver, Ticks, Timer};
use moirai_timer_tests::Task;

/// Interrupts until none is pending.
fn serve(timer: &Timer<ManualDriver, 64>) -> u32 {
    let mut count = 0;
    while timer.driver().take_interrupt() {
        timer.on_alarm();
        count += 1;
    }
    count
}

/// Interrupts until nothing is armed any more, following the alarm.
fn interrupts(timer: &Timer<ManualDriver, 64>) -> u32 {
    let mut count = 0;
    loop {
        count += serve(timer);
        let Some(alarm) = timer.driver().alarm() else { return count };
        timer.driver().set(alarm);
    }
}

#[test]
fn a_timer_causes_one_interrupt_to_be_set_and_one_to_fire() {
    for far in [1, 63, 64, 65, 4_096, 1 << 20, 1 << 30, 1 << 40, 1 << 59] {
        let timer = Timer::<ManualDriver, 64>::new(ManualDriver::new());
        let task = Task::new();
        let mut sleep = timer.sleep_until(Ticks::new(far));
        let _ = task.polls(|cx| Pin::new(&mut sleep).poll(cx));
        assert_eq!(interrupts(&timer), 2, "for one timer in {far}");
        assert_eq!(task.wakes(), 1);
    }
}

/// A turn for the first, and one for each deadline: none for registrations that are later.
#[test]
fn a_crowd_causes_one_interrupt_for_each_deadline() {
    let timer = Timer::<ManualDriver, 64>::new(ManualDriver::new());
    let task = Task::new();
    let mut sleeps: Vec<_> =
        (0..60).map(|i| timer.sleep_until(Ticks::new(1_000 + i / 6))).collect();
    for sleep in &mut sleeps {
        let _ = task.polls(|cx| Pin::new(sleep).poll(cx));
    }
    assert_eq!(interrupts(&timer), 1 + 10);
    assert_eq!(task.wakes(), 60);
    assert_eq!(interrupts(&timer), 0);
}

/// Requests with timeouts that are never needed: not a turn each, and in the end silence.
#[test]
fn a_thousand_timeouts_that_end_early_are_almost_silent() {
    let timer = Timer::<ManualDriver, 64>::new(ManualDriver::new());
    let task = Task::new();
    let mut count = 0;
    for _ in 0..1_000 {
        let mut timeout = timer.sleep_until(timer.now().after(30_000));
        let _ = task.polls(|cx| Pin::new(&mut timeout).poll(cx));
        drop(timeout);
        timer.driver().advance(1);
        count += serve(&timer);
    }
    count += interrupts(&timer);
    assert!(count <= 4, "{count} interrupts for nothing");
    assert_eq!((timer.driver().alarm(), task.wakes()), (None, 0));
}

/// The same for the thread that keeps its slot.
#[test]
fn timeouts_in_a_slot_that_is_kept_are_almost_silent() {
    let timer = Timer::<ManualDriver, 64>::new(ManualDriver::new());
    let replace = |ahead| {
        // SAFETY: there is one thread, and the claim comes from there.
        unsafe {
            let at = timer.now().after(ahead);
            let claim = timer.arm_as_keeper(at, Waker::noop()).expect("there is room");
            timer.release_as_keeper(claim, false);
        }
    };
    let mut count = 0;
    for _ in 0..1_000 {
        replace(30_000);
        timer.driver().advance(1);
        count += serve(&timer);
    }
    count += interrupts(&timer);
    assert!(count <= 4, "{count} interrupts for nothing");
    assert_eq!(timer.driver().alarm(), None);
}

/// Nor is there anything to be told when a thread waits for the time for which it has waited before.
#[test]
fn the_same_deadline_in_a_slot_that_is_kept_is_no_command() {
    let timer = Timer::<ManualDriver, 64>::new(ManualDriver::new());
    let arm = |at| {
        // SAFETY: there is one thread.
        unsafe { timer.arm_as_keeper(Ticks::new(at), Waker::noop()) }.expect("there is room")
    };
    for (again, commands) in [(30, 0), (31, 0), (29, 1)] {
        let first = arm(30);
        assert_eq!(timer.drain().applied, 1);
        // SAFETY: there is one thread, and the claims come from there.
        unsafe {
            timer.release_as_keeper(first, false);
            let second = arm(again);
            assert_eq!(timer.drain().applied, commands, "at {again} in the place of 30");
            Handle::release(&&timer, second, false);
            timer.drain();
        }
    }
}

/// It is what makes that cheap: no other takes it meanwhile.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_slot_that_is_kept_is_nobody_elses() {
    let timer = Timer::<ManualDriver, 2>::new(ManualDriver::new());
    let others = || {
        let sleeps: Vec<_> = (0..2).map(|_| timer.try_sleep_until(Ticks::LAST)).collect();
        sleeps.iter().flatten().count()
    };
    // SAFETY: there is one thread, and the claims come from there.
    unsafe {
        let claim = timer.arm_as_keeper(Ticks::new(5), Waker::noop()).expect("there is room");
        timer.release_as_keeper(claim, false);
        let _other = timer.try_sleep_until(Ticks::LAST).expect("there is one more");
        assert_eq!(others(), 0);
        let claim = timer.arm_as_keeper(Ticks::new(5), Waker::noop()).expect("it was kept");
        Handle::release(&&timer, claim, false);
        assert_eq!(others(), 1);
    }
}

/// Connections have long timeouts that are replaced now and then, and their requests short ones that are never
/// needed. A short one takes over the slot of a long one, and the store has that slot: all the same,
/// the alarm stays where the short one wanted it.
#[test]
fn short_timeouts_in_the_place_of_long_ones_are_almost_silent() {
    let timer = Timer::<ManualDriver, 64>::new(ManualDriver::new());
    let task = Task::new();
    let arm = |ahead| {
        let mut sleep = timer.sleep_until(timer.now().after(ahead));
        let _ = task.polls(|cx| Pin::new(&mut sleep).poll(cx));
        sleep
    };
    let mut count = 0;
    let mut serve = || count += serve(&timer);
    let mut connections: VecDeque<_> = (0..40).map(|_| arm(60_000)).collect();
    serve();
    for _ in 0..1_000 {
        connections.pop_front();
        drop(arm(1_000));
        serve();
        connections.push_back(arm(60_000));
        timer.driver().advance(1);
        serve();
    }
    assert!(count <= 4, "{count} interrupts, none of which was needed");
}
