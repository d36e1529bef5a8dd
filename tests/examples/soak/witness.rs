//! Sees that nothing is early and nothing is lost, and keeps account of how late things are.

use std::fmt;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::supervisor::{STOP, STOPPED};

/// Whoever is not woken so long after its deadline was forgotten. Far beyond what load, a stopped
/// process, and a fork can cause together.
const LOST: Duration = Duration::from_secs(30);

/// For so long after the process is continued, lateness is accounted to the stop.
const RECOVERY: Duration = Duration::from_millis(500);

/// Ends the soak.
pub(crate) fn fail(what: impl fmt::Display) -> ! {
    println!("soak FAILED: {what}");
    process::exit(1)
}

/// Whose lateness it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Tokio,
    Smol,
    Threads,
    Residents,
    /// Waits that were under way when the process was stopped, whoever waited.
    Stopped,
}

impl Whose {
    pub(crate) const ALL: [Whose; 5] =
        [Whose::Tokio, Whose::Smol, Whose::Threads, Whose::Residents, Whose::Stopped];
}

static LATENESS: LazyLock<[Mutex<Histogram<u64>>; 5]> = LazyLock::new(|| {
    let hour = 3_600_000_000_000;
    Whose::ALL.map(|_| Mutex::new(Histogram::new_with_max(hour, 2).expect("valid bounds")))
});

/// How late those were, in nanoseconds.
pub(crate) fn lateness(whose: Whose) -> Histogram<u64> {
    LATENESS[whose as usize].lock().expect("nobody panics with it").clone()
}

/// What somebody waits for: until when, and what it is.
type Wait = Mutex<Option<(Instant, &'static str)>>;

static WAITS: Mutex<Vec<Weak<Wait>>> = Mutex::new(Vec::new());

/// Watches one task or thread, which waits for one thing at a time.
pub(crate) struct Witness {
    whose: Whose,
    wait: Arc<Wait>,
}

impl Witness {
    pub(crate) fn new(whose: Whose) -> Self {
        let wait = Arc::new(Wait::default());
        let mut waits = WAITS.lock().expect("nobody panics with it");
        waits.retain(|wait| wait.strong_count() > 0);
        waits.push(Arc::downgrade(&wait));
        Witness { whose, wait }
    }

    /// From now on it waits for `what`, which is due at `deadline`.
    pub(crate) fn waits(&self, what: &'static str, deadline: Instant) {
        *self.wait.lock().expect("nobody panics with it") = Some((deadline, what));
    }

    /// What it waited for has come, which must not be before its deadline, and counts as late from
    /// `tolerance` after that.
    pub(crate) fn has_seen(&self, tolerance: Duration) {
        let now = Instant::now();
        let wait = self.wait.lock().expect("nobody panics with it").take();
        let (deadline, what) = wait.expect("it said that it waits");
        if now < deadline {
            fail(format_args!("{what} of {:?} was {:?} EARLY", self.whose, deadline - now));
        }
        let whose = if amid_a_stop(deadline, now) { Whose::Stopped } else { self.whose };
        let late = now.saturating_duration_since(deadline + tolerance);
        let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        LATENESS[whose as usize].lock().expect("nobody panics with it").saturating_record(late);
    }

    /// What it waited for has come, and how late that was does not matter.
    pub(crate) fn forgets(&self) {
        *self.wait.lock().expect("nobody panics with it") = None;
    }

    /// Waits for `what`.
    pub(crate) async fn sees<F: Future>(
        &self,
        what: &'static str,
        deadline: Instant,
        future: F,
    ) -> F::Output {
        self.waits(what, deadline);
        let output = future.await;
        self.has_seen(Duration::ZERO);
        output
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The last stop, in nanoseconds since the start. No end yet: the maximum.
static STOP_BEGAN: AtomicU64 = AtomicU64::new(u64::MAX);
static STOP_ENDED: AtomicU64 = AtomicU64::new(u64::MAX);

fn since_start(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*START).as_nanos()).unwrap_or(u64::MAX)
}

fn amid_a_stop(deadline: Instant, seen: Instant) -> bool {
    since_start(deadline) < STOP_ENDED.load(SeqCst) && since_start(seen) > STOP_BEGAN.load(SeqCst)
}

/// Asks the supervisor to stop the process for a while, and returns after that.
pub(crate) fn be_stopped() {
    let asked = Instant::now();
    STOP_ENDED.store(u64::MAX, SeqCst);
    STOP_BEGAN.store(since_start(asked), SeqCst);
    println!("{STOP}");
    let mut last = asked;
    loop {
        thread::park_timeout(Duration::from_millis(10));
        let now = Instant::now();
        if now - last > STOPPED / 2 {
            return STOP_ENDED.store(since_start(now + RECOVERY), SeqCst);
        }
        if now - asked > LOST {
            fail("the process was not stopped");
        }
        last = now;
    }
}

/// Looks for what was lost, until the soak is over.
pub(crate) fn watch(over: &AtomicBool) {
    let mut last = Instant::now();
    while !over.load(SeqCst) {
        thread::park_timeout(Duration::from_millis(250));
        let now = Instant::now();
        // If this thread was held up, the others were too.
        if now - std::mem::replace(&mut last, now) > Duration::from_secs(1) {
            continue;
        }
        let waits = WAITS.lock().expect("nobody panics with it").clone();
        for wait in waits.iter().filter_map(Weak::upgrade) {
            let wait = *wait.lock().expect("nobody panics with it");
            if let Some((deadline, what)) = wait
                && now.saturating_duration_since(deadline) > LOST
            {
                fail(format_args!("{what} was LOST: due {:?} ago", now - deadline));
            }
        }
    }
}
