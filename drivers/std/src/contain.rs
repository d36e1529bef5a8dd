//! Code of the program's that may panic, run where a panic would take others with it.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`; if it panics, `told` hears with what. The panic hook has reported it by then.
pub(crate) fn contain(code: impl FnOnce(), told: impl FnOnce(&(dyn Any + Send))) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        told(&*payload);
        // What it carries is dropped by somebody's code again. What that panics with is leaked.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(another);
        }
    }
}
