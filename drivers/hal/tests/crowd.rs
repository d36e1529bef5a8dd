//! A crowd of sleeps that are due at once, on a counter that is narrow: waking them all takes longer than half a
//! round of it, and the clock has to be kept meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use moirai_timer_core::{Ticks, Timer};
use moirai_timer_hal::{CompareDriver, Counter};

static TIME: AtomicU64 = AtomicU64::new(0);

struct Narrow;

impl Counter for Narrow {
    const TICK_HZ: u64 = 1_000_000;
    const BITS: u32 = 16;

    fn start(&self) {}

    fn count(&self) -> u64 {
        TIME.load(SeqCst) & 0xffff
    }

    fn set_compare(&self, _: u64) {}

    fn acknowledge(&self) {}

    fn pend(&self) {}
}

/// Takes its time.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        TIME.fetch_add(500, SeqCst);
    }
}

#[test]
fn the_clock_is_kept_while_a_crowd_is_woken() {
    static TIMER: Timer<CompareDriver<Narrow>, 256> = Timer::new(CompareDriver::new(Narrow));
    let waker = Waker::from(Arc::new(Task));
    TIMER.driver().start();
    let mut sleeps: Vec<_> = (0..256).map(|_| TIMER.sleep_until(Ticks::new(1_000))).collect();
    for sleep in &mut sleeps {
        assert!(Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    TIMER.on_alarm();
    TIME.store(1_000, SeqCst);
    TIMER.driver().acknowledge();
    TIMER.on_alarm();
    assert_eq!(TIME.load(SeqCst), 1_000 + 256 * 500, "all were woken");
    assert_eq!(TIMER.now().get(), TIME.load(SeqCst));
}
