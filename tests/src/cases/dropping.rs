//! Sleeps that are dropped.

use crate::{AloneRig, CAPACITY};

use super::*;

/// The waker is given back at once, and never called.
pub fn a_dropped_sleep_never_wakes<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    arm(rig, &mut sleep, &task)?;
    let armed = task.wakers();
    drop(sleep);
    let dropped = task.wakers();
    before(rig, deadline)?;
    assert_eq!((armed, dropped), (1, 0), "the waker is dropped with the sleep");
    settle(rig, deadline.after(4 * unit), unit);
    assert_eq!(task.wakes(), 0);
    Ok(())
}

/// A sleep may be dropped after it was woken, polled since then or not.
pub fn a_sleep_may_be_dropped_after_it_fired<R: Rig>(rig: &R, unit: u64) -> Outcome {
    for polled in [false, true] {
        let task = Task::new();
        let mut sleep = at(rig, rig.now().after(2 * unit));
        arm(rig, &mut sleep, &task)?;
        wait_for(rig, &task);
        if polled {
            assert!(poll(&mut sleep, &task).is_ready());
        }
        drop(sleep);
        settle(rig, rig.now(), unit);
        assert_eq!((task.wakes(), task.wakers()), (1, 0));
    }
    Ok(())
}

/// A sleep that saw its deadline pass before the timer did is complete, and wakes nobody but by a
/// timer that had taken the waker by then.
pub fn a_sleep_that_is_polled_late_is_ready_without_a_wake<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(2 * unit);
    let mut sleep = at(rig, deadline);
    arm(rig, &mut sleep, &task)?;
    while poll(&mut sleep, &task).is_pending() {
        rig.wait_until(rig.now().after(1));
    }
    assert!(rig.now() >= deadline);
    let wakes = task.wakes();
    settle(rig, deadline.after(2 * unit), unit);
    assert!(task.wakes() <= wakes + 1, "woken after it was ready");
    assert_eq!(task.wakers(), 0);
    Ok(())
}

/// Dropped before its first poll, a sleep was never there.
pub fn a_sleep_that_was_never_polled_touches_nothing<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let before = rig.metrics();
    for _ in 0..2 * CAPACITY {
        drop(at(rig, rig.now().after(unit)));
    }
    let unpolled: [_; 2 * CAPACITY] =
        core::array::from_fn(|_| at(rig, rig.now().after(FAR * unit)));
    let after = rig.metrics();
    assert_eq!((after.registered, after.armed, after.turns), (0, 0, before.turns));
    assert!(at(rig, rig.now().after(unit)).reserved().is_ok(), "all slots are free");
    drop(unpolled);
    Ok(())
}

/// All slots, armed and dropped, are there again after one turn.
pub fn a_dropped_sleep_gives_its_slot_back_by_the_next_turn<R: AloneRig>(
    rig: &R,
    unit: u64,
) -> Outcome {
    let task = Task::new();
    let far = rig.now().after(FAR * unit);
    for _ in 0..5 {
        let mut sleeps: [_; CAPACITY] = core::array::from_fn(|_| at(rig, far));
        sleeps.iter_mut().try_for_each(|sleep| arm(rig, sleep, &task))?;
        drop(sleeps);
        // If the timer's thread is inside at this moment, it has taken the commands itself.
        rig.turn();
        rig.wait(&mut || rig.metrics().armed == 0);
        let reserved: [_; CAPACITY] = core::array::from_fn(|_| at(rig, far).reserved());
        assert!(reserved.iter().all(Result::is_ok));
    }
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    Ok(())
}

/// What was armed has fired, or was cancelled, or is armed.
pub fn the_metrics_add_up<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let before = rig.metrics();
    let near = rig.now().after(8 * unit);
    let tasks: [Task; 30] = core::array::from_fn(|_| Task::new());
    let mut sleeps: [_; 30] =
        core::array::from_fn(|i| Some(at(rig, if i < 10 { near } else { near.after(FAR * unit) })));
    for (sleep, task) in sleeps.iter_mut().flatten().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    rig.turn();
    sleeps[20..].iter_mut().for_each(|sleep| *sleep = None);
    self::before(rig, near)?;
    rig.wait(&mut || tasks[..10].iter().all(Task::is_woken));
    rig.wait(&mut || rig.metrics().armed == 10);
    let after = rig.metrics();
    assert_eq!(after.fired - before.fired, 10);
    assert_eq!(after.cancelled - before.cancelled, 10);
    assert_eq!(after.registered - before.registered, 30);
    assert_eq!(after.full_repolls, 0);
    Ok(())
}
