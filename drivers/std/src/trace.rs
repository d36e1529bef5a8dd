//! What a timer tells `tracing`, with the feature of that name. Without it there is neither a byte
//! nor an instruction of it.
//!
//! The crate's documentation lists it. The exclusive section is never held meanwhile: a subscriber may
//! use timers.

#[cfg(not(feature = "tracing"))]
mod silent;
#[cfg(feature = "tracing")]
mod told;

#[cfg(not(feature = "tracing"))]
pub(crate) use silent::Teller;
#[cfg(feature = "tracing")]
pub(crate) use told::Teller;
