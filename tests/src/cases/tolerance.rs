//! Sleeps that may be a little late.

use moirai_timer_core::Handle;

use crate::ClockRig;

use super::*;

fn tolerant<R: Rig>(rig: &R, deadline: Ticks, tolerance: u64) -> Sleep<R::Handle> {
    at(rig, deadline).with_tolerance(rig.handle().duration_of(tolerance))
}

/// The deadline itself does not move: no wake before it, and a poll after it is ready.
pub fn tolerance_makes_nothing_early<R: Rig>(rig: &R, unit: u64) -> Outcome {
    for k in 1..=4 {
        let task = Task::new();
        let deadline = rig.now().after(k * unit + k);
        let mut sleep = tolerant(rig, deadline, 5 * unit);
        arm(rig, &mut sleep, &task)?;
        assert_eq!(rig.handle().ticks_at(sleep.deadline()), deadline);
        wait_for(rig, &task);
        assert!(rig.now() >= deadline);
        assert!(poll(&mut sleep, &task).is_ready());
    }
    Ok(())
}

/// A poll within the window is ready, before the task is woken.
pub fn a_poll_within_the_window_is_ready<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let mut sleep = tolerant(rig, deadline, FAR * unit);
    arm(rig, &mut sleep, &task)?;
    rig.wait_until(deadline);
    assert!(poll(&mut sleep, &task).is_ready());
    assert_eq!(task.wakers(), 0);
    Ok(())
}

/// A reset keeps the tolerance.
pub fn a_tolerant_sleep_can_be_reset<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = tolerant(rig, rig.now().after(FAR * unit), 3 * unit);
    arm(rig, &mut sleep, &task)?;
    let deadline = rig.now().after(2 * unit);
    reset(&mut sleep, rig.handle(), deadline);
    wait_for(rig, &task);
    assert!(rig.now() >= deadline);
    Ok(())
}

/// The wake comes within the window, wherever that lies, to the tick.
pub fn a_tolerant_sleep_wakes_within_its_window<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    for tolerance in [0, 1, 2, 3, 7, 8, 100] {
        for ahead in 1..40 {
            let task = Task::new();
            let deadline = rig.now().after(ahead);
            let mut sleep = tolerant(rig, deadline, tolerance);
            arm(rig, &mut sleep, &task)?;
            wait_for(rig, &task);
            let late = rig.now().since(deadline);
            assert!(rig.now() >= deadline && late <= tolerance, "{late} of {tolerance}");
            assert!(poll(&mut sleep, &task).is_ready());
        }
    }
    Ok(())
}

/// Timers with a common window share one wake-up, without knowing of each other.
pub fn tolerant_timers_meet<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let base = rig.now().get().next_multiple_of(64) + 64;
    // Windows of 60 ticks that all contain the next multiple of 64.
    let deadlines = [base + 5, base + 63, base + 20, base + 41, base + 64];
    let mut sleeps = deadlines.map(|deadline| tolerant(rig, Ticks::new(deadline), 60));
    sleeps.iter_mut().try_for_each(|sleep| arm(rig, sleep, &task))?;
    rig.interrupts();
    rig.set_clock(Ticks::new(base + 63));
    assert_eq!((rig.interrupts(), task.wakes()), (0, 0));
    rig.set_clock(Ticks::new(base + 64));
    assert_eq!((rig.interrupts(), task.wakes()), (1, 5));
    Ok(())
}
