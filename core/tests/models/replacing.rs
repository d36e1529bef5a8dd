//! Rule 4, and the Cell Owner Invariant: a waker is replaced, woken or dropped by one side.

use loom::thread;

use crate::world::{Task, World};
use moirai_timer_core::Ticks;

/// The future moves to another task, which polls it just before the deadline, while it fires.
///
/// Goes red when `expire` takes the waker in `REPLACING`; when `attend` forgets its waker if it fired
/// in that phase; when the changes of phase are less than release.
#[test]
fn another_waker_against_fire() {
    loom::model(|| {
        let world = World::<1>::new();
        let (old, new) = (Task::new(), Task::new());
        let mut sleep = world.sleep(10);
        assert!(old.polls(&mut sleep).is_pending());
        world.settle_now();
        let holder = thread::spawn({
            let new = new.clone();
            move || {
                let polled = new.polls(&mut sleep);
                (sleep, polled)
            }
        });
        world.set_clock(10);
        world.on_alarm();
        let (mut sleep, polled) = holder.join().unwrap();
        // Either it found that its deadline had come, or it is woken.
        let waiting = polled.is_pending().then_some((&new, &mut sleep));
        world.settle(waiting.into_iter().collect());
        drop(sleep);
        assert_eq!((old.wakers(), new.wakers()), (0, 0));
        world.assert_free();
    });
}

/// The same, but the deadline is moved further away first.
///
/// Goes red when `attend` writes the cell without entering `REPLACING`.
#[test]
fn another_deadline_and_waker_against_fire() {
    loom::model(|| {
        let world = World::<1>::new();
        let (old, new) = (Task::new(), Task::new());
        let mut sleep = world.sleep(10);
        assert!(old.polls(&mut sleep).is_pending());
        world.settle_now();
        world.set_clock(10);
        let holder = thread::spawn({
            let new = new.clone();
            move || {
                sleep.reset(Ticks::new(20));
                assert!(new.polls(&mut sleep).is_pending());
                sleep
            }
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        // The slot may have been in the driver's hands, and there is no other.
        assert!(new.polls_again_if_woken(&mut sleep).is_pending());
        world.settle(vec![(&new, &mut sleep)]);
        drop(sleep);
        assert_eq!((old.wakers(), new.wakers()), (0, 0));
        world.assert_free();
    });
}

/// The same while the turner hears of the sleep for the first time.
///
/// Goes red when `accept` takes a slot in `REPLACING` for one that is not armed.
#[test]
fn another_waker_against_turn() {
    loom::model(|| {
        let world = World::<1>::new();
        let (old, new) = (Task::new(), Task::new());
        let mut sleep = world.sleep(10);
        assert!(old.polls(&mut sleep).is_pending());
        let holder = thread::spawn({
            let new = new.clone();
            move || {
                assert!(new.polls(&mut sleep).is_pending());
                sleep
            }
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        assert_eq!(old.wakers(), 0);
        world.settle(vec![(&new, &mut sleep)]);
        assert_eq!(old.wakes(), 0);
    });
}
