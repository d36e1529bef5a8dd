//! Rule 5: a later deadline is one change of the word, an earlier one a command; neither is lost.

use loom::thread;

use crate::world::{Sleep, Task, World};
use moirai_timer_core::Ticks;

/// Resets `sleep` in another thread while the driver turns; then everything has to come in time.
fn reset_while_the_driver_turns(world: &World<1>, task: &Task, mut sleep: Sleep<1>, to: u64) {
    let holder = thread::spawn(move || {
        sleep.reset(Ticks::new(to));
        sleep
    });
    world.on_alarm();
    let mut sleep = holder.join().unwrap();
    // If it fired just before, its task has to poll it again, as the documentation says.
    let waiting = task.polls_again_if_woken(&mut sleep).is_pending();
    world.settle(waiting.then_some((task, &mut sleep)).into_iter().collect());
    drop(sleep);
    assert_eq!(task.wakers(), 0);
    world.assert_free();
}

fn armed(world: &World<1>, at: u64) -> (Task, Sleep<1>) {
    let (task, mut sleep) = (Task::new(), world.sleep(at));
    assert!(task.polls(&mut sleep).is_pending());
    (task, sleep)
}

/// Goes red when an earlier deadline is not pushed.
#[test]
fn earlier_against_turn() {
    loom::model(|| {
        let world = World::new();
        let (task, sleep) = armed(&world, 20);
        world.settle_now();
        reset_while_the_driver_turns(&world, &task, sleep, 10);
    });
}

/// The slot is queued already, so there is nothing to push: the change of the word has to be seen,
/// or to see that the turner was there.
///
/// Goes red when `accept` clears the flag and reads the deadline in two steps.
#[test]
fn earlier_while_queued_against_turn() {
    loom::model(|| {
        let world = World::new();
        let (task, sleep) = armed(&world, 20);
        world.acknowledge();
        reset_while_the_driver_turns(&world, &task, sleep, 10);
    });
}

/// The same while the driver raises the alarm, which the holder may read before or after.
///
/// Goes red as the one above, and as `register_against_turn`.
#[test]
fn earlier_while_queued_against_a_rising_alarm() {
    loom::model(|| {
        let world = World::<3>::new();
        let (first, second, task) = (Task::new(), Task::new(), Task::new());
        let (mut due, mut middle, mut sleep) = (world.sleep(5), world.sleep(15), world.sleep(20));
        assert!(first.polls(&mut due).is_pending());
        assert!(second.polls(&mut middle).is_pending());
        world.settle_now();
        assert!(task.polls(&mut sleep).is_pending());
        world.set_clock(5);
        let holder = thread::spawn(move || {
            sleep.reset(Ticks::new(10));
            sleep
        });
        world.on_alarm();
        let mut sleep = holder.join().unwrap();
        world.settle(vec![(&task, &mut sleep), (&second, &mut middle)]);
        assert_eq!(first.wakes(), 1);
    });
}

/// The driver does not turn at all: nobody but the holder can tell that its alarm, 15, is too late.
///
/// Goes red when the holder does not read the alarm because there was nothing to push.
#[test]
fn earlier_while_queued_and_no_turn() {
    loom::model(|| {
        let world = World::<2>::new();
        let (second, task) = (Task::new(), Task::new());
        let (mut middle, mut sleep) = (world.sleep(15), world.sleep(20));
        assert!(second.polls(&mut middle).is_pending());
        world.settle_now();
        assert!(task.polls(&mut sleep).is_pending());
        sleep.reset(Ticks::new(10));
        world.settle(vec![(&task, &mut sleep), (&second, &mut middle)]);
    });
}

/// Goes red when an earlier deadline is not pushed.
#[test]
fn earlier_against_fire() {
    loom::model(|| {
        let world = World::new();
        let (task, sleep) = armed(&world, 20);
        world.settle_now();
        world.set_clock(20);
        reset_while_the_driver_turns(&world, &task, sleep, 15);
    });
}

/// Goes red when the turner does not file anew what it finds moved.
#[test]
fn later_against_fire() {
    loom::model(|| {
        let world = World::new();
        let (task, sleep) = armed(&world, 10);
        world.settle_now();
        world.set_clock(10);
        reset_while_the_driver_turns(&world, &task, sleep, 30);
    });
}

/// Goes red as the one above; when `expire` fires what is not due any more.
#[test]
fn later_while_queued_against_turn() {
    loom::model(|| {
        let world = World::new();
        let (task, sleep) = armed(&world, 10);
        world.acknowledge();
        reset_while_the_driver_turns(&world, &task, sleep, 30);
    });
}
