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
