//! The last handle goes, while a turn is under way. (What a thread of its own does then, is a matter
//! of the std driver, and of its random schedules.)

use std::sync::Arc as RealArc;
use std::task::{Context, Wake, Waker};

use loom::sync::Arc;
use loom::thread;

use crate::world::World;

/// A task that keeps the timer alive, as a task does whose future owns a sleep.
struct Owner {
    _timer: Arc<World<1>>,
}

impl Wake for Owner {
    fn wake(self: RealArc<Self>) {}
}

/// The slot's waker owns a handle. It goes with the holder's cancellation or with the driver's firing,
/// and whoever is last frees the timer. Loom fails if nobody does.
///
/// Goes red when `release` or `expire` forgets the waker.
#[test]
fn the_last_handle_is_in_a_waker_that_fires() {
    loom::model(|| {
        let world = World::<1>::new();
        let handle = Arc::new(world.clone());
        let waker = Waker::from(RealArc::new(Owner { _timer: handle.clone() }));
        let mut sleep = world.sleep(10);
        assert!(sleep_polls(&mut sleep, &waker));
        drop(waker);
        world.settle_now();
        world.set_clock(10);
        drop(world);
        let holder = thread::spawn(move || drop(sleep));
        handle.on_alarm();
        drop(handle);
        holder.join().unwrap();
    });
}

fn sleep_polls(sleep: &mut crate::world::Sleep<1>, waker: &Waker) -> bool {
    use std::future::Future;
    std::pin::Pin::new(sleep).poll(&mut Context::from_waker(waker)).is_pending()
}
