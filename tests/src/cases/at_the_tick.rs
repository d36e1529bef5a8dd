//! What happens at exactly which tick of the clock.

use core::time::Duration;

use moirai_timer_core::{Handle, Sleep, Ticks};

use crate::ClockRig;

use super::*;

/// One tick before the deadline nothing happens; at it, everything.
pub fn nothing_happens_a_tick_early_or_late<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    for ahead in 1..70 {
        let task = Task::new();
        let start = rig.now();
        let mut sleep = at(rig, start.after(ahead));
        for tick in 0..ahead {
            rig.set_clock(start.after(tick));
            rig.interrupts();
            assert!(poll(&mut sleep, &task).is_pending(), "{} ticks early", ahead - tick);
            assert_eq!((task.wakes(), sleep.is_elapsed()), (0, false));
        }
        rig.set_clock(start.after(ahead));
        assert!(sleep.is_elapsed());
        assert!(rig.interrupts() > 0);
        assert_eq!((task.wakes(), task.wakers()), (1, 0));
        assert!(poll(&mut sleep, &task).is_ready());
    }
    Ok(())
}

/// Durations are rounded up to ticks.
pub fn a_duration_is_never_cut_short<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let handle = rig.handle();
    let tick = handle.duration_of(1) + Duration::from_nanos(1);
    for ticks in [1, 2, 1_000, 1 << 30] {
        for nanos in [0, 1] {
            let duration = tick * ticks as u32 + Duration::from_nanos(nanos);
            let got = handle.ticks_at(Sleep::after(handle.clone(), duration).deadline());
            let took = handle.duration_of(got.since(rig.now()) + 1);
            assert!(took > duration, "{duration:?} became {got:?}");
        }
    }
    Ok(())
}

/// The alarm stands at the earliest deadline after every turn.
pub fn the_alarm_is_the_earliest_deadline<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut sleeps = [500, 300, 400, 100, 200].map(|ahead| Some(at(rig, start.after(ahead))));
    let mut earliest = u64::MAX;
    for (sleep, ahead) in sleeps.iter_mut().flatten().zip([500, 300, 400, 100, 200]) {
        arm(rig, sleep, &task)?;
        rig.interrupts();
        earliest = earliest.min(ahead);
        assert_eq!(rig.alarm(), Some(start.after(earliest)));
    }
    // An alarm that is no longer needed may stand until the next turn, and not longer.
    for (place, then) in [(3, Some(200)), (4, Some(300)), (1, Some(400)), (2, Some(500)), (0, None)]
    {
        sleeps[place] = None;
        rig.set_clock(rig.alarm().expect("one is armed"));
        rig.interrupts();
        assert_eq!(rig.alarm(), then.map(|ahead| start.after(ahead)));
    }
    assert_eq!(task.wakes(), 0);
    Ok(())
}

/// Time need not pass for commands to be taken, and does not pass by itself.
pub fn a_clock_that_stands_still_fires_nothing<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut sleep = at(rig, start.after(1));
    for _ in 0..1_000 {
        assert!(poll(&mut sleep, &task).is_pending());
        rig.turn();
    }
    assert_eq!((task.wakes(), rig.now()), (0, start));
    rig.interrupts();
    assert_eq!(rig.alarm(), Some(start.after(1)));
    rig.set_clock(start.after(1));
    assert_eq!((rig.interrupts(), task.wakes()), (1, 1));
    Ok(())
}

/// After a long absence everything that is due fires, in order and in one interrupt.
pub fn a_clock_that_jumps_an_hour_loses_nothing<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    const MANY: usize = 110;
    let start = rig.now();
    let hour = rig.handle().ticks_in(Duration::from_secs(3600));
    let tasks: [Task; MANY] = core::array::from_fn(|_| Task::new());
    let due = |i: usize| start.after(1 + (i as u64 * 7919 % MANY as u64) * (hour / 128));
    let mut sleeps: [_; MANY] = core::array::from_fn(|i| at(rig, due(i)));
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    let mut ahead = at(rig, start.after(hour + 1));
    let still = Task::new();
    arm(rig, &mut ahead, &still)?;
    rig.interrupts();
    rig.set_clock(start.after(hour));
    assert_eq!(rig.interrupts(), 1);
    assert!(tasks.iter().all(|task| task.wakes() == 1));
    for i in 1..MANY {
        for j in 0..i {
            assert_eq!(due(i) < due(j), tasks[i].order() < tasks[j].order());
        }
    }
    assert_eq!((still.wakes(), rig.alarm()), (0, Some(start.after(hour + 1))));
    Ok(())
}

/// The same, if the jump comes before anybody has taken the commands.
pub fn a_jump_before_the_first_turn_loses_nothing<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    const MANY: usize = 110;
    let start = rig.now();
    let tasks: [Task; MANY] = core::array::from_fn(|_| Task::new());
    let mut sleeps: [_; MANY] = core::array::from_fn(|i| at(rig, start.after(1 + i as u64)));
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    rig.set_clock(start.after(1 << 40));
    rig.interrupts();
    assert!(tasks.iter().all(|task| task.wakes() == 1 && task.wakers() == 0));
    assert_eq!(rig.alarm(), None);
    Ok(())
}

/// The last tick of the clock is a deadline like any other; what lies beyond is never.
pub fn the_last_tick_can_be_waited_for<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let (last_task, never_task) = (Task::new(), Task::new());
    let mut last = at(rig, Ticks::LAST);
    let mut never = at(rig, Ticks::new(Ticks::LAST.get() + 1));
    arm(rig, &mut last, &last_task)?;
    assert!(poll(&mut never, &never_task).is_pending());
    rig.interrupts();
    assert_eq!(rig.alarm(), Some(Ticks::LAST));
    rig.set_clock(Ticks::LAST);
    rig.interrupts();
    assert_eq!((last_task.wakes(), never_task.wakes()), (1, 0));
    assert!(poll(&mut last, &last_task).is_ready());
    assert!(poll(&mut never, &never_task).is_pending());
    assert_eq!(rig.alarm(), None);
    Ok(())
}

/// A later deadline is no command; an earlier one is, and asks for a turn if the alarm is later.
pub fn only_an_earlier_deadline_is_a_command<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now();
    let mut sleep = at(rig, start.after(100));
    arm(rig, &mut sleep, &task)?;
    rig.interrupts();
    for later in 0..1_000 {
        reset(&mut sleep, rig.handle(), start.after(100 + later));
    }
    assert_eq!((rig.drain().applied, rig.interrupts()), (0, 0));

    // Earlier than it was, but not than the alarm: a command, and no turn on its account.
    reset(&mut sleep, rig.handle(), start.after(200));
    assert_eq!(rig.interrupts(), 0);
    assert_eq!(rig.drain().applied, 1);
    reset(&mut sleep, rig.handle(), start.after(50));
    assert_eq!(rig.interrupts(), 1);
    assert_eq!(rig.alarm(), Some(start.after(50)));

    // The store finds out about a later one when the old one comes up: no wake, a new alarm.
    reset(&mut sleep, rig.handle(), start.after(300));
    rig.set_clock(start.after(50));
    assert_eq!((rig.interrupts(), task.wakes()), (1, 0));
    assert_eq!(rig.alarm(), Some(start.after(300)));
    rig.set_clock(start.after(300));
    assert_eq!((rig.interrupts(), task.wakes()), (1, 1));
    Ok(())
}

/// A sleep that is armed and dropped before anybody looks is one command, and gives one slot back.
pub fn a_sleep_that_came_and_went_is_one_command<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let mut sleep = at(rig, rig.now().after(100));
    arm(rig, &mut sleep, &task)?;
    for place in [90, 80, 120, 70, 200] {
        reset(&mut sleep, rig.handle(), rig.now().after(place));
    }
    drop(sleep);
    let drained = rig.drain();
    assert_eq!((drained.applied, drained.freed), (1, 1));
    assert_eq!(rig.drain().applied, 0);
    assert_eq!(rig.metrics().cancelled, 1);
    rig.interrupts();
    // An alarm may be left, so that the next such sleep need not ask for one; but only one.
    if let Some(alarm) = rig.alarm() {
        rig.set_clock(alarm);
        assert_eq!(rig.interrupts(), 1);
        assert_eq!(rig.alarm(), None);
    }
    assert_eq!(task.wakes(), 0);
    Ok(())
}

/// A sleep that is dropped when it is due, and nobody has turned, does not wake.
pub fn a_sleep_that_is_dropped_when_due_does_not_wake<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    for turned in [false, true] {
        let task = Task::new();
        let mut sleep = at(rig, rig.now().after(5));
        arm(rig, &mut sleep, &task)?;
        if turned {
            rig.interrupts();
        }
        rig.set_clock(rig.now().after(5));
        drop(sleep);
        rig.interrupts();
        assert_eq!((task.wakes(), task.wakers()), (0, 0));
    }
    assert_eq!(rig.metrics().cancelled, 2);
    Ok(())
}

/// Deadlines in a row, one a tick: at each tick exactly one more is due, however often it is
/// turned, and whether or not it is polled.
pub fn a_row_of_deadlines_falls_one_a_tick<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    const ROW: usize = 120;
    let start = rig.now();
    let tasks: [Task; ROW] = core::array::from_fn(|_| Task::new());
    let mut row: [_; ROW] = core::array::from_fn(|i| at(rig, start.after(1 + i as u64)));
    for (sleep, task) in row.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    for tick in 0..=ROW {
        rig.set_clock(start.after(tick as u64));
        for _ in 0..2 {
            rig.turn();
            rig.interrupts();
        }
        for (i, (sleep, task)) in row.iter_mut().zip(&tasks).enumerate() {
            assert_eq!(task.is_woken(), i < tick, "{i} at {tick}");
            assert_eq!(poll(sleep, task).is_ready(), i < tick, "{i} at {tick}");
        }
    }
    assert!(tasks.iter().all(|task| task.wakes() == 1));
    Ok(())
}

/// A year, five times over, and then ten at once.
pub fn years_pass_like_moments<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let year = rig.handle().ticks_in(Duration::from_secs(365 * 86_400));
    for years in [1, 1, 1, 1, 1, 10] {
        let task = Task::new();
        let deadline = rig.now().after(years * year);
        let mut sleep = at(rig, deadline);
        arm(rig, &mut sleep, &task)?;
        rig.interrupts();
        rig.set_clock(Ticks::new(deadline.get() - 1));
        rig.interrupts();
        assert_eq!(task.wakes(), 0);
        wait_for(rig, &task);
        assert_eq!(rig.now(), deadline);
        assert!(poll(&mut sleep, &task).is_ready());
    }
    Ok(())
}

/// Time is one thing, and the turn that acts on it another: between them nobody is woken, and a
/// poll knows better than the timer.
pub fn a_clock_that_moves_wakes_nobody_until_it_is_turned<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let (polled, woken) = (Task::new(), Task::new());
    let start = rig.now();
    let mut sleeps = [at(rig, start.after(100)), at(rig, start.after(100))];
    arm(rig, &mut sleeps[0], &polled)?;
    arm(rig, &mut sleeps[1], &woken)?;
    rig.interrupts();
    rig.set_clock(start.after(50));
    assert_eq!(rig.interrupts(), 0);
    rig.set_clock(start.after(100));
    assert_eq!((polled.wakes(), woken.wakes()), (0, 0));
    assert!(poll(&mut sleeps[0], &polled).is_ready());
    rig.turn();
    assert_eq!((polled.wakes(), woken.wakes()), (0, 1));
    Ok(())
}

/// Groups that were begun at different times and lie at all distances, on a clock that goes in
/// great steps: each ends with the first step that reaches it, as a whole.
pub fn groups_that_begin_at_different_times_end_at_theirs<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    // What is begun at each time, by when it ends, and how many; times counted from the start.
    const BEGUN: [(u64, u64, usize); 6] = [
        (0, 100, 2),
        (0, 65_535, 3),
        (0, 6_000_000, 4),
        (50, 150, 3),
        (10_150, 80_250, 4),
        (100_150, 110_150, 2),
    ];
    const STEPS: [u64; 9] = [0, 50, 100, 10_150, 60_100, 66_100, 100_150, 140_150, 6_140_150];
    let start = rig.now();
    let tasks: [Task; 6] = core::array::from_fn(|_| Task::new());
    let mut sleeps: [[Option<Sleep<R::Handle>>; 4]; 6] = Default::default();
    for now in STEPS {
        rig.set_clock(start.after(now));
        rig.interrupts();
        for ((group, task), (begin, end, size)) in sleeps.iter_mut().zip(&tasks).zip(BEGUN) {
            assert_eq!(task.wakes() as usize, if end <= now { size } else { 0 }, "at {now}");
            if begin == now {
                for place in &mut group[..size] {
                    arm(rig, place.insert(at(rig, start.after(end))), task)?;
                }
            }
        }
    }
    assert_eq!(rig.alarm(), None);
    Ok(())
}

/// A run on a virtual clock is the same every time: each sleep ends at its deadline, to the tick.
pub fn sleeps_on_a_virtual_clock_end_to_the_tick<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let mut random = 1u64;
    for _ in 0..1_000 {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let task = Task::new();
        let deadline = rig.now().after(random >> 44);
        let mut sleep = at(rig, deadline);
        if poll(&mut sleep, &task).is_pending() {
            wait_for(rig, &task);
            assert!(poll(&mut sleep, &task).is_ready());
        }
        assert_eq!(rig.now(), deadline);
    }
    Ok(())
}

/// A deadline of years lies in a far corner of the store; wherever the clock stands when near ones
/// are armed, just before a corner is turned above all, those are on time, and may be dropped.
pub fn a_near_sleep_is_on_time_wherever_the_clock_stands<R: ClockRig>(rig: &R, _: u64) -> Outcome {
    let start = rig.now();
    let far_task = Task::new();
    let mut far = at(rig, start.after(10 << 36));
    arm(rig, &mut far, &far_task)?;
    for bits in 3..39 {
        rig.wait_until(start.after((1 << bits) - 1));
        let (first_task, second_task) = (Task::new(), Task::new());
        let mut first = at(rig, rig.now().after(2));
        let mut second = at(rig, rig.now().after(3));
        arm(rig, &mut first, &first_task)?;
        arm(rig, &mut second, &second_task)?;
        let deadline = rig.handle().ticks_at(first.deadline());
        wait_for(rig, &first_task);
        assert_eq!((rig.now(), second_task.wakes()), (deadline, 0));
        rig.set_clock(deadline.after(1));
        rig.interrupts();
        assert_eq!(second_task.wakes(), 1);
        drop(first);
        rig.turn();
        drop(second);
    }
    assert_eq!((rig.now().since(start) < 10 << 36, far_task.wakes()), (true, 0));
    wait_for(rig, &far_task);
    assert_eq!(rig.now(), start.after(10 << 36));
    Ok(())
}
