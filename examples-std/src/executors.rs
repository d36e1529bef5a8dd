//! Who runs the tasks: tokio, smol, or plain threads that each hold many sleeps.
//!
//! None of them lends the timer anything. It wakes their tasks, and they may be any executor.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use moirai_timer_std::Timer;

use crate::options::Kind;
use crate::shot::Shot;

/// How long an executor's threads may take to end. They hold no sleep by then, or one that is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that runs tasks.
pub(crate) trait Executor {
    /// Runs the task from now on.
    fn spawn(&mut self, shot: Shot);

    /// Drops what is left, and ends the threads; gives up on those that hang.
    fn finish(self: Box<Self>);
}

/// Starts an executor for sleeps of `timer`.
///
/// # Errors
/// If the system refuses a thread.
pub(crate) fn start(kind: Kind, timer: &Timer) -> io::Result<Box<dyn Executor>> {
    Ok(match kind {
        Kind::Tokio => Box::new(Tokio::start()?),
        Kind::Smol => Box::new(Smol::start()?),
        Kind::Threads => Box::new(Threads::start(timer)?),
    })
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// tokio's scheduler for several threads. Its time driver is not enabled, nor even compiled.
struct Tokio(tokio::runtime::Runtime);

impl Tokio {
    fn start() -> io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread().build().map(Tokio)
    }
}

impl Executor for Tokio {
    fn spawn(&mut self, shot: Shot) {
        drop(self.0.spawn(shot));
    }

    fn finish(self: Box<Self>) {
        self.0.shutdown_timeout(PATIENCE);
    }
}

/// smol's executor, on as many threads as there are processors.
struct Smol {
    executor: Arc<smol::Executor<'static>>,
    /// Dropped to end the threads.
    stop: smol::channel::Sender<()>,
    crew: Crew,
}

impl Smol {
    fn start() -> io::Result<Self> {
        let executor = Arc::new(smol::Executor::new());
        let (stop, stopped) = smol::channel::bounded(1);
        let mut crew = Crew::new();
        for _ in 0..processors() {
            let (executor, stopped) = (executor.clone(), stopped.clone());
            crew.hire("smol", move || {
                // An error says that the sender is gone.
                let _ = smol::block_on(executor.run(stopped.recv()));
            })?;
        }
        Ok(Smol { executor, stop, crew })
    }
}

impl Executor for Smol {
    fn spawn(&mut self, shot: Shot) {
        self.executor.spawn(shot).detach();
    }

    fn finish(self: Box<Self>) {
        drop(self.stop);
        self.crew.dismiss();
    }
}

/// Four threads a processor. Each blocks on one future, which holds the sleeps that it is sent.
struct Threads {
    shots: Vec<UnboundedSender<Shot>>,
    next: usize,
    crew: Crew,
}

impl Threads {
    fn start(timer: &Timer) -> io::Result<Self> {
        let mut crew = Crew::new();
        let mut shots = Vec::new();
        for _ in 0..4 * processors() {
            let (sender, receiver) = unbounded();
            let timer = timer.clone();
            crew.hire("sleeps", move || timer.block_on(hold(receiver)))?;
            shots.push(sender);
        }
        Ok(Threads { shots, next: 0, crew })
    }
}

/// Runs the tasks that come, until their sender is gone.
async fn hold(shots: UnboundedReceiver<Shot>) {
    let (mut shots, mut held) = (pin!(shots), pin!(FuturesUnordered::new()));
    std::future::poll_fn(|cx| {
        while let Poll::Ready(shot) = shots.as_mut().poll_next(cx) {
            match shot {
                Some(shot) => held.push(shot),
                None => return Poll::Ready(()),
            }
        }
        while let Poll::Ready(Some(())) = held.as_mut().poll_next(cx) {}
        Poll::Pending
    })
    .await
}

impl Executor for Threads {
    fn spawn(&mut self, shot: Shot) {
        // A thread ends before its sender only by a panic, and then its sleeps count as lost.
        let _ = self.shots[self.next].unbounded_send(shot);
        self.next = (self.next + 1) % self.shots.len();
    }

    fn finish(self: Box<Self>) {
        drop(self.shots);
        self.crew.dismiss();
    }
}

/// Threads that are waited for, but not for ever.
struct Crew {
    working: Sender<()>,
    idle: Receiver<()>,
}

impl Crew {
    fn new() -> Self {
        let (working, idle) = mpsc::channel();
        Crew { working, idle }
    }

    fn hire(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let working = self.working.clone();
        let run = move || {
            work();
            drop(working);
        };
        thread::Builder::new().name(name.into()).spawn(run).map(drop)
    }

    fn dismiss(self) {
        drop(self.working);
        // Nothing is ever sent: the wait ends with the last sender.
        if self.idle.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("storm: a thread does not end, and is left behind");
        }
    }
}
