//! A timer whose clock has another rate than embassy-time, and none that one of the two divides.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use embassy_time::{Instant, Timer as EmbassyTimer};
use moirai_timer_core::{ManualDriver, Ticks, Timer};

type Clock = ManualDriver<32_768>;

static TIMER: Timer<Clock, 4> = Timer::new(Clock::new());
moirai_timer_embassy::time_driver_impl!(TIMER: Timer<Clock, 4>, 4);

#[test]
fn a_timer_of_embassy_ends_at_the_first_tick_that_is_not_early() {
    assert_eq!(embassy_time_driver::TICK_HZ, 1_000_000);
    let mut cx = Context::from_waker(Waker::noop());
    for at in [1, 31, 100, 1_000_000, 1_000_001, 123_456_789] {
        let mut timer = pin!(EmbassyTimer::at(Instant::from_ticks(at)));
        assert!(timer.as_mut().poll(&mut cx).is_pending());
        assert!(TIMER.driver().take_interrupt());
        TIMER.on_alarm();
        let alarm = TIMER.driver().alarm().expect("it waits");
        assert_eq!(alarm.get(), (at * 32_768).div_ceil(1_000_000));

        TIMER.driver().set(Ticks::new(alarm.get() - 1));
        assert!(timer.as_mut().poll(&mut cx).is_pending(), "early");
        TIMER.driver().set(alarm);
        TIMER.on_alarm();
        assert!(timer.as_mut().poll(&mut cx).is_ready());
    }
}
