//! backon's sleeper: how retries come to our timers.

use std::time::Duration;

use backon::Sleeper;
use moirai_timer_std::{Sleep, Timer};

/// Gives a timer to `backon`, which is how things are tried again here: with a pause that grows, is
/// blurred by chance, and ends some time.
///
/// ```
/// use backon::{ExponentialBuilder, Retryable};
/// use moirai_timer_ext::interop::BackonSleeper;
/// use std::{cell::Cell, time::Duration};
///
/// let tries = Cell::new(0);
/// let fetch = async || {
///     tries.set(tries.get() + 1);
///     if tries.get() < 3 { Err("503") } else { Ok("200") }
/// };
/// let ms = Duration::from_millis(1);
/// let pauses = ExponentialBuilder::default().with_min_delay(ms).with_jitter();
/// let answer = fetch.retry(pauses).sleep(BackonSleeper::new());
/// assert_eq!(moirai_timer_std::block_on(answer.into_future()), Ok("200"));
/// ```
///
/// Under a budget of time, so that the last try ends in time as well, with a
/// [`Deadline`](crate::Deadline):
///
/// ```
/// use backon::{ExponentialBuilder, Retryable};
/// use moirai_timer_ext::{Deadline, interop::BackonSleeper};
/// use moirai_timer_std::{Timer, block_on};
/// use std::time::Duration;
///
/// let timer = Timer::global();
/// let budget = Deadline::after(timer.clone(), Duration::from_millis(5));
/// let fetch = async || Err::<(), _>("503");
/// let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_secs(60));
/// let answer = budget.run(fetch.retry(pauses).sleep(BackonSleeper::on(timer.clone())));
/// assert!(block_on(answer).is_err());
/// ```
///
/// A pause is a [`Sleep`], and allocates nothing. On firmware there is no need for this type: to
/// `backon` a closure is a sleeper, too, as `.sleep(|pause| TIMER.sleep(pause))`.
#[derive(Clone, Debug)]
pub struct BackonSleeper(Timer);

impl BackonSleeper {
    /// The global timer, for `backon`.
    ///
    /// ```
    /// # use backon::{ConstantBuilder, Retryable};
    /// # use moirai_timer_ext::interop::BackonSleeper;
    /// # use std::{cell::Cell, time::Duration};
    /// let tries = Cell::new(0);
    /// let fetch = async || {
    ///     tries.set(tries.get() + 1);
    ///     if tries.get() < 2 { Err("503") } else { Ok("200") }
    /// };
    /// let pauses = ConstantBuilder::default().with_delay(Duration::from_millis(1));
    /// let answer = fetch.retry(pauses).sleep(BackonSleeper::new());
    /// assert_eq!(moirai_timer_std::block_on(answer.into_future()), Ok("200"));
    /// ```
    pub fn new() -> Self {
        Self::on(Timer::global().clone())
    }

    /// `timer`, for `backon`.
    ///
    /// ```
    /// # use backon::{ConstantBuilder, Retryable};
    /// # use moirai_timer_ext::interop::BackonSleeper;
    /// # use std::{cell::Cell, time::Duration};
    /// let tries = Cell::new(0);
    /// let fetch = async || {
    ///     tries.set(tries.get() + 1);
    ///     if tries.get() < 2 { Err("503") } else { Ok("200") }
    /// };
    /// let pauses = ConstantBuilder::default().with_delay(Duration::from_millis(1));
    /// let timer = moirai_timer_std::Timer::builder().without_thread().build()?;
    /// let answer = fetch.retry(pauses).sleep(BackonSleeper::on(timer.clone()));
    /// assert_eq!(timer.block_on(answer.into_future()), Ok("200"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(timer: Timer) -> Self {
        BackonSleeper(timer)
    }
}

impl Default for BackonSleeper {
    fn default() -> Self {
        Self::new()
    }
}

impl Sleeper for BackonSleeper {
    type Sleep = Sleep;

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }
}
