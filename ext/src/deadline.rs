//! A budget of time that is passed down through calls.

use core::fmt;
use core::time::Duration;

use moirai_timer_core::{Elapsed, Handle, Sleep, Ticks, Timeout};

/// A point in time by which something has to be done, all its parts included.
///
/// A timeout for each part of a work adds up to more than anybody asked for. A deadline is made
/// once, where the work comes in, and handed to everything that is called; each derives its timeouts
/// from what is left, and may be given less, never more.
///
/// Copying it costs a handle of the timer. It takes no slot; what is run under it does.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use moirai_timer_ext::{Deadline, Elapsed};
/// use moirai_timer_std::{Timer, block_on};
/// use std::time::Duration;
///
/// async fn look_up(name: &str, deadline: Deadline<Timer>) -> Result<u32, Elapsed> {
///     // Half a second at most, and less if there is less.
///     deadline.within(Duration::from_millis(500)).run(async { name.len() as u32 }).await
/// }
///
/// async fn answer(deadline: Deadline<Timer>) -> Result<u32, Elapsed> {
///     let number = look_up("name", deadline.clone()).await?;
///     deadline.check()?;
///     Ok(number + 1)
/// }
///
/// let deadline = Deadline::after(Timer::global().clone(), Duration::from_secs(60));
/// assert_eq!(block_on(answer(deadline)), Ok(5));
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Deadline<H> {
    timer: H,
    at: Ticks,
}

impl<H: Handle> Deadline<H> {
    /// `duration` from now; never, if that is beyond the clock.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let deadline = Deadline::after(Timer::global().clone(), Duration::from_secs(5));
    /// assert!(deadline.remaining() <= Some(Duration::from_secs(5)));
    /// // An overflow is no deadline at all.
    /// let none = Deadline::after(Timer::global().clone(), Duration::MAX);
    /// assert_eq!(none.remaining(), None);
    /// # }
    /// ```
    pub fn after(timer: H, duration: Duration) -> Self {
        let at = timer.now().after(timer.ticks_in(duration));
        Deadline { timer, at }
    }

    /// At `instant` of the timer's clock.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::global();
    /// let instant = timer.now() + Duration::from_secs(5);
    /// assert_eq!(Deadline::at(timer.clone(), instant).instant(), Some(instant));
    /// # }
    /// ```
    pub fn at(timer: H, instant: H::Instant) -> Self {
        let at = timer.ticks_at(instant);
        Deadline { timer, at }
    }

    /// No limit: what is run under it may take for ever.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::pending, time::Duration};
    /// // For whoever is called without a limit, and sets one for a part of its work.
    /// let deadline = Deadline::never(Timer::global().clone());
    /// let part = deadline.within(Duration::from_millis(1));
    /// assert!(block_on(part.run(pending::<()>())).is_err());
    /// assert!(!deadline.is_elapsed());
    /// # }
    /// ```
    pub fn never(timer: H) -> Self {
        Deadline { timer, at: Ticks::NEVER }
    }

    /// The point in time; `None` if there is no limit.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::global();
    /// let before = timer.now();
    /// let deadline = Deadline::after(timer.clone(), Duration::from_secs(5));
    /// assert!(deadline.instant() >= Some(before + Duration::from_secs(5)));
    /// assert_eq!(Deadline::never(timer.clone()).instant(), None);
    /// # }
    /// ```
    pub fn instant(&self) -> Option<H::Instant> {
        (!self.at.is_never()).then(|| self.timer.instant_at(self.at))
    }

    /// How much is left, rounded down: zero when it has passed, `None` if there is no limit.
    ///
    /// For what takes a timeout of its own, such as a call of the system.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::Timer;
    /// # use std::{net::UdpSocket, time::Duration};
    /// let deadline = Deadline::after(Timer::global().clone(), Duration::from_secs(60));
    /// let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    /// // Zero would be an error: see `check`.
    /// socket.set_read_timeout(deadline.remaining()).unwrap();
    /// # }
    /// ```
    pub fn remaining(&self) -> Option<Duration> {
        let left = || self.timer.duration_of(self.at.since(self.timer.now()));
        (!self.at.is_never()).then(left)
    }

    /// Whether it is reached.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::global();
    /// let deadline = Deadline::after(timer.clone(), Duration::from_millis(1));
    /// block_on(timer.sleep_until(deadline.instant().unwrap()));
    /// assert!(deadline.is_elapsed());
    /// # }
    /// ```
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_due(self.at)
    }

    /// An error if it is reached: for work that never waits, to be called now and then.
    ///
    /// # Errors
    /// [`Elapsed`].
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::{Deadline, Elapsed};
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// fn sum(numbers: &[u64], deadline: &Deadline<Timer>) -> Result<u64, Elapsed> {
    ///     let mut sum = 0;
    ///     for some in numbers.chunks(1000) {
    ///         deadline.check()?;
    ///         sum += some.iter().sum::<u64>();
    ///     }
    ///     Ok(sum)
    /// }
    ///
    /// let timer = Timer::global();
    /// assert_eq!(sum(&[1, 2, 3], &Deadline::never(timer.clone())), Ok(6));
    /// assert!(sum(&[1, 2, 3], &Deadline::after(timer.clone(), Duration::ZERO)).is_err());
    /// # }
    /// ```
    pub fn check(&self) -> Result<(), Elapsed> {
        if self.is_elapsed() { Err(Elapsed::new()) } else { Ok(()) }
    }
}

impl<H: Handle + Clone> Deadline<H> {
    /// `duration` from now, or this deadline, if that is earlier: for a part that may have so much
    /// of what is left.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let deadline = Deadline::after(Timer::global().clone(), Duration::from_secs(5));
    /// let part = deadline.within(Duration::from_secs(1));
    /// assert!(part.remaining() <= Some(Duration::from_secs(1)));
    /// // It can't be had back.
    /// assert_eq!(part.within(Duration::from_secs(3600)).instant(), part.instant());
    /// # }
    /// ```
    #[must_use]
    pub fn within(&self, duration: Duration) -> Self {
        self.no_later(Self::after(self.timer.clone(), duration).at)
    }

    /// `instant`, or this deadline, if that is earlier.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::global();
    /// let (soon, later) = (timer.now() + Duration::from_secs(1), timer.now() + Duration::from_secs(9));
    /// // May be given less, never more.
    /// let deadline = Deadline::at(timer.clone(), soon);
    /// assert_eq!(deadline.within_at(later).instant(), Some(soon));
    /// assert_eq!(Deadline::at(timer.clone(), later).within_at(soon).instant(), Some(soon));
    /// # }
    /// ```
    #[must_use]
    pub fn within_at(&self, instant: H::Instant) -> Self {
        self.no_later(self.timer.ticks_at(instant))
    }

    fn no_later(&self, at: Ticks) -> Self {
        Deadline { timer: self.timer.clone(), at: self.at.min(at) }
    }

    /// Runs `future` until the deadline at most. The future is polled first, also when the deadline
    /// has passed: a value that is there is not lost.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::pending, time::Duration};
    /// let deadline = Deadline::after(Timer::global().clone(), Duration::from_millis(1));
    /// block_on(async {
    ///     assert!(deadline.run(pending::<()>()).await.is_err());
    ///     assert_eq!(deadline.run(async { "here" }).await, Ok("here"));
    /// });
    /// # }
    /// ```
    pub fn run<F: IntoFuture>(&self, future: F) -> Timeout<F::IntoFuture, H> {
        Timeout::new(future.into_future(), self.sleep())
    }

    /// Waits until the deadline.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::Deadline;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let deadline = Deadline::after(Timer::global().clone(), Duration::from_millis(1));
    /// block_on(deadline.sleep());
    /// assert!(deadline.is_elapsed());
    /// # }
    /// ```
    pub fn sleep(&self) -> Sleep<H> {
        match self.instant() {
            Some(instant) => Sleep::at(self.timer.clone(), instant),
            None => Sleep::never(self.timer.clone()),
        }
    }
}

impl<H: Handle> fmt::Debug for Deadline<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remaining() {
            Some(left) => f.debug_struct("Deadline").field("remaining", &left).finish(),
            None => f.write_str("Deadline(never)"),
        }
    }
}
