//! One sleep: when it is ready, and when its task is woken.

use core::time::Duration;

use moirai_timer_core::{Handle, Sleep, Ticks};

use super::*;

/// Zero is ready at the first poll, and wakes nobody.
pub fn a_sleep_of_zero_is_ready_at_once<R: Rig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = Sleep::after(rig.handle().clone(), Duration::ZERO);
    assert!(poll(&mut sleep, &task).is_ready());
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    Ok(())
}

/// A deadline that has passed is ready at the first poll, however long ago it was.
pub fn a_deadline_in_the_past_is_ready_at_once<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let now = rig.now();
    for past in [now, Ticks::new(now.get().saturating_sub(unit)), Ticks::ZERO] {
        assert!(poll(&mut at(rig, past), &task).is_ready(), "{past:?} at {now:?}");
    }
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    Ok(())
}

/// The task is woken once, when the sleep is ready.
pub fn a_sleep_wakes_its_task_once_at_its_deadline<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    assert!(!sleep.is_elapsed() || rig.now() >= deadline);
    arm(rig, &mut sleep, &task)?;
    wait_for(rig, &task);
    assert!(rig.now() >= deadline, "woken {} ticks early", deadline.since(rig.now()));
    assert!(sleep.is_elapsed());
    assert!(poll(&mut sleep, &task).is_ready());
    settle(rig, deadline.after(2 * unit), unit);
    assert_eq!((task.wakes(), task.wakers()), (1, 0));
    Ok(())
}

/// The deadline is counted from the call that makes the sleep, not from its first poll.
pub fn a_duration_is_counted_from_the_call<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let earliest = rig.now().after(3 * unit);
    let mut sleep = Sleep::after(rig.handle().clone(), rig.handle().duration_of(3 * unit));
    let deadline = rig.handle().ticks_at(sleep.deadline());
    assert!(deadline >= earliest);
    rig.wait_until(deadline);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// Polls before the deadline are pending, polls after it are ready, whatever has woken the task.
pub fn every_poll_is_right_by_the_clock<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    loop {
        let before = rig.now();
        let ready = poll(&mut sleep, &task).is_ready();
        if ready {
            assert!(rig.now() >= deadline, "ready {} ticks early", deadline.since(rig.now()));
            return Ok(());
        }
        assert!(before < deadline, "pending {} ticks late", before.since(deadline));
        rig.wait_until(before.after(unit / 4));
    }
}

/// A completed sleep may be polled again, and is ready again.
pub fn a_completed_sleep_stays_ready<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(2 * unit);
    let mut sleep = at(rig, deadline);
    let _ = poll(&mut sleep, &task);
    rig.wait_until(deadline);
    for _ in 0..3 {
        assert!(poll(&mut sleep, &task).is_ready());
    }
    Ok(())
}

/// Waking the task by other means makes a sleep neither ready nor lose its alarm.
pub fn a_stray_wake_does_no_harm<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(6 * unit);
    let mut sleep = at(rig, deadline);
    for strays in 1..=5 {
        arm(rig, &mut sleep, &task)?;
        task.waker().wake();
        task.waker().wake_by_ref();
        let wakes = task.wakes();
        before(rig, deadline)?;
        assert_eq!(wakes, 2 * strays);
    }
    rig.wait(&mut || task.wakes() == 11);
    assert!(rig.now() >= deadline);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// A duration that overflows the clock waits for ever, takes no waker, and disturbs nobody.
pub fn a_duration_beyond_the_clock_waits_for_ever<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let (task, near) = (Task::new(), Task::new());
    let handle = rig.handle();
    let mut for_ever = [
        Sleep::after(handle.clone(), Duration::MAX),
        Sleep::after(handle.clone(), Duration::from_secs(u64::MAX)),
        Sleep::never(handle.clone()),
        at(rig, Ticks::NEVER),
        Sleep::after(handle.clone(), Duration::MAX).with_tolerance(Duration::MAX),
    ];
    for sleep in &mut for_ever {
        assert!(poll(sleep, &task).is_pending());
        assert!(!sleep.is_elapsed());
    }
    assert_eq!(task.wakers(), 0, "what never wakes keeps no waker");
    let mut sleep = at(rig, rig.now().after(2 * unit));
    arm(rig, &mut sleep, &near)?;
    wait_for(rig, &near);
    for sleep in &mut for_ever {
        assert!(poll(sleep, &task).is_pending());
    }
    assert_eq!(task.wakes(), 0);
    Ok(())
}

/// A sleep of years beside one of moments.
pub fn a_far_deadline_does_not_hold_up_a_near_one<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let (far_task, near_task) = (Task::new(), Task::new());
    let mut far = at(rig, Ticks::LAST);
    assert!(poll(&mut far, &far_task).is_pending());
    let mut near = at(rig, rig.now().after(2 * unit));
    arm(rig, &mut near, &near_task)?;
    wait_for(rig, &near_task);
    assert!(poll(&mut near, &near_task).is_ready());
    assert!(poll(&mut far, &far_task).is_pending());
    assert_eq!(far_task.wakes(), 0);
    Ok(())
}

/// Futures can be moved between polls, and to other threads.
pub fn a_sleep_is_unpin_send_and_sync<R: Rig>(_: &R, _: u64) -> Outcome {
    fn holds<T: Unpin + Send + Sync>() {}
    holds::<Sleep<R::Handle>>();
    holds::<moirai_timer_core::Interval<R::Handle>>();
    holds::<moirai_timer_core::Timeout<Sleep<R::Handle>, R::Handle>>();
    Ok(())
}

/// Each begins when the one before has ended, and none is cut short.
pub fn one_sleep_after_another_takes_no_less_than_their_sum<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let start = rig.now();
    for _ in 0..5 {
        let task = Task::new();
        let mut sleep = Sleep::after(rig.handle().clone(), rig.handle().duration_of(2 * unit));
        arm(rig, &mut sleep, &task)?;
        wait_for(rig, &task);
        assert!(poll(&mut sleep, &task).is_ready());
    }
    assert!(rig.now() >= start.after(10 * unit));
    Ok(())
}
