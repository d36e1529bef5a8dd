//! Deadlines that are moved.

use core::time::Duration;

use moirai_timer_core::{Handle, Sleep, Ticks};

use super::*;

/// The task need not poll again.
pub fn a_reset_to_earlier_wakes_earlier<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = at(rig, rig.now().after(FAR * unit));
    arm(rig, &mut sleep, &task)?;
    let earlier = rig.now().after(4 * unit);
    reset(&mut sleep, rig.handle(), earlier);
    assert_eq!(rig.handle().ticks_at(sleep.deadline()), earlier);
    wait_for(rig, &task);
    assert!(rig.now() >= earlier);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// The old deadline passes without a wake.
pub fn a_reset_to_later_wakes_later<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let later = start.after(12 * unit);
    let mut sleep = at(rig, start.after(4 * unit));
    arm(rig, &mut sleep, &task)?;
    reset(&mut sleep, rig.handle(), later);
    before(rig, start.after(4 * unit))?;
    settle(rig, start.after(8 * unit), unit);
    let wakes = task.wakes();
    before(rig, later)?;
    assert_eq!(wakes, 0);
    arm(rig, &mut sleep, &task)?;
    before(rig, later)?;
    wait_for(rig, &task);
    assert!(rig.now() >= later);
    assert!(poll(&mut sleep, &task).is_ready());
    settle(rig, later, unit);
    assert_eq!(task.wakes(), 1);
    Ok(())
}

/// The last reset counts, in whichever directions the others went.
pub fn the_last_of_many_resets_counts<R: Rig>(rig: &R, unit: u64) -> Outcome {
    for turned in [false, true] {
        let task = Task::new();
        let start = rig.now();
        let mut sleep = at(rig, start.after(20 * unit));
        arm(rig, &mut sleep, &task)?;
        for place in [30, 9, 40, 8, 7, 60, 50, 55, 10] {
            if turned {
                settle(rig, rig.now(), unit / 16);
            }
            reset(&mut sleep, rig.handle(), start.after(place * unit));
        }
        let wakes = task.wakes();
        before(rig, start.after(7 * unit))?;
        assert_eq!(wakes, 0);
        settle(rig, start.after(9 * unit), unit / 2);
        let wakes = task.wakes();
        before(rig, start.after(10 * unit))?;
        assert_eq!(wakes, 0, "woken for a deadline that no longer holds");
        wait_for(rig, &task);
        assert!(rig.now() >= start.after(10 * unit));
        settle(rig, start.after(61 * unit), unit);
        assert_eq!(task.wakes(), 1);
    }
    Ok(())
}

/// A deadline that is moved into the past wakes the task soon.
pub fn a_reset_to_the_past_wakes_at_once<R: Rig>(rig: &R, unit: u64) -> Outcome {
    for turned in [false, true] {
        let task = Task::new();
        let mut sleep = at(rig, rig.now().after(FAR * unit));
        arm(rig, &mut sleep, &task)?;
        if turned {
            settle(rig, rig.now(), unit);
        }
        reset(&mut sleep, rig.handle(), Ticks::ZERO);
        assert!(sleep.is_elapsed());
        wait_for(rig, &task);
        assert!(poll(&mut sleep, &task).is_ready());
    }
    Ok(())
}

/// An armed sleep that is moved to never wakes nobody, until it is moved back, without a poll.
pub fn a_reset_to_never_waits_for_a_reset_from_never<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let old = rig.now().after(4 * unit);
    let mut sleep = at(rig, old);
    arm(rig, &mut sleep, &task)?;
    sleep.reset_after(Duration::MAX);
    before(rig, old)?;
    assert!(!sleep.is_elapsed());
    settle(rig, old.after(2 * unit), unit);
    assert_eq!(task.wakes(), 0);
    let back = rig.now().after(4 * unit);
    reset(&mut sleep, rig.handle(), back);
    wait_for(rig, &task);
    assert!(rig.now() >= back);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// A sleep that began as never takes part from the poll after its reset.
pub fn a_sleep_of_never_can_be_given_a_deadline<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = Sleep::never(rig.handle().clone());
    assert!(poll(&mut sleep, &task).is_pending());
    let deadline = rig.now().after(4 * unit);
    reset(&mut sleep, rig.handle(), deadline);
    arm(rig, &mut sleep, &task)?;
    wait_for(rig, &task);
    assert!(rig.now() >= deadline);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// A completed sleep can be used again, as often as one likes.
pub fn a_completed_sleep_can_be_reset<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = at(rig, rig.now());
    assert!(poll(&mut sleep, &task).is_ready());
    for round in 1..=5 {
        sleep.reset_after(rig.handle().duration_of(2 * unit));
        let deadline = rig.handle().ticks_at(sleep.deadline());
        arm(rig, &mut sleep, &task)?;
        rig.wait(&mut || task.wakes() == round);
        assert!(rig.now() >= deadline);
        assert!(poll(&mut sleep, &task).is_ready());
    }
    Ok(())
}

/// A sleep whose task was woken, but has not polled it, starts again with a reset and a poll.
pub fn a_sleep_that_fired_unseen_can_be_reset<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = at(rig, rig.now().after(2 * unit));
    arm(rig, &mut sleep, &task)?;
    wait_for(rig, &task);
    let again = rig.now().after(4 * unit);
    reset(&mut sleep, rig.handle(), again);
    arm(rig, &mut sleep, &task)?;
    let wakes = task.wakes();
    before(rig, again)?;
    assert_eq!(wakes, 1);
    rig.wait(&mut || task.wakes() == 2);
    assert!(rig.now() >= again);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// Before its first poll, a sleep is moved freely.
pub fn an_unpolled_sleep_can_be_reset<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = at(rig, rig.now());
    let deadline = rig.now().after(4 * unit);
    reset(&mut sleep, rig.handle(), Ticks::NEVER);
    reset(&mut sleep, rig.handle(), deadline);
    arm(rig, &mut sleep, &task)?;
    wait_for(rig, &task);
    assert!(rig.now() >= deadline);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// A slot that was reserved is armed with the deadline that holds at the first poll.
pub fn a_reserved_sleep_can_be_reset<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let far = at(rig, rig.now().after(FAR * unit));
    let mut sleep = far.reserved().expect("a slot is free");
    let deadline = rig.now().after(4 * unit);
    reset(&mut sleep, rig.handle(), deadline);
    arm(rig, &mut sleep, &task)?;
    wait_for(rig, &task);
    assert!(rig.now() >= deadline);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// The poll after a reset into the past need not wait for the timer.
pub fn a_sleep_that_is_moved_into_the_past_is_ready_at_the_next_poll<R: Rig>(
    rig: &R,
    unit: u64,
) -> Outcome {
    let task = Task::new();
    let mut sleep = at(rig, rig.now().after(FAR * unit));
    arm(rig, &mut sleep, &task)?;
    let now = rig.now();
    reset(&mut sleep, rig.handle(), now);
    assert!(poll(&mut sleep, &task).is_ready());
    settle(rig, now, unit);
    assert_eq!(task.wakers(), 0);
    Ok(())
}
