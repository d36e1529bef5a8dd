//! Rule 2, never lost, where it is decided: the alarm and the queue, written and read by two sides.

use loom::thread;

use crate::world::{Sleep, Task, World, bounded};

/// A sleep that is due, so that the driver's turn raises the alarm from its deadline, 5. A producer
/// with a later one that reads the alarm before that is content.
fn due_at_5<const N: usize>(world: &World<N>) -> Sleep<N> {
    let mut sleep = world.sleep(5);
    assert!(Task::new().polls(&mut sleep).is_pending());
    world.settle_now();
    world.set_clock(5);
    sleep
}

/// Registers a sleep in another thread.
fn register<const N: usize>(
    world: &World<N>,
    task: &Task,
    until: u64,
) -> thread::JoinHandle<Sleep<N>> {
    let (task, mut sleep) = (task.clone(), world.sleep(until));
    thread::spawn(move || {
        assert!(task.polls(&mut sleep).is_pending());
        sleep
    })
}

/// Goes red when the turner's second look at the queue is left out; when the alarm is published, or
/// read, or the queue pushed or looked at, with less than sequential consistency; when the producer
/// reads the alarm first. (Not when the second publication is left out: an alarm that is published too
/// late costs needless nudges, and no sleep.)
#[test]
fn register_against_turn() {
    loom::model(|| {
        let world = World::<2>::new();
        let _due = due_at_5(&world);
        let task = Task::new();
        let producer = register(&world, &task, 10);
        world.on_alarm();
        let mut sleep = producer.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
    });
}

/// The lost-alarm race: the driver goes to sleep until 20, and 10 arrives.
///
/// Goes red as the one above.
#[test]
fn an_earlier_deadline_while_the_driver_goes_to_sleep() {
    loom::model(|| {
        let world = World::<3>::new();
        let (late, early) = (Task::new(), Task::new());
        let mut far = world.sleep(20);
        assert!(late.polls(&mut far).is_pending());
        let _due = due_at_5(&world);
        let producer = register(&world, &early, 10);
        world.on_alarm();
        let mut near = producer.join().unwrap();
        world.settle(vec![(&early, &mut near), (&late, &mut far)]);
    });
}

/// Goes red as the first one.
#[test]
fn two_producers_and_the_driver() {
    bounded(5, || {
        let world = World::<3>::new();
        let _due = due_at_5(&world);
        let tasks = [Task::new(), Task::new()];
        let producers = [0, 1].map(|n| register(&world, &tasks[n], 10 + n as u64));
        world.on_alarm();
        let mut sleeps = producers.map(|producer| producer.join().unwrap());
        world.settle(tasks.iter().zip(&mut sleeps).collect());
    });
}

/// A guest may take the slot out of the queue before its producer reads the alarm, which the guest
/// has lowered: the producer is content, and only the guest can tell the driver.
///
/// Goes red when a guest that lowered the alarm does not pend.
#[test]
fn a_guest_turns_between_the_producer_and_the_driver() {
    loom::model(|| {
        let world = World::<1>::new();
        let task = Task::new();
        let producer = register(&world, &task, 10);
        let guest = thread::spawn({
            let world = world.clone();
            move || {
                world.timer().turn();
            }
        });
        world.on_alarm();
        guest.join().unwrap();
        let mut sleep = producer.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
    });
}

/// The second look finds that the earliest sleep was cancelled. Its alarm must stay: who compared
/// itself with it meanwhile was content.
///
/// Goes red when the alarm is raised after the second look.
#[test]
fn the_alarm_is_only_lowered_after_the_second_look() {
    loom::model(|| {
        let world = World::<2>::new();
        let (first, second) = (Task::new(), Task::new());
        let mut early = world.sleep(10);
        assert!(first.polls(&mut early).is_pending());
        world.settle_now();
        let producer = thread::spawn({
            let (second, mut late) = (second.clone(), world.sleep(15));
            move || {
                drop(early);
                assert!(second.polls(&mut late).is_pending());
                late
            }
        });
        world.on_alarm();
        let mut late = producer.join().unwrap();
        world.settle(vec![(&second, &mut late)]);
        assert_eq!(first.wakes(), 0);
    });
}

/// Who counts, or asks for the next deadline, finds the sleep that it has armed, whatever the driver is about.
///
/// Goes red when the commands that wait are applied on another visit than the one that counts.
#[test]
fn counting_against_turn() {
    loom::model(|| {
        let world = World::<2>::new();
        let task = Task::new();
        let driver = thread::spawn({
            let world = world.clone();
            move || world.on_alarm()
        });
        let mut sleep = world.sleep(10);
        assert!(task.polls(&mut sleep).is_pending());
        let metrics = world.timer().metrics();
        assert!(metrics.is_none_or(|metrics| metrics.armed == 1), "or the driver is inside");
        let next = world.timer().next_deadline();
        assert!(next.is_none_or(|next| next == sleep.deadline()), "{next:?}");
        driver.join().unwrap();
        world.settle(vec![(&task, &mut sleep)]);
    });
}
