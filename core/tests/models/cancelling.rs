//! Rule 6: a sleep that is dropped gives its slot back, and wakes nobody.

use loom::thread;

use crate::world::{Task, World};

/// Registered, and dropped before a turn has seen it, or while one does.
///
/// Goes red when `release` changes the word with less than release, `accept` with less than acquire.
#[test]
fn cancel_against_turn() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, mut sleep) = (Task::new(), world.sleep(10));
        assert!(task.polls(&mut sleep).is_pending());
        let holder = thread::spawn(move || drop(sleep));
        world.on_alarm();
        holder.join().unwrap();
        assert_eq!(task.wakers(), 0);
        world.settle(vec![]);
        assert_eq!(task.wakes(), 0);
        world.assert_free();
    });
}

/// Dropped while it fires: the waker has one owner, and the slot returns once.
///
/// Goes red when `expire` copies the waker out before it owns the cell, or frees the slot whenever
/// it was released meanwhile.
#[test]
fn cancel_against_fire() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, mut sleep) = (Task::new(), world.sleep(10));
        assert!(task.polls(&mut sleep).is_pending());
        world.settle_now();
        world.set_clock(10);
        let holder = thread::spawn(move || drop(sleep));
        world.on_alarm();
        holder.join().unwrap();
        assert_eq!(task.wakers(), 0);
        world.settle(vec![]);
        assert!(task.wakes() <= 1);
        world.assert_free();
    });
}

/// The task polls at its deadline, and finds it reached, while the turn fires it too.
#[test]
fn completion_against_fire() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, mut sleep) = (Task::new(), world.sleep(10));
        assert!(task.polls(&mut sleep).is_pending());
        world.settle_now();
        world.set_clock(10);
        let holder = thread::spawn({
            let task = task.clone();
            move || assert!(task.polls(&mut sleep).is_ready())
        });
        world.on_alarm();
        holder.join().unwrap();
        assert_eq!(task.wakers(), 0);
        world.settle(vec![]);
        assert_eq!(world.timer().metrics().unwrap().fired, 1, "counted once, by whoever saw it");
        world.assert_free();
    });
}

/// A cancelled slot that is still linked is revived, while the turner takes it out.
///
/// Goes red when `accept` frees a released slot with a plain store.
#[test]
fn revival_against_turn() {
    loom::model(|| {
        let world = World::<1>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut sleep = world.sleep(10);
        assert!(gone.polls(&mut sleep).is_pending());
        drop(sleep);
        world.acknowledge();
        let holder = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.sleep(5));
            move || {
                let _ = task.polls(&mut sleep);
                sleep
            }
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        // If there was no slot, the sleep asked to be polled again.
        assert!(task.polls_again_if_woken(&mut sleep).is_pending());
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(sleep);
        world.assert_free();
    });
}

/// Between the release that says *queued* and the push that makes it true, a slot must not be
/// revived: a turn in between does not find it.
///
/// Goes red when `release` marks a slot that is to be linked as one that is.
#[test]
fn revival_against_the_push_of_its_cancellation() {
    loom::model(|| {
        let world = World::<2>::new();
        let (gone, task) = (Task::new(), Task::new());
        // The hint at a slot that could be revived is left by one that was cancelled in time.
        let mut sleep = world.sleep(10);
        assert!(gone.polls(&mut sleep).is_pending());
        drop(sleep);
        world.settle_now();
        world.acknowledge();
        let mut sleep = world.sleep(10);
        assert!(gone.polls(&mut sleep).is_pending());
        world.settle_now();
        let holder = thread::spawn(move || drop(sleep));
        let reviver = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.sleep(5));
            move || {
                assert!(task.polls(&mut sleep).is_pending());
                sleep
            }
        });
        world.on_alarm();
        holder.join().unwrap();
        let mut sleep = reviver.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
    });
}
