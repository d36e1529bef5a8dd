//! `DelayNs`, blocking and async, on any of our timers.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use moirai_timer_core::{Handle, Sleep};

/// Below this a blocking delay spins: arming a timer and serving its interrupt is not quicker.
const SPIN: Duration = Duration::from_micros(20);

/// Gives a timer to those who ask for a `DelayNs`, of `embedded-hal` or of `embedded-hal-async`.
///
/// Never shorter than asked for, as `embedded-hal` demands. The clock is read in whole ticks, and the
/// present one may be almost over, so a delay is rounded up to ticks and then takes one more: it is
/// up to two ticks longer than asked for, and what the machine takes, whatever the timer's tolerance. A
/// delay of zero is none.
///
/// # Cost
///
/// A slot of the timer while it waits; a blocking one below 20 us takes none. If there is none, or
/// the timer was shut down, a blocking delay spins, and an async one wakes its task over and over:
/// both end in time.
///
/// Before the timer's driver is started, no time passes: a blocking delay hangs for ever, and an
/// async one is pending until it is.
///
/// ```
/// # use moirai_timer_core::{ManualDriver, Timer};
/// # static TIMER: Timer<ManualDriver, 8> = Timer::new(ManualDriver::new());
/// # fn wfi() { TIMER.driver().advance(1_000_000); }
/// use embedded_hal::delay::DelayNs;
/// use moirai_timer_hal::Delay;
///
/// let mut delay = Delay::new(&TIMER, wfi); // cortex_m::asm::wfi
/// delay.delay_ms(5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Delay<H> {
    timer: H,
    idle: fn(),
}

/// No more than its name.
#[cfg(feature = "defmt")]
impl<H> defmt::Format for Delay<H> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Delay");
    }
}

impl<H: Handle + Clone> Delay<H> {
    /// Delays by `timer`; while blocked, waits in `idle`.
    ///
    /// `idle` is called in a critical section. It has to return as soon as the timer's interrupt is
    /// pending, although that is not served yet, and may return at any time before. The instruction
    /// `wfi` does so, on Cortex-M and on RISC-V, if the program's critical sections mask interrupts
    /// globally, and if it is not executed by an interrupt handler. Not on several cores: their critical sections
    /// are also kept against each other, so the others would stand still, and so would the timer, if one of
    /// them serves its interrupt. Elsewhere, see [`spinning`](Self::spinning).
    ///
    /// To be used once the timer's interrupt is served: before that, a delay that is longer than half a round of a
    /// [`CompareDriver`](crate::CompareDriver)'s counter may never end.
    pub const fn new(timer: H, idle: fn()) -> Self {
        Delay { timer, idle }
    }

    /// Delays by `timer`; while blocked, spins. Works everywhere, also in interrupt handlers.
    ///
    /// If it keeps the interrupt of a [`CompareDriver`](crate::CompareDriver) waiting meanwhile, whose counter
    /// has less than 64 bits, it has to be shorter than half a round of that, as all that does.
    ///
    /// ```
    /// # use moirai_timer_core::{Armed, Driver, Ticks, Timer};
    /// # struct Running(core::sync::atomic::AtomicU64);
    /// # impl Driver for Running {
    /// #     const TICK_HZ: u64 = 1_000_000;
    /// #     fn now(&self) -> Ticks { Ticks::new(self.0.fetch_add(1, core::sync::atomic::Ordering::SeqCst)) }
    /// #     fn arm(&self, _: Ticks) -> Armed { Armed::Pending }
    /// #     fn disarm(&self) {}
    /// #     fn pend(&self) {}
    /// # }
    /// # static TIMER: Timer<Running, 8> = Timer::new(Running(core::sync::atomic::AtomicU64::new(0)));
    /// use embedded_hal::delay::DelayNs;
    /// use moirai_timer_hal::Delay;
    ///
    /// Delay::spinning(&TIMER).delay_us(5);
    /// ```
    pub const fn spinning(timer: H) -> Self {
        Delay { timer, idle: core::hint::spin_loop }
    }

    /// Ends when at least `duration` has passed since this call.
    fn sleep(&self, duration: Duration) -> Sleep<H> {
        let ticks = match self.timer.ticks_in(duration) {
            0 => 0,
            // What is left of the present tick may be next to nothing.
            ticks => ticks.saturating_add(1),
        };
        let deadline = self.timer.instant_at(self.timer.now().after(ticks));
        // Drivers of devices ask for microseconds, whatever the timer's tolerance is.
        Sleep::at(self.timer.clone(), deadline).with_tolerance(Duration::ZERO)
    }

    fn block(&self, duration: Duration) {
        let sleep = self.sleep(duration);
        let deadline = sleep.deadline();
        if duration < SPIN {
            return self.spin(deadline);
        }
        match sleep.reserved() {
            Ok(sleep) => self.wait(sleep),
            // Without a slot no interrupt would come.
            Err(_) => self.spin(deadline),
        }
    }

    fn spin(&self, deadline: H::Instant) {
        let sleep = Sleep::at(self.timer.clone(), deadline);
        while !sleep.is_elapsed() {
            core::hint::spin_loop();
        }
    }

    fn wait(&self, sleep: Sleep<H>) {
        let mut sleep = pin!(sleep);
        // Nobody needs to be woken: the interrupt that would do it ends the idling.
        let mut cx = Context::from_waker(Waker::noop());
        while sleep.as_mut().poll(&mut cx) == Poll::Pending {
            critical_section::with(|_| {
                // An interrupt that comes after this look stays pending, and `idle` returns.
                if !sleep.is_elapsed() {
                    (self.idle)();
                }
            });
        }
    }
}

/// Blocks, below 20 us by spinning.
impl<H: Handle + Clone> embedded_hal::delay::DelayNs for Delay<H> {
    fn delay_ns(&mut self, ns: u32) {
        self.block(Duration::from_nanos(ns.into()));
    }

    fn delay_us(&mut self, us: u32) {
        self.block(Duration::from_micros(us.into()));
    }

    fn delay_ms(&mut self, ms: u32) {
        self.block(Duration::from_millis(ms.into()));
    }
}

/// Counted from the first poll. Dropping the future cancels it.
impl<H: Handle + Clone> embedded_hal_async::delay::DelayNs for Delay<H> {
    async fn delay_ns(&mut self, ns: u32) {
        self.sleep(Duration::from_nanos(ns.into())).await;
    }

    async fn delay_us(&mut self, us: u32) {
        self.sleep(Duration::from_micros(us.into())).await;
    }

    async fn delay_ms(&mut self, ms: u32) {
        self.sleep(Duration::from_millis(ms.into())).await;
    }
}
