//! The last handle goes, while anything else is under way (rules 2 and 4: what was asked for is done
//! or forgotten with its waker, and the waker is dropped by nobody who is inside). What a thread of
//! its own does then, is a matter of the std driver, and of its random schedules.
//!
//! In each, the slot's waker owns a handle, as that of a task does whose future owns a sleep, so that
//! the engine may free itself from within what it does. Loom fails if nobody frees it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as RealArc;
use std::task::{Context, Wake, Waker};

use loom::sync::Arc;
use loom::thread;

use crate::world::{Sleep, World, bounded};
use moirai_timer_core::Ticks;

/// A task that keeps the timer alive.
struct Owner {
    _timer: Arc<World<1>>,
}

impl Wake for Owner {
    fn wake(self: RealArc<Self>) {}
}

fn polls(sleep: &mut Sleep<1>, waker: &Waker) -> bool {
    Pin::new(sleep).poll(&mut Context::from_waker(waker)).is_pending()
}

/// A model: one thread does `held` to a sleep, for another task, and drops it; the other does `beside`. Between
/// them they have the last handles.
fn the_last_handle(
    begin: fn(&World<1>, &mut Sleep<1>, &Waker),
    held: fn(&mut Sleep<1>, &Waker),
    beside: fn(&World<1>),
) -> impl Fn() + Sync + Send + 'static {
    move || {
        let world = World::<1>::new();
        let handle = Arc::new(world.clone());
        let task = || Waker::from(RealArc::new(Owner { _timer: handle.clone() }));
        let (waker, other) = (task(), task());
        let mut sleep = world.sleep(10);
        begin(&world, &mut sleep, &waker);
        drop((waker, world));
        let holder = thread::spawn(move || {
            held(&mut sleep, &other);
            drop(other);
            drop(sleep);
        });
        beside(&handle);
        drop(handle);
        holder.join().unwrap();
    }
}

/// Nothing was done yet.
fn fresh(_: &World<1>, _: &mut Sleep<1>, _: &Waker) {}

/// The sleep is in the store.
fn armed(world: &World<1>, sleep: &mut Sleep<1>, waker: &Waker) {
    assert!(polls(sleep, waker));
    world.settle_now();
}

/// The sleep is in the store, and due.
fn due(world: &World<1>, sleep: &mut Sleep<1>, waker: &Waker) {
    armed(world, sleep, waker);
    world.set_clock(10);
}

/// The waker goes with the holder's cancellation or with the driver's firing.
///
/// Goes red when `release` or `expire` forgets the waker.
#[test]
fn the_last_handle_is_in_a_waker_that_fires() {
    loom::model(the_last_handle(due, |_, _| {}, World::on_alarm));
}

/// The sleep is registered and dropped beside a turn, which sees all of it, a part, or nothing.
///
/// Goes red when `release` forgets the waker of a sleep that is still queued.
#[test]
fn the_last_handle_goes_amid_a_registration() {
    let held = |sleep: &mut Sleep<1>, other: &Waker| assert!(polls(sleep, other));
    loom::model(the_last_handle(fresh, held, World::on_alarm));
}

/// The deadline is brought forward beside a turn, and nobody waits for it any more.
///
/// Goes red as the one above.
#[test]
fn the_last_handle_goes_amid_a_reset() {
    let held = |sleep: &mut Sleep<1>, _: &Waker| sleep.reset(Ticks::new(5));
    loom::model(the_last_handle(armed, held, World::on_alarm));
}

/// Of two wakers that own a handle, one takes the place of the other while the driver fires.
///
/// Goes red when `attend` does not drop the waker that the turner has left to it.
#[test]
fn the_last_handle_is_in_a_waker_that_is_replaced() {
    let held = |sleep: &mut Sleep<1>, other: &Waker| {
        let _ = polls(sleep, other);
    };
    let beside = |world: &World<1>| {
        world.set_clock(10);
        world.on_alarm();
    };
    bounded(5, the_last_handle(armed, held, beside));
}

/// A producer that looks for slots applies the cancellation.
///
/// Goes red when `release` forgets the waker of a sleep that is not queued.
#[test]
fn the_last_handle_goes_amid_a_drain() {
    let beside = |world: &World<1>| {
        world.timer().drain();
    };
    loom::model(the_last_handle(armed, |_, _| {}, beside));
}

/// The timer is shut down, and turned once more.
///
/// Goes red as the one above.
#[test]
fn the_last_handle_goes_amid_a_shutdown() {
    let beside = |world: &World<1>| {
        world.timer().shutdown();
        world.on_alarm();
    };
    loom::model(the_last_handle(armed, |_, _| {}, beside));
}
