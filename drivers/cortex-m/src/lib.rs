//! Moirai timer on SysTick, the timer that every Cortex-M has.
//!
//! ```
//! use moirai_timer_core::Timer;
//! use moirai_timer_cortex_m::SysTick;
//!
//! // SAFETY: nobody else uses the timer.
//! static TIMER: Timer<SysTick<25_000_000>, 32> = Timer::new(unsafe { SysTick::take() });
//!
//! // The exception's handler, in a program with `#[exception] fn SysTick()`:
//! fn sys_tick() {
//!     TIMER.on_alarm();
//! }
//!
//! # use cortex_m::peripheral::syst::SystClkSource;
//! // Once, at the beginning of `main`:
//! fn start() {
//!     TIMER.driver().start(SystClkSource::Core);
//! }
//! ```
//!
//! `systick` has the driver and explains how it keeps the time.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

mod registers;
mod systick;

pub use systick::SysTick;
