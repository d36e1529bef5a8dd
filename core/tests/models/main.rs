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
//! All models but two, which say so, explore all that loom finds; together they take less than a minute.
//! For a quick look, `LOOM_MAX_PREEMPTIONS=3` leaves out executions in which threads were stopped more
//! than three times where they need not have been. (That most races need no more than two is what
//! Musuvathi and Qadeer found in 2007; here, two of the changes that were tried needed three.)
//!
//! What loom 0.7.3 finds is not all there is. Of each atomic it remembers the last access only. So where a
//! thread loads one that another has loaded before it, and then changes it, loom does not try to have
//! that change before the other's load (its issues 166 and 392). What is left can be little: in
//! `adopting::adoption_on_another_thread_than_its_cancellation` and
//! `registering::the_alarm_is_only_lowered_after_the_second_look` it is a single order.
#![cfg(loom)]

mod world;

mod adopting;
mod cancelling;
mod draining;
mod last_handle;
mod registering;
mod replacing;
mod resetting;
mod shutting_down;
