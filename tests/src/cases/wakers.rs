//! Whose waker is woken, and what it may do.

#[cfg(feature = "std")]
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::Handoff;

use super::*;

/// A sleep that moves to another task forgets the first.
pub fn only_the_last_waker_is_woken<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let tasks: [Task; 5] = core::array::from_fn(|_| Task::new());
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    for task in &tasks {
        arm(rig, &mut sleep, task)?;
    }
    let wakers: [u32; 5] = core::array::from_fn(|i| tasks[i].wakers());
    before(rig, deadline)?;
    assert_eq!(wakers, [0, 0, 0, 0, 1]);
    wait_for(rig, &tasks[4]);
    settle(rig, deadline.after(2 * unit), unit);
    for (i, task) in tasks.iter().enumerate() {
        assert_eq!((task.wakes(), task.wakers()), ((i == 4) as u32, 0));
    }
    Ok(())
}

/// As tasks do that are polled for other reasons.
pub fn polling_again_with_the_same_waker_keeps_one<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    for _ in 0..10 {
        arm(rig, &mut sleep, &task)?;
        let wakers = task.wakers();
        before(rig, deadline)?;
        assert_eq!(wakers, 1);
    }
    wait_for(rig, &task);
    settle(rig, deadline.after(2 * unit), unit);
    assert_eq!((task.wakes(), task.wakers()), (1, 0));
    Ok(())
}

/// Two tasks take turns with one sleep, whether or not the timer has seen it.
pub fn two_tasks_may_pass_a_sleep_to_and_fro<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let (ours, theirs) = (Task::new(), Task::new());
    let deadline = rig.now().after(8 * unit);
    let mut sleep = at(rig, deadline);
    for round in 0..100 {
        arm(rig, &mut sleep, if round % 2 == 0 { &ours } else { &theirs })?;
        if round == 50 {
            settle(rig, rig.now(), unit / 16);
        }
    }
    before(rig, deadline)?;
    wait_for(rig, &theirs);
    settle(rig, deadline.after(unit), unit);
    assert_eq!((theirs.wakes(), theirs.wakers()), (1, 0));
    assert_eq!((ours.wakes(), ours.wakers()), (0, 0));
    Ok(())
}

/// A waker that arms a sleep, drops a hundred others, and moves one, in the middle of a batch.
pub fn a_waker_may_use_the_timer<R: Rig>(rig: &R, unit: u64) -> Outcome {
    const OTHERS: usize = 100;
    let handle = rig.handle();
    let deadline = rig.now().after(16 * unit);
    let (first, last, others, fresh, moved) =
        (Task::new(), Task::new(), Task::new(), Task::new(), Task::new());

    let mut crowd: [_; OTHERS] = core::array::from_fn(|_| at(rig, deadline.after(FAR * unit)));
    crowd.iter_mut().try_for_each(|sleep| arm(rig, sleep, &others))?;
    let mut far = at(rig, deadline.after(FAR * unit));
    arm(rig, &mut far, &moved)?;
    let (crowd, far) = (handoff(crowd), handoff(far));
    let armed_within = Handoff::new();
    let hook = || {
        // The last is woken in the same batch, and must not wake us a second time.
        drop(crowd.replace(None));
        let mut sleep = Sleep::after(handle.clone(), handle.duration_of(2 * unit));
        let _ = poll(&mut sleep, &fresh);
        armed_within.replace(Some(sleep));
        if let Some(mut sleep) = far.replace(None) {
            sleep.reset_after(handle.duration_of(4 * unit));
            far.replace(Some(sleep));
        }
        for _ in 0..OTHERS {
            let mut sleep = Sleep::after(handle.clone(), handle.duration_of(FAR * unit));
            assert!(poll(&mut sleep, &others).is_pending());
        }
    };

    let mut sleeps = [at(rig, deadline), at(rig, deadline.after(1))];
    first.hooked(&hook, || -> Outcome {
        arm(rig, &mut sleeps[0], &first)?;
        arm(rig, &mut sleeps[1], &last)?;
        rig.wait(&mut || [&first, &last, &moved].iter().all(|task| task.is_woken()));
        Ok(())
    })?;
    let mut fresh_sleep = armed_within.replace(None).expect("the waker has left it");
    rig.wait(&mut || poll(&mut fresh_sleep, &fresh).is_ready());
    settle(rig, rig.now(), unit);
    assert_eq!((first.wakes(), last.wakes(), moved.wakes()), (1, 1, 1));
    // Where there is no room for them, sleeps of the crowd wake themselves.
    assert_eq!(others.wakers(), 0);
    Ok(())
}

fn handoff<T>(value: T) -> Handoff<T> {
    let handoff = Handoff::new();
    handoff.replace(Some(value));
    handoff
}

/// One of a batch panics: the rest of it is woken, and the timer goes on.
#[cfg(feature = "std")]
pub fn a_waker_that_panics_harms_nobody<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let tasks: [Task; 50] = core::array::from_fn(|_| Task::new());
    let after = Task::new();
    let deadline = rig.now().after(8 * unit);
    let panicked = AtomicBool::new(false);
    let hook = || {
        panicked.store(true, SeqCst);
        // Says nothing, so as not to fill the log.
        std::panic::resume_unwind(std::boxed::Box::new("this waker panics"));
    };
    let mut sleeps: [_; 50] = core::array::from_fn(|i| at(rig, deadline.after(i as u64 % 2)));
    tasks[20].hooked(&hook, || -> Outcome {
        for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
            arm(rig, sleep, task)?;
        }
        rig.wait(&mut || panicked.load(SeqCst) && tasks.iter().all(Task::is_woken));
        Ok(())
    })?;
    assert!(tasks.iter().all(|task| task.wakes() == 1 && task.wakers() == 0));
    let mut sleep = at(rig, rig.now().after(4 * unit));
    arm(rig, &mut sleep, &after)?;
    wait_for(rig, &after);
    Ok(())
}
