//! A panic that is the caller's fault names the caller's line.
//!
//! One test, in a program of its own, as it changes what happens when anything panics.

use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use moirai_timer_core::{ManualDriver, Ticks};

#[test]
fn a_period_of_zero_is_blamed_on_who_asked_for_it() {
    static PLACE: Mutex<Option<(String, u32)>> = Mutex::new(None);
    type Core = moirai_timer_core::Timer<ManualDriver, 1>;
    let blamed = |made: fn()| {
        set_hook(Box::new(|info| {
            *PLACE.lock().unwrap() = info.location().map(|at| (at.file().into(), at.line()));
        }));
        let panicked = catch_unwind(made).is_err();
        drop(take_hook());
        assert!(panicked);
        PLACE.lock().unwrap().take()
    };
    let here = |line| Some((file!().to_string(), line));

    assert_eq!(blamed(|| drop(moirai_timer_std::interval(Duration::ZERO))), here(line!()));
    let at = || drop(moirai_timer_std::interval_at(Instant::now(), Duration::ZERO));
    assert_eq!(blamed(at), here(line!() - 1));
    let of_a_timer = || drop(moirai_timer_std::Timer::global().interval(Duration::ZERO));
    assert_eq!(blamed(of_a_timer), here(line!() - 1));
    static CORE: Core = Core::new(ManualDriver::new());
    assert_eq!(blamed(|| drop(CORE.interval(Duration::ZERO))), here(line!()));
    assert_eq!(blamed(|| drop(CORE.interval_at(Ticks::ZERO, Duration::ZERO))), here(line!()));
}
