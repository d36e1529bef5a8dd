//! Settings of a timer.

use std::io;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use crate::memory::MOST;
use crate::parker::Contained;
use crate::shards::Core;
use crate::sys::sync::Arc;
use crate::{Precision, Timer, clock};

/// The most shards that a timer can have.
const MOST_SHARDS: usize = 256;

/// Who turns the timer.
#[derive(Clone, Debug)]
pub(crate) enum Drive {
    /// A thread of this name.
    Thread(String),
    /// The program, which wants to hear of an earlier deadline through this waker.
    Caller(Option<Waker>),
}

/// Settings of a timer of its own; see [`Timer::builder`].
///
/// ```
/// use moirai_timer_std::{Precision, Timer};
/// let timer = Timer::builder()
///     .capacity(10_000)
///     .precision(Precision::Exact)
///     .thread_name("pacer")
///     .build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    /// None: as much as the shards can have.
    capacity: Option<usize>,
    pub(crate) shards: usize,
    pub(crate) precision: Precision,
    /// In nanoseconds.
    pub(crate) tolerance: u64,
    pub(crate) spin_budget: f64,
    pub(crate) drive: Drive,
}

impl Default for Builder {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let shards = (4 * processors).next_power_of_two().min(64);
        Builder {
            capacity: None,
            shards,
            precision: Precision::default(),
            tolerance: 0,
            spin_budget: 0.01,
            drive: Drive::Thread("moirai-timer".into()),
        }
    }
}

impl Builder {
    /// How many sleeps may be armed at once, at least; the shards share it evenly, rounded up.
    /// Memory is taken as it is needed. By default, and at most, 16.7 million a shard.
    ///
    /// ```
    /// # use moirai_timer_std::{RegisterError, Timer};
    /// # use std::time::Duration;
    /// let timer = Timer::builder().capacity(2).shards(1).build()?;
    /// let hour = Duration::from_secs(3600);
    /// let held = (timer.try_sleep(hour), timer.try_sleep(hour));
    /// assert!(held.0.is_ok() && held.1.is_ok());
    /// assert_eq!(timer.try_sleep(hour).unwrap_err(), RegisterError::Full);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// How many engines work side by side; a thread uses one of them. By default four for each
    /// processor, 64 at most. At most 256; rounded up to a power of two.
    ///
    /// Threads that arm and cancel at the same time disturb each other if they use the same shard: so
    /// many threads as there are shards never do. A turn looks at all of them, some 25 ns each.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// let timer = Timer::builder().shards(3).build()?;
    /// assert_eq!(timer.shard_metrics().len(), 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// What being on time may cost.
    ///
    /// ```
    /// # use moirai_timer_std::{Precision, Timer, block_on};
    /// # use std::time::Duration;
    /// // Many timeouts, of which none has to be exact.
    /// let timer = Timer::builder().precision(Precision::Relaxed).build()?;
    /// let start = timer.now();
    /// block_on(timer.sleep(Duration::from_millis(1)));
    /// assert!(timer.now() - start >= Duration::from_millis(1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The tolerance of sleeps that are not given [another](crate::Sleep::with_tolerance): they are
    /// woken up to so much later, together with others. None by default; saturates.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let ms = Duration::from_millis(1);
    /// let timer = Timer::builder().tolerance(2 * ms).build()?;
    /// let start = timer.now();
    /// block_on(timer.sleep(ms));
    /// // Never early: it is woken 1 to 3 ms from its start, and what the system adds.
    /// assert!(timer.now() - start >= ms);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = clock::nanos(tolerance);
        self
    }

    /// The share of one processor's time that [`Precision::Default`] may spend spinning, to make up
    /// for how late the system wakes a thread: 0.01 by default, and 0 to do without.
    ///
    /// Enough for a few hundred timers a second that are due alone; more than that are as late as
    /// the system makes them. What is less than 5 to 20 us ahead is waited for without parking in any case, and
    /// does not count. The other precisions have no budget.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::builder().spin_budget(0.0).build()?; // parks until the deadline
    /// block_on(timer.sleep(Duration::from_millis(1)));
    ///
    /// let error = Timer::builder().spin_budget(1.5).build().unwrap_err();
    /// assert_eq!(error.to_string(), "a spin budget is from 0 to 1, not 1.5");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spin_budget(mut self, share: f64) -> Self {
        self.spin_budget = share;
        self
    }

    /// The name of the timer's thread, if it has one; `moirai-timer` by default.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// let timer = Timer::builder().thread_name("pacer").build()?;
    /// assert!(format!("{timer:?}").contains(r#"thread: "pacer""#));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        if let Drive::Thread(thread) = &mut self.drive {
            *thread = name.into();
        }
        self
    }

    /// No thread: the program drives the timer, with [`Timer::block_on`] or [`Timer::turn`].
    ///
    /// While it does neither, nobody is woken: a sleep that is awaited on another executor waits for ever.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::builder().without_thread().build()?;
    /// let answer = timer.block_on(async {
    ///     timer.sleep(Duration::from_millis(1)).await;
    ///     42
    /// });
    /// assert_eq!(answer, 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn without_thread(mut self) -> Self {
        self.drive = Drive::Caller(None);
        self
    }

    /// No thread: the program calls [`Timer::turn`], by the time that it returned last, and whenever
    /// `waker` is woken, which happens when a sleep needs an earlier turn.
    ///
    /// The waker is called by whoever arms that sleep, so it should do little: write to an event
    /// descriptor, unpark a thread. If it panics, that ends there.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::{sync::Arc, task::{Wake, Waker}, thread::{self, Thread}};
    /// struct Unpark(Thread);
    ///
    /// impl Wake for Unpark {
    ///     fn wake(self: Arc<Self>) {
    ///         self.0.unpark();
    ///     }
    /// }
    ///
    /// let waker = Waker::from(Arc::new(Unpark(thread::current())));
    /// let timer = Timer::builder().driven_by(waker).build()?;
    /// assert_eq!(timer.turn(), None); // nothing to do: the loop may park
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn driven_by(mut self, waker: Waker) -> Self {
        self.drive = Drive::Caller(Some(Arc::new(Contained(waker)).into()));
        self
    }

    /// Makes the timer. Its thread starts when it is needed.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), with the range, if a number is out of it or
    /// the thread's name has a zero byte.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// let error = Timer::builder().shards(1000).build().unwrap_err();
    /// assert_eq!(error.to_string(), "a timer has 1 to 256 shards, not 1000");
    /// ```
    pub fn build(mut self) -> io::Result<Timer> {
        let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if !(1..=MOST_SHARDS).contains(&self.shards) {
            return invalid(format!("a timer has 1 to {MOST_SHARDS} shards, not {}", self.shards));
        }
        self.shards = self.shards.next_power_of_two();
        let most = self.shards * MOST as usize;
        if let Some(capacity) = self.capacity.filter(|capacity| !(1..=most).contains(capacity)) {
            let shards = self.shards;
            return invalid(format!(
                "a timer with {shards} shards has a capacity of 1 to {most}, not {capacity}"
            ));
        }
        if !(0.0..=1.0).contains(&self.spin_budget) {
            return invalid(format!("a spin budget is from 0 to 1, not {}", self.spin_budget));
        }
        if matches!(&self.drive, Drive::Thread(name) if name.contains('\0')) {
            return invalid("a thread's name has no zero byte".into());
        }
        Ok(Timer::from_core(Core::new(self)))
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.capacity.is_some()
    }

    /// How many slots each shard may have.
    pub(crate) fn share(&self) -> u32 {
        self.capacity.map_or(MOST, |capacity| capacity.div_ceil(self.shards) as u32)
    }
}
