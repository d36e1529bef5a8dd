//! quinn's runtime, with our timer in it.

use std::boxed::Box;
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use moirai_timer_std::{Sleep, Timer};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

/// A runtime for quinn: tasks and sockets are those of another one, the time is ours.
///
/// quinn moves a connection's one deadline with nearly every packet. To push it away costs this
/// timer a compare-and-swap.
///
/// ```
/// use moirai_timer_ext::interop::QuinnRuntime;
/// use quinn::{Endpoint, EndpointConfig, TokioRuntime};
/// use std::{net::UdpSocket, sync::Arc};
///
/// // Without a time driver.
/// let tokio = tokio::runtime::Builder::new_multi_thread().enable_io().build()?;
/// let _guard = tokio.enter();
///
/// let socket = UdpSocket::bind(("127.0.0.1", 0))?;
/// let runtime = Arc::new(QuinnRuntime::new(TokioRuntime));
/// let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)?;
/// # drop(endpoint);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QuinnRuntime<R> {
    timer: Timer,
    runtime: R,
}

impl<R: Runtime> QuinnRuntime<R> {
    /// The global timer, and the tasks and sockets of `runtime`.
    ///
    /// ```
    /// # use moirai_timer_ext::interop::QuinnRuntime;
    /// # use quinn::{Runtime, TokioRuntime};
    /// # use std::{future::poll_fn, time::Duration};
    /// // As quinn does; of tokio, nothing is needed for that.
    /// let runtime = QuinnRuntime::new(TokioRuntime);
    /// let deadline = runtime.now() + Duration::from_millis(1);
    /// let mut timer = runtime.new_timer(deadline);
    /// moirai_timer_std::block_on(poll_fn(|cx| timer.as_mut().poll(cx)));
    /// assert!(runtime.now() >= deadline);
    /// ```
    pub fn new(runtime: R) -> Self {
        Self::on(Timer::global().clone(), runtime)
    }

    /// `timer`, and the tasks and sockets of `runtime`.
    ///
    /// ```
    /// # use moirai_timer_ext::interop::QuinnRuntime;
    /// # use moirai_timer_std::Timer;
    /// # use quinn::{Runtime, TokioRuntime};
    /// let timer = Timer::builder().thread_name("quic").build()?;
    /// let runtime = QuinnRuntime::on(timer.clone(), TokioRuntime);
    /// assert!(runtime.now() <= timer.now());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(timer: Timer, runtime: R) -> Self {
        QuinnRuntime { timer, runtime }
    }
}

impl<R: Runtime> Runtime for QuinnRuntime<R> {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(QuinnTimer(self.timer.sleep_until(deadline)))
    }

    #[track_caller]
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.runtime.spawn(task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.runtime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        self.timer.now()
    }
}

/// The trait is quinn's and the sleep is the core's, so it takes a type of ours.
#[derive(Debug)]
struct QuinnTimer(Sleep);

impl AsyncTimer for QuinnTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.reset(deadline);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}
