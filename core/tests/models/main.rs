//! Interleavings of a few calls on a small timer, by loom; run by `cargo xtask model`.
//!
//! The engine is the real one, with loom's atomics and cells in place of the machine's (see
//! `src/sync/modelled.rs`). Each model starts two or three calls at once, lets them all return, and
//! then lets the timer run *on its alarms alone*: from then on nobody turns it unless it asked for
//! that. Every sleep that is left has to be woken exactly at its deadline. That is rule 2, never lost,
//! and every model checks it, beside the rule that it names; see [`World::settle`].
//!
//! Each says what makes it *go red*: changes to the engine that were made once, to see it fail.
//! The parts below the engine, `queue`, `pool` and `exclusive`, have their models beside them.
//!
//! All models but the [`bounded`](world::bounded) ones explore all that loom finds. For a quick look,
//! `LOOM_MAX_PREEMPTIONS=3` leaves out executions in which threads were stopped more than three times where
//! they need not have been. (That most races need no more than two is what Musuvathi and Qadeer found in
//! 2007; here, two of the changes that were tried needed three.)
#![cfg(loom)]

mod world;

mod adopting;
mod arming;
mod cancelling;
mod draining;
mod keeping;
mod last_handle;
mod replacing;
mod resetting;
mod shutting_down;
