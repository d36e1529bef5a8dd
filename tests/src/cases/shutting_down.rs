//! A timer that was shut down.

use moirai_timer_core::RegisterError;

use crate::AloneRig;

use super::*;

/// What waits is not let down.
pub fn what_is_armed_fires_after_a_shutdown<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let tasks = [(); 40].map(|()| Task::new());
    let deadline = rig.now().after(8 * unit);
    let mut sleeps: [_; 40] = core::array::from_fn(|i| at(rig, deadline.after(i as u64)));
    for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
        arm(rig, sleep, task)?;
    }
    rig.shutdown();
    rig.wait(&mut || tasks.iter().all(Task::is_woken));
    assert!(sleeps.iter_mut().zip(&tasks).all(|(sleep, task)| poll(sleep, task).is_ready()));
    Ok(())
}

/// `try_sleep` says why.
pub fn a_timer_that_is_shut_down_reserves_nothing<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let later = || at(rig, rig.now().after(FAR * unit)).reserved();
    assert!(later().is_ok());
    rig.shutdown();
    assert_eq!(later().err(), Some(RegisterError::ShutDown));
    rig.shutdown();
    assert_eq!(later().err(), Some(RegisterError::ShutDown));
    Ok(())
}

/// A new sleep wakes its own task until it is due.
pub fn a_sleep_after_a_shutdown_is_on_time<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    rig.shutdown();
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    loop {
        let (now, wakes) = (rig.now(), task.wakes());
        let ready = poll(&mut sleep, &task).is_ready();
        if ready {
            assert!(rig.now() >= deadline);
            return Ok(());
        }
        assert!(now < deadline, "pending {} ticks late", now.since(deadline));
        assert_eq!(task.wakes(), wakes + 1);
        rig.wait_until(now.after(unit / 4));
    }
}

/// Sleeps that have a slot may still be moved, and dropped.
pub fn a_shutdown_leaves_armed_sleeps_their_freedom<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let (moved, dropped) = (Task::new(), Task::new());
    let mut far = at(rig, rig.now().after(FAR * unit));
    arm(rig, &mut far, &moved)?;
    let deadline = rig.now().after(8 * unit);
    let mut gone = at(rig, deadline);
    arm(rig, &mut gone, &dropped)?;
    rig.shutdown();
    reset(&mut far, rig.handle(), deadline);
    drop(gone);
    before(rig, deadline)?;
    wait_for(rig, &moved);
    assert!(rig.now() >= deadline);
    assert_eq!(dropped.wakes(), 0);
    Ok(())
}
