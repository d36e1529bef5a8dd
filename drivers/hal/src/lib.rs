//! Moirai timer on hardware counters: from a handful of register accesses to a complete [`Driver`].
//!
//! A [`Counter`] says how to read a counter and how to set its compare register. A [`CompareDriver`]
//! makes of it what the engine asks for: a clock of 64 bits, and an alarm that is never missed.
//!
//! | file | what it does |
//! |---|---|
//! | `counter` | what a port has to write |
//! | `extend` | the arithmetic that makes 64 bits out of fewer; pure |
//! | `compare` | the driver |
//! | `nrf`, `cmsdk` | two ports, each behind the feature of its name |
//! | `delay` | `DelayNs` of `embedded-hal` and `embedded-hal-async`, on any timer |
//!
//! [`Driver`]: moirai_timer_core::Driver
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

mod compare;
mod counter;
mod delay;
mod extend;

#[cfg(feature = "cmsdk")]
pub mod cmsdk;
#[cfg(feature = "nrf")]
pub mod nrf;
#[cfg(any(feature = "cmsdk", feature = "nrf"))]
mod nvic;

pub use compare::CompareDriver;
pub use counter::Counter;
pub use delay::Delay;
