//! Tasks that are only woken, with the words that an integrated queue keeps in a task.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use core::task::{RawWaker, RawWakerVTable, Waker};

use embassy_executor_timer_queue::TimerQueueItem;

/// As large as one of embassy's with little in it.
#[repr(C)]
pub struct Task {
    item: UnsafeCell<TimerQueueItem>,
    rest: [u32; 8],
}

// SAFETY: nothing is done with a task but by the queue that is measured, and by one at a time.
unsafe impl Sync for Task {}

/// For four queues, with 1 + 8 + 32 + 64 + 128 each.
static TASKS: [Task; 4 * 233] =
    [const { Task { item: UnsafeCell::new(TimerQueueItem::new()), rest: [0; 8] } }; 4 * 233];
static USED: AtomicUsize = AtomicUsize::new(0);
static WOKEN: AtomicPtr<Task> = AtomicPtr::new(ptr::null_mut());

impl Task {
    /// Tasks that no queue has seen.
    pub fn fresh(count: usize) -> &'static [Task] {
        let first = USED.fetch_add(count, Relaxed);
        &TASKS[first..first + count]
    }

    /// The task that was woken last.
    pub fn woken() -> &'static Task {
        task(WOKEN.load(Relaxed).cast())
    }

    #[inline]
    pub fn waker(&'static self) -> Waker {
        // SAFETY: the table takes pointers to tasks, which are statics.
        unsafe { Waker::new(ptr::from_ref(self).cast(), &TABLE) }
    }
}

static TABLE: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    WOKEN.store(data.cast_mut().cast(), Relaxed);
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
