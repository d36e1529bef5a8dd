//! The events and the span.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use moirai_timer_core::{Driver, Slots, Ticks};
use tracing::field::{Empty, debug};
use tracing::span::EnteredSpan;

use crate::builder::{Builder, Drive};
use crate::shards::Shard;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};

const TARGET: &str = "moirai_timer";

/// What one shard has to tell. The first one's speaks for the timer.
#[derive(Debug)]
pub(crate) struct Teller {
    timer: Arc<str>,
    shard: usize,
    stranded: Doubling,
    refused: Doubling,
}

/// How often something happened that happens in a loop.
#[derive(Debug, Default)]
struct Doubling(AtomicU64);

impl Doubling {
    /// Once more: the number, if it has doubled since that was told.
    fn tell(&self) -> Option<u64> {
        let times = self.0.fetch_add(1, Relaxed) + 1;
        times.is_power_of_two().then_some(times)
    }
}

impl Teller {
    pub(crate) fn new(config: &Builder, shard: usize) -> Teller {
        let timer = match &config.drive {
            Drive::Thread(name) => name.as_str(),
            Drive::Caller(_) => "",
        };
        Teller {
            timer: timer.into(),
            shard,
            stranded: Doubling::default(),
            refused: Doubling::default(),
        }
    }

    pub(crate) fn no_thread(&self, error: &io::Error) {
        let timer = &*self.timer;
        if let Some(times) = self.refused.tell() {
            tracing::error!(target: TARGET, timer, times, %error, "no thread for the timer");
        }
    }

    /// To be called by the thread, and dropped at its end.
    pub(crate) fn thread(&self) -> Thread {
        tracing::debug!(target: TARGET, timer = &*self.timer, "the timer's thread started");
        Thread { timer: self.timer.clone() }
    }

    pub(crate) fn grown(&self, slots: u32) {
        let Teller { timer, shard, .. } = self;
        tracing::debug!(target: TARGET, timer = &**timer, shard, slots, "the pool grew");
    }

    pub(crate) fn shut_down(&self) {
        tracing::debug!(target: TARGET, timer = &*self.timer, "the timer was shut down");
    }

    pub(crate) fn waker_panicked(&self, payload: &(dyn Any + Send)) {
        let said = payload.downcast_ref::<&str>().copied();
        let said = said.or(payload.downcast_ref::<String>().map(String::as_str));
        tracing::warn!(target: TARGET, timer = &*self.timer, said, "a waker panicked");
    }

    pub(crate) fn stranded(&self, shard: &Shard) {
        if let Some(times) = self.stranded.tell() {
            tracing::warn!(
                target: TARGET,
                timer = &*self.timer,
                times,
                shard = self.shard,
                slots = shard.slots().capacity(),
                shut_down = shard.is_shut_down(),
                "no slot: a sleep keeps its task busy until it is due",
            );
        }
    }

    /// The span of a turn, from here to its [`end`](Turn::end).
    #[inline]
    pub(crate) fn turn(&self, shards: &[Shard]) -> Turn {
        let timer = &*self.timer;
        let span =
            tracing::trace_span!(target: TARGET, "turn", timer, fired = Empty, next_in = Empty);
        Turn((!span.is_disabled()).then(|| Open { fired: fired(shards), span: span.entered() }))
    }
}

/// Says so when it is dropped.
pub(crate) struct Thread {
    timer: Arc<str>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        tracing::debug!(target: TARGET, timer = &*self.timer, "the timer's thread ended");
    }
}

/// None if nobody wants to see it.
pub(crate) struct Turn(Option<Open>);

struct Open {
    span: EnteredSpan,
    /// How many had fired before.
    fired: u64,
}

impl Turn {
    #[inline]
    pub(crate) fn end(self, shards: &[Shard], next: Option<Ticks>) {
        if let Some(turn) = self.0 {
            turn.end(shards, next);
        }
    }
}

impl Open {
    #[cold]
    fn end(self, shards: &[Shard], next: Option<Ticks>) {
        self.span.record("fired", fired(shards) - self.fired);
        if let Some(next) = next {
            let left = Duration::from_nanos(next.since(shards[0].driver().now()));
            self.span.record("next_in", debug(left));
        }
    }
}

/// How many have fired so far, by the histograms: another caller who turns at the same time adds to it.
fn fired(shards: &[Shard]) -> u64 {
    shards.iter().map(|shard| shard.driver().fired()).sum()
}
