//! Random programs on a timer, against an oracle that is too simple to be wrong.
//!
//! A [`Program`] is a list of steps that says nothing of what should come of them. [`check`] runs it
//! on every store, beside an `Oracle` that keeps its sleeps in a plain list and looks at
//! all of them each time. What is held together is said in `machine`; in short: who was woken, in
//! which order, what each poll said, how many slots are in use, and that the alarm is in time.
//!
//! The programs come from two places: from proptest, which makes a failing one short
//! (`tests/programs.rs`), and from libFuzzer, which looks for those that reach code that none has
//! reached before (`fuzz/`). Both have the same steps, and the same oracle.

mod bell;
mod checked;
mod hand;
mod machine;
mod oracle;
mod program;

pub use machine::check;
pub use program::{Action, Deadline, Program, Step};

/// How many tasks a program has.
const TASKS: usize = 3;
