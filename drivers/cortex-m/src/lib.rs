#![doc = include_str!("../README.md")]
//!
//! `systick` has the driver and explains how it keeps the time.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

mod registers;
mod systick;

pub use systick::SysTick;
