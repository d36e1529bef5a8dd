//! What differs between systems. Nothing outside this module knows which one it is on.
//!
//! Tests under `cfg(shuttle)` are on one that is not there: a random schedule, see `shuttle.rs`.

#[cfg(not(all(test, shuttle)))]
mod native;
#[cfg(all(test, shuttle))]
mod shuttle;

#[cfg(not(all(test, shuttle)))]
pub(crate) use native::*;
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::*;
