//! The driver on a counter that advances, and is interrupted, between any two of the driver's accesses
//! to memory or registers.
//!
//! A counter of six bits is walked through in every schedule from every count on. The widths that
//! hardware has are walked through around the ends of their halves.

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;
use std::vec::Vec;

use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering, Ordering::SeqCst};
use core::task::{Context, Waker};

use moirai_timer_core::{Armed, Driver, Ticks, Timer};

use super::CompareDriver;
use crate::Counter;
use crate::extend::is_due;

/// Of the counter of six bits.
const ROUND: u64 = 1 << 6;
const HALF: u64 = ROUND / 2;

std::thread_local! {
    /// What happens before each access.
    static BETWEEN: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

fn step() {
    let between = BETWEEN.with_borrow(Clone::clone);
    if let Some(between) = between {
        between();
    }
}

/// The processor's atomic, with a step before each access.
#[derive(Debug)]
pub(super) struct AtomicU32(core::sync::atomic::AtomicU32);

impl AtomicU32 {
    pub(super) const fn new(value: u32) -> Self {
        AtomicU32(core::sync::atomic::AtomicU32::new(value))
    }

    pub(super) fn load(&self, order: Ordering) -> u32 {
        step();
        self.0.load(order)
    }

    pub(super) fn store(&self, value: u32, order: Ordering) {
        step();
        self.0.store(value, order);
    }
}

/// A counter that rings only when it *becomes* its compare value.
#[derive(Default)]
struct Model<const BITS: u32, const LEAD: u64> {
    time: Cell<u64>,
    compare: Cell<u64>,
    /// When the compare register was written.
    written: Cell<u64>,
    flag: Cell<bool>,
    pended: Cell<bool>,
    starts: Cell<u32>,
}

impl<const BITS: u32, const LEAD: u64> Model<BITS, LEAD> {
    const HALF: u64 = 1 << (BITS - 1);
    const MASK: u64 = u64::MAX >> (64 - BITS);

    fn tick(&self) {
        self.time.set(self.time.get() + 1);
        let seen = self.time.get() >= self.written.get() + LEAD;
        if seen && self.time.get() & Self::MASK == self.compare.get() {
            self.flag.set(true);
        }
    }

    /// The ticks before the one that may ring.
    fn skip(&self) {
        let left = self.compare.get().wrapping_sub(self.time.get() + 1) & Self::MASK;
        self.time.set(self.time.get().saturating_add(left));
    }

    fn interrupts(&self) -> bool {
        self.flag.get() || self.pended.get()
    }
}

impl<const BITS: u32, const LEAD: u64> Counter for &Model<BITS, LEAD> {
    const TICK_HZ: u64 = 1000;
    const BITS: u32 = BITS;
    const LEAD: u64 = LEAD;

    fn start(&self) {
        self.starts.set(self.starts.get() + 1);
    }

    fn count(&self) -> u64 {
        step();
        self.time.get() & Model::<BITS, LEAD>::MASK
    }

    fn set_compare(&self, at: u64) {
        step();
        assert!(at <= Model::<BITS, LEAD>::MASK);
        self.compare.set(at);
        self.written.set(self.time.get());
    }

    fn acknowledge(&self) {
        step();
        self.flag.set(false);
    }

    fn pend(&self) {
        self.pended.set(true);
    }
}

/// A machine with one interrupt, whose handler keeps the time and sets no alarm.
struct Machine<const BITS: u32, const LEAD: u64> {
    model: &'static Model<BITS, LEAD>,
    driver: &'static CompareDriver<&'static Model<BITS, LEAD>>,
}

/// Narrower than a counter may be.
fn six_bits<const LEAD: u64>() -> Machine<6, LEAD> {
    Machine::with(CompareDriver::over)
}

fn wide<const BITS: u32>() -> Machine<BITS, 1> {
    Machine::with(CompareDriver::new)
}

impl<const BITS: u32, const LEAD: u64> Machine<BITS, LEAD> {
    /// At zero.
    fn with(
        driver: impl FnOnce(&'static Model<BITS, LEAD>) -> CompareDriver<&'static Model<BITS, LEAD>>,
    ) -> Self {
        let model: &'static Model<BITS, LEAD> = Box::leak(Box::default());
        let driver = Box::leak(Box::new(driver(model)));
        driver.start();
        let machine = Machine { model, driver };
        machine.set(0, 0);
        machine
    }

    /// At `time`, with every half noted that had passed `lag` ticks ago.
    fn set(&self, time: u64, lag: u64) {
        let Machine { model, driver } = self;
        let half = Model::<BITS, LEAD>::HALF;
        // What the interrupts until then would have left.
        let noted = time.saturating_sub(lag) / half;
        driver.noted.store(noted as u32, Ordering::Relaxed);
        driver.noted_rounds.store((noted >> 31) as u32, Ordering::Relaxed);
        model.time.set(time);
        model.flag.set(time / half > noted);
        model.pended.set(false);
        model.compare.set(((noted + 1) * half) & Model::<BITS, LEAD>::MASK);
        model.written.set(0);
    }

    /// When two halves will have passed that are not noted: until then, the time can be told.
    fn too_late(&self) -> u64 {
        let noted = u64::from(self.driver.noted.0.load(Ordering::Relaxed));
        (noted + 2) * Model::<BITS, LEAD>::HALF
    }

    fn handler(&self) {
        self.model.pended.set(false);
        self.driver.acknowledge();
        self.driver.disarm();
    }

    /// Runs `body` with `rate` ticks before each of its accesses, and `stall` more before the one
    /// of number `place`; in these, interrupts are served when they are `lag` ticks old, unless they
    /// are `masked`. Gives the number of accesses too.
    fn run<T>(
        &self,
        schedule: (u64, usize, u64),
        served: Option<u64>,
        body: impl FnOnce(&Self) -> T,
    ) -> (T, usize) {
        self.run_with(|| {}, schedule, served, body)
    }

    /// The same, and has `then` happen after the ticks before each access.
    fn run_with<T>(
        &self,
        then: impl Fn() + 'static,
        (rate, place, stall): (u64, usize, u64),
        served: Option<u64>,
        body: impl FnOnce(&Self) -> T,
    ) -> (T, usize) {
        let count = Rc::new(Cell::new(0));
        let since_half = self.model.time.get() % Model::<BITS, LEAD>::HALF;
        let age = Cell::new(if self.model.interrupts() { since_half } else { 0 });
        let this = Machine { model: self.model, driver: self.driver };
        let counter = count.clone();
        let between = move || {
            let here = counter.get();
            counter.set(here + 1);
            for _ in 0..rate + if here == place { stall } else { 0 } {
                this.model.tick();
                age.set(if this.model.interrupts() { age.get() + 1 } else { 0 });
                if served.is_some_and(|lag| age.get() > lag) {
                    // The handler is as good as instantaneous.
                    let outer = BETWEEN.take();
                    this.handler();
                    BETWEEN.set(outer);
                    age.set(0);
                }
            }
            then();
        };
        BETWEEN.set(Some(Rc::new(between)));
        let result = body(self);
        BETWEEN.set(None);
        (result, count.get())
    }
}

/// Runs `body` in every schedule: ticks between accesses, and one stall, at each of its accesses and
/// of each length. It gives the number of accesses.
fn in_every_schedule(longest: u64, mut body: impl FnMut((u64, usize, u64)) -> usize) {
    for rate in 0..=1 {
        for stall in 0..=longest {
            let mut place = 0;
            while place < body((rate, place, stall)) {
                place += 1;
            }
        }
    }
}

fn reads_the_time<const BITS: u32, const LEAD: u64>(machine: &Machine<BITS, LEAD>) -> u64 {
    let before = machine.model.time.get();
    let now = machine.driver.now().get();
    let after = machine.model.time.get();
    assert!((before..=after).contains(&now), "{now} was read between {before} and {after}");
    now
}

fn reads_twice<const BITS: u32, const LEAD: u64>(machine: &Machine<BITS, LEAD>) {
    let first = reads_the_time(machine);
    assert!(reads_the_time(machine) >= first);
}

/// Times around ends of halves, the second word's among them; where there are no halves, around others.
fn starts<const BITS: u32>(around: u64) -> Vec<u64> {
    let ends: [u64; 4] = if BITS < 64 {
        [1, 2, 1 << 31, 1 << 32].map(|halves| halves << (BITS - 1))
    } else {
        [1 << 31, 1 << 32, 1 << 48, 1 << 59]
    };
    // Time ends at 2^60.
    let ends = ends.into_iter().filter(|&end| end < 1 << 60);
    ends.flat_map(|end| end - around..end + around).collect()
}

#[test]
fn a_read_that_is_interrupted_anywhere_for_any_time_is_right() {
    let machine = six_bits::<1>();
    // The handler comes at once, or just in time.
    for lag in [0, 1, HALF - 2] {
        for start in 0..2 * ROUND {
            in_every_schedule(2 * ROUND, |schedule| {
                machine.set(start, lag);
                machine.run(schedule, Some(lag), reads_twice).1
            });
        }
    }
}

#[test]
fn a_read_that_keeps_the_handler_waiting_is_right() {
    let machine = six_bits::<1>();
    for lag in 0..HALF {
        for start in 0..2 * ROUND {
            in_every_schedule(HALF, |schedule| {
                let (rate, _, stall) = schedule;
                machine.set(start, lag);
                if start + 12 * rate + stall >= machine.too_late() {
                    return 0;
                }
                machine.run(schedule, None, reads_twice).1
            });
        }
    }
}

fn is_read_where_halves_end<const BITS: u32>() {
    let machine = wide::<BITS>();
    for start in starts::<BITS>(12) {
        in_every_schedule(8, |schedule| {
            // The handler comes at once, or soon, or is kept waiting for almost half a round.
            let handlers = [(0, true), (3, true), (Model::<BITS, 1>::HALF - 100, false)];
            let accesses = handlers.map(|(lag, comes)| {
                machine.set(start, lag);
                machine.run(schedule, comes.then_some(lag), reads_twice).1
            });
            accesses.into_iter().max().expect("there are three")
        });
    }
}

#[test]
fn a_clock_of_each_width_is_right_where_its_halves_end() {
    is_read_where_halves_end::<16>();
    is_read_where_halves_end::<24>();
    is_read_where_halves_end::<32>();
    is_read_where_halves_end::<64>();
}

/// Runs the handler in a schedule. Before each of its accesses comes a reader, with `rate` ticks before
/// each of its own, and finds the time right. Gives the number of the handler's accesses.
fn is_read_within_the_handler<const BITS: u32>(
    machine: &Machine<BITS, 1>,
    schedule: (u64, usize, u64),
    rate: u64,
    at: u64,
) -> usize {
    let Machine { model, driver } = *machine;
    let ticks = move || (0..rate).for_each(|_| model.tick());
    let last = Rc::new(Cell::new(0));
    let read = move || {
        let outer = BETWEEN.replace(Some(Rc::new(ticks)));
        let now = reads_the_time(&Machine { model, driver });
        BETWEEN.set(outer);
        assert!(now >= last.replace(now), "the clock went back to {now}");
    };
    let ((), accesses) = machine.run_with(read.clone(), schedule, None, |_| {
        model.pended.set(false);
        driver.acknowledge();
        let _ = driver.arm(Ticks::new(at));
    });
    read();
    let [noted, rounds] =
        [&driver.noted, &driver.noted_rounds].map(|word| word.0.load(Ordering::Relaxed).into());
    // It would show half a round of the first word later.
    assert!(!is_due(rounds, noted, u32::BITS), "the second word is left behind");
    accesses
}

#[test]
fn a_reader_that_comes_anywhere_in_the_handler_finds_the_time_right() {
    let machine = six_bits::<1>();
    for lag in (0..HALF).step_by(7) {
        for start in 0..ROUND {
            in_every_schedule(HALF - 18, |schedule| {
                let (rate, _, stall) = schedule;
                machine.set(start, lag);
                if start + 20 * rate + stall >= machine.too_late() {
                    return 0;
                }
                is_read_within_the_handler(&machine, schedule, 0, start + 10)
            });
        }
    }
}

fn is_read_within_the_handler_where_halves_end<const BITS: u32>() {
    let machine = wide::<BITS>();
    for start in starts::<BITS>(8) {
        for lag in [0, 2, Model::<BITS, 1>::HALF - 400] {
            for (rate, at) in [(0, start + 10), (1, u64::MAX)] {
                in_every_schedule(3, |schedule| {
                    machine.set(start, lag);
                    is_read_within_the_handler(&machine, schedule, rate, at)
                });
            }
        }
    }
}

#[test]
fn a_reader_within_the_handler_finds_the_time_right_at_each_width() {
    is_read_within_the_handler_where_halves_end::<16>();
    is_read_within_the_handler_where_halves_end::<24>();
    is_read_within_the_handler_where_halves_end::<32>();
}

/// Arms `ahead` of `start`, in every schedule with stalls of up to `longest`.
fn an_alarm_rings_or_says_that_it_will_not<const BITS: u32, const LEAD: u64>(
    machine: &Machine<BITS, LEAD>,
    start: u64,
    ahead: u64,
    longest: u64,
) {
    let model = machine.model;
    in_every_schedule(longest, |(rate, place, stall)| {
        // While it waits for the lead to pass, time must not stand still.
        let schedule = (rate + u64::from(LEAD > 1 && rate == 0), place, stall);
        machine.set(start, 0);
        let at = start + ahead;
        let (armed, accesses) =
            machine.run(schedule, None, |machine| machine.driver.arm(Ticks::new(at)));
        match armed {
            Armed::Elapsed => assert!(model.time.get() + LEAD > at),
            Armed::Pending => {
                while !model.flag.get() {
                    model.skip();
                    assert!(model.time.get() < at, "lost: {start} {ahead} {schedule:?}");
                    model.tick();
                }
            }
        }
        accesses
    });
}

/// Near, and around half a round and a whole one.
fn aheads<const BITS: u32>(near: u64) -> impl Iterator<Item = u64> {
    let far = if BITS < 64 { [1 << (BITS - 1), 1 << (BITS % 64)] } else { [1 << 32, 1 << 48] };
    (0..near).chain(far.into_iter().flat_map(|far: u64| far - 4..far + 4))
}

fn no_alarm_of_six_bits_is_lost<const LEAD: u64>() {
    let machine = six_bits::<LEAD>();
    for start in 0..ROUND {
        for ahead in aheads::<6>(20) {
            // Any longer, and the handler would keep itself waiting for half a round.
            an_alarm_rings_or_says_that_it_will_not(&machine, start, ahead, HALF - 18);
        }
    }
}

#[test]
fn an_alarm_is_never_lost_wherever_arming_it_is_held_up() {
    no_alarm_of_six_bits_is_lost::<1>();
}

#[test]
fn an_alarm_is_never_lost_on_hardware_that_needs_a_lead() {
    no_alarm_of_six_bits_is_lost::<3>();
}

fn no_alarm_is_lost_where_halves_end<const BITS: u32>() {
    let machine = wide::<BITS>();
    for start in starts::<BITS>(6) {
        for ahead in aheads::<BITS>(12) {
            an_alarm_rings_or_says_that_it_will_not(&machine, start, ahead, 4);
        }
    }
}

#[test]
fn an_alarm_is_never_lost_at_any_width() {
    no_alarm_is_lost_where_halves_end::<16>();
    no_alarm_is_lost_where_halves_end::<24>();
    no_alarm_is_lost_where_halves_end::<32>();
    no_alarm_is_lost_where_halves_end::<64>();
}

#[test]
fn the_clock_is_kept_through_more_halves_than_a_word_can_count() {
    let machine = six_bits::<1>();
    machine.driver.noted.store(u32::MAX - 41, Ordering::Relaxed);
    machine.driver.noted_rounds.store(3, Ordering::Relaxed);
    let mut last = machine.driver.now().get();
    let start = last;
    machine.model.compare.set((machine.model.time.get() / HALF + 1) * HALF % ROUND);
    let offset = start - machine.model.time.get();
    while machine.model.time.get() < 100 * HALF {
        machine.model.tick();
        let now = machine.driver.now().get();
        assert_eq!(now, machine.model.time.get() + offset);
        assert_eq!(now, last + 1);
        last = now;
        if machine.model.interrupts() {
            machine.handler();
        }
    }
}

#[test]
fn nothing_armed_is_two_interrupts_a_round() {
    let machine = six_bits::<1>();
    machine.handler();
    let mut interrupts = 0;
    for _ in 0..100 * ROUND {
        machine.model.tick();
        if machine.model.interrupts() {
            interrupts += 1;
            machine.handler();
        }
    }
    assert_eq!(interrupts, 200);
}

#[test]
fn before_it_is_started_the_time_is_zero_and_nothing_hangs() {
    let model: &Model<6, 1> = Box::leak(Box::default());
    let driver = CompareDriver::over(model);
    model.time.set(5);
    assert_eq!(driver.now(), Ticks::ZERO);
    assert_eq!(driver.arm(Ticks::new(1)), Armed::Pending);
    driver.start();
    assert!(model.pended.get(), "what was armed before gets its turn");
    assert_eq!(driver.now(), Ticks::new(5));
}

#[test]
fn a_counter_of_64_bits_rings_at_the_alarm_itself_and_not_on_the_way() {
    let Machine { model, driver } = wide::<64>();
    for (now, at) in
        [(0, 1), (5, 1 << 40), (u64::from(u32::MAX), 1 << 59), ((1 << 59) - 1, 1 << 59)]
    {
        model.time.set(now);
        assert_eq!(driver.now(), Ticks::new(now));
        assert_eq!(driver.arm(Ticks::new(at)), Armed::Pending);
        assert_eq!(model.compare.get(), at);
        assert_eq!(driver.arm(Ticks::new(now)), Armed::Elapsed);
    }
    model.time.set(u64::MAX);
    assert_eq!(driver.now(), Ticks::LAST, "a clock ends before never");
}

#[test]
fn a_second_start_does_nothing() {
    let machine = six_bits::<1>();
    machine.driver.start();
    assert_eq!(machine.model.starts.get(), 1);
    assert!(!machine.model.pended.get());
}

/// Waking a crowd that is due at once takes longer than half a round, and the clock has to be kept meanwhile.
#[test]
fn the_clock_is_kept_while_a_crowd_is_woken() {
    static TIME: AtomicU64 = AtomicU64::new(0);

    struct Narrow;

    impl Counter for Narrow {
        const TICK_HZ: u64 = 1_000_000;
        const BITS: u32 = 16;

        fn start(&self) {}

        fn count(&self) -> u64 {
            TIME.load(SeqCst) & 0xffff
        }

        fn set_compare(&self, _: u64) {}

        fn acknowledge(&self) {}

        fn pend(&self) {}
    }

    struct TakesItsTime;

    impl Wake for TakesItsTime {
        fn wake(self: Arc<Self>) {
            TIME.fetch_add(500, SeqCst);
        }
    }

    static TIMER: Timer<CompareDriver<Narrow>, 256> = Timer::new(CompareDriver::new(Narrow));
    let waker = Waker::from(Arc::new(TakesItsTime));
    TIMER.driver().start();
    let mut sleeps: Vec<_> = (0..256).map(|_| TIMER.sleep_until(Ticks::new(1_000))).collect();
    for sleep in &mut sleeps {
        assert!(Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    TIMER.on_alarm();
    TIME.store(1_000, SeqCst);
    TIMER.driver().acknowledge();
    TIMER.on_alarm();
    assert_eq!(TIME.load(SeqCst), 1_000 + 256 * 500, "all were woken");
    assert_eq!(TIMER.now().get(), TIME.load(SeqCst));
}
