//! Other crates on our timers: the real ones, over loopback where they talk to anybody.
//!
//! Most of it is in virtual time, which says exactly when something happens and when it does not
//! yet; a test on the system's clock beside it says that time passes there too, and is never early.
//! No runtime here has a time driver: what asked tokio for the time would panic.

mod backon;
mod embedded_hal;
mod hyper;
mod quinn;
mod smithy;
mod tower;

use std::time::Duration;

use moirai_timer_std::timeout;
use tokio::runtime::Builder;

const NS: Duration = Duration::from_nanos(1);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Far beyond what anything here takes, by the system's clock.
const FAR_BEYOND: Duration = Duration::from_secs(120);

/// Runs a test on tokio, with sockets and threads, and without `enable_time`.
fn run<F: Future>(test: F) -> F::Output {
    let tokio = Builder::new_multi_thread().worker_threads(2).enable_io().build().unwrap();
    tokio.block_on(timeout(FAR_BEYOND, test)).expect("it ends before long")
}

#[test]
#[should_panic = "timers are disabled"]
fn the_runtime_of_these_tests_has_no_time_driver() {
    run(async { tokio::time::sleep(SECOND).await });
}
