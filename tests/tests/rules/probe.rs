//! A waker that looks around whenever code of the task's runs, and panics when it is told to.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::{RawWaker, RawWakerVTable, Waker};

use moirai_timer_tests::forever;

type Look = Box<dyn Fn() + Send + Sync>;

/// Counts what happens to its wakers. Never freed.
pub struct Probe {
    look: Look,
    pub clones: AtomicU32,
    pub wakes: AtomicU32,
    pub drops: AtomicU32,
    pub panics_when_cloned: AtomicBool,
    pub panics_when_woken: AtomicBool,
    pub panics_when_dropped: AtomicBool,
}

impl Probe {
    /// Calls `look` in every clone, wake and drop.
    pub fn new(look: impl Fn() + Send + Sync + 'static) -> &'static Probe {
        forever(Probe {
            look: Box::new(look),
            clones: AtomicU32::new(0),
            wakes: AtomicU32::new(0),
            drops: AtomicU32::new(0),
            panics_when_cloned: AtomicBool::new(false),
            panics_when_woken: AtomicBool::new(false),
            panics_when_dropped: AtomicBool::new(false),
        })
    }

    pub fn waker(&'static self) -> Waker {
        // SAFETY: the table keeps the contract of wakers for pointers to probes, which are never
        // freed.
        unsafe { Waker::from_raw(self.raw()) }
    }

    fn raw(&'static self) -> RawWaker {
        RawWaker::new(std::ptr::from_ref(self).cast(), &TABLE)
    }

    fn note(&self, count: &AtomicU32, panics: &AtomicBool) {
        count.fetch_add(1, SeqCst);
        (self.look)();
        if panics.load(SeqCst) {
            // Says nothing, so as not to fill the log.
            std::panic::resume_unwind(Box::new("this waker panics"));
        }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let probe = probe(data);
        probe.note(&probe.clones, &probe.panics_when_cloned);
        probe.raw()
    },
    |data| {
        let probe = probe(data);
        probe.note(&probe.wakes, &probe.panics_when_woken);
    },
    |data| {
        let probe = probe(data);
        probe.note(&probe.wakes, &probe.panics_when_woken);
    },
    |data| {
        let probe = probe(data);
        probe.note(&probe.drops, &probe.panics_when_dropped);
    },
);

fn probe(data: *const ()) -> &'static Probe {
    // SAFETY: the table is only used with pointers to probes, which are never freed.
    unsafe { &*data.cast() }
}
