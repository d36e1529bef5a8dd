//! The engine of Moirai timer: deadlines in, wake-ups out, on anything that has a clock.
//!
//! A timer here is a value that can be a `static`: a fixed [pool](Slot) of slots, a command queue
//! that cannot be full, a store that keeps deadlines in order, and a [`Driver`] that knows the time
//! and can raise one alarm. It allocates nothing, waits for nobody, and does not care who turns it:
//! an interrupt handler, a thread, or an executor that is about to park. (A *turn* is one pass that
//! applies the commands that are queued, and wakes the tasks whose deadlines have come.)
//!
//! Follow a sleep through the files, one each, in this order:
//!
//! | file | what it does |
//! |---|---|
//! | `sleep` | the future: asks the clock, holds a slot while it waits |
//! | `slot` | one armed timer: its state word, and who owns the waker when |
//! | `pool` | hands out slots and takes them back |
//! | `parked` | hands a cancelled slot over to the next sleep |
//! | `queue` | links the slots that have news for the store |
//! | `heap`, `wheel` | the deadlines in order |
//! | `engine` | the turn: takes the news, pops what is due, sets the alarm |
//! | `batch` | wakes the tasks, when the store is no longer held |
//!
//! ```
//! use moirai_timer_core::{ManualDriver, Timer};
//! use core::{pin::pin, task::{Context, Poll, Waker}, time::Duration, future::Future};
//!
//! // A clock of one tick a microsecond that moves when it is told, and room for 8 timers.
//! static TIMER: Timer<ManualDriver<1_000_000>, 8> = Timer::new(ManualDriver::new());
//!
//! let mut sleep = pin!(TIMER.sleep(Duration::from_millis(2)));
//! let mut cx = Context::from_waker(Waker::noop());
//! assert!(sleep.as_mut().poll(&mut cx).is_pending());
//!
//! TIMER.driver().advance(2_000);
//! TIMER.on_alarm(); // what the interrupt handler calls
//! assert!(sleep.as_mut().poll(&mut cx).is_ready());
//! ```
//!
//! On a machine with an operating system, use `moirai-timer-std` instead.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(any(test, loom, feature = "std"))]
extern crate std;

mod batch;
mod driver;
mod engine;
mod exclusive;
#[cfg(feature = "defmt")]
mod format;
mod handle;
mod heap;
mod interval;
mod kept;
mod manual;
mod parked;
mod pool;
mod prefetch;
mod queue;
mod sleep;
mod slot;
mod span;
mod store;
mod sync;
mod ticks;
mod timeout;
mod timer;
mod waker_queue;
mod wheel;

pub use driver::{Armed, Driver};
pub use engine::{Drained, Engine, Metrics, Timer};
pub use handle::{Claim, Handle, RegisterError};
pub use heap::{HeapEntry, HeapMemory, HeapStore, Inline};
pub use interval::{Interval, MissedTickBehavior};
pub use manual::ManualDriver;
pub use pool::Slots;
pub use sleep::Sleep;
pub use slot::Slot;
pub use span::{Span, TickCount};
pub use store::Store;
pub use ticks::Ticks;
pub use timeout::{Elapsed, Timeout};
pub use waker_queue::WakerQueue;
pub use wheel::{WheelArrays, WheelMemory, WheelNode, WheelStore};
