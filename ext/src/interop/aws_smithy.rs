//! The sleep that Smithy's clients ask for.

use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use moirai_timer_std::Timer;

/// Gives a timer to the AWS SDK, and to other clients that Smithy generates, for their timeouts and
/// retries: `aws_config::from_env().sleep_impl(SmithySleep::new())`.
///
/// Each of its sleeps is boxed, as the trait demands.
///
/// ```
/// use aws_smithy_async::future::timeout::Timeout;
/// use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep};
/// use moirai_timer_ext::interop::SmithySleep;
/// use std::{future::pending, time::Duration};
///
/// // As a client holds it.
/// let sleep = SharedAsyncSleep::new(SmithySleep::new());
/// let request = Timeout::new(pending::<()>(), sleep.sleep(Duration::from_millis(1)));
/// assert!(moirai_timer_std::block_on(request).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct SmithySleep(Timer);

impl SmithySleep {
    /// The global timer, for Smithy.
    ///
    /// ```
    /// # use aws_smithy_async::rt::sleep::AsyncSleep;
    /// # use moirai_timer_ext::interop::SmithySleep;
    /// # use std::time::{Duration, Instant};
    /// let start = Instant::now();
    /// moirai_timer_std::block_on(SmithySleep::new().sleep(Duration::from_millis(1)));
    /// assert!(start.elapsed() >= Duration::from_millis(1));
    /// ```
    pub fn new() -> Self {
        Self::on(Timer::global().clone())
    }

    /// `timer`, for Smithy.
    ///
    /// ```
    /// # use aws_smithy_async::rt::sleep::AsyncSleep;
    /// # use moirai_timer_ext::interop::SmithySleep;
    /// # use moirai_timer_std::{Precision, Timer, block_on};
    /// # use std::time::Duration;
    /// // Timeouts of requests need not be exact.
    /// let timer = Timer::builder().precision(Precision::Relaxed).build()?;
    /// block_on(SmithySleep::on(timer).sleep(Duration::from_millis(1)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(timer: Timer) -> Self {
        SmithySleep(timer)
    }
}

impl Default for SmithySleep {
    fn default() -> Self {
        Self::new()
    }
}

impl AsyncSleep for SmithySleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.0.sleep(duration))
    }
}
