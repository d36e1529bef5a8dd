//! Tasks that are only woken, with the words that an integrated queue keeps in a task.

use core::cell::{Cell, UnsafeCell};
use core::ptr;
use core::task::{RawWaker, RawWakerVTable, Waker};

use embassy_executor_timer_queue::TimerQueueItem;

/// How many there are.
pub(crate) const TASKS: usize = 128;

pub struct Task {
    item: UnsafeCell<TimerQueueItem>,
    woken: Cell<bool>,
}

// SAFETY: nothing is done with a task but by the queue that is measured, and by one at a time. No
// interrupt comes.
unsafe impl Sync for Task {}

static ALL: [Task; TASKS] =
    [const { Task { item: UnsafeCell::new(TimerQueueItem::new()), woken: Cell::new(false) } };
        TASKS];

impl Task {
    /// The tasks, as if no queue had seen them. Whoever had them before does no longer use them.
    pub(crate) fn all() -> &'static [Task; TASKS] {
        for task in &ALL {
            // SAFETY: by what was said.
            unsafe { *task.item.get() = TimerQueueItem::new() };
        }
        &ALL
    }

    /// Whether it was woken since this was asked.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.replace(false)
    }

    #[inline]
    pub(crate) fn waker(&'static self) -> Waker {
        // SAFETY: the table takes pointers to tasks, which are statics.
        unsafe { Waker::new(ptr::from_ref(self).cast(), &TABLE) }
    }
}

static TABLE: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    task(data).woken.set(true);
}

fn task(data: *const ()) -> &'static Task {
    // SAFETY: only pointers to tasks are given to this.
    unsafe { &*data.cast::<Task>() }
}

/// What embassy's executor provides for the integrated queues.
#[unsafe(no_mangle)]
fn __embassy_time_queue_item_from_waker(waker: &Waker) -> &'static mut TimerQueueItem {
    // SAFETY: a task is used with one queue, which does not hold on to the reference.
    unsafe { &mut *task(waker.data()).item.get() }
}
