//! A manual clock that calls back: something else happens in the middle of the engine's work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::task::Waker;

use moirai_timer_core::{Armed, Driver, ManualDriver, Ticks, Timer};
use moirai_timer_tests::forever;

/// What to do, once, in which call of the driver, counted from when it is set.
type Hook = Box<dyn FnOnce() + Send>;

pub struct HookedDriver {
    pub manual: ManualDriver<1_000>,
    calls: AtomicU32,
    hook: Mutex<Option<(u32, Hook)>>,
    /// By how much the clock advances each time it is read.
    pub pace: AtomicU64,
}

pub type HookedTimer<const N: usize> = Timer<HookedDriver, N>;

/// A timer that lives for ever, so that hooks can refer to it.
pub fn hooked_timer<const N: usize>() -> &'static HookedTimer<N> {
    forever(Timer::new(HookedDriver {
        manual: ManualDriver::new(),
        calls: AtomicU32::new(0),
        hook: Mutex::new(None),
        pace: AtomicU64::new(0),
    }))
}

impl HookedDriver {
    /// Has `hook` called in the call with this number from now on.
    pub fn hook(&self, call: u32, hook: impl FnOnce() + Send + 'static) {
        self.calls.store(0, SeqCst);
        *self.hook.lock().unwrap() = Some((call, Box::new(hook)));
    }

    /// Forgets the hook; whether it has been called.
    pub fn unhook(&self) -> bool {
        self.hook.lock().unwrap().take().is_none()
    }

    fn call(&self) {
        let call = self.calls.fetch_add(1, SeqCst);
        let hook = self.hook.lock().unwrap().take_if(|(number, _)| *number == call);
        if let Some((_, hook)) = hook {
            hook();
        }
    }
}

impl Driver for HookedDriver {
    const TICK_HZ: u64 = 1_000;

    fn now(&self) -> Ticks {
        self.call();
        self.manual.advance(self.pace.load(SeqCst));
        self.manual.now()
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.call();
        let armed = self.manual.arm(at);
        self.call();
        armed
    }

    fn disarm(&self) {
        self.call();
        self.manual.disarm();
        self.call();
    }

    fn pend(&self) {
        self.manual.pend();
    }

    fn wake(&self, waker: Waker) {
        self.call();
        waker.wake();
    }

    fn fired(&self, _: u64) {
        self.call();
    }
}

/// Runs the interrupt handler as long as its interrupt is due.
pub fn serve<const N: usize>(timer: &HookedTimer<N>) {
    for _ in 0..1_000 {
        if !timer.driver().manual.take_interrupt() {
            return;
        }
        timer.on_alarm();
    }
    panic!("the interrupt never ceases");
}
