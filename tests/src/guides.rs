//! The guides, whose programs are run as tests.

#[doc = include_str!("../../docs/seeing-inside.md")]
mod seeing_inside {}

#[doc = include_str!("../../docs/testing.md")]
mod testing {}
