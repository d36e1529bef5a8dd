//! What a timer has to live with: wakers that misbehave, threads and timers that come and go,
//! forks, and processors that have other things to do.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fastrand::Rng;
use moirai_timer_std::{Precision, Sleep, Timer, block_on};

use crate::programs::{Round, brief};
use crate::subjects::poll;
use crate::witness::{Whose, Witness, fail};

/// Later than a round lasts.
const FAR: Duration = Duration::from_secs(3_600);

/// How many wakers have panicked, by their own account.
pub(crate) static PANICS: AtomicU64 = AtomicU64::new(0);
/// How many children were forked.
pub(crate) static FORKS: AtomicU64 = AtomicU64::new(0);
/// How many threads came and went.
pub(crate) static VISITORS: AtomicU64 = AtomicU64::new(0);
/// How many timers were built and dropped.
pub(crate) static BUILT: AtomicU64 = AtomicU64::new(0);

struct Panicking {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        PANICS.fetch_add(1, SeqCst);
        self.woken.store(true, SeqCst);
        self.thread.unpark();
        // Without the panic hook, which would fill the log.
        resume_unwind(Box::new("this waker panics"));
    }
}

/// Wakers that panic, in the middle of the batches of everybody else.
pub(crate) fn panicking_wakers(round: &Round, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let witness = Witness::new(Whose::Threads);
    while !round.is_over() {
        let mut sleep = round.subjects.roomy(&mut random).sleep(brief(&mut random));
        let panicking =
            Arc::new(Panicking { woken: AtomicBool::new(false), thread: thread::current() });
        witness.waits("a sleep with a waker that panics", sleep.deadline());
        if poll(&mut sleep, &Waker::from(panicking.clone())).is_pending() {
            while !panicking.woken.load(SeqCst) {
                thread::park();
            }
            if poll(&mut sleep, Waker::noop()).is_pending() {
                fail("a sleep is pending after it has woken its task");
            }
        }
        witness.has_seen(Duration::ZERO);
    }
}

/// Its wake drops sleeps, moves some, and arms others, the next of a chain among them.
struct Meddling {
    timer: Timer,
    /// The sleep that wakes it next.
    chain: Mutex<Option<Sleep>>,
    others: Mutex<Vec<Sleep>>,
    links: AtomicU32,
    done: AtomicBool,
    thread: Thread,
}

impl Meddling {
    fn meddle(&self, random: &mut Rng) {
        let mut fresh: Vec<_> = (0..8).map(|_| self.timer.sleep(FAR)).collect();
        for sleep in &mut fresh {
            let _ = poll(sleep, Waker::noop());
        }
        let mut others = std::mem::take(&mut *self.others.lock().expect("nobody panics with it"));
        others.truncate(random.usize(0..=others.len()));
        for sleep in &mut others {
            sleep.reset_after(FAR + brief(random));
        }
        others.append(&mut fresh);
        *self.others.lock().expect("nobody panics with it") = others;
    }

    /// Arms the next link of the chain; false if that is due already.
    fn go_on(self: &Arc<Self>, random: &mut Rng) -> bool {
        let mut next = self.timer.sleep(Duration::from_nanos(random.u64(0..1_000_000)));
        let waker = Waker::from(self.clone());
        // Held, so that the next wake finds it in its place.
        let mut chain = self.chain.lock().expect("nobody panics with it");
        if poll(&mut next, &waker).is_ready() {
            return false;
        }
        let last = chain.replace(next);
        drop(chain);
        drop(last);
        true
    }
}

impl Wake for Meddling {
    fn wake(self: Arc<Self>) {
        let mut random = Rng::new();
        while self.links.fetch_sub(1, SeqCst) > 0 {
            self.meddle(&mut random);
            if self.go_on(&mut random) {
                return;
            }
        }
        self.done.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// Wakers that arm, move and drop timers.
pub(crate) fn meddling_wakers(round: &Round, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let witness = Witness::new(Whose::Threads);
    while !round.is_over() {
        let meddling = Arc::new(Meddling {
            timer: round.subjects.roomy(&mut random).clone(),
            chain: Mutex::default(),
            others: Mutex::default(),
            links: AtomicU32::new(20),
            done: AtomicBool::new(false),
            thread: thread::current(),
        });
        witness.waits("the end of a chain of wakers", Instant::now());
        Waker::from(meddling.clone()).wake();
        while !meddling.done.load(SeqCst) {
            thread::park();
        }
        witness.forgets();
        // It holds a waker, which holds it.
        drop(meddling.chain.lock().expect("nobody panics with it").take());
    }
}

/// Threads that are there for one sleep.
pub(crate) fn comers_and_goers(round: &Round, seed: u64) {
    let mut random = Rng::with_seed(seed);
    while !round.is_over() {
        let seeds: Vec<_> = (0..random.u32(1..8)).map(|_| random.fork()).collect();
        thread::scope(|scope| {
            for mut random in seeds {
                scope.spawn(move || {
                    let witness = Witness::new(Whose::Threads);
                    let timer = round.subjects.roomy(&mut random);
                    let mut left_behind = timer.sleep(brief(&mut random));
                    let _ = poll(&mut left_behind, Waker::noop());
                    let taken = round.exchange(left_behind, &mut random);
                    let sleep = timer.sleep(brief(&mut random));
                    block_on(witness.sees("a visitor's sleep", sleep.deadline(), sleep));
                    drop(taken);
                    VISITORS.fetch_add(1, SeqCst);
                });
            }
        });
    }
}

/// Timers that are built, used, and dropped, with whatever is armed.
pub(crate) fn builders(round: &Round, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let witness = Witness::new(Whose::Threads);
    while !round.is_over() {
        let precision = [Precision::Default, Precision::Exact, Precision::Relaxed];
        let builder = Timer::builder()
            .precision(precision[random.usize(0..3)])
            .shards(random.usize(1..5))
            .capacity(random.usize(8..2_000));
        let builder = if random.bool() { builder.without_thread() } else { builder };
        let timer = builder.build().unwrap_or_else(|error| fail(error));
        let mut sleeps: Vec<_> = (0..random.u32(0..30))
            .map(|_| timer.sleep(if random.bool() { brief(&mut random) } else { FAR }))
            .collect();
        for sleep in &mut sleeps {
            let _ = poll(sleep, Waker::noop());
        }
        if random.bool() {
            let sleep = timer.sleep(brief(&mut random));
            timer.block_on(witness.sees("a new timer's sleep", sleep.deadline(), sleep));
        }
        random.shuffle(&mut sleeps);
        sleeps.truncate(random.usize(0..=sleeps.len()));
        match random.u32(0..3) {
            0 => drop((sleeps, timer)),
            1 => drop((timer, sleeps)),
            _ => {
                drop(timer);
                let elsewhere = thread::spawn(move || drop(sleeps));
                elsewhere.join().unwrap_or_else(|_| fail("a thread panicked"));
            }
        }
        BUILT.fetch_add(1, SeqCst);
    }
}

/// Occupies a processor for half of the time.
pub(crate) fn burner(round: &Round) {
    while !round.is_over() {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) && !round.is_over() {
            std::hint::spin_loop();
        }
        thread::park_timeout(Duration::from_secs(1));
    }
}

/// Forks a child that waits for sleeps of before the fork and of its own, on every timer.
pub(crate) fn forks(round: &Round, seed: u64) {
    let mut random = Rng::with_seed(seed);
    while !round.is_over() {
        thread::park_timeout(Duration::from_millis(random.u64(0..500)));
        let all = round.subjects.all();
        let mut before: Vec<_> =
            all.iter().map(|subject| subject.timer.sleep(brief(&mut random))).collect();
        for sleep in &mut before {
            let _ = poll(sleep, Waker::noop());
        }
        let lost = in_a_child(|| {
            all.iter().zip(before.drain(..)).position(|(subject, before)| {
                let mine = subject.timer.sleep(brief(&mut random));
                ![before, mine].into_iter().all(|mut sleep| {
                    if subject.threaded {
                        return wait_for(sleep);
                    }
                    subject.timer.block_on(&mut sleep);
                    Instant::now() >= sleep.deadline()
                })
            })
        });
        match lost {
            Ok(None) => {}
            Ok(Some(lost)) => fail(format_args!(
                "a sleep of {:?} was lost, or early, in a forked child",
                all[lost].name
            )),
            Err(status) => fail(format_args!("a forked child ended with status {status:#x}")),
        }
        FORKS.fetch_add(1, SeqCst);
    }
}

/// Runs `body` in a forked child; gives the small number that it returned, or how the child ended
/// instead.
fn in_a_child(body: impl FnOnce() -> Option<usize>) -> Result<Option<usize>, i32> {
    const NONE: i32 = 100;
    const PANICKED: i32 = 101;
    // SAFETY: the child has one thread, takes no lock that another thread may have held but the
    // allocator's, of which the C library takes care, and leaves through `_exit`.
    unsafe {
        let child = libc::fork();
        if child < 0 {
            fail("there can't be another process");
        }
        if child == 0 {
            // Ends it if it hangs.
            libc::alarm(60);
            let result = catch_unwind(AssertUnwindSafe(body));
            libc::_exit(result.map_or(PANICKED, |number| number.map_or(NONE, |n| n as i32)));
        }
        let mut status = 0;
        while libc::waitpid(child, &mut status, 0) != child {}
        match libc::WEXITSTATUS(status) {
            _ if !libc::WIFEXITED(status) => Err(status),
            PANICKED => Err(status),
            NONE => Ok(None),
            number => Ok(Some(number as usize)),
        }
    }
}

/// In a child, which has no executor: polls when it is woken. Whether that came in time, and not
/// too early.
fn wait_for(mut sleep: Sleep) -> bool {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(flag.clone());
    let start = Instant::now();
    loop {
        if flag.0.swap(false, SeqCst) && poll(&mut sleep, &waker).is_ready() {
            return Instant::now() >= sleep.deadline();
        }
        if start.elapsed() > Duration::from_secs(30) {
            return false;
        }
        thread::yield_now();
    }
}
