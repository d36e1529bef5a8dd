//! A timeout for each request of a `tower` service. tower's own is tied to tokio's clock.

use std::boxed::Box;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use moirai_timer_core::Timeout;
use moirai_timer_std::Timer;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// What tower calls `BoxError`.
type BoxError = Box<dyn Error + Send + Sync>;

/// Gives every request of a service so much time, and an [`Elapsed`](crate::Elapsed) after it.
///
/// The same as `tower::timeout::TimeoutLayer`, for any executor: the time counts from the call; a
/// request that is late is dropped; errors are boxed, of the service and of time alike. Waiting for
/// the service to be ready is not limited.
///
/// ```
/// use moirai_timer_ext::{Elapsed, interop::TowerTimeoutLayer};
/// use std::{convert::Infallible, future::pending, time::Duration};
/// use tower::{Service, ServiceBuilder};
///
/// let mut service = ServiceBuilder::new()
///     .layer(TowerTimeoutLayer::new(Duration::from_millis(1)))
///     .service_fn(|_: &str| pending::<Result<(), Infallible>>());
/// let error = moirai_timer_std::block_on(service.call("hello?")).unwrap_err();
/// assert!(error.is::<Elapsed>());
/// ```
#[derive(Clone, Debug)]
pub struct TowerTimeoutLayer {
    timer: Timer,
    timeout: Duration,
}

impl TowerTimeoutLayer {
    /// Timeouts by the global timer.
    ///
    /// ```
    /// # use moirai_timer_ext::interop::TowerTimeoutLayer;
    /// # use std::{convert::Infallible, time::Duration};
    /// # use tower::{Service, ServiceBuilder};
    /// let mut service = ServiceBuilder::new()
    ///     .layer(TowerTimeoutLayer::new(Duration::from_secs(5)))
    ///     .service_fn(async |name: &str| Ok::<_, Infallible>(name.len()));
    /// assert_eq!(moirai_timer_std::block_on(service.call("four")).unwrap(), 4);
    /// ```
    pub fn new(timeout: Duration) -> Self {
        Self::on(Timer::global().clone(), timeout)
    }

    /// Timeouts by `timer`.
    ///
    /// ```
    /// # use moirai_timer_ext::interop::TowerTimeoutLayer;
    /// # use moirai_timer_std::Timer;
    /// # use std::{convert::Infallible, future::pending, time::Duration};
    /// # use tower::{Service, ServiceBuilder};
    /// let timer = Timer::builder().without_thread().build()?;
    /// let mut service = ServiceBuilder::new()
    ///     .layer(TowerTimeoutLayer::on(timer.clone(), Duration::from_millis(1)))
    ///     .service_fn(|_: &str| pending::<Result<(), Infallible>>());
    /// assert!(timer.block_on(service.call("hello?")).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(timer: Timer, timeout: Duration) -> Self {
        TowerTimeoutLayer { timer, timeout }
    }
}

impl<S> Layer<S> for TowerTimeoutLayer {
    type Service = TowerTimeout<S>;

    fn layer(&self, service: S) -> TowerTimeout<S> {
        TowerTimeout { service, layer: self.clone() }
    }
}

/// A service whose requests have a timeout; made by [`TowerTimeoutLayer`].
///
/// ```
/// use moirai_timer_ext::interop::{TowerTimeout, TowerTimeoutLayer};
/// use std::time::Duration;
/// use tower::Layer;
///
/// /// A service that others call: the timeout is part of its type.
/// struct Api<S> {
///     service: TowerTimeout<S>,
/// }
///
/// let service = tower::service_fn(async |name: &str| Ok::<_, std::fmt::Error>(name.len()));
/// let mut api = Api { service: TowerTimeoutLayer::new(Duration::from_secs(5)).layer(service) };
/// let answer = tower::Service::call(&mut api.service, "four");
/// assert_eq!(moirai_timer_std::block_on(answer).unwrap(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct TowerTimeout<S> {
    service: S,
    layer: TowerTimeoutLayer,
}

impl<S, Request> Service<Request> for TowerTimeout<S>
where
    S: Service<Request, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TowerTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let TowerTimeoutLayer { timer, timeout } = &self.layer;
        TowerTimeoutFuture { timeout: timer.timeout(*timeout, self.service.call(request)) }
    }
}

pin_project! {
    /// A request that has a timeout; made by [`TowerTimeout`].
    ///
    /// Dropping it drops the request.
    ///
    /// ```
    /// use moirai_timer_ext::interop::{TowerTimeoutFuture, TowerTimeoutLayer};
    /// use std::{convert::Infallible, future::{Ready, ready}, time::Duration};
    /// use tower::{Layer, Service};
    ///
    /// let service = tower::service_fn(|name: &str| ready(Ok::<_, Infallible>(name.len())));
    /// let mut service = TowerTimeoutLayer::new(Duration::from_secs(5)).layer(service);
    /// let answer: TowerTimeoutFuture<Ready<_>> = service.call("four");
    /// assert_eq!(moirai_timer_std::block_on(answer).unwrap(), 4);
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TowerTimeoutFuture<F> {
        #[pin]
        timeout: Timeout<F, Timer>,
    }
}

impl<F, T, E> Future for TowerTimeoutFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().timeout.poll(cx));
        Poll::Ready(match answer {
            Ok(answer) => answer.map_err(Into::into),
            Err(elapsed) => Err(elapsed.into()),
        })
    }
}
