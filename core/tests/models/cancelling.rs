//! Rule 6: a sleep that is dropped gives its slot back, and wakes nobody.

use loom::thread;

use crate::world::{Task, World, bounded};
use moirai_timer_core::Ticks;

/// Registered, and dropped before a turn has seen it, or while one does.
///
/// Goes red when `accept` clears the flag and reads the word in two steps.
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
/// Goes red when `expire` does not give back a slot that was released while it fired.
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
///
/// Goes red as the one above.
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
/// Goes red when `accept` frees a released slot, or `arm` arms a queued one, with a plain store.
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
/// revived: a turn in between would not find it. Its hint is an old one, which two threads have read.
///
/// Goes red when `release` marks a slot that is to be linked as one that is.
#[test]
fn revival_against_the_push_of_its_cancellation() {
    // The change above is found with two.
    bounded(3, || {
        let world = World::<3>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut sleep = world.sleep(30);
        assert!(gone.polls(&mut sleep).is_pending());
        drop(sleep);
        let first = thread::spawn({
            let (world, gone, mut sleep) = (world.clone(), gone.clone(), world.sleep(20));
            move || {
                assert!(gone.polls(&mut sleep).is_pending());
                world.timer().turn();
                drop(sleep);
            }
        });
        let mut sleep = world.sleep(10);
        assert!(task.polls(&mut sleep).is_pending());
        world.acknowledge();
        world.on_alarm();
        first.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
    });
}

/// Brought forward, which queues it, and dropped, while its old deadline makes it fire: it is freed
/// once, by its command, and counted once.
///
/// Goes red when `expire` frees the slot whenever it was released meanwhile; when `release` counts a
/// sleep that has fired.
#[test]
fn cancel_while_queued_against_fire() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, mut sleep) = (Task::new(), world.sleep(20));
        assert!(task.polls(&mut sleep).is_pending());
        world.settle_now();
        world.set_clock(20);
        let holder = thread::spawn(move || {
            sleep.reset(Ticks::new(15));
            drop(sleep);
        });
        world.on_alarm();
        holder.join().unwrap();
        assert_eq!(task.wakers(), 0);
        world.settle(vec![]);
        let metrics = world.timer().metrics().unwrap();
        assert_eq!(metrics.fired + metrics.cancelled, 1, "{metrics:?}");
        world.assert_free();
    });
}

/// One thread cancels, and another revives: its waker takes the place of one that is just copied out.
///
/// Goes red when `release` moves the word out of `ARMED` with less than a release. Not when it acquires
/// less there: it reads a cell that only its own holder has written. Nor when `revive` is relaxed: `arm`,
/// which follows, reads with acquire what `revive` wrote or what came after it, and those are
/// read-modify-writes of the release sequence that the cancellation heads; and `arm` publishes what
/// `revive` could have released. With `revive` and the load of the hint relaxed (which acquires, too) it
/// stays green, and goes red once the first load of `arm` is relaxed as well. So it was when cancelled
/// slots were not parked yet; the first change was tried again since, and it stays green.
#[test]
fn revival_on_another_thread_than_its_cancellation() {
    bounded(3, || {
        let world = World::<2>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut sleep = world.sleep(30);
        assert!(gone.polls(&mut sleep).is_pending());
        let holder = thread::spawn(move || drop(sleep));
        let mut next = world.sleep(10);
        assert!(task.polls(&mut next).is_pending());
        holder.join().unwrap();
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        world.settle(vec![(&task, &mut next)]);
        drop(next);
        world.assert_free();
    });
}
