//! A place where a waker can leave something for the test that waits for it.

use core::cell::UnsafeCell;

use portable_atomic::{AtomicBool, Ordering::*};

/// Holds one value at most. Only to be used by one side at a time; panics otherwise.
pub struct Handoff<T> {
    busy: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `value` is used by whoever turned `busy` from false to true.
unsafe impl<T: Send> Sync for Handoff<T> {}

impl<T> Handoff<T> {
    /// An empty place.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Handoff { busy: AtomicBool::new(false), value: UnsafeCell::new(None) }
    }

    /// Exchanges what is there.
    pub fn replace(&self, value: Option<T>) -> Option<T> {
        assert!(!self.busy.swap(true, Acquire), "one side at a time");
        // SAFETY: `busy` was false, so nobody else uses the value.
        let old = core::mem::replace(unsafe { &mut *self.value.get() }, value);
        self.busy.store(false, Release);
        old
    }
}
