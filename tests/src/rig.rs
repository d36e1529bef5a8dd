//! What the suite asks of a platform: a timer, and a way to let time pass.

use moirai_timer_core::{Drained, Handle, Metrics, Ticks};

/// How many sleeps the timer of an [`AloneRig`] has room for.
pub const CAPACITY: usize = 128;

/// The machine was held up for so long that the case proves nothing; it is to be tried again with
/// more time between its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

/// What a case returns; it panics if the timer misbehaves.
pub type Outcome = Result<(), TooSlow>;

/// A timer on some platform.
pub trait Rig {
    /// What its sleeps are made of.
    type Handle: Handle + Clone + Send + Sync;

    /// Ticks between two events of a case, so many that the platform can keep them apart.
    const UNIT: u64;

    /// The timer.
    fn handle(&self) -> &Self::Handle;

    /// Lets time pass, and the timer do its work, until `done`. Panics if that takes far too long,
    /// or if the platform knows that it will not come.
    fn wait(&self, done: &mut dyn FnMut() -> bool);

    /// Lets time pass, and the timer do its work, until the clock reads `at`.
    fn wait_until(&self, at: Ticks);

    /// The present.
    fn now(&self) -> Ticks {
        self.handle().now()
    }
}

/// A timer of the suite's own, with room for [`CAPACITY`] sleeps.
pub trait AloneRig: Rig {
    /// What has happened in it.
    fn metrics(&self) -> Metrics;

    /// Turns it once.
    fn turn(&self);

    /// Shuts it down.
    fn shutdown(&self);
}

/// A timer with a clock that moves when it is told, on one thread, so that every step can be seen.
pub trait ClockRig: AloneRig {
    /// Sets the clock, and nothing else.
    fn set_clock(&self, to: Ticks);

    /// The alarm that is set.
    fn alarm(&self) -> Option<Ticks>;

    /// Runs the interrupt handler as long as its interrupt is due; how often that was.
    fn interrupts(&self) -> u32;

    /// Applies the commands that wait.
    fn drain(&self) -> Drained;
}

/// Runs a case, on a new rig each time, with ever more time between its events if it needs that.
///
/// # Panics
/// If the case does, or if the machine is hopelessly slow.
pub fn run<R: Rig>(new: impl Fn() -> R, case: impl Fn(&R, u64) -> Outcome) {
    let mut unit = R::UNIT;
    for _ in 0..6 {
        if case(&new(), unit) == Ok(()) {
            return;
        }
        unit *= 4;
    }
    panic!("not even {unit} ticks between two events are enough on this machine");
}
