//! Ticks at a fixed period.

use core::time::Duration;

use moirai_timer_core::{Handle, Interval, MissedTickBehavior};

use crate::{AloneRig, CAPACITY, ClockRig};

use super::*;

fn every<R: Rig>(rig: &R, start: Ticks, period: u64) -> Interval<R::Handle> {
    Interval::new(at(rig, start), rig.handle().duration_of(period))
}

/// When the tick that is due now was due.
fn tick<R: Rig>(rig: &R, interval: &mut Interval<R::Handle>, task: &Task) -> Option<Ticks> {
    match task.polls(|cx| interval.poll_tick(cx)) {
        Poll::Ready(at) => Some(rig.handle().ticks_at(at)),
        Poll::Pending => None,
    }
}

/// The next tick, after waiting for it; with the time at which it was taken.
fn next<R: Rig>(rig: &R, interval: &mut Interval<R::Handle>, task: &Task) -> (Ticks, Ticks) {
    let mut due = None;
    let mut seen = None;
    rig.wait(&mut || {
        // It is polled when its task was woken, and not otherwise.
        let wakes = Some(task.wakes());
        if seen != wakes {
            seen = wakes;
            due = tick(rig, interval, task);
        }
        due.is_some()
    });
    (due.expect("it was waited for"), rig.now())
}

/// The first at the start, each later one a period after the one before, none early.
pub fn an_interval_ticks_every_period<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let start = rig.now().after(2 * unit);
    let mut interval = every(rig, start, 3 * unit);
    interval.set_missed_tick_behavior(MissedTickBehavior::Burst);
    assert_eq!(rig.handle().ticks_in(interval.period()), 3 * unit);
    for k in 0..6 {
        let (due, taken) = next(rig, &mut interval, &Task::new());
        assert_eq!(due, start.after(3 * unit * k));
        assert!(taken >= due);
    }
    Ok(())
}

/// Whatever was missed: with `Skip`, the default, ticks stay on schedule and never come in bursts.
pub fn skipped_ticks_stay_on_schedule<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let start = rig.now();
    let mut interval = every(rig, start, 2 * unit);
    assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Skip);
    let mut last = None;
    for k in 0..4 {
        let (due, taken) = next(rig, &mut interval, &Task::new());
        assert_eq!(due.since(start) % (2 * unit), 0);
        assert!(taken >= due && last < Some(due));
        last = Some(due);
        rig.wait_until(rig.now().after(k * 3 * unit));
    }
    Ok(())
}

/// Takes a tick on time, and then none for `held_up` ticks; gives what is due at once after that,
/// and when the one after it is due; all counted from the first.
fn missed<R: ClockRig>(
    rig: &R,
    behavior: MissedTickBehavior,
    period: u64,
    held_up: u64,
) -> ([Option<u64>; 5], u64) {
    let task = Task::new();
    let start = rig.now();
    let mut interval = every(rig, start, period);
    interval.set_missed_tick_behavior(behavior);
    assert_eq!(tick(rig, &mut interval, &task), Some(start));
    assert_eq!(tick(rig, &mut interval, &task), None);
    rig.wait_until(start.after(held_up));
    let mut due = [None; 5];
    for due in &mut due {
        *due = tick(rig, &mut interval, &task).map(|at| at.since(start));
    }
    let after = Task::new();
    let (then, taken) = next(rig, &mut interval, &after);
    assert_eq!(then, taken);
    (due, then.since(start))
}

/// `Burst` gives all that were missed at once, and is then on schedule.
pub fn burst_catches_up<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let burst = MissedTickBehavior::Burst;
    assert_eq!(missed(rig, burst, 10, 35), ([Some(10), Some(20), Some(30), None, None], 40));
    assert_eq!(missed(rig, burst, 10, 40), ([Some(10), Some(20), Some(30), Some(40), None], 50));
    Ok(())
}

/// `Delay` gives one, and the next a period after that was taken.
pub fn delay_shifts_the_schedule<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let delay = MissedTickBehavior::Delay;
    assert_eq!(missed(rig, delay, 10, 35), ([Some(10), None, None, None, None], 45));
    // One that is late by less than a period is not missed.
    assert_eq!(missed(rig, delay, 10, 19), ([Some(10), None, None, None, None], 20));
    Ok(())
}

/// `Skip` gives one, leaves the others out, and stays on schedule.
pub fn skip_leaves_missed_ticks_out<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let skip = MissedTickBehavior::Skip;
    assert_eq!(missed(rig, skip, 10, 35), ([Some(10), None, None, None, None], 40));
    assert_eq!(missed(rig, skip, 10, 40), ([Some(10), None, None, None, None], 50));
    assert_eq!(missed(rig, skip, 10, 19), ([Some(10), None, None, None, None], 20));
    Ok(())
}

/// All four ways to move the next tick; the period holds from then on.
pub fn an_interval_can_be_reset<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let next = |interval: &mut _| next(rig, interval, &Task::new()).0.since(start);
    let mut interval = every(rig, start, 100);
    assert_eq!(next(&mut interval), 0);
    rig.wait_until(start.after(30));

    interval.reset();
    assert_eq!(next(&mut interval), 130);
    assert_eq!(next(&mut interval), 230);
    interval.reset_immediately();
    assert_eq!(next(&mut interval), 230);
    assert_eq!(tick(rig, &mut interval, &task), None);
    interval.reset_after(rig.handle().duration_of(7));
    assert_eq!(next(&mut interval), 237);
    assert_eq!(next(&mut interval), 337);
    interval.reset_at(rig.handle().instant_at(start.after(350)));
    assert_eq!(next(&mut interval), 350);
    assert_eq!(next(&mut interval), 450);
    Ok(())
}

/// A tick that nobody takes keeps no slot busy and no task awake.
pub fn a_dropped_interval_never_wakes<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now().after(4 * unit);
    let mut interval = every(rig, start, unit);
    let due = tick(rig, &mut interval, &task);
    before(rig, start)?;
    assert_eq!(due, None);
    drop(interval);
    before(rig, start)?;
    settle(rig, start.after(3 * unit), unit);
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    Ok(())
}

/// Once it has waited, no other takes its slot: not between two ticks, and not after a shutdown.
pub fn an_interval_keeps_its_slot_from_tick_to_tick<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now().after(2 * unit);
    let mut interval = every(rig, start, 4 * unit);
    let waits = tick(rig, &mut interval, &task).is_none();
    before(rig, start)?;
    assert!(waits);
    wait_for(rig, &task);
    assert_eq!(tick(rig, &mut interval, &task), Some(start));
    let far = || at(rig, rig.now().after(FAR * unit)).reserved().ok();
    let others: [_; CAPACITY] = core::array::from_fn(|_| far());
    assert_eq!(others.iter().flatten().count(), CAPACITY - 1);
    rig.shutdown();
    let _ = next(rig, &mut interval, &Task::new());
    assert_eq!(rig.metrics().full_repolls, 0);
    drop((interval, others));
    rig.turn();
    assert_eq!(rig.metrics().armed, 0);
    Ok(())
}

/// A period that is less than a tick of the clock is one tick, and not zero.
pub fn a_period_is_one_tick_at_least<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let start = rig.now();
    let mut interval = Interval::new(at(rig, start), Duration::from_nanos(1));
    for k in 0..3 {
        assert_eq!(next(rig, &mut interval, &Task::new()).0, start.after(k));
    }
    Ok(())
}

/// A period of zero is refused, loudly.
#[cfg(feature = "std")]
pub fn a_period_of_zero_panics<R: Rig>(rig: &R, _: u64) -> Outcome {
    let sleep = at(rig, rig.now());
    let made = std::panic::AssertUnwindSafe(|| Interval::new(sleep, Duration::ZERO));
    assert!(std::panic::catch_unwind(made).is_err());
    Ok(())
}

/// A tick that was taken arms nothing: the next poll does.
pub fn a_tick_that_was_taken_wakes_nobody<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut interval = every(rig, start, 2 * unit);
    assert!(tick(rig, &mut interval, &task).is_some());
    settle(rig, start.after(5 * unit), unit);
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    // It stayed due all the same.
    assert!(tick(rig, &mut interval, &task).is_some());
    Ok(())
}

/// A period that overflows the clock: one tick, and no other until it is reset.
pub fn an_interval_of_the_longest_period_ticks_once<R: Rig>(rig: &R, unit: u64) -> Outcome {
    for behavior in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip]
    {
        let task = Task::new();
        let start = rig.now();
        let mut interval = Interval::new(at(rig, start), Duration::MAX);
        interval.set_missed_tick_behavior(behavior);
        assert_eq!(tick(rig, &mut interval, &task), Some(start));
        assert_eq!(tick(rig, &mut interval, &task), None);
        interval.reset();
        interval.reset_after(Duration::MAX);
        assert_eq!(tick(rig, &mut interval, &task), None);
        interval.reset_after(rig.handle().duration_of(2 * unit));
        let (due, taken) = next(rig, &mut interval, &Task::new());
        assert!(taken >= due && due >= start.after(2 * unit));
        assert_eq!(tick(rig, &mut interval, &task), None);
        assert_eq!(task.wakes(), 0);
    }
    Ok(())
}

/// The same rule after the second absence as after the first, and when there was none.
pub fn an_interval_keeps_its_rule_through_one_absence_after_another<R: ClockRig>(
    rig: &R,
    _: u64,
) -> Outcome {
    // When somebody looks, counted from the first tick, and what is due then. The period is 100.
    type Look = (u64, &'static [u64]);
    let burst: &[Look] = &[
        (0, &[0]),
        (70, &[]),
        (250, &[100, 200]),
        (299, &[]),
        (300, &[300]),
        (777, &[400, 500, 600, 700]),
        (800, &[800]),
    ];
    let delay: &[Look] = &[
        (0, &[0]),
        (70, &[]),
        (250, &[100]),
        (349, &[]),
        (360, &[350]),
        (777, &[450]),
        (876, &[]),
        (877, &[877]),
    ];
    let skip: &[Look] = &[
        (0, &[0]),
        (70, &[]),
        (250, &[100]),
        (299, &[]),
        (310, &[300]),
        (777, &[400]),
        (799, &[]),
        (800, &[800]),
    ];
    for (behavior, looks) in [
        (MissedTickBehavior::Burst, burst),
        (MissedTickBehavior::Delay, delay),
        (MissedTickBehavior::Skip, skip),
    ] {
        let task = Task::new();
        let start = rig.now().after(13);
        let mut interval = every(rig, start, 100);
        interval.set_missed_tick_behavior(behavior);
        assert_eq!(tick(rig, &mut interval, &task), None);
        for (look, due) in looks {
            rig.wait_until(start.after(*look));
            for due in *due {
                let got = tick(rig, &mut interval, &task);
                assert_eq!(got, Some(start.after(*due)), "{behavior:?}, looking at {look}");
            }
            let got = tick(rig, &mut interval, &task);
            assert_eq!(got, None, "{behavior:?}, looking at {look}");
        }
    }
    Ok(())
}

/// The next tick may be further away than the period, which holds again after it.
pub fn an_interval_may_be_put_off_for_longer_than_its_period<R: ClockRig>(
    rig: &R,
    _: u64,
) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut interval = every(rig, start, 10);
    assert_eq!(tick(rig, &mut interval, &task), Some(start));
    assert_eq!(tick(rig, &mut interval, &task), None);
    interval.reset_at(rig.handle().instant_at(start.after(45)));
    for passed in [10, 20, 44] {
        rig.wait_until(start.after(passed));
        assert_eq!((tick(rig, &mut interval, &task), task.wakes()), (None, 0));
    }
    assert_eq!(next(rig, &mut interval, &Task::new()).0, start.after(45));
    assert_eq!(next(rig, &mut interval, &Task::new()).0, start.after(55));
    Ok(())
}
