//! Wakers that tell whenever one of them is cloned, dropped or woken.
//!
//! # The Bell Invariant
//!
//! A bell outlives its wakers: it is declared before the machine that has them, and they are not
//! given to anybody else.

use std::cell::Cell;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What is done to a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    Clone,
    Drop,
    Wake,
}

/// Who hears of it.
pub(super) trait Listener {
    fn touched(&self, task: usize, touch: Touch);
}

/// What the wakers of one task point to.
pub(super) struct Bell<'a> {
    task: usize,
    wakers: Cell<u32>,
    listener: Cell<Option<&'a dyn Listener>>,
}

impl<'a> Bell<'a> {
    pub(super) const fn new(task: usize) -> Self {
        Bell { task, wakers: Cell::new(0), listener: Cell::new(None) }
    }

    /// Tells `listener` from now on, or nobody.
    pub(super) fn tell(&self, listener: Option<&'a dyn Listener>) {
        self.listener.set(listener);
    }

    /// How many wakers there are.
    pub(super) fn wakers(&self) -> u32 {
        self.wakers.get()
    }

    pub(super) fn waker(&self) -> Waker {
        self.wakers.set(self.wakers.get() + 1);
        // SAFETY: the table keeps the contract of wakers for pointers to bells, save that they must
        // stay on this thread: they do, as the machine does.
        unsafe { Waker::from_raw(RawWaker::new(ptr::from_ref(self).cast(), &TABLE)) }
    }

    fn touch(&self, touch: Touch, more: i32) {
        let left = self.wakers.get().checked_add_signed(more);
        self.wakers.set(left.expect("no more wakers go than came"));
        if let Some(listener) = self.listener.get() {
            listener.touched(self.task, touch);
        }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        bell(&data).touch(Touch::Clone, 1);
        RawWaker::new(data, &TABLE)
    },
    |data| bell(&data).touch(Touch::Wake, -1),
    |data| bell(&data).touch(Touch::Wake, 0),
    |data| bell(&data).touch(Touch::Drop, -1),
);

fn bell<'a>(data: &'a *const ()) -> &'a Bell<'a> {
    // SAFETY: the table is only used with pointers to bells, which are alive by the Bell Invariant.
    unsafe { &*data.cast::<Bell<'a>>() }
}
