//! The programs of the model, made by libFuzzer: it keeps those that reach something new.
//!
//! `cargo xtask fuzz` runs it. A program that fails is written to `artifacts/programs`; with the
//! same command and that file as its argument, it runs again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moirai_timer_tests::model::{Program, check};

fuzz_target!(|program: Program| check(&program));
