//! Many sleeps at once.

use super::*;

/// More than three times as many as leave the exclusive section together.
const MANY: usize = 100;

/// Whatever the order in which they were armed.
pub fn timers_fire_in_the_order_of_their_deadlines<R: Rig>(rig: &R, unit: u64) -> Outcome {
    const ORDER: [u64; 12] = [7, 2, 11, 5, 1, 9, 6, 3, 12, 8, 4, 10];
    let base = rig.now().after(8 * unit);
    let tasks = ORDER.map(|_| Task::new());
    let mut sleeps = ORDER.map(|place| at(rig, base.after(place * unit / 4)));
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    // A turn that takes place meanwhile knows some of them only.
    settle(rig, rig.now(), unit / 16);
    before(rig, base)?;
    rig.wait(&mut || tasks.iter().all(Task::is_woken));
    for (a, a_task) in ORDER.iter().zip(&tasks) {
        for (b, b_task) in ORDER.iter().zip(&tasks) {
            assert_eq!(a < b, a_task.order() < b_task.order(), "places {a} and {b}");
        }
    }
    Ok(())
}

/// Equal deadlines do not swallow each other.
pub fn equal_deadlines_all_fire<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let deadline = rig.now().after(8 * unit);
    let tasks = [(); 40].map(|()| Task::new());
    let mut sleeps = [(); 40].map(|()| at(rig, deadline));
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    rig.wait(&mut || tasks.iter().all(Task::is_woken));
    assert!(rig.now() >= deadline);
    settle(rig, deadline.after(unit), unit);
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        assert!(poll(sleep, task).is_ready());
        assert_eq!((task.wakes(), task.wakers()), (1, 0));
    }
    Ok(())
}

/// Several batches of wake-ups in one turn.
pub fn a_hundred_that_are_due_together_all_wake<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let tasks: [Task; MANY] = core::array::from_fn(|_| Task::new());
    let base = rig.now().after(16 * unit);
    let mut sleeps: [_; MANY] = core::array::from_fn(|i| at(rig, base.after(i as u64 % 3)));
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    rig.wait(&mut || tasks.iter().all(Task::is_woken));
    settle(rig, base.after(unit), unit);
    assert!(tasks.iter().all(|task| task.wakes() == 1 && task.wakers() == 0));
    Ok(())
}

/// Every other one is dropped, and the others still fire, each once.
pub fn half_of_a_crowd_may_leave<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let tasks: [Task; MANY] = core::array::from_fn(|_| Task::new());
    let base = rig.now().after(16 * unit);
    let mut sleeps: [_; MANY] =
        core::array::from_fn(|i| Some(at(rig, base.after(i as u64 * 37 % 100 * unit / 100))));
    for (sleep, task) in sleeps.iter_mut().flatten().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    sleeps.iter_mut().step_by(2).for_each(|sleep| *sleep = None);
    before(rig, base)?;
    settle(rig, base.after(2 * unit), unit);
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        assert_eq!(task.wakes(), sleep.is_some() as u32);
        assert_eq!(task.wakers(), 0);
    }
    Ok(())
}

/// A task may wait for several sleeps at once: each has a deadline and an alarm of its own.
pub fn dropping_one_of_a_tasks_sleeps_leaves_the_others<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let start = rig.now().after(4 * unit);
    let mut sleeps = [0, 4, 8].map(|ahead| Some(at(rig, start.after(ahead * unit))));
    sleeps.iter_mut().flatten().try_for_each(|sleep| arm(rig, sleep, &task))?;
    sleeps[0] = None;
    before(rig, start)?;
    settle(rig, start.after(unit), unit);
    let wakes = task.wakes();
    before(rig, start.after(4 * unit))?;
    assert_eq!(wakes, 0, "woken for one that was dropped");
    for k in 1..3 {
        // Both, if nobody had the time to look in between.
        rig.wait(&mut || task.wakes() >= k);
        assert!(rig.now() >= start.after(4 * u64::from(k) * unit));
    }
    assert_eq!(task.wakes(), 2);
    Ok(())
}

/// Two share a deadline, and one of them is moved to that of a third: it may leave from there
/// while the one that stayed fires.
pub fn a_sleep_may_leave_the_deadline_that_it_was_moved_to<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let (stays, moves, third) = (Task::new(), Task::new(), Task::new());
    let near = rig.now().after(4 * unit);
    let far = near.after(4 * unit);
    let mut sleeps = [at(rig, near), at(rig, near), at(rig, far)];
    for (sleep, task) in sleeps.iter_mut().zip([&stays, &moves, &third]) {
        arm(rig, sleep, task)?;
    }
    let [_stays, mut moved, _third] = sleeps;
    reset(&mut moved, rig.handle(), far);
    before(rig, near)?;
    wait_for(rig, &stays);
    drop(moved);
    before(rig, far)?;
    wait_for(rig, &third);
    settle(rig, far, unit);
    assert_eq!((stays.wakes(), moves.wakes(), third.wakes()), (1, 0, 1));
    assert_eq!(moves.wakers(), 0);
    Ok(())
}
