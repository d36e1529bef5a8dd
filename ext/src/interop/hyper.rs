//! hyper's timer.

use std::boxed::Box;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use moirai_timer_std::{Sleep, Timer};

/// Gives a timer to hyper: to its HTTP/1 servers for header-read timeouts, to its HTTP/2 servers and clients
/// for keep-alive.
///
/// Also to `hyper-util`'s client, as `pool_timer`: it closes a connection at the first look after it has been
/// idle for longer than `pool_idle_timeout`, and looks about as often as that.
///
/// A header-read timeout of HTTP/1 runs from the first look at a connection to the end of the head,
/// and again from the end of each response: so it is the limit for idle connections, too.
///
/// A sleep of hyper's is boxed, as its trait demands; when hyper moves its deadline, the box stays.
///
/// ```
/// use hyper::server::conn::{http1, http2};
/// use hyper_util::rt::TokioExecutor;
/// use moirai_timer_ext::interop::HyperTimer;
/// use std::time::Duration;
///
/// let mut http1 = http1::Builder::new();
/// http1.timer(HyperTimer::new()).header_read_timeout(Duration::from_secs(10));
///
/// let mut http2 = http2::Builder::new(TokioExecutor::new());
/// http2.timer(HyperTimer::new()).keep_alive_interval(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
pub struct HyperTimer(Timer);

impl HyperTimer {
    /// The global timer, for hyper.
    ///
    /// ```
    /// # use hyper::rt::Timer as _;
    /// # use moirai_timer_ext::interop::HyperTimer;
    /// # use std::time::Duration;
    /// // As hyper does.
    /// let timer = HyperTimer::new();
    /// let mut sleep = timer.sleep(Duration::from_secs(3600));
    /// let soon = timer.now() + Duration::from_millis(1);
    /// timer.reset(&mut sleep, soon);
    /// moirai_timer_std::block_on(sleep);
    /// assert!(timer.now() >= soon);
    /// ```
    pub fn new() -> Self {
        Self::on(Timer::global().clone())
    }

    /// `timer`, for hyper.
    ///
    /// ```
    /// # use hyper::server::conn::http1;
    /// # use moirai_timer_ext::interop::HyperTimer;
    /// # use moirai_timer_std::{Precision, Timer};
    /// # use std::time::Duration;
    /// // Idle connections need not be closed to the microsecond.
    /// let timer = Timer::builder().precision(Precision::Relaxed).build()?;
    /// let mut server = http1::Builder::new();
    /// server.timer(HyperTimer::on(timer)).header_read_timeout(Duration::from_secs(10));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(timer: Timer) -> Self {
        HyperTimer(timer)
    }
}

impl Default for HyperTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(self.0.sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(self.0.sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(sleep) => sleep.get_mut().0.reset(deadline),
            // Some other timer's.
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// The trait is hyper's and the sleep is the core's, so it takes a type of ours.
struct HyperSleep(Sleep);

impl rt::Sleep for HyperSleep {}

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}
