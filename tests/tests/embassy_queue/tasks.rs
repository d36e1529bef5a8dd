//! Tasks as embassy's executor has them: each with the words that an integrated queue uses.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};
use std::task::{RawWaker, RawWakerVTable, Waker};

use embassy_executor_timer_queue::TimerQueueItem;
use moirai_timer_tests::forever;

/// A task that is only woken.
///
/// Lives for ever, because wakers point to it.
pub struct Task {
    item: UnsafeCell<TimerQueueItem>,
    wakes: AtomicU32,
}

impl Task {
    pub fn new() -> &'static Task {
        let item = UnsafeCell::new(TimerQueueItem::new());
        let task = Box::leak(Box::new(Task { item, wakes: AtomicU32::new(0) }));
        // Within reach of a static, so that leak checkers take it for what it is.
        forever(AtomicPtr::new(ptr::from_mut(task)));
        task
    }

    pub fn waker(&'static self) -> Waker {
        // SAFETY: the table takes pointers to tasks, which live for ever; cloning and dropping do
        // nothing, waking only counts.
        unsafe { Waker::new(ptr::from_ref(self).cast(), &TABLE) }
    }

    /// How often it was woken since this was asked last.
    pub fn take_wakes(&self) -> u32 {
        self.wakes.swap(0, Relaxed)
    }
}

static TABLE: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    task(data).wakes.fetch_add(1, Relaxed);
}

fn task(data: *const ()) -> &'static Task {
    // SAFETY: the table is only used with pointers to tasks.
    unsafe { &*data.cast::<Task>() }
}

/// What embassy's executor provides for the integrated queues.
#[unsafe(no_mangle)]
fn __embassy_time_queue_item_from_waker(waker: &Waker) -> &'static mut TimerQueueItem {
    assert!(ptr::eq(waker.vtable(), &TABLE), "not a waker of ours");
    // SAFETY: a task is used with one queue, which does not hold on to the reference.
    unsafe { &mut *task(waker.data()).item.get() }
}
