//! The wakers. They are the same for all, counted as an executor's are, and write down in the very
//! call that wakes them how late it is. Nothing is allocated or freed in that call: whoever made
//! the waker holds on to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Instant;

/// Remembers how long after its deadline it was woken first.
pub struct Alarm {
    deadline: Instant,
    /// Nanoseconds, or [`NEVER`].
    late: AtomicI64,
    /// Whom to tell.
    task: Option<Waker>,
}

const NEVER: i64 = i64::MIN;

impl Alarm {
    /// Tells nobody.
    pub fn at(deadline: Instant) -> Arc<Self> {
        Arc::new(Alarm { deadline, late: NEVER.into(), task: None })
    }

    /// Wakes `task`, after it has written the lateness down.
    pub fn for_task(deadline: Instant, task: Waker) -> Arc<Self> {
        Arc::new(Alarm { deadline, late: NEVER.into(), task: Some(task) })
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// In nanoseconds; less than zero, if it was woken too early. None, if it was not woken yet.
    pub fn lateness(&self) -> Option<i64> {
        Some(self.late.load(Relaxed)).filter(|late| *late != NEVER)
    }

    /// To be called when the sleep is found ready without a wake.
    pub fn ring(&self) {
        let now = Instant::now();
        if self.late.load(Relaxed) != NEVER {
            return;
        }
        let late = match now.checked_duration_since(self.deadline) {
            Some(late) => late.as_nanos() as i64,
            None => -((self.deadline - now).as_nanos() as i64),
        };
        self.late.store(late, Relaxed);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

/// A waker that tells nobody and counts nothing, so that what is measured is the timer.
pub fn silent() -> Waker {
    Waker::noop().clone()
}
