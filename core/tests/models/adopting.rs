//! Rules 2, 5 and 6: a cancelled slot that is still in the store is parked, and the next sleep adopts it,
//! or a turn frees it. It is never lost, and never adopted twice.

use loom::thread;
use moirai_timer_core::Ticks;

use crate::world::{Sleep, Task, World, bounded};

/// A sleep for `gone` that a turn has seen, and that is dropped: its slot is parked.
fn park<const N: usize>(world: &World<N>, gone: &Task, until: u64) {
    let mut sleep = world.sleep(until);
    assert!(gone.polls(&mut sleep).is_pending());
    world.settle_now();
    drop(sleep);
}

/// A slot that was armed until `old` is adopted until `new`, while the driver turns at the time `now`.
fn adoption_against_turn(old: u64, new: u64, now: u64) {
    loom::model(move || {
        let world = World::<1>::new();
        let (gone, task) = (Task::new(), Task::new());
        park(&world, &gone, old);
        world.set_clock(now);
        let holder = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.sleep(new));
            move || {
                let _ = task.polls(&mut sleep);
                sleep
            }
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        // If the turn had the slot in its hands, the sleep asked to be polled again.
        assert!(task.polls_again_if_woken(&mut sleep).is_pending());
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(sleep);
        assert_eq!(world.timer().metrics().unwrap().cancelled, 1, "counted once");
        world.assert_free();
    });
}

/// Adopted by a later sleep, of which the turner learns as of a sleep that was moved further away, while
/// the deadline under which the store has it comes up.
///
/// Goes red when `expire` leaves a parked slot as it is, or `adopt` arms it with a plain store.
#[test]
fn adoption_against_the_old_deadline() {
    adoption_against_turn(10, 20, 10);
}

/// Adopted by an earlier sleep, which is a command, while a turn looks for what is parked.
///
/// Goes red when `adopt` has no news of an earlier deadline; when `take` reads what is parked and
/// clears it in two steps.
#[test]
fn adoption_by_an_earlier_sleep_against_turn() {
    adoption_against_turn(20, 10, 0);
}

/// Adopted, and fired at once: the turner sees the waker that was put in.
///
/// Goes red when the slot's `adopt` publishes with less than a release.
#[test]
fn adoption_against_fire() {
    loom::model(|| {
        let world = World::<1>::new();
        let (gone, task) = (Task::new(), Task::new());
        park(&world, &gone, 10);
        let holder = thread::spawn({
            let (task, mut sleep) = (task.clone(), world.sleep(20));
            move || task.polls(&mut sleep).is_pending().then_some(sleep)
        });
        world.set_clock(20);
        world.on_alarm();
        let mut waits = holder.join().unwrap();
        world.settle(waits.iter_mut().map(|sleep| (&task, sleep)).collect());
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(waits);
        world.assert_free();
    });
}

/// Two are dropped at once, and one of them makes room for the other, while a turn looks.
///
/// Goes red when `park` forgets what was parked before.
#[test]
fn two_are_parked_against_turn() {
    loom::model(|| {
        let world = World::<2>::new();
        let gone = Task::new();
        let mut sleeps = [10, 20].map(|at| world.sleep(at));
        sleeps.iter_mut().for_each(|sleep| assert!(gone.polls(sleep).is_pending()));
        world.settle_now();
        let [first, second] = sleeps;
        let holder = thread::spawn(move || drop(first));
        let turner = thread::spawn({
            let world = world.clone();
            move || world.timer().turn()
        });
        drop(second);
        holder.join().unwrap();
        turner.join().unwrap();
        assert_eq!(gone.wakers(), 0);
        world.settle(vec![]);
        assert_eq!(gone.wakes(), 0);
        assert_eq!(world.timer().metrics().unwrap().cancelled, 2);
        world.assert_free();
    });
}

/// One slot is parked, and two want it: the other finds one in the pool.
///
/// Goes red when `adopt` reads what is parked and clears it in two steps.
#[test]
fn two_want_what_is_parked() {
    loom::model(|| {
        let world = World::<2>::new();
        let (gone, task, other) = (Task::new(), Task::new(), Task::new());
        park(&world, &gone, 10);
        let holder = thread::spawn({
            let (other, mut sleep) = (other.clone(), world.sleep(20));
            move || {
                assert!(other.polls(&mut sleep).is_pending());
                sleep
            }
        });
        let mut mine = world.sleep(15);
        assert!(task.polls(&mut mine).is_pending());
        let mut theirs = holder.join().unwrap();
        world.settle(vec![(&task, &mut mine), (&other, &mut theirs)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop((mine, theirs));
        world.assert_free();
    });
}

/// One thread parks a slot, and another adopts it: its waker takes the place of one that is just copied
/// out.
///
/// Goes red when the slot is parked with less than a release, or adopted with less than an acquire: the new
/// waker is written before the slot's own word is changed. Not when the slot's word is released with less
/// than a release: that it is parked is a release, too.
#[test]
fn adoption_on_another_thread_than_its_cancellation() {
    loom::model(|| {
        let world = World::<2>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut sleep = world.sleep(10);
        assert!(gone.polls(&mut sleep).is_pending());
        world.settle_now();
        let holder = thread::spawn(move || drop(sleep));
        let mut next = world.sleep(20);
        assert!(task.polls(&mut next).is_pending());
        holder.join().unwrap();
        world.settle(vec![(&task, &mut next)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(next);
        world.assert_free();
    });
}

/// A model: a turn in vain, for a sleep that was dropped, files another one anew that was moved further away; and
/// meanwhile its holder does `held`, and has the sleep then that is woken for `task`.
fn filing_anew_against(held: fn(Sleep<3>, Sleep<3>, &Task) -> Sleep<3>) -> impl Fn() + Sync + Send {
    move || {
        let world = World::<3>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut first = world.sleep(5);
        assert!(gone.polls(&mut first).is_pending());
        let mut sleep = world.sleep(10);
        assert!(task.polls(&mut sleep).is_pending());
        world.settle_now();
        drop(first);
        sleep.reset(Ticks::new(30));
        world.set_clock(5);
        let holder = thread::spawn({
            let (task, next) = (task.clone(), world.sleep(20));
            move || held(sleep, next, &task)
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(sleep);
        world.assert_free();
    }
}

/// It is moved back.
///
/// Goes red when the queue is not looked at after that.
#[test]
fn filing_anew_against_an_earlier_deadline() {
    loom::model(filing_anew_against(|mut sleep, next, _| {
        sleep.reset(next.deadline());
        sleep
    }));
}

/// It is dropped, and its slot adopted by an earlier sleep.
///
/// Goes red as the one above.
#[test]
fn filing_anew_against_adoption() {
    let held = |sleep, mut next, task: &Task| {
        drop(sleep);
        assert!(task.polls(&mut next).is_pending());
        next
    };
    bounded(5, filing_anew_against(held));
}
