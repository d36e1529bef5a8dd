//! A timer without a free slot.

use moirai_timer_core::{RegisterError, Sleep};

use crate::{AloneRig, CAPACITY};

use super::*;

/// Sleeps that hold all slots, armed for long after the case.
fn fill<R: Rig>(rig: &R, task: &Task) -> [Option<Sleep<R::Handle>>; CAPACITY] {
    core::array::from_fn(|_| {
        let far = at(rig, rig.now().after(FAR * R::UNIT));
        let mut sleep = far.reserved().expect("there is room for as many");
        assert!(poll(&mut sleep, task).is_pending());
        Some(sleep)
    })
}

/// `try_sleep` fails, and works again when a slot is free.
pub fn a_full_timer_says_so<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut all = fill(rig, &task);
    let one_more = || at(rig, rig.now().after(FAR * unit)).reserved();
    assert_eq!(one_more().err(), Some(RegisterError::Full));
    all[77] = None;
    rig.turn();
    let mut got = None;
    rig.wait(&mut || {
        got = one_more().ok();
        got.is_some()
    });
    assert_eq!(one_more().err(), Some(RegisterError::Full));
    Ok(())
}

/// A plain sleep wakes its own task until it is due: it is on time, and counted.
pub fn a_sleep_without_a_slot_is_on_time_all_the_same<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let (crowd, task) = (Task::new(), Task::new());
    let _all = fill(rig, &crowd);
    let deadline = rig.now().after(4 * unit);
    let mut sleep = at(rig, deadline);
    let mut polls = 0;
    loop {
        let now = rig.now();
        let ready = poll(&mut sleep, &task).is_ready();
        if ready {
            assert!(rig.now() >= deadline);
            break;
        }
        assert!(now < deadline, "pending {} ticks late", now.since(deadline));
        polls += 1;
        assert_eq!(task.wakes(), polls, "each poll wakes the task again");
        assert_eq!(task.wakers(), 0);
        rig.wait_until(now.after(unit / 8));
    }
    let repolls = rig.metrics().full_repolls;
    assert_eq!(repolls, u64::from(polls));
    assert_eq!(crowd.wakes(), 0);
    Ok(())
}

/// It takes the first slot that comes free, and then waits quietly.
pub fn a_sleep_without_a_slot_takes_the_first_that_is_free<R: AloneRig>(
    rig: &R,
    unit: u64,
) -> Outcome {
    let (crowd, task) = (Task::new(), Task::new());
    let mut all = fill(rig, &crowd);
    let deadline = rig.now().after(16 * unit);
    let mut sleep = at(rig, deadline);
    arm(rig, &mut sleep, &task)?;
    let wakes = task.wakes();
    before(rig, deadline)?;
    assert_eq!(wakes, 1);
    all[3] = None;
    rig.turn();
    while task.wakers() == 0 {
        arm(rig, &mut sleep, &task)?;
    }
    let wakes = task.wakes();
    for _ in 0..3 {
        arm(rig, &mut sleep, &task)?;
    }
    let still = task.wakes();
    before(rig, deadline)?;
    assert_eq!(wakes, still, "it has a slot, and wakes itself no more");
    rig.wait(&mut || task.wakes() > wakes);
    assert!(poll(&mut sleep, &task).is_ready());
    Ok(())
}

/// Slots that are held, but not armed, count too, and return when they are dropped.
pub fn reserved_slots_return_unused<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    for _ in 0..3 {
        let one = || at(rig, rig.now().after(FAR * unit)).reserved();
        let all: [_; CAPACITY] = core::array::from_fn(|_| one());
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(one().err(), Some(RegisterError::Full));
    }
    assert_eq!(rig.metrics().registered, 0);
    Ok(())
}

/// The same slots again and again, in every order, for a while.
pub fn slots_are_used_again_for_ever<R: AloneRig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let mut all = fill(rig, &task);
    let mut random = 1u64;
    for _ in 0..2_000 {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let place = (random >> 33) as usize % CAPACITY;
        all[place] = None;
        let mut sleep = at(rig, rig.now().after(FAR * unit));
        let wakes = task.wakes();
        arm(rig, &mut sleep, &task)?;
        // If the timer's thread is about to free the slot, the sleep has woken itself.
        rig.wait(&mut || {
            let full = task.wakers() < CAPACITY as u32;
            let _ = poll(&mut sleep, &task);
            !full || task.wakes() == wakes
        });
        all[place] = Some(sleep);
    }
    assert_eq!(task.wakers(), CAPACITY as u32);
    Ok(())
}
