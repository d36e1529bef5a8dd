//! One sleep of the storm as a task, and the board on which it writes how it went.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use moirai_timer_std::Sleep;

/// How the sleeps went, a word for each: writing it is one store, so measuring does not disturb.
///
/// Made by the thread that is to be unparked when all are done.
#[derive(Debug)]
pub(crate) struct Board {
    results: Vec<AtomicU64>,
    begun: AtomicUsize,
    all_begun: OnceLock<Instant>,
    done: AtomicUsize,
    owner: Thread,
}

/// What a word of the board says; everything else is nanoseconds of lateness.
const PENDING: u64 = u64::MAX;
const CANCELLED: u64 = u64::MAX - 1;
const EARLY: u64 = u64::MAX - 2;

/// The board, when it is over.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Nanoseconds after the deadline at which tasks went on, in no order.
    pub(crate) lateness: Vec<u64>,
    pub(crate) cancelled: u64,
    pub(crate) early: u64,
    pub(crate) lost: u64,
}

impl Board {
    pub(crate) fn new(count: usize) -> Self {
        Board {
            results: (0..count).map(|_| AtomicU64::new(PENDING)).collect(),
            begun: AtomicUsize::new(0),
            all_begun: OnceLock::new(),
            done: AtomicUsize::new(0),
            owner: thread::current(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.results.len()
    }

    fn begin(&self) {
        if self.begun.fetch_add(1, AcqRel) + 1 == self.len() {
            let _ = self.all_begun.set(Instant::now());
        }
    }

    fn write(&self, index: u32, result: u64) {
        self.results[index as usize].store(result, Relaxed);
        if self.done.fetch_add(1, AcqRel) + 1 == self.len() {
            self.owner.unpark();
        }
    }

    /// How many sleeps were polled for the first time.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Acquire)
    }

    /// When the last sleep was polled for the first time.
    pub(crate) fn all_begun(&self) -> Option<Instant> {
        self.all_begun.get().copied()
    }

    /// How many sleeps completed or were cancelled.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Acquire)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.done() == self.len()
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for result in &self.results {
            match result.load(Relaxed) {
                PENDING => tally.lost += 1,
                CANCELLED => tally.cancelled += 1,
                EARLY => tally.early += 1,
                late => tally.lateness.push(late),
            }
        }
        tally
    }
}

/// What somebody else wants a sleep's task to do, before the sleep is over.
#[derive(Debug)]
pub(crate) struct Order {
    action: Action,
    given: AtomicBool,
    task: AtomicWaker,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Drop the sleep.
    Cancel,
    /// Give it this deadline, counted from its creation.
    Reset { to: Duration },
}

impl Order {
    pub(crate) fn new(action: Action) -> Self {
        Order { action, given: AtomicBool::new(false), task: AtomicWaker::new() }
    }

    /// When a sleep of `duration` is over at the latest, if the order is given in time.
    pub(crate) fn latest(&self, duration: Duration) -> Duration {
        match self.action {
            Action::Cancel => duration,
            Action::Reset { to } => duration.max(to),
        }
    }

    /// Has the task carry it out. Without effect if the sleep is over.
    pub(crate) fn give(&self) {
        self.given.store(true, Release);
        self.task.wake();
    }
}

/// A task that sleeps once, and writes down how late it went on.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) sleep: Sleep,
    /// Kept here too: the timer is not asked when it should have fired.
    pub(crate) deadline: Instant,
    pub(crate) created: Instant,
    pub(crate) order: Option<Arc<Order>>,
    pub(crate) index: u32,
    pub(crate) begun: bool,
    pub(crate) board: Arc<Board>,
}

impl Shot {
    /// True if that was the end of it.
    fn obey(&mut self, cx: &Context<'_>) -> bool {
        let Some(order) = &self.order else { return false };
        order.task.register(cx.waker());
        if !order.given.swap(false, Acquire) {
            return false;
        }
        match order.action {
            Action::Cancel => true,
            Action::Reset { to } => {
                // An order that comes late does not make the sleep late.
                self.deadline = Instant::now().max(self.created + to);
                self.sleep.reset(self.deadline);
                false
            }
        }
    }
}

impl Future for Shot {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let result = if this.obey(cx) {
            Some(CANCELLED)
        } else if Pin::new(&mut this.sleep).poll(cx).is_ready() {
            match Instant::now().checked_duration_since(this.deadline) {
                Some(late) => Some((late.as_nanos() as u64).min(EARLY - 1)),
                None => Some(EARLY),
            }
        } else {
            None
        };
        if !std::mem::replace(&mut this.begun, true) {
            this.board.begin();
        }
        match result {
            Some(result) => {
                this.board.write(this.index, result);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use moirai_timer_std::Timer;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A shot whose sleep and whose own deadline need not agree.
    fn shot(board: &Arc<Board>, sleep: Sleep, deadline: Instant, action: Option<Action>) -> Shot {
        let order = action.map(|action| Arc::new(Order::new(action)));
        let created = Instant::now();
        Shot { sleep, deadline, created, order, index: 0, begun: false, board: board.clone() }
    }

    fn poll(shot: &mut Shot) -> bool {
        Pin::new(shot).poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn a_sleep_that_ends_before_its_deadline_is_early() {
        let (board, timer) = (Arc::new(Board::new(1)), Timer::new());
        let deadline = Instant::now() + HOUR;
        assert!(poll(&mut shot(&board, timer.sleep(Duration::ZERO), deadline, None)));
        let tally = board.tally();
        assert_eq!((tally.early, tally.lost, tally.lateness.len()), (1, 0, 0));
    }

    #[test]
    fn a_sleep_that_never_ends_is_lost() {
        let (board, timer) = (Arc::new(Board::new(1)), Timer::new());
        let deadline = Instant::now();
        assert!(!poll(&mut shot(&board, timer.never(), deadline, None)));
        assert!(!board.is_complete());
        assert_eq!((board.begun(), board.done(), board.tally().lost), (1, 0, 1));
    }

    #[test]
    fn a_sleep_that_ends_at_its_deadline_is_on_time() {
        let (board, timer) = (Arc::new(Board::new(1)), Timer::new());
        let deadline = Instant::now();
        assert!(poll(&mut shot(&board, timer.sleep_until(deadline), deadline, None)));
        assert!(board.is_complete());
        assert_eq!(board.tally().lateness.len(), 1);
    }

    #[test]
    fn an_order_is_carried_out_once_it_is_given() {
        let (board, timer) = (Arc::new(Board::new(1)), Timer::new());
        let mut reset = shot(
            &board,
            timer.sleep(HOUR),
            Instant::now() + HOUR,
            Some(Action::Reset { to: Duration::ZERO }),
        );
        assert!(!poll(&mut reset));
        reset.order.as_ref().unwrap().give();
        assert!(poll(&mut reset));
        assert_eq!((board.tally().early, board.tally().lateness.len()), (0, 1));

        let board = Arc::new(Board::new(1));
        let mut cancelled =
            shot(&board, timer.sleep(HOUR), Instant::now() + HOUR, Some(Action::Cancel));
        assert!(!poll(&mut cancelled));
        cancelled.order.as_ref().unwrap().give();
        assert!(poll(&mut cancelled));
        assert_eq!(board.tally().cancelled, 1);
    }
}
