//! What a task does, over and over, until the round is over.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use fastrand::Rng;
use moirai_timer_std::{MissedTickBehavior, RegisterError, Sleep, Timer};

use crate::subjects::{Subjects, poll};
use crate::witness::{Whose, Witness, fail};

const FAR: Duration = Duration::from_secs(3_600);

/// What the tasks and threads of one round share.
pub(crate) struct Round {
    pub(crate) subjects: Arc<Subjects>,
    pub(crate) over: AtomicBool,
    /// How many things have been seen to the end.
    pub(crate) ended: AtomicU64,
    /// Armed sleeps on their way from one executor to another.
    exchange: Mutex<Vec<Sleep>>,
}

impl Round {
    pub(crate) fn new(subjects: Arc<Subjects>) -> Self {
        Round {
            subjects,
            over: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            exchange: Mutex::default(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Leaves an armed sleep for somebody else, and takes another one's.
    pub(crate) fn exchange(&self, sleep: Sleep, random: &mut Rng) -> Option<Sleep> {
        let mut exchange = self.exchange.lock().expect("nobody panics with it");
        exchange.push(sleep);
        if exchange.len() < 50 {
            return None;
        }
        let other = random.usize(0..exchange.len());
        Some(exchange.swap_remove(other))
    }
}

/// A duration of a few milliseconds, seldom of next to nothing.
pub(crate) fn brief(random: &mut Rng) -> Duration {
    let most = if random.u32(0..8) == 0 { 3_000 } else { 20_000_000 };
    Duration::from_nanos(random.u64(0..most))
}

/// Does one thing after another until the round is over.
pub(crate) async fn program(round: Arc<Round>, whose: Whose, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let witness = Witness::new(whose);
    while !round.is_over() {
        let timer = round.subjects.any(&mut random).clone();
        let (timer, random) = (&timer, &mut random);
        match random.u32(0..12) {
            0 => one(timer, &witness, random).await,
            1 => tolerant(timer, &witness, random).await,
            2 => cancelled(timer, &witness, random).await,
            3 => moved(timer, &witness, random).await,
            4 => elapsing_timeout(timer, &witness, random).await,
            5 => timeout_in_vain(timer, &witness, random).await,
            6 => interval(timer, &witness, random).await,
            7 => reserved(&round, &witness, random).await,
            8 => crowd(timer, &witness, random).await,
            9 => exchanged(&round, timer, &witness, random).await,
            10 => abandoned(timer, &witness, random).await,
            _ => {
                round.subjects.relieve();
                never(timer, &witness, random).await;
            }
        }
        round.ended.fetch_add(1, Relaxed);
    }
}

async fn one(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let sleep = timer.sleep(brief(random));
    witness.sees("a sleep", sleep.deadline(), sleep).await;
}

async fn tolerant(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let tolerance = brief(random);
    let sleep = timer.sleep(brief(random)).with_tolerance(tolerance);
    witness.waits("a tolerant sleep", sleep.deadline());
    sleep.await;
    witness.has_seen(tolerance);
}

/// Armed, and dropped at once or after a while, in any order.
async fn cancelled(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let mut sleeps: Vec<_> = (0..random.u32(1..30))
        .map(|_| timer.sleep(if random.bool() { brief(random) } else { FAR }))
        .collect();
    poll_fn(|cx| {
        for sleep in &mut sleeps {
            let _ = poll(sleep, cx.waker());
        }
        Poll::Ready(())
    })
    .await;
    random.shuffle(&mut sleeps);
    sleeps.truncate(random.usize(0..=sleeps.len()));
    if random.bool() {
        one(timer, witness, random).await;
    }
}

async fn moved(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let mut sleep = timer.sleep(FAR);
    poll_fn(|cx| {
        assert!(poll(&mut sleep, cx.waker()).is_pending());
        for _ in 0..random.u32(0..10) {
            sleep.reset_after(if random.bool() { brief(random) } else { FAR });
            if random.u32(0..4) == 0 {
                let _ = poll(&mut sleep, cx.waker());
            }
        }
        Poll::Ready(())
    })
    .await;
    sleep.reset_after(brief(random));
    // A sleep that has completed waits again.
    for _ in 0..2 {
        witness.sees("a sleep that was moved", sleep.deadline(), &mut sleep).await;
        sleep.reset_after(brief(random));
    }
}

async fn elapsing_timeout(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let timeout = timer.timeout(brief(random), pending::<()>());
    if witness.sees("a timeout", timeout.deadline(), timeout).await.is_ok() {
        fail("what never ends has ended");
    }
}

async fn timeout_in_vain(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let sleep = timer.sleep(brief(random));
    let deadline = sleep.deadline();
    let timeout = timer.timeout(Duration::from_secs(300), sleep);
    if witness.sees("a sleep within a timeout", deadline, timeout).await.is_err() {
        fail("a timeout of five minutes has elapsed");
    }
}

async fn interval(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let period = Duration::from_nanos(random.u64(1..3_000_000));
    let start = Instant::now() + brief(random);
    let mut interval = timer.interval_at(start, period);
    let behavior = random.choice([
        MissedTickBehavior::Burst,
        MissedTickBehavior::Delay,
        MissedTickBehavior::Skip,
    ]);
    interval.set_missed_tick_behavior(behavior.expect("there are three"));
    let mut expected = start;
    for _ in 0..5 {
        let due = witness.sees("a tick", expected, interval.tick()).await;
        let behind = due.saturating_duration_since(start).as_nanos();
        match interval.missed_tick_behavior() {
            MissedTickBehavior::Burst if due != expected => fail("a tick is missing"),
            MissedTickBehavior::Skip if behind % period.as_nanos() != 0 => {
                fail("a tick is off its schedule")
            }
            _ if due < expected => fail("two ticks are too near to each other"),
            _ => expected = due + period,
        }
    }
}

/// A slot or a refusal, from a timer that is often full.
async fn reserved(round: &Round, witness: &Witness, random: &mut Rng) {
    match round.subjects.narrow().try_sleep(brief(random)) {
        Ok(sleep) => witness.sees("a reserved sleep", sleep.deadline(), sleep).await,
        Err(RegisterError::Full) => {}
        Err(error) => fail(error),
    }
}

async fn crowd(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let mut sleeps: Vec<_> = (0..40).map(|_| timer.sleep(brief(random))).collect();
    sleeps.sort_unstable_by_key(Sleep::deadline);
    poll_fn(|cx| {
        for sleep in &mut sleeps {
            let _ = poll(sleep, cx.waker());
        }
        Poll::Ready(())
    })
    .await;
    for sleep in sleeps {
        witness.sees("one of a crowd", sleep.deadline(), sleep).await;
    }
}

/// Begun here, and ended by whoever takes it.
async fn exchanged(round: &Round, timer: &Timer, witness: &Witness, random: &mut Rng) {
    let mut sleep = timer.sleep(brief(random));
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let _ = poll(&mut sleep, &waker);
    if let Some(other) = round.exchange(sleep, random) {
        // It may have been due long ago, so what is seen is not how late it is.
        let now = Instant::now();
        let deadline = other.deadline();
        if deadline > now {
            witness.sees("a sleep of another's", deadline, other).await;
        } else if poll(&mut { other }, Waker::noop()).is_pending() {
            fail("a sleep is pending after its deadline");
        }
    }
}

/// A timeout that is given up half-way.
async fn abandoned(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let mut timeout = pin!(timer.timeout(FAR, timer.sleep(FAR)));
    poll_fn(|cx| Poll::Ready(timeout.as_mut().poll(cx).is_ready())).await;
    one(timer, witness, random).await;
}

/// No deadline at all, and then one after all.
async fn never(timer: &Timer, witness: &Witness, random: &mut Rng) {
    let mut never = timer.never();
    poll_fn(|cx| Poll::Ready(Pin::new(&mut never).poll(cx).is_ready())).await;
    never.reset_after(brief(random));
    witness.sees("a sleep that was of never", never.deadline(), never).await;
}

/// A sleep of up to two minutes, again and again, across the rounds, until `end`.
pub(crate) async fn resident(timer: Timer, end: Instant, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let witness = Witness::new(Whose::Residents);
    while Instant::now() < end {
        let far = Instant::now() + Duration::from_millis(random.u64(1..120_000));
        let sleep = timer.sleep_until(far.min(end));
        witness.sees("a long sleep", sleep.deadline(), sleep).await;
    }
}
