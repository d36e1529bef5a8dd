//! Futures that let a virtual clock know whether they have something to do.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

use super::VirtualClock;
use super::time::{VirtualTime, lock};
use crate::sys::sync::{Arc, Mutex};

/// What a task is doing. It counts as busy except at rest and when it has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// It waits to be woken.
    AtRest,
    /// It was woken, or has never been polled.
    Woken,
    Polled,
    PolledAndWoken,
    Ended,
}

/// What a task and its wakers share.
#[derive(Debug)]
struct Task {
    time: Arc<VirtualTime>,
    /// Whom to wake when it is woken: whoever polls it.
    state: Mutex<(Phase, Option<Waker>)>,
}

impl Task {
    fn wake_up(&self) {
        let mut state = lock(&self.state);
        match state.0 {
            Phase::AtRest => {
                // Before anybody hears of it: the clock must not find nobody busy in between.
                self.time.begin();
                state.0 = Phase::Woken;
            }
            Phase::Polled => state.0 = Phase::PolledAndWoken,
            Phase::Woken | Phase::PolledAndWoken => {}
            Phase::Ended => return,
        }
        let waker = state.1.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn begin_poll(&self, waker: &Waker) {
        let mut state = lock(&self.state);
        // One that has ended may be polled again, if its future allows that.
        if matches!(state.0, Phase::AtRest | Phase::Ended) {
            self.time.begin();
        }
        state.0 = Phase::Polled;
        if !state.1.as_ref().is_some_and(|old| old.will_wake(waker)) {
            state.1 = Some(waker.clone());
        }
    }

    fn end_poll(&self) {
        let mut state = lock(&self.state);
        let rests = state.0 != Phase::PolledAndWoken;
        state.0 = if rests { Phase::AtRest } else { Phase::Woken };
        drop(state);
        if rests {
            self.time.end();
        }
    }

    fn end(&self) {
        let mut state = lock(&self.state);
        let (before, waker) = std::mem::replace(&mut *state, (Phase::Ended, None));
        drop(state);
        if !matches!(before, Phase::AtRest | Phase::Ended) {
            self.time.end();
        }
        drop(waker);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_up();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_up();
    }
}

thread_local! {
    /// The clocks that wait for the task which this thread polls; several, if such tasks contain
    /// others.
    static WAITING: RefCell<Vec<*const VirtualTime>> = const { RefCell::new(Vec::new()) };
}

/// Being inside the poll of a tracked task.
struct Inside;

impl Inside {
    fn new(time: &Arc<VirtualTime>) -> Self {
        WAITING.with_borrow_mut(|clocks| clocks.push(Arc::as_ptr(time)));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(Vec::pop);
    }
}

/// A clock would wait for ever for a task that waits for the clock.
#[track_caller]
pub(super) fn refuse_within_tracked(time: &Arc<VirtualTime>) {
    let within = WAITING.with_borrow(|clocks| clocks.contains(&Arc::as_ptr(time)));
    assert!(
        !within,
        "a task that is tracked can't move its clock, which would wait for the task to rest: \
         move it from outside of `track` and `auto_advance`"
    );
}

pin_project! {
    /// A future that a virtual clock waits for; see [`VirtualClock::track`].
    ///
    /// Polls the future within, whose output it has. Dropping it drops the future.
    ///
    /// ```
    /// use moirai_timer_std::{Sleep, block_on, test::{Tracked, VirtualClock}};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::new();
    /// let pause: Tracked<Sleep> = clock.track(clock.timer().sleep(Duration::from_secs(60)));
    /// let task = std::thread::spawn(|| block_on(pause));
    /// block_on(clock.advance(Duration::from_secs(60)));
    /// task.join().unwrap();
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        registration: Registration,
    }
}

/// Ends the task when it is dropped, after the future.
#[derive(Debug)]
struct Registration {
    task: Arc<Task>,
    waker: Waker,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.task.end();
    }
}

impl<F> Tracked<F> {
    pub(super) fn new(time: Arc<VirtualTime>, future: F) -> Self {
        time.begin();
        let task = Arc::new(Task { time, state: Mutex::new((Phase::Woken, None)) });
        let waker = Waker::from(task.clone());
        Tracked { future, registration: Registration { task, waker } }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Registration { task, waker } = this.registration;
        task.begin_poll(cx.waker());
        let inside = Inside::new(&task.time);
        let polled = this.future.poll(&mut Context::from_waker(waker));
        drop(inside);
        match polled {
            Poll::Ready(_) => task.end(),
            Poll::Pending => task.end_poll(),
        }
        polled
    }
}

pin_project! {
    /// A future that moves a virtual clock on when there is nothing else to do; see
    /// [`VirtualClock::auto_advance`].
    ///
    /// Dropping it drops the future within, and leaves the clock where it is.
    ///
    /// ```
    /// use moirai_timer_std::{Sleep, block_on, test::{AutoAdvance, VirtualClock}};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::new();
    /// let day = clock.timer().sleep(Duration::from_secs(86_400));
    /// let hasty: AutoAdvance<Sleep> = clock.auto_advance(day);
    /// block_on(hasty);
    /// assert_eq!(clock.elapsed(), Duration::from_secs(86_400));
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct AutoAdvance<F> {
        #[pin]
        future: Tracked<F>,
        clock: VirtualClock,
    }
}

impl<F> AutoAdvance<F> {
    pub(super) fn new(clock: VirtualClock, future: Tracked<F>) -> Self {
        AutoAdvance { future, clock }
    }
}

impl<F: Future> Future for AutoAdvance<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(output);
        }
        while this.clock.poll_settled(cx).is_ready() {
            match this.clock.step_to_next() {
                None => break,
                Some((_, 0)) => {}
                // Whom it woke has a chance to run, whether or not the clock knows of it.
                Some(_) => {
                    cx.waker().wake_by_ref();
                    break;
                }
            }
        }
        Poll::Pending
    }
}

/// Keeps a virtual clock from being moved on until it is dropped; see [`VirtualClock::hold`].
///
/// ```
/// use moirai_timer_std::{block_on, test::{Hold, VirtualClock}};
/// use std::{sync::mpsc, thread, time::Duration};
///
/// let clock = VirtualClock::new();
/// let (sender, answer) = mpsc::channel();
/// let held: Hold = clock.hold();
/// let thread = thread::spawn(move || {
///     sender.send("from the disk").unwrap();
///     drop(held); // now an hour may pass
/// });
/// block_on(clock.advance(Duration::from_secs(3600)));
/// assert_eq!(answer.try_recv(), Ok("from the disk"));
/// # thread.join().unwrap();
/// ```
#[derive(Debug)]
#[must_use = "the clock is held as long as this lives"]
pub struct Hold {
    time: Arc<VirtualTime>,
}

impl Hold {
    pub(super) fn new(time: Arc<VirtualTime>) -> Self {
        time.begin();
        Hold { time }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.time.end();
    }
}
