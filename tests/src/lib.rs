//! What every driver has to pass: one suite, written once, for any [`Rig`].
//!
//! A [`Rig`] is a timer on some platform, and a way to let time pass on it. Each case is a function
//! in [`cases`] that takes a rig; which of them a platform can run depends on what it offers:
//!
//! | macro | needs | asks |
//! |---|---|---|
//! | [`conformance!`] | [`Rig`] | what a program sees of a timer that it shares with others |
//! | [`conformance_alone!`] | [`AloneRig`] | what happens when it is full, shut down, or idle |
//! | [`conformance_clock!`] | [`ClockRig`] | what happens at exactly which tick |
//!
//! ```
//! # #[cfg(feature = "std")]
//! moirai_timer_tests::conformance!(|| {
//!     moirai_timer_tests::ManualRig::<1_000>::at(moirai_timer_core::Ticks::ZERO)
//! });
//! ```
//!
//! With the feature `std` off, this crate is `no_std` and allocates nothing, so that firmware can
//! run the cases too, through [`each_case!`].
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(feature = "std")]
extern crate std;

pub mod cases;
#[cfg(feature = "std")]
mod forever;
#[cfg(all(doctest, feature = "clocks", feature = "test-util"))]
mod guides;
mod handoff;
mod manual_rig;
#[cfg(feature = "std")]
pub mod model;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod processes;
mod rig;
#[cfg(feature = "std")]
mod std_rigs;
mod suite;
mod task;

#[cfg(feature = "std")]
pub use forever::forever;
pub use handoff::Handoff;
pub use manual_rig::{Heap, ManualRig, ManualTimer, Wheel};
pub use rig::{AloneRig, CAPACITY, ClockRig, Outcome, Rig, TooSlow, run};
#[cfg(feature = "std")]
pub use std_rigs::{BlockOn, Global, Threaded, Turned, on_live_threads, until};
pub use task::Task;
