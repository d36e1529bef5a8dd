//! A timer, its driver, and the tasks that wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moirai_timer_core::{Armed, Claim, Driver, Handle, RegisterError, Ticks, Timer};

const NEVER: u64 = Ticks::NEVER.get();

/// What `loom::model` does, but for executions with more than `bound` preemptions: for those models that
/// take longer than one can wait without.
pub(crate) fn bounded(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut loom = loom::model::Builder::new();
    loom.preemption_bound = Some(loom.preemption_bound.map_or(bound, |asked| asked.min(bound)));
    loom.check(model);
}

/// A clock that is set by hand.
///
/// `pended` and the alarm are real atomics, which loom does not see, so that it has less to explore:
/// the one is only raised while several threads run, unless one drives; the other belongs to the one
/// that drives; and both are read after the threads are joined.
#[derive(Debug)]
pub(crate) struct Platform {
    now: loom::sync::atomic::AtomicU64,
    alarm: AtomicU64,
    pended: AtomicBool,
}

impl Driver for Platform {
    const TICK_HZ: u64 = 1_000_000_000;

    fn now(&self) -> Ticks {
        Ticks::new(self.now.load(SeqCst))
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.alarm.store(at.get(), SeqCst);
        if at <= self.now() { Armed::Elapsed } else { Armed::Pending }
    }

    fn disarm(&self) {
        self.alarm.store(NEVER, SeqCst);
    }

    fn pend(&self) {
        self.pended.store(true, SeqCst);
    }
}

type Engine<const N: usize> = Timer<Platform, N>;

/// A timer with room for `N` sleeps. Clones are the same one.
#[derive(Clone)]
pub(crate) struct World<const N: usize> {
    timer: Arc<Engine<N>>,
    keeps: bool,
}

pub(crate) type Sleep<const N: usize> = moirai_timer_core::Sleep<World<N>>;

impl<const N: usize> World<N> {
    /// Its clock stands at 0. To be called before threads are started.
    pub(crate) fn new() -> Self {
        let platform = Platform {
            now: loom::sync::atomic::AtomicU64::new(0),
            alarm: AtomicU64::new(NEVER),
            pended: AtomicBool::new(false),
        };
        let timer = Timer::new(platform);
        // Loom is to know of every atomic before the threads start.
        let _ = format!("{timer:?}");
        // So that it is seen in order, as the core's are; see its `sync::modelled`.
        timer.driver().now.store(0, SeqCst);
        World { timer: Arc::new(timer), keeps: false }
    }

    pub(crate) fn timer(&self) -> &Engine<N> {
        &self.timer
    }

    /// The same for its keeper. Sleeps of this are polled and dropped by one thread at a time.
    pub(crate) fn keeper(&self) -> Self {
        World { keeps: true, ..self.clone() }
    }

    pub(crate) fn set_clock(&self, to: u64) {
        self.timer.driver().now.store(to, SeqCst);
    }

    /// A sleep that was not polled yet.
    pub(crate) fn sleep(&self, until: u64) -> Sleep<N> {
        Sleep::at(self.clone(), Ticks::new(until))
    }

    /// What the interrupt handler calls.
    pub(crate) fn on_alarm(&self) {
        self.timer.on_alarm();
    }

    /// Takes back the requests to be turned. For those that another call of the model answers.
    pub(crate) fn acknowledge(&self) {
        self.timer.driver().pended.store(false, SeqCst);
    }

    /// Lets the timer do what it asked for, until the clock has to advance.
    pub(crate) fn settle_now(&self) {
        let driver = self.timer.driver();
        for round in 0.. {
            let due = driver.alarm.load(SeqCst) <= driver.now.load(SeqCst);
            if !driver.pended.swap(false, SeqCst) && !due {
                return;
            }
            assert!(round < 10, "the interrupt never ceases");
            self.on_alarm();
        }
    }

    /// Lets time pass, and the timer run on its alarms alone, until nothing is armed.
    ///
    /// `waiting` are the sleeps that are still armed. They and nobody else have to be woken, each
    /// when the clock reads its deadline.
    pub(crate) fn settle(&self, mut waiting: Vec<(&Task, &mut Sleep<N>)>) {
        let driver = self.timer.driver();
        self.settle_now();
        loop {
            let now = driver.now.load(SeqCst);
            waiting.retain_mut(|(task, sleep)| {
                let due = sleep.deadline() <= Ticks::new(now);
                assert_eq!(sleep.is_elapsed(), due);
                if due {
                    assert!(task.wakes() > 0, "lost: nobody was woken at {now}");
                    assert!(task.polls(sleep).is_ready());
                }
                !due
            });
            let alarm = driver.alarm.load(SeqCst);
            let next = waiting.iter().map(|(_, sleep)| sleep.deadline().get()).min();
            let Some(next) = next else { break };
            assert!(alarm <= next, "lost: the alarm is at {alarm}, and a deadline at {next}");
            driver.now.store(alarm, SeqCst);
            self.settle_now();
        }
        let metrics = self.timer.metrics().expect("nobody is inside");
        assert_eq!(metrics.armed, 0, "{metrics:?}");
    }

    /// Asserts that all slots are in the pool; to be called when nothing is armed.
    pub(crate) fn assert_free(&self) {
        self.assert_free_but(0);
    }

    /// Asserts that all slots but so many are in the pool.
    pub(crate) fn assert_free_but(&self, kept: usize) {
        self.timer().drain();
        let all: Vec<_> = (kept..N).map(|_| self.sleep(1_000_000_000).reserved()).collect();
        assert!(all.iter().all(Result::is_ok), "a slot was lost");
        assert!(self.sleep(1_000_000_000).reserved().is_err(), "a slot was given back twice");
    }
}

/// Counts its wake-ups, and its wakers.
#[derive(Clone)]
pub(crate) struct Task(Arc<Record>);

struct Record {
    wakes: AtomicU64,
}

impl Wake for Record {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
    }
}

impl Task {
    pub(crate) fn new() -> Task {
        Task(Arc::new(Record { wakes: AtomicU64::new(0) }))
    }

    pub(crate) fn polls(&self, sleep: &mut (impl Future<Output = ()> + Unpin)) -> Poll<()> {
        let waker = Waker::from(self.0.clone());
        Pin::new(sleep).poll(&mut Context::from_waker(&waker))
    }

    /// What an executor does with a task that was woken; it waits for the next wake-up then, unless
    /// it is ready.
    pub(crate) fn polls_again_if_woken<const N: usize>(&self, sleep: &mut Sleep<N>) -> Poll<()> {
        while self.0.wakes.swap(0, SeqCst) > 0 {
            if self.polls(sleep).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    pub(crate) fn wakes(&self) -> u64 {
        self.0.wakes.load(SeqCst)
    }

    /// How many wakers of this task exist, if it was not cloned.
    pub(crate) fn wakers(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

// SAFETY: clones share one engine.
unsafe impl<const N: usize> Handle for World<N> {
    type Instant = Ticks;

    fn now(&self) -> Ticks {
        self.timer().now()
    }

    fn ticks_in(&self, duration: Duration) -> u64 {
        self.timer().ticks_in(duration)
    }

    fn duration_of(&self, ticks: u64) -> Duration {
        self.timer().duration_of(ticks)
    }

    fn ticks_at(&self, at: Ticks) -> Ticks {
        at
    }

    fn instant_at(&self, at: Ticks) -> Ticks {
        at
    }

    fn claim(&self) -> Result<Claim, RegisterError> {
        self.timer().claim()
    }

    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        if self.keeps {
            // SAFETY: the models see to that, see `keeper`.
            unsafe { self.timer().arm_as_keeper(at, waker) }
        } else {
            self.timer().arm(at, waker)
        }
    }

    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
        // SAFETY: as the caller's.
        unsafe { self.timer().attend(claim, at, waker) }
    }

    unsafe fn move_to(&self, claim: &mut Claim, at: Ticks) {
        // SAFETY: as the caller's.
        unsafe { self.timer().move_to(claim, at) }
    }

    unsafe fn release(&self, claim: Claim, completed: bool) {
        // SAFETY: as the caller's.
        unsafe {
            if self.keeps {
                self.timer().release_as_keeper(claim, completed);
            } else {
                self.timer().release(claim, completed);
            }
        }
    }

    fn stranded(&self) {
        self.timer().stranded();
    }
}
