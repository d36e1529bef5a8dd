//! Rules 3 and 8: whoever finds the pool empty helps itself, and whoever is kept out is told.

use loom::thread;

use crate::world::{Task, World};

/// The driver is kept out by a helper, and goes to sleep without knowing anything.
///
/// Goes red when `leave` does not pend; when a failed entry leaves no mark.
#[test]
fn a_helper_is_inside_when_the_driver_comes() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, mut sleep) = (Task::new(), world.sleep(10));
        assert!(task.polls(&mut sleep).is_pending());
        world.acknowledge();
        let helper = thread::spawn({
            let world = world.clone();
            move || {
                world.timer().drain();
            }
        });
        world.on_alarm();
        helper.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
    });
}

/// The one inside is about to leave when a producer pushes and wakes a driver that finds the section
/// taken.
///
/// Goes red as the one above.
#[test]
fn a_producer_pushes_while_the_holder_leaves() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, mut sleep) = (Task::new(), world.sleep(10));
        let producer = thread::spawn({
            let (world, task) = (world.clone(), task.clone());
            move || {
                assert!(task.polls(&mut sleep).is_pending());
                // The driver on another processor, at once.
                world.acknowledge();
                world.on_alarm();
                sleep
            }
        });
        world.timer().turn();
        let mut sleep = producer.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
    });
}

/// A full pool: the producer drains, and has the slot of a sleep that was dropped, while the driver
/// turns.
///
/// Goes red when `leave` looks for the mark first, and stores then.
#[test]
fn a_full_pool_is_drained_against_the_drivers_turn() {
    loom::model(|| {
        let world = World::<1>::new();
        let (gone, task) = (Task::new(), Task::new());
        let mut sleep = world.sleep(20);
        assert!(gone.polls(&mut sleep).is_pending());
        world.settle_now();
        drop(sleep);
        let producer = thread::spawn({
            let (world, task) = (world.clone(), task.clone());
            move || {
                // Whoever arms at once adopts the slot, and need not drain.
                let reserved = world.sleep(10).reserved();
                let mut sleep = reserved.unwrap_or_else(|_| world.sleep(10));
                let _ = task.polls(&mut sleep);
                sleep
            }
        });
        world.on_alarm();
        let mut sleep = producer.join().unwrap();
        // The driver had the slot in its hands: the sleep asked to be polled again.
        assert!(task.polls_again_if_woken(&mut sleep).is_pending());
        world.settle(vec![(&task, &mut sleep)]);
        assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
        drop(sleep);
        world.assert_free();
    });
}

/// Three commands are a crowd here. Who brings the third applies two, while the driver turns.
///
/// Goes red when `help` forgets what it has taken and not applied, or leaves without telling a
/// driver that it has kept out.
#[test]
fn a_crowd_is_helped_against_the_drivers_turn() {
    loom::model(|| {
        let world = World::<3>::new();
        let [early, middle, late] = [(); 3].map(|()| Task::new());
        let [mut first, mut second, mut third] = [10, 20, 30].map(|at| world.sleep(at));
        assert!(late.polls(&mut third).is_pending());
        assert!(middle.polls(&mut second).is_pending());
        world.acknowledge();
        let helper = thread::spawn({
            let early = early.clone();
            move || {
                assert!(early.polls(&mut first).is_pending());
                first
            }
        });
        world.on_alarm();
        let mut first = helper.join().unwrap();
        world.settle(vec![(&early, &mut first), (&middle, &mut second), (&late, &mut third)]);
    });
}
