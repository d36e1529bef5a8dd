//! The timer traits of other crates, on our timers: each behind the feature of its name.
//!
//! | feature | type | what it gives a timer to |
//! |---|---|---|
//! | `hyper` | `HyperTimer` | servers and clients: [`hyper::rt::Timer`] |
//! | `quinn` | `QuinnRuntime` | QUIC endpoints: [`quinn::Runtime`] |
//! | `aws-smithy` | `SmithySleep` | the AWS SDK, and what else Smithy generates: [`AsyncSleep`] |
//! | `backon` | `BackonSleeper` | retries: [`backon::Sleeper`] |
//! | `embedded-hal-async` | `HalDelay` | drivers of devices, run on a computer: [`DelayNs`], and its blocking relative |
//! | `tower` | `TowerTimeoutLayer` | services: a timeout for each request, without tokio |
//!
//! None of them needs a runtime's time driver: with tokio, `enable_io` is enough. All of them take
//! a timer, as `Type::on(timer, ..)`, so that what is built on them can be tested in virtual time;
//! `Type::new(..)` uses the [global timer](moirai_timer_std::Timer::global).
//!
//! [`hyper::rt::Timer`]: https://docs.rs/hyper/1/hyper/rt/trait.Timer.html
//! [`quinn::Runtime`]: https://docs.rs/quinn/0.11/quinn/trait.Runtime.html
//! [`AsyncSleep`]: https://docs.rs/aws-smithy-async/1/aws_smithy_async/rt/sleep/trait.AsyncSleep.html
//! [`backon::Sleeper`]: https://docs.rs/backon/1/backon/trait.Sleeper.html
//! [`DelayNs`]: https://docs.rs/embedded-hal-async/1/embedded_hal_async/delay/trait.DelayNs.html

#[cfg(feature = "aws-smithy")]
mod aws_smithy;
#[cfg(feature = "backon")]
mod backon;
#[cfg(feature = "embedded-hal-async")]
mod embedded_hal;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "quinn")]
mod quinn;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "aws-smithy")]
pub use self::aws_smithy::SmithySleep;
#[cfg(feature = "backon")]
pub use self::backon::BackonSleeper;
#[cfg(feature = "embedded-hal-async")]
pub use self::embedded_hal::HalDelay;
#[cfg(feature = "hyper")]
pub use self::hyper::HyperTimer;
#[cfg(feature = "quinn")]
pub use self::quinn::QuinnRuntime;
#[cfg(feature = "tower")]
pub use self::tower::{TowerTimeout, TowerTimeoutFuture, TowerTimeoutLayer};
