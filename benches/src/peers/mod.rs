//! Who is measured, and the one face that they all show to the workloads.
//!
//! A workload is written once, against [`Peer`], and compiled once for each of them: nobody pays
//! for an indirection that another is spared.

mod async_io;
mod futures_timer;
mod moirai;
mod tokio;
mod workers;

use std::pin::Pin;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use futures_lite::future::block_on;
use moirai_timer_std::Precision;

use self::{
    async_io::AsyncIo, futures_timer::FuturesTimer, moirai::Moirai, tokio::Tokio, workers::Workers,
};
use crate::workloads::{Sample, Workload};

/// A timer, as the workloads see it.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Its future.
    type Sleep: Future + Send + 'static;

    /// Waits until `deadline`.
    fn sleep_until(&self, deadline: Instant) -> Self::Sleep;

    /// Waits for `duration` from now.
    fn sleep(&self, duration: Duration) -> Self::Sleep;

    /// Moves the deadline of a sleep.
    fn reset(sleep: Pin<&mut Self::Sleep>, deadline: Instant);

    /// Lets a sleep be so much later than its deadline, if the peer knows of that.
    fn with_tolerance(_sleep: Self::Sleep, _tolerance: Duration) -> Option<Self::Sleep> {
        None
    }

    /// Runs each job on a thread of its own, from which the timer may be used.
    fn run<F>(&self, jobs: Vec<F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        on_threads(jobs, || ())
    }

    /// Gives the executor its turn, where that is what drives the timer.
    fn breathe(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// How often the timer has looked for work so far, if it counts that.
    fn turns(&self) -> Option<u64> {
        None
    }
}

/// Runs each job on a new thread; `enter` is called there first, and what it returns is held.
fn on_threads<F, G>(jobs: Vec<F>, enter: impl Fn() -> G + Sync) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send,
{
    let enter = &enter;
    thread::scope(|scope| {
        let run = |job| {
            scope.spawn(move || {
                let _entered = enter();
                block_on(job)
            })
        };
        let threads: Vec<_> = jobs.into_iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().expect("a job panicked")).collect()
    })
}

/// Everybody who can be measured. The documentation becomes the legend of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// This project: the global timer, `Precision::Default`
    Moirai,
    /// A timer with `Precision::Relaxed`
    MoiraiRelaxed,
    /// A timer with `Precision::Exact`
    MoiraiExact,
    /// tokio with one worker, used from threads that have entered the runtime
    Tokio,
    /// tokio with a worker for each thread of the workload, which runs as a task there
    TokioWorkers,
    /// The same with tokio's unstable timer, which has a wheel for each worker
    TokioAlt,
    /// async-io and its reactor's thread
    AsyncIo,
    /// futures-timer and its thread; it takes durations only, so a deadline costs it the clock
    FuturesTimer,
}

impl Name {
    /// The one that the others are compared with.
    pub const OURS: Name = Name::Moirai;

    /// As it is given on the command line, and shown in tables.
    pub fn label(self) -> String {
        self.to_possible_value().expect("no name is hidden").get_name().to_owned()
    }

    /// What the tables cannot say about it.
    pub fn legend(self) -> String {
        let value = self.to_possible_value().expect("no name is hidden");
        value.get_help().expect("every name is documented").to_string()
    }

    /// Whether this build has it.
    pub fn is_built(self) -> bool {
        self != Name::TokioAlt || cfg!(tokio_unstable)
    }

    /// Whether it is ours with another precision.
    pub fn is_precision(self) -> bool {
        matches!(self, Name::MoiraiRelaxed | Name::MoiraiExact)
    }
}

/// One of them, ready to be measured.
pub enum Entrant {
    Moirai(Moirai),
    Tokio(Tokio),
    Workers(Workers),
    AsyncIo(AsyncIo),
    FuturesTimer(FuturesTimer),
}

impl Entrant {
    /// Sets a peer up. Panics if it is not [built](Name::is_built).
    pub fn new(name: Name) -> Entrant {
        match name {
            Name::Moirai => Entrant::Moirai(Moirai::global()),
            Name::MoiraiRelaxed => Entrant::Moirai(Moirai::with(Precision::Relaxed)),
            Name::MoiraiExact => Entrant::Moirai(Moirai::with(Precision::Exact)),
            Name::Tokio => Entrant::Tokio(Tokio::new()),
            Name::TokioWorkers => Entrant::Workers(Workers::new()),
            #[cfg(tokio_unstable)]
            Name::TokioAlt => Entrant::Workers(Workers::with_wheels()),
            #[cfg(not(tokio_unstable))]
            Name::TokioAlt => panic!("this build lacks tokio's unstable timer"),
            Name::AsyncIo => Entrant::AsyncIo(AsyncIo),
            Name::FuturesTimer => Entrant::FuturesTimer(FuturesTimer),
        }
    }

    /// Has it run a workload.
    pub fn measure<W: Workload>(&self, workload: &W) -> Sample {
        match self {
            Entrant::Moirai(peer) => workload.measure(peer),
            Entrant::Tokio(peer) => workload.measure(peer),
            Entrant::Workers(peer) => workload.measure(peer),
            Entrant::AsyncIo(peer) => workload.measure(peer),
            Entrant::FuturesTimer(peer) => workload.measure(peer),
        }
    }
}
