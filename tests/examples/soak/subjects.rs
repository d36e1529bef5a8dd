//! The timers that live as long as the soak, one of each kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use fastrand::Rng;
use moirai_timer_std::{Precision, RegisterError, Sleep, Timer};
use moirai_timer_tests::on_live_threads;

use crate::witness::fail;

const HOUR: Duration = Duration::from_secs(3_600);
/// More than all programs together can have armed.
const ROOMY: usize = 1 << 15;
/// Less than that.
const NARROW: usize = 64;

/// A timer under test.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) timer: Timer,
    /// None: whatever memory holds.
    capacity: Option<usize>,
    /// Whether it has a thread of its own.
    pub(crate) threaded: bool,
}

/// All of them, and the threads that drive those that have none of their own.
pub(crate) struct Subjects {
    all: Vec<Subject>,
    end: Arc<AtomicBool>,
    drivers: Vec<JoinHandle<()>>,
    relief: smol::channel::Sender<()>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Subjects {
    pub(crate) fn new() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let mut drivers = Vec::new();
        let roomy = || Timer::builder().capacity(ROOMY);

        let threadless = roomy().shards(2).without_thread().build().expect("valid settings");
        let (relief, relieved) = smol::channel::unbounded();
        // Two, so that one takes over from the other.
        for _ in 0..2 {
            let (timer, relieved) = (threadless.clone(), relieved.clone());
            drivers.push(thread::spawn(move || while timer.block_on(relieved.recv()).is_ok() {}));
        }

        let (sender, receiver) = std::sync::mpsc::channel();
        let ending = end.clone();
        drivers.push(thread::spawn(move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let timer = roomy().driven_by(waker).build().expect("valid settings");
            sender.send(timer.clone()).expect("it is waited for");
            while !ending.load(SeqCst) {
                match timer.turn() {
                    Some(next) => {
                        thread::park_timeout(next.saturating_duration_since(Instant::now()));
                    }
                    None => thread::park(),
                }
            }
        }));
        let own_loop = receiver.recv().expect("the thread makes it");

        let precise = |precision| roomy().precision(precision).build().expect("valid settings");
        let narrow = Timer::builder().capacity(NARROW).shards(1).build().expect("valid settings");
        let threaded = |name, timer, capacity| Subject { name, timer, capacity, threaded: true };
        let driven = |name, timer| Subject { name, timer, capacity: Some(ROOMY), threaded: false };
        let all = vec![
            threaded("global", Timer::global().clone(), None),
            threaded("precise", precise(Precision::Exact), Some(ROOMY)),
            threaded("relaxed", precise(Precision::Relaxed), Some(ROOMY)),
            threaded("one shard", roomy().shards(1).build().expect("valid settings"), Some(ROOMY)),
            driven("block_on", threadless),
            driven("own loop", own_loop),
            threaded("narrow", narrow, Some(NARROW)),
        ];
        Subjects { all, end, drivers, relief }
    }

    pub(crate) fn all(&self) -> &[Subject] {
        &self.all
    }

    /// Any of them that has room for all; the global one more often.
    pub(crate) fn roomy(&self, random: &mut Rng) -> &Timer {
        let roomy = self.all.len() - 1;
        &self.all[random.usize(0..roomy + 2) % roomy].timer
    }

    /// The one that has not.
    pub(crate) fn narrow(&self) -> &Timer {
        &self.all[self.all.len() - 1].timer
    }

    /// One of all; seldom the narrow one, because a timer without room keeps a processor busy.
    pub(crate) fn any(&self, random: &mut Rng) -> &Timer {
        if random.u32(0..32) == 0 { self.narrow() } else { self.roomy(random) }
    }

    /// Has everything take the room that it will ever need: in every shard, all sleeps armed, and due
    /// together.
    pub(crate) fn fill(&self) {
        for Subject { name, timer, capacity, .. } in &self.all {
            let shards = timer.shard_metrics().len();
            // What is too soon for a slow machine is far enough ahead later.
            let mut leads = [500, 5_000, 50_000].into_iter();
            let is_filled = leads.any(|lead| {
                let deadline = Instant::now() + Duration::from_millis(lead);
                let fill_one = || {
                    let share = capacity.unwrap_or(ROOMY) / shards;
                    let mut sleeps: Vec<_> =
                        (0..share).map(|_| timer.sleep_until(deadline)).collect();
                    for sleep in &mut sleeps {
                        let _ = poll(sleep, Waker::noop());
                    }
                    sleeps
                };
                let _sleeps = on_live_threads((0..shards).map(|_| fill_one));
                let is_in_time = Instant::now() < deadline;
                while timer.metrics().armed > 0 {
                    thread::yield_now();
                }
                is_in_time
            });
            if !is_filled {
                fail(format_args!("{name:?} cannot be filled: this machine is hopelessly slow"));
            }
        }
    }

    /// Fails if a slot is missing, or there are too many, when nothing is armed.
    pub(crate) fn check(&self) {
        for Subject { name, timer, capacity, .. } in &self.all {
            let Some(capacity) = *capacity else { continue };
            settle(name, timer);
            let claims: Vec<_> = (0..capacity).map_while(|_| timer.try_sleep(HOUR).ok()).collect();
            if claims.len() != capacity {
                let leaked = capacity - claims.len();
                fail(format_args!("{leaked} of {capacity} slots of {name:?} have LEAKED"));
            }
            if timer.try_sleep(HOUR).err() != Some(RegisterError::Full) {
                fail(format_args!("{name:?} has more slots than it had"));
            }
        }
    }

    /// How many wakers have panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.all.iter().map(|subject| subject.timer.metrics().waker_panics).sum()
    }

    /// How often a sleep found no slot.
    pub(crate) fn repolls(&self) -> u64 {
        self.all.iter().map(|subject| subject.timer.metrics().full_repolls).sum()
    }

    /// Has one driver of the timer without a thread take over from the other.
    pub(crate) fn relieve(&self) {
        // Full it can't be, and closed only at the end.
        let _ = self.relief.try_send(());
    }

    /// Ends the threads that drive.
    pub(crate) fn end(&mut self) {
        self.end.store(true, SeqCst);
        self.relief.close();
        for driver in self.drivers.drain(..) {
            driver.thread().unpark();
            driver.join().unwrap_or_else(|_| fail("a driver panicked"));
        }
    }
}

/// Waits until nothing is armed, which is what `timer` must say once everything has ended.
pub(crate) fn settle(name: &str, timer: &Timer) {
    let start = Instant::now();
    loop {
        timer.turn();
        let armed = timer.metrics().armed;
        if armed == 0 {
            return;
        }
        if start.elapsed() > Duration::from_secs(30) {
            fail(format_args!("{armed} sleeps of {name:?} stay armed, and nobody has them"));
        }
        thread::yield_now();
    }
}

/// Polls a sleep once, with a waker that does nothing; whether it is ready.
pub(crate) fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    std::pin::Pin::new(sleep).poll(&mut std::task::Context::from_waker(waker))
}
