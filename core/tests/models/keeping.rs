//! Rules 2, 5 and 6: the keeper holds on to the slot of a sleep that it drops, and arms it again. Nobody is
//! woken for the one that was dropped, and the other is not lost, whatever a turn does meanwhile.

use loom::thread;

use crate::world::{Task, World, bounded};

/// How far a turn has come with the sleep that is dropped.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    /// Not at all: it is a command.
    No,
    /// It is in the store.
    Filed,
    /// A later one has taken it out of the store since it was dropped.
    Unfiled,
}

/// A slot that was kept until `old` is armed until `new`, while the driver turns at the time `now`.
fn arming_against_turn(seen: Seen, old: u64, new: u64, now: u64) {
    loom::model(move || {
        let world = World::<1>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut dropped = world.keeper().sleep(old);
        assert!(gone.polls(&mut dropped).is_pending());
        if seen != Seen::No {
            world.settle_now();
        }
        drop(dropped);
        if seen == Seen::Unfiled {
            world.on_alarm();
        }
        let holder = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.keeper().sleep(new));
            move || task.polls(&mut sleep).is_pending().then_some(sleep)
        });
        world.set_clock(now);
        world.on_alarm();
        let mut waits = holder.join().unwrap();
        world.settle(waits.iter_mut().map(|sleep| (&task, sleep)).collect());
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        let metrics = world.timer().metrics().unwrap();
        let fired = u64::from(waits.is_some());
        assert_eq!((metrics.cancelled, metrics.fired), (1, fired), "counted once");
        drop(waits);
        world.assert_free_but(1);
    });
}

/// Armed for later, of which the turner learns as of a sleep that was moved further away, while the deadline
/// under which the store has it comes up.
///
/// Goes red when `expire` leaves a kept slot as it is, or `arm_kept` stores over what it has seen.
#[test]
fn arming_against_the_old_deadline() {
    arming_against_turn(Seen::Filed, 10, 20, 10);
}

/// Armed for earlier, which is a command, while a turn takes what is kept out of the store.
///
/// Goes red when `arm_kept` has no news of an earlier deadline.
#[test]
fn arming_for_earlier_against_turn() {
    arming_against_turn(Seen::Filed, 20, 10, 0);
}

/// Armed for later, while a turn takes what is kept out of the store.
///
/// Goes red when `unfile_kept` looks and stores in two steps, or the turn takes out what it has not changed.
#[test]
fn arming_for_later_against_turn() {
    arming_against_turn(Seen::Filed, 10, 20, 0);
}

/// Armed, and fired at once: the turner sees the waker that was put in.
///
/// Goes red when `arm_kept` publishes with less than a release.
#[test]
fn arming_against_fire() {
    arming_against_turn(Seen::Filed, 10, 20, 20);
}

/// The slot is linked still, and the turn is about to unlink it.
///
/// Goes red when `arm_filled` takes a slot that was queued to be queued still.
#[test]
fn arming_what_is_queued_against_turn() {
    arming_against_turn(Seen::No, 20, 10, 0);
}

/// The same, when it is due at once.
#[test]
fn arming_what_is_queued_against_fire() {
    arming_against_turn(Seen::No, 10, 20, 20);
}

/// The store does not have it any more: it is a command again.
///
/// Goes red when a slot that was taken out of the store is armed without a word.
#[test]
fn arming_what_was_taken_out_against_turn() {
    arming_against_turn(Seen::Unfiled, 10, 20, 0);
}

/// A sleep is dropped and kept, and the next armed, while the first is due or about to be filed.
fn keeping_against_turn(seen: Seen, next: u64, now: u64) -> impl Fn() + Sync + Send {
    move || {
        let world = World::<2>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut first = world.keeper().sleep(10);
        assert!(gone.polls(&mut first).is_pending());
        if seen == Seen::Filed {
            world.settle_now();
        }
        world.set_clock(now);
        let holder = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.keeper().sleep(next));
            move || {
                drop(first);
                assert!(task.polls(&mut sleep).is_pending());
                sleep
            }
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!(gone.wakers(), 0);
        assert!(gone.wakes() <= u64::from(now >= 10));
        let metrics = world.timer().metrics().unwrap();
        assert_eq!((metrics.cancelled, metrics.fired), (1 - gone.wakes(), 1 + gone.wakes()));
        drop(sleep);
        world.assert_free_but(1);
    }
}

/// Goes red when a slot is kept whose waker the turner has.
#[test]
fn keeping_against_fire() {
    loom::model(keeping_against_turn(Seen::Filed, 20, 10));
}

/// Goes red when a slot that is queued is kept as one that is in the store.
#[test]
fn keeping_against_filing() {
    bounded(5, keeping_against_turn(Seen::No, 5, 0));
}

/// One thread after another is the keeper. (No ordering of what is kept makes a difference here: the slots of
/// an array are there all the time. Those of the std timer are not.)
///
/// Goes red when `take` leaves the slot where it was.
#[test]
fn keepers_one_after_another() {
    loom::model(|| {
        let world = World::<1>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut dropped = world.keeper().sleep(10);
        assert!(gone.polls(&mut dropped).is_pending());
        let turner = thread::spawn({
            let world = world.clone();
            move || world.on_alarm()
        });
        drop(dropped);
        turner.join().unwrap();
        let holder = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.keeper().sleep(20));
            move || {
                assert!(task.polls(&mut sleep).is_pending());
                sleep
            }
        });
        let mut sleep = holder.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(sleep);
        world.assert_free_but(1);
    });
}

/// Somebody counts, while the keeper drops a sleep that a turn has seen, or not, and arms the next.
fn counting_against_the_keeper(seen: Seen) {
    loom::model(move || {
        let world = World::<1>::new();
        let task = Task::new();
        let mut first = world.keeper().sleep(10);
        assert!(task.polls(&mut first).is_pending());
        if seen == Seen::Filed {
            world.settle_now();
        }
        let keeper = thread::spawn({
            let (task, mut next) = (task.clone(), world.keeper().sleep(20));
            move || {
                drop(first);
                assert!(task.polls(&mut next).is_pending());
                next
            }
        });
        let meanwhile = world.timer().metrics().expect("nobody turns");
        let next = keeper.join().unwrap();
        let both = world.timer().metrics().expect("nobody turns");
        assert_eq!((both.armed, both.cancelled, both.registered), (1, 1, 2));
        assert!(meanwhile.registered <= 2 && meanwhile.cancelled <= 1, "{meanwhile:?}");
        drop(next);
        let none = world.timer().metrics().expect("nobody turns");
        assert_eq!((none.armed, none.cancelled), (0, 2), "before its time has come");
        assert_eq!(task.wakers(), 0);
        world.acknowledge();
        world.assert_free_but(1);
    });
}

/// Goes red when the keeper counts a sleep that it drops; when what is kept stays in the store until its time
/// has come.
#[test]
fn counting_against_keeping() {
    counting_against_the_keeper(Seen::Filed);
}

/// Goes red when the turner does not count what was cancelled before it was filed, or counts what the keeper
/// has counted.
#[test]
fn counting_against_keeping_what_is_queued() {
    counting_against_the_keeper(Seen::No);
}
