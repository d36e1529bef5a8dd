//! `DelayNs` where there is a thread to block: drivers of devices, run on a computer.

use std::time::Duration;

use moirai_timer_std::Timer;

/// Gives a timer to drivers that ask for a `DelayNs`, of `embedded-hal-async` or of
/// `embedded-hal`: on a computer whose buses they use, or in a test.
///
/// Never shorter than asked for. An async delay counts from its first poll; dropping it cancels it.
/// Blocking puts the thread to sleep, and drives a timer that has no thread of its own.
///
/// On firmware there is `moirai_timer_hal::Delay`, which knows how to wait for an interrupt.
///
/// ```
/// use embedded_hal_async::delay::DelayNs;
/// use moirai_timer_ext::interop::HalDelay;
/// use moirai_timer_std::block_on;
///
/// /// Of a driver's crate.
/// async fn measure(delay: &mut impl DelayNs) -> u32 {
///     delay.delay_us(500).await;
///     42
/// }
///
/// assert_eq!(block_on(measure(&mut HalDelay::new())), 42);
/// ```
#[derive(Clone, Debug)]
pub struct HalDelay(Timer);

impl HalDelay {
    /// Delays by the global timer.
    ///
    /// ```
    /// # use embedded_hal::delay::DelayNs;
    /// # use moirai_timer_ext::interop::HalDelay;
    /// # use std::time::{Duration, Instant};
    /// let start = Instant::now();
    /// HalDelay::new().delay_ms(1); // blocks this thread
    /// assert!(start.elapsed() >= Duration::from_millis(1));
    /// ```
    pub fn new() -> Self {
        Self::on(Timer::global().clone())
    }

    /// Delays by `timer`.
    ///
    /// ```
    /// # use embedded_hal::delay::DelayNs;
    /// # use moirai_timer_ext::interop::HalDelay;
    /// # use moirai_timer_std::{Precision, Timer};
    /// // A driver that counts microseconds gets them.
    /// let timer = Timer::builder().precision(Precision::Exact).build()?;
    /// let start = timer.now();
    /// HalDelay::on(timer.clone()).delay_us(100);
    /// assert!((timer.now() - start).as_micros() >= 100);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(timer: Timer) -> Self {
        HalDelay(timer)
    }

    fn block(&self, duration: Duration) {
        self.0.block_on(self.0.sleep(duration));
    }
}

impl Default for HalDelay {
    fn default() -> Self {
        Self::new()
    }
}

impl embedded_hal::delay::DelayNs for HalDelay {
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

impl embedded_hal_async::delay::DelayNs for HalDelay {
    async fn delay_ns(&mut self, ns: u32) {
        self.0.sleep(Duration::from_nanos(ns.into())).await;
    }

    async fn delay_us(&mut self, us: u32) {
        self.0.sleep(Duration::from_micros(us.into())).await;
    }

    async fn delay_ms(&mut self, ms: u32) {
        self.0.sleep(Duration::from_millis(ms.into())).await;
    }
}
