//! Where time begins, ends, stands still, jumps, and crosses from one unit of a store to the next.
//!
//! Each on every store, since the edges of one are the middle of another. The counters of hardware,
//! which are narrower than a tick, are their drivers' business.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moirai_timer_core::{
    Driver, Engine, HeapEntry, HeapMemory, HeapStore, ManualDriver, MissedTickBehavior, Sleep,
    Slot, Slots, Store, Ticks, WheelMemory, WheelNode, WheelStore,
};
use moirai_timer_tests::Task;

/// Slots in one piece of memory that is as large as is asked.
struct Pool(Box<[Slot]>);

impl Slots for Pool {
    fn capacity(&self) -> u32 {
        self.0.len() as u32
    }

    fn slot(&self, index: u32) -> &Slot {
        &self.0[index as usize]
    }
}

#[derive(Default)]
struct HeapVectors(Vec<HeapEntry>, Vec<u32>);

impl HeapMemory for HeapVectors {
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]) {
        (&mut self.0, &mut self.1)
    }

    fn entries(&self) -> &[HeapEntry] {
        &self.0
    }

    fn reserve(&mut self, capacity: u32) {
        self.0.resize(capacity as usize, HeapEntry::EMPTY);
        self.1.resize(capacity as usize, 0);
    }
}

#[derive(Default)]
struct WheelVectors(Vec<HeapEntry>, Vec<WheelNode>);

impl WheelMemory for WheelVectors {
    type Nodes = [WheelNode];

    fn parts(&mut self) -> (&mut [HeapEntry], &mut [WheelNode]) {
        (&mut self.0, &mut self.1)
    }

    fn look(&self) -> (&[HeapEntry], &[WheelNode]) {
        (&self.0, &self.1)
    }

    fn capacity(&self) -> u32 {
        self.1.len() as u32
    }

    fn reserve(&mut self, capacity: u32) {
        self.1.resize(capacity as usize, WheelNode::EMPTY);
    }

    fn reserve_near(&mut self, len: u32) {
        if self.0.len() < len as usize {
            self.0.resize(len as usize, HeapEntry::EMPTY);
        }
    }
}

type Clock = ManualDriver<1_000_000_000>;
type Timer<S> = Engine<Clock, Pool, S>;

fn timer<S: Store>(start: Ticks, slots: usize, store: S) -> Timer<S> {
    let slots = (0..slots).map(|_| Slot::new()).collect();
    Engine::with_parts(Clock::at(start), Pool(slots), store)
}

/// Runs the handler as long as its interrupt is due; how often that was.
fn interrupts<S: Store>(timer: &Timer<S>) -> u32 {
    let mut count = 0;
    while timer.driver().take_interrupt() {
        timer.on_alarm();
        count += 1;
        assert!(count < 1_000, "the interrupt never ceases");
    }
    count
}

fn poll<S: Store>(sleep: &mut Sleep<&Timer<S>>, waker: &Waker) -> bool {
    Pin::new(sleep).poll(&mut Context::from_waker(waker)).is_ready()
}

/// A module for each store, with each of these tests in it.
macro_rules! on_stores {
    ($($store:ident = $new:expr;)* : $tests:tt) => {
        $(on_stores! { @ $store = $new; $tests })*
    };
    (@ $store:ident = $new:expr; [$($test:ident)*]) => {
        mod $store {
            use super::*;
            $(#[test]
            fn $test() {
                super::$test(|| $new);
            })*
        }
    };
}

on_stores! {
    heap = HeapStore::with_memory(HeapVectors::default());
    wheel_of_ticks = WheelStore::<_, 0, 12>::with_memory(WheelVectors::default());
    wheel_as_on_std = WheelStore::<_, 20, 8>::with_memory(WheelVectors::default());
    wheel_of_few_levels = WheelStore::<_, 50, 2>::with_memory(WheelVectors::default());
    : [
        a_deadline_beside_any_boundary_fires_at_its_tick
        the_clock_ends_at_its_last_tick
        one_turn_fires_all_that_is_due
        a_turn_of_one_batch_says_whether_there_is_more
        a_clock_that_stands_still_counts_every_sleep
    ]
}

on_stores! {
    large_heap = HeapStore::with_memory(HeapVectors::default());
    large_wheel_as_on_std = WheelStore::<_, 20, 8>::with_memory(WheelVectors::default());
    : [
        a_million_timers_survive_a_jump_of_an_hour
        rarely_does_it_ring_for_nothing
    ]
}

/// Boundaries of all powers of two, hence of every level and bucket of a wheel, seen from where
/// counters of 16, 32 and 59 bits wrap, and from where the clock begins and ends.
fn a_deadline_beside_any_boundary_fires_at_its_tick<S: Store>(store: impl Fn() -> S) {
    let starts = [0, 1, (1 << 16) - 1, (1 << 32) - 2, 1 << 32, (1 << 59) - 1, (1 << 60) - 70];
    let task = Task::new();
    for start in starts {
        for bits in 0..60 {
            for spans in [1u128, 31, 32, 33, 63, 64] {
                for beside in -1i8..=1 {
                    let edge = ((u128::from(start >> bits) + spans) << bits)
                        .saturating_add_signed(beside.into());
                    let Ok(at) = u64::try_from(edge) else { continue };
                    if (start + 1..=Ticks::LAST.get()).contains(&at) {
                        fires_at(&timer(Ticks::new(start), 1, store()), Ticks::new(at), &task);
                    }
                }
            }
        }
    }
}

fn fires_at<S: Store>(timer: &Timer<S>, at: Ticks, task: &Task) {
    let (start, wakes) = (timer.now(), task.wakes());
    let mut sleep = timer.sleep_until(at);
    assert!(!poll(&mut sleep, &task.waker()));
    assert_eq!(interrupts(timer), 1);
    assert_eq!(timer.driver().alarm(), Some(at), "from {start:?}");
    timer.driver().set(Ticks::new(at.get() - 1));
    assert_eq!((interrupts(timer), timer.turn()), (0, Some(at)), "from {start:?}");
    assert_eq!(task.wakes(), wakes, "early, from {start:?} to {at:?}");
    timer.driver().set(at);
    assert_eq!((interrupts(timer), task.wakes()), (1, wakes + 1), "from {start:?} to {at:?}");
    assert!(poll(&mut sleep, &task.waker()));
    assert_eq!(timer.driver().alarm(), None);
}

/// It stays there, what is due there fires, and there is no deadline after it.
fn the_clock_ends_at_its_last_tick<S: Store>(store: impl Fn() -> S) {
    let task = Task::new();
    let timer = timer(Ticks::new(Ticks::LAST.get() - 1), 8, store());
    let mut last = timer.sleep(Duration::from_nanos(1));
    let mut beyond = timer.sleep(Duration::from_nanos(2));
    assert_eq!((last.deadline(), beyond.deadline()), (Ticks::LAST, Ticks::NEVER));
    assert!(!poll(&mut last, &task.waker()) && !poll(&mut beyond, &task.waker()));
    interrupts(&timer);
    timer.driver().advance(u64::MAX);
    assert_eq!(timer.now(), Ticks::LAST);
    interrupts(&timer);
    assert_eq!(task.wakes(), 1);
    assert!(poll(&mut last, &task.waker()) && !poll(&mut beyond, &task.waker()));

    let mut now = timer.sleep(Duration::ZERO);
    assert!(poll(&mut now, &task.waker()));
    let mut soon = timer.sleep(Duration::from_nanos(1)).with_tolerance(Duration::MAX);
    assert!(!poll(&mut soon, &task.waker()));
    last.reset(Ticks::new(u64::MAX));
    assert!(!poll(&mut last, &task.waker()));
    interrupts(&timer);
    assert_eq!((task.wakes(), timer.driver().alarm()), (1, None));
}

/// However many batches that takes, and also if whoever turns does it once.
fn one_turn_fires_all_that_is_due<S: Store>(store: impl Fn() -> S) {
    let task = Task::new();
    let timer = timer(Ticks::ZERO, 100, store());
    for many in [31, 32, 33, 64, 100] {
        let (at, wakes) = (timer.now().after(5), task.wakes());
        let mut sleeps: Vec<_> = (0..many).map(|_| timer.sleep_until(at)).collect();
        assert!(sleeps.iter_mut().all(|sleep| !poll(sleep, &task.waker())));
        timer.driver().set(at);
        assert_eq!((timer.turn(), task.wakes() - wakes), (None, many));
    }
}

/// For a crowd of 70: two batches of 32, which say that the time to come back has passed, and a rest
/// after which that is when the next sleep is due. A guest's turn, and the driver's.
fn a_turn_of_one_batch_says_whether_there_is_more<S: Store>(store: impl Fn() -> S) {
    let task = Task::new();
    let timer = timer(Ticks::ZERO, 100, store());
    for turn in [Engine::turn_batch, Engine::drive_batch] {
        let (at, next, wakes) = (timer.now().after(5), timer.now().after(9), task.wakes());
        let mut sleeps: Vec<_> = (0..70).map(|_| timer.sleep_until(at)).collect();
        sleeps.push(timer.sleep_until(next));
        assert!(sleeps.iter_mut().all(|sleep| !poll(sleep, &task.waker())));
        timer.driver().set(at);
        for woken in [32, 64] {
            assert_eq!((turn(&timer), task.wakes() - wakes), (Some(Ticks::ZERO), woken));
        }
        assert_eq!((turn(&timer), task.wakes() - wakes), (Some(next), 70));
    }
}

/// One of a million sleeps, which knows when it is due.
struct Due {
    at: u64,
    crowd: Arc<Crowd>,
}

#[derive(Default)]
struct Crowd {
    woken: AtomicU64,
    latest: AtomicU64,
    out_of_order: AtomicBool,
}

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        self.crowd.woken.fetch_add(1, SeqCst);
        if self.crowd.latest.swap(self.at, SeqCst) > self.at {
            self.crowd.out_of_order.store(true, SeqCst);
        }
    }
}

/// A million are due at once: all of them fire, in order, in one interrupt, and none of those that are
/// due within the hour after it.
fn a_million_timers_survive_a_jump_of_an_hour<S: Store>(store: impl Fn() -> S) {
    const MANY: u64 = 1_000_000;
    const LATER: u64 = 100_000;
    const HOUR: u64 = 3_600_000_000_000;
    let start = Ticks::new(1 << 40);
    let timer = timer(start, (MANY + LATER) as usize, store());
    let crowd = Arc::<Crowd>::default();
    let _sleeps: Vec<_> = (0..MANY + LATER)
        .map(|number| {
            // Spread over an hour, in an order without order: the step and the range are coprime.
            let ahead = 1 + (number * 618_033_988_751) % HOUR;
            // Every eleventh is due in the hour after.
            let at = start.after(if number % 11 == 10 { HOUR + ahead } else { ahead });
            let waker = Arc::new(Due { at: at.get(), crowd: crowd.clone() }).into();
            let mut sleep = timer.sleep_until(at);
            assert!(!poll(&mut sleep, &waker));
            sleep
        })
        .collect();
    interrupts(&timer);
    assert_eq!(crowd.woken.load(SeqCst), 0);
    timer.driver().advance(HOUR);
    assert_eq!(interrupts(&timer), 1);
    assert_eq!(crowd.woken.load(SeqCst), MANY);
    assert!(!crowd.out_of_order.load(SeqCst));
    let metrics = timer.metrics().expect("nobody is inside");
    assert_eq!((metrics.fired, u64::from(metrics.armed)), (MANY, LATER));
    timer.driver().advance(HOUR);
    assert_eq!(interrupts(&timer), 1);
    assert_eq!(crowd.woken.load(SeqCst), MANY + LATER);
    assert!(!crowd.out_of_order.load(SeqCst));
}

/// Sleeps that come and go while no time passes, and nobody turns, are all counted: beyond what the
/// 16-bit counters of a slot can hold, and beyond the first wrap of what they count.
fn a_clock_that_stands_still_counts_every_sleep<S: Store>(store: impl Fn() -> S) {
    const MANY: u64 = 150_000;
    let task = Task::new();
    let timer = timer(Ticks::ZERO, 4, store());
    for _ in 0..MANY {
        let mut sleep = timer.sleep_until(Ticks::new(1_000));
        assert!(!poll(&mut sleep, &task.waker()));
    }
    let metrics = timer.metrics().expect("nobody is inside");
    assert_eq!((metrics.cancelled, metrics.armed, metrics.full_repolls), (MANY, 0, 0));
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
}

#[test]
fn sleeps_have_the_tolerance_of_their_timer_unless_they_say_another() {
    let driver = ManualDriver::<1_000>::new();
    let tolerance = Duration::from_millis(50);
    let timer = moirai_timer_core::Timer::<_, 2>::new(driver).with_tolerance(tolerance);
    let due = |sleep: Sleep<_>| {
        let mut sleep = pin!(sleep);
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        timer.turn()
    };
    let five = Duration::from_millis(5);
    assert_eq!(due(timer.sleep(five)), Some(Ticks::new(32)), "the roundest of 5 to 55");
    assert_eq!(due(timer.sleep(five).with_tolerance(Duration::ZERO)), Some(Ticks::new(5)));
}

/// A store that says how often something was put into it.
struct Counted<'a>(HeapStore<HeapVectors>, &'a AtomicU64);

impl Store for Counted<'_> {
    fn set(&mut self, index: u32, at: Ticks) {
        self.1.fetch_add(1, SeqCst);
        self.0.set(index, at);
    }
    fn remove(&mut self, index: u32) -> bool {
        self.0.remove(index)
    }
    fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        self.0.pop_due(now)
    }
    fn next(&self) -> Option<Ticks> {
        self.0.next()
    }
    fn len(&self) -> u32 {
        self.0.len()
    }
}

/// Nobody turns, and commands gather. Beyond some thousands, those who bring more apply some, a few
/// with each: nobody has to pay for all, and the next turn finds no more than that.
#[test]
fn commands_do_not_gather_by_the_million() {
    const COUNT: u64 = 200_000;
    let filed = AtomicU64::new(0);
    let store = Counted(HeapStore::with_memory(HeapVectors::default()), &filed);
    let timer = timer(Ticks::ZERO, COUNT as usize, store);
    let mut sleeps = Vec::new();
    let mut applied = 0;
    for armed in 1..=COUNT {
        let mut sleep = timer.sleep_until(Ticks::new(2 * COUNT - armed));
        assert!(!poll(&mut sleep, Waker::noop()));
        sleeps.push(sleep);
        let known = filed.load(SeqCst);
        assert!(known - applied <= 8, "{} at once", known - applied);
        assert!(armed - known <= 3 << 12, "{} have gathered", armed - known);
        assert!(armed >= 1 << 12 || known == 0, "few may wait: they could annihilate each other");
        applied = known;
    }
    assert!(applied > COUNT / 2);
    let metrics = timer.metrics().unwrap();
    assert_eq!((u64::from(metrics.armed), metrics.turns), (COUNT, 0));
}

/// Requests are always under way, and the timeouts of those that have ended leave their deadlines in the
/// store to the next: one or two interrupts for nothing in the length of a timeout, not one for each.
#[test]
fn a_window_of_timeouts_is_almost_silent() {
    fn check<S: Store>(live: u64, store: S) {
        const LENGTH: u64 = 30_000_000;
        let timer = timer(Ticks::ZERO, live as usize + 8, store);
        let mut count = 0;
        let mut window = VecDeque::new();
        for _ in 0..6 * live {
            if window.len() as u64 == live {
                window.pop_front();
            }
            let mut timeout = timer.sleep_until(timer.now().after(LENGTH));
            assert!(!poll(&mut timeout, Waker::noop()));
            window.push_back(timeout);
            timer.driver().advance(LENGTH / 2 / live);
            count += u64::from(interrupts(&timer));
        }
        assert!(count <= 8, "{count} interrupts in three times the length, for {live}");
        let metrics = timer.metrics().unwrap();
        assert_eq!((u64::from(metrics.armed), metrics.registered), (live, 6 * live));
        assert!(metrics.vain_turns <= count, "one for an interrupt: {metrics:?}");
    }
    for live in [40, 1_000, 10_000] {
        check(live, HeapStore::with_memory(HeapVectors::default()));
        check(live, WheelStore::<WheelVectors, 10, 10>::with_memory(WheelVectors::default()));
        check(live, WheelStore::<WheelVectors, 20, 8>::with_memory(WheelVectors::default()));
    }
}

/// Every duration, on clocks of every rate, against arithmetic in 128 bits and more.
#[test]
fn every_duration_is_rounded_up_to_ticks_or_is_never() {
    fn on<const HZ: u64>() {
        let year = 366 * 86_400;
        let durations = [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_nanos(999_999_999),
            Duration::from_secs(1),
            Duration::new(1, 1),
            Duration::from_secs(10 * year),
            Duration::from_secs(40 * year),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        ];
        for start in [0, 1, (1 << 32) - 1, 1 << 59, Ticks::LAST.get()] {
            let driver = ManualDriver::<HZ>::at(Ticks::new(start));
            let timer = moirai_timer_core::Timer::<_, 1>::new(driver);
            for duration in durations {
                let whole = u128::from(duration.as_secs()) * u128::from(HZ);
                let part = u128::from(duration.subsec_nanos()) * u128::from(HZ);
                let at = u128::from(start) + whole + part.div_ceil(1_000_000_000);
                let expected = at.min(u128::from(Ticks::NEVER.get())) as u64;
                let sleep = timer.sleep(duration);
                assert_eq!(sleep.deadline().get(), expected, "{duration:?} at {HZ} Hz");
                assert_eq!(sleep.is_elapsed(), duration.is_zero());
            }
        }
        assert_eq!(ManualDriver::<HZ>::TICK_HZ, HZ);
    }
    on::<1>();
    on::<3>();
    on::<1_000>();
    on::<32_768>();
    on::<1_000_000>();
    on::<1_000_000_000>();
    on::<{ u64::MAX }>();
}

/// A wheel cannot say when the first of a crowded bucket is due, one of 17 timers or more. It may
/// have to be woken to sort it, once on each level that lies before such a crowd; but hardly ever if
/// timers fire in between, because what comes next is sorted on the way.
fn rarely_does_it_ring_for_nothing<S: Store>(store: impl Fn() -> S) {
    const HOUR: u64 = 3_600_000_000_000;
    const SECOND: u64 = 1_000_000_000;
    // Crowds somewhere within an hour, how many each, over what time, how often it rings in vain.
    for (crowds, many, within, at_most) in [
        (1, 1, 1, 0),
        (1, 16, HOUR, 0),
        (1_000, 16, SECOND, 0),
        (1, 100_000, HOUR, 0),
        (100, 1_000, SECOND, 2 * 100),
        (100, 1_000, 1, 4 * 100),
    ] {
        let timer = timer(Ticks::new(1 << 40), (crowds * many) as usize, store());
        let task = Task::new();
        let waker = task.waker();
        // Without order, but evenly: the steps and the ranges are coprime.
        let spread = |number: u64, range: u64| (number * 618_033_988_749) % range;
        let mut sleeps = Vec::new();
        for number in 0..crowds * many {
            let ahead = 1 + spread(number / many, HOUR) + spread(number, within);
            let mut sleep = timer.sleep(Duration::from_nanos(ahead));
            assert!(!poll(&mut sleep, &waker));
            sleeps.push(sleep);
        }
        interrupts(&timer);
        let mut in_vain = 0;
        while let Some(alarm) = timer.driver().alarm() {
            let before = task.wakes();
            timer.driver().set(alarm);
            assert!(interrupts(&timer) >= 1);
            in_vain += u64::from(task.wakes() == before);
        }
        assert_eq!(u64::from(task.wakes()), crowds * many);
        assert!(in_vain <= at_most, "{in_vain} times for {crowds} crowds of {many}");
        let metrics = timer.metrics().expect("nobody is inside");
        assert_eq!(metrics.vain_turns, in_vain);
    }
}

/// A tick is missed when the one after it is due as well: from a whole period on, not a tick before.
#[test]
fn an_interval_is_late_by_a_period_or_by_less() {
    use MissedTickBehavior::{Burst, Delay, Skip};
    for (behavior, taken, next) in [
        (Burst, 19, 20),
        (Delay, 19, 20),
        (Skip, 19, 20),
        (Burst, 20, 20),
        (Delay, 20, 30),
        (Skip, 20, 30),
        (Burst, 21, 20),
        (Delay, 21, 31),
        (Skip, 21, 30),
    ] {
        let timer = timer(Ticks::ZERO, 1, HeapStore::with_memory(HeapVectors::default()));
        let mut interval = timer.interval_at(Ticks::new(10), Duration::from_nanos(10));
        interval.set_missed_tick_behavior(behavior);
        assert_eq!(interval.missed_tick_behavior(), behavior);
        let mut poll = || interval.poll_tick(&mut Context::from_waker(Waker::noop()));
        timer.driver().set(Ticks::new(taken));
        assert_eq!(poll(), Poll::Ready(Ticks::new(10)));
        if next > taken {
            timer.driver().set(Ticks::new(next - 1));
            assert_eq!(poll(), Poll::Pending, "{behavior:?}, taken at {taken}");
        }
        timer.driver().set(Ticks::new(next));
        assert_eq!(poll(), Poll::Ready(Ticks::new(next)), "{behavior:?}, taken at {taken}");
    }
}

/// What is due in the store, and was moved further away since, is filed anew in steps.
#[test]
fn a_crowd_that_was_moved_further_away_does_not_keep_a_turn_inside() {
    const MANY: usize = 2_000;
    let timer = timer(Ticks::ZERO, MANY, HeapStore::with_memory(HeapVectors::default()));
    let task = Task::new();
    let waker = task.waker();
    let mut sleeps: Vec<_> = (0..MANY).map(|_| timer.sleep_until(Ticks::new(10))).collect();
    sleeps.iter_mut().for_each(|sleep| assert!(!poll(sleep, &waker)));
    interrupts(&timer);
    sleeps.iter_mut().for_each(|sleep| sleep.reset(Ticks::new(1_000)));
    timer.driver().set(Ticks::new(10));
    // Zero, a time that has passed: there is more to do.
    let visits = (1..).find(|_| timer.turn_batch() != Some(Ticks::ZERO));
    assert!((7..=9).contains(&visits.unwrap()), "{visits:?} visits for {MANY} timers");
    assert_eq!((task.wakes(), timer.next_deadline()), (0, Some(Ticks::new(1_000))));
    timer.driver().set(Ticks::new(1_000));
    interrupts(&timer);
    assert_eq!(task.wakes() as usize, MANY);
}

/// A turn at the time of an alarm whose sleep has gone is one in vain, whenever it went.
#[test]
fn a_turn_for_a_sleep_that_has_gone_is_counted_as_vain() {
    let timer = timer(Ticks::ZERO, 4, HeapStore::with_memory(HeapVectors::default()));
    let task = Task::new();
    let armed = |at| {
        let mut sleep = timer.sleep_until(Ticks::new(at));
        assert!(!poll(&mut sleep, &task.waker()));
        sleep
    };
    let vain_turns = || timer.metrics().expect("nobody is inside").vain_turns;

    // A turn has seen it; another sleep is left in the store, or none.
    for (at, other) in [(10, Some(15)), (20, None)] {
        let sleep = armed(at);
        let other = other.map(armed);
        interrupts(&timer);
        drop(sleep);
        let before = vain_turns();
        timer.driver().set(Ticks::new(at));
        assert!(interrupts(&timer) >= 1);
        assert_eq!(vain_turns(), before + 1, "at {at}");
        timer.driver().set(Ticks::new(at + 5));
        interrupts(&timer);
        assert_eq!(task.wakes(), 1, "at {at}");
        assert_eq!(vain_turns(), before + 1, "at {at}");
        drop(other);
    }
    // One that fires, and one that its holder found to be due before, are none.
    let mut sleep = armed(30);
    interrupts(&timer);
    timer.driver().set(Ticks::new(30));
    let before = vain_turns();
    assert!(poll(&mut sleep, &task.waker()));
    interrupts(&timer);
    assert_eq!(vain_turns(), before);
}
