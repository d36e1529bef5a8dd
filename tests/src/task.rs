//! Tasks that only count: how often they were woken, when, and how many wakers of theirs exist.
//!
//! The records are statics, so that a waker is a plain pointer that is always valid. A [`Task`] has
//! its record to itself until it is dropped, and the record returns to the others when its last
//! waker is gone too.
//!
//! # The Hook Invariant
//!
//! A record's hook points to something alive as long as it is not null. It is set by
//! [`Task::hooked`], which does not return before the hook is null again and every caller that may
//! have read it has left it.

use core::ptr;
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use portable_atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::SeqCst};

type Hook<'a> = &'a (dyn Fn() + Sync);

struct Record {
    taken: AtomicBool,
    wakes: AtomicU32,
    wakers: AtomicU32,
    order: AtomicU32,
    /// Calls of the hook that are under way.
    hooking: AtomicU32,
    hook: AtomicPtr<Hook<'static>>,
}

impl Record {
    const fn new() -> Record {
        Record {
            taken: AtomicBool::new(false),
            wakes: AtomicU32::new(0),
            wakers: AtomicU32::new(0),
            order: AtomicU32::new(0),
            hooking: AtomicU32::new(0),
            hook: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

const ROOM: usize = if cfg!(feature = "std") { 8192 } else { 384 };
static RECORDS: [Record; ROOM] = [const { Record::new() }; ROOM];
/// Counts wake-ups of all tasks, so that their order can be told.
static CLOCK: AtomicU32 = AtomicU32::new(0);

/// Something that can be woken.
#[derive(Debug)]
pub struct Task(usize);

impl Task {
    /// A task that was never woken.
    ///
    /// # Panics
    /// If there are too many.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Task {
        let free = |record: &Record| {
            record.wakers.load(SeqCst) == 0
                && record.taken.compare_exchange(false, true, SeqCst, SeqCst).is_ok()
        };
        let index = RECORDS.iter().position(free).expect("there is a record for every task");
        RECORDS[index].wakes.store(0, SeqCst);
        Task(index)
    }

    fn record(&self) -> &'static Record {
        &RECORDS[self.0]
    }

    /// A waker of this task.
    pub fn waker(&self) -> Waker {
        self.record().wakers.fetch_add(1, SeqCst);
        // SAFETY: the table keeps the contract of wakers, for pointers to records.
        unsafe { Waker::from_raw(RawWaker::new(ptr::from_ref(self.record()).cast(), &TABLE)) }
    }

    /// Polls with a waker of this task.
    pub fn polls<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        poll(&mut Context::from_waker(&self.waker()))
    }

    /// How often it was woken.
    pub fn wakes(&self) -> u32 {
        self.record().wakes.load(SeqCst)
    }

    /// Whether it was woken at all.
    pub fn is_woken(&self) -> bool {
        self.wakes() > 0
    }

    /// Greater than that of every task that was woken before this one was woken last.
    pub fn order(&self) -> u32 {
        self.record().order.load(SeqCst)
    }

    /// How many wakers of this task exist.
    pub fn wakers(&self) -> u32 {
        self.record().wakers.load(SeqCst)
    }

    /// While `body` runs, whoever wakes this task also calls `hook`. Not to be nested.
    pub fn hooked<T>(&self, hook: Hook<'_>, body: impl FnOnce() -> T) -> T {
        struct Unhook(&'static Record);
        impl Drop for Unhook {
            fn drop(&mut self) {
                self.0.hook.store(ptr::null_mut(), SeqCst);
                while self.0.hooking.load(SeqCst) != 0 {
                    core::hint::spin_loop();
                }
            }
        }
        let place: *const Hook<'_> = &hook;
        let _unhook = Unhook(self.record());
        self.record().hook.store(place.cast_mut().cast(), SeqCst);
        body()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.record().taken.store(false, SeqCst);
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        record(data).wakers.fetch_add(1, SeqCst);
        RawWaker::new(data, &TABLE)
    },
    |data| {
        record(data).wakers.fetch_sub(1, SeqCst);
        record(data).wake();
    },
    |data| record(data).wake(),
    |data| {
        record(data).wakers.fetch_sub(1, SeqCst);
    },
);

fn record(data: *const ()) -> &'static Record {
    // SAFETY: the table is only used with pointers to records, which are statics.
    unsafe { &*data.cast::<Record>() }
}

impl Record {
    fn wake(&self) {
        struct Hooking<'a>(&'a Record);
        impl Drop for Hooking<'_> {
            fn drop(&mut self) {
                self.0.hooking.fetch_sub(1, SeqCst);
            }
        }
        self.order.store(CLOCK.fetch_add(1, SeqCst) + 1, SeqCst);
        self.wakes.fetch_add(1, SeqCst);
        self.hooking.fetch_add(1, SeqCst);
        let _hooking = Hooking(self);
        let hook = self.hook.load(SeqCst);
        if !hook.is_null() {
            // SAFETY: the Hook Invariant; `hooking` was raised before the hook was read.
            unsafe { (*hook)() };
        }
    }
}
