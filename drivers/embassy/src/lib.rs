#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod scale;
mod time_driver;

pub use time_driver::TimeDriver;

#[doc(hidden)]
pub use embassy_time_driver;

/// Makes a timer the program's `embassy-time-driver`.
///
/// `time_driver_impl!(TIMER: Type, N)` takes the name of a static [`Engine`] (a [`Timer`]), its
/// type, and how many wakers can wait at the same time. See [`TimeDriver`] for what it costs.
///
/// Fails to compile if `N` is 0 or more than 65,535, and to link if the program has another driver:
///
/// ```compile_fail,E0080
/// use moirai_timer_core::{ManualDriver, Timer};
///
/// static TIMER: Timer<ManualDriver<1_000_000>, 8> = Timer::new(ManualDriver::new());
/// moirai_timer_embassy::time_driver_impl!(TIMER: Timer<ManualDriver<1_000_000>, 8>, 0);
/// # fn main() {}
/// ```
///
/// [`Engine`]: moirai_timer_core::Engine
/// [`Timer`]: moirai_timer_core::Timer
#[macro_export]
macro_rules! time_driver_impl {
    ($timer:ident: $type:ty, $wakers:expr) => {
        const _: () = {
            static DRIVER: $crate::TimeDriver<$type, { $wakers }> =
                $crate::TimeDriver::new(&$timer);

            struct Face;

            impl $crate::embassy_time_driver::Driver for Face {
                fn now(&self) -> u64 {
                    DRIVER.now()
                }

                fn schedule_wake(&self, at: u64, waker: &core::task::Waker) {
                    DRIVER.schedule_wake(at, waker)
                }
            }

    $crate::embassy_time_driver::time_driver_impl!(static FACE: Face = Face);
        };
    };
}
