//! The cases, by what they are about. Each is named for what has to be true.
//!
//! Times are given in *units*, the distance at which the platform can keep two events apart. A case
//! that finds the machine too slow for that says so, and is run again with longer units.

use core::pin::Pin;
use core::task::Poll;

use moirai_timer_core::{Handle, Sleep, Ticks};

use crate::{Outcome, Rig, Task, TooSlow};

mod at_the_tick;
mod crowds;
mod dropping;
mod full;
mod idling;
mod intervals;
mod resetting;
mod shutting_down;
mod sleeping;
mod timeouts;
mod tolerance;
mod wakers;

pub use at_the_tick::*;
pub use crowds::*;
pub use dropping::*;
pub use full::*;
pub use idling::*;
pub use intervals::*;
pub use resetting::*;
pub use shutting_down::*;
pub use sleeping::*;
pub use timeouts::*;
pub use tolerance::*;
pub use wakers::*;

/// Later than any case lasts.
const FAR: u64 = 1_000_000;

fn at<R: Rig>(rig: &R, deadline: Ticks) -> Sleep<R::Handle> {
    Sleep::at(rig.handle().clone(), rig.handle().instant_at(deadline))
}

fn reset<H: Handle + Clone>(sleep: &mut Sleep<H>, handle: &H, deadline: Ticks) {
    sleep.reset(handle.instant_at(deadline));
}

fn poll<H: Handle>(sleep: &mut Sleep<H>, task: &Task) -> Poll<()> {
    task.polls(|cx| Future::poll(Pin::new(sleep), cx))
}

/// Polls a sleep whose deadline is ahead, or finds that it is no longer.
fn arm<R: Rig>(rig: &R, sleep: &mut Sleep<R::Handle>, task: &Task) -> Outcome {
    let deadline = rig.handle().ticks_at(sleep.deadline());
    match poll(sleep, task) {
        Poll::Pending => Ok(()),
        Poll::Ready(()) => {
            assert!(rig.now() >= deadline, "ready {} ticks early", deadline.since(rig.now()));
            Err(TooSlow)
        }
    }
}

/// Whether what was just looked at happened before `deadline`.
fn before<R: Rig>(rig: &R, deadline: Ticks) -> Outcome {
    if rig.now() < deadline { Ok(()) } else { Err(TooSlow) }
}

fn wait_for<R: Rig>(rig: &R, task: &Task) {
    rig.wait(&mut || task.is_woken());
}

/// Lets everything happen that this thread has caused to happen until `at`.
fn settle<R: Rig>(rig: &R, at: Ticks, unit: u64) {
    let task = Task::new();
    loop {
        let mut marker = self::at(rig, at.max(rig.now().after(unit)));
        if poll(&mut marker, &task).is_pending() {
            return wait_for(rig, &task);
        }
    }
}
