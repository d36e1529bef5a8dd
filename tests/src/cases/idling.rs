//! What a timer does when there is nothing to do.

use crate::ClockRig;

use super::*;

/// No alarm is set and no interrupt comes while nothing is armed.
pub fn without_a_sleep_there_is_no_alarm<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    assert_eq!((rig.alarm(), rig.interrupts()), (None, 0));
    rig.set_clock(rig.now().after(1 << 40));
    assert_eq!((rig.alarm(), rig.interrupts()), (None, 0));

    let task = Task::new();
    let mut sleep = at(rig, rig.now().after(5));
    arm(rig, &mut sleep, &task)?;
    rig.wait(&mut || task.is_woken());
    assert_eq!(rig.alarm(), None, "the last has fired");
    rig.set_clock(rig.now().after(1 << 40));
    assert_eq!(rig.interrupts(), 0);
    Ok(())
}

/// One interrupt arms it, one fires it, and none comes in between.
pub fn one_far_timer_is_one_interrupt<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut sleep = at(rig, start.after(1 << 40));
    arm(rig, &mut sleep, &task)?;
    assert_eq!(rig.interrupts(), 1, "the alarm has to be set");
    assert_eq!(rig.alarm(), Some(start.after(1 << 40)));
    for shift in 0..40 {
        rig.set_clock(start.after(1 << shift));
        assert_eq!(rig.interrupts(), 0, "at {shift}");
    }
    rig.set_clock(start.after((1 << 40) - 1));
    assert_eq!((rig.interrupts(), task.wakes()), (0, 0));
    rig.set_clock(start.after(1 << 40));
    assert_eq!((rig.interrupts(), task.wakes()), (1, 1));
    assert_eq!(rig.alarm(), None);
    Ok(())
}

/// A sleep that is later than another need not be told of: the alarm comes first anyway.
pub fn a_later_sleep_asks_for_no_turn<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut first = at(rig, start.after(100));
    arm(rig, &mut first, &task)?;
    assert_eq!(rig.interrupts(), 1);
    let mut later: [_; 50] = core::array::from_fn(|i| at(rig, start.after(100 + i as u64)));
    later.iter_mut().try_for_each(|sleep| arm(rig, sleep, &task))?;
    drop(later);
    assert_eq!(rig.interrupts(), 0);
    Ok(())
}
