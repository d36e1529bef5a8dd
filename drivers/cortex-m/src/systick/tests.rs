//! The driver on a model of the timer, to the cycle of the processor.

use std::cell::Cell;

use super::*;
use crate::registers::in_time;

/// The timer after the architecture's manual, and how many cycles each access takes.
struct Model {
    /// Cycles of the processor in a count.
    cycles_a_count: u64,
    cycle: Cell<u64>,
    /// The cycle of an edge, from which all others are counted.
    edge: Cell<u64>,
    count: Cell<u32>,
    reload: Cell<u32>,
    flag: Cell<bool>,
    exception: Cell<bool>,
    restarts: Cell<u32>,
    /// Cycles for which the next restart waits for its instructions, and for those after the count is set.
    stall: Cell<u64>,
    stall_after: Cell<u64>,
}

impl Model {
    fn new(cycles_a_count: u64) -> Model {
        Model {
            cycles_a_count,
            cycle: Cell::new(0),
            edge: Cell::new(0),
            count: Cell::new(0),
            reload: Cell::new(0),
            flag: Cell::new(false),
            exception: Cell::new(false),
            restarts: Cell::new(0),
            stall: Cell::new(0),
            stall_after: Cell::new(0),
        }
    }

    fn run(&self, cycles: u64) {
        self.cycle.set(self.cycle.get() + cycles);
        let mut edges = (self.cycle.get() - self.edge.get()) / self.cycles_a_count;
        self.edge.set(self.edge.get() + edges * self.cycles_a_count);
        while edges > 0 {
            let count = self.count.get();
            if count == 0 {
                self.count.set(self.reload.get());
                edges -= 1;
                continue;
            }
            let steps = edges.min(count.into());
            edges -= steps;
            self.count.set(count - steps as u32);
            if self.count.get() == 0 {
                self.flag.set(true);
                self.exception.set(true);
            }
        }
    }

    fn set_to_zero(&self) {
        self.count.set(0);
        self.flag.set(false);
    }

    /// The steps of `registers::steps`, with the cycles that a Cortex-M0 takes for each.
    fn steps(&self, seen: u32, bias: u32, least: u32, clears: bool) -> (u32, u32) {
        let mut first = self.load();
        self.run(2);
        while first == seen {
            self.run(3);
            first = self.load();
            self.run(2);
        }
        self.run(1);
        if !in_time(first, seen, bias, least) {
            return (first, first);
        }
        self.run(3);
        self.reload.set(first.wrapping_add(bias) & (ROUND - 1));
        self.run(4);
        let then = self.count.get();
        if clears {
            self.set_to_zero();
            self.restarts.set(self.restarts.get() + 1);
            self.run(self.stall_after.take());
        }
        self.run(4);
        while self.load() == 0 {
            self.run(5);
        }
        self.run(3);
        self.reload.set(LONGEST);
        (first, then)
    }

    fn load(&self) -> u32 {
        self.count.get()
    }
}

impl Registers for &Model {
    fn start(&self, _: SystClkSource) {
        self.reload.set(LONGEST);
        self.set_to_zero();
        self.run(6);
    }

    fn count(&self) -> u32 {
        self.run(3);
        self.load()
    }

    fn take_flag(&self) -> bool {
        self.run(3);
        self.flag.replace(false)
    }

    fn restart(&self, seen: u32, bias: u32, least: u32) -> Option<u32> {
        self.run(self.stall.take());
        let (first, _) = self.steps(seen, bias, least, true);
        in_time(first, seen, bias, least).then(|| first.wrapping_add(bias))
    }

    fn rehearse(&self, seen: u32) -> u32 {
        let (first, then) = self.steps(seen, 0, 0, false);
        first - then
    }

    fn pend(&self) {
        self.exception.set(true);
    }
}

/// xorshift64 (Marsaglia 2003).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The cycle at which the clock was zero, from the state of both at this moment.
fn zero_of(clock: &Clock<&Model>, model: &Model) -> i64 {
    let end = critical_section::with(|section| clock.state.borrow(section).end.get());
    let now = end - u64::from(model.count.get());
    model.edge.get() as i64 - (now * model.cycles_a_count) as i64
}

/// Alarms, readings and late handlers at random until 10 million counts have passed. Gives by how
/// much the clock was wrong at worst, early and late, and the number of restarts.
fn ten_million_counts(model: &Model) -> (i64, i64, u32) {
    let clock = Clock::new(model);
    let source =
        if model.cycles_a_count == 1 { SystClkSource::Core } else { SystClkSource::External };
    clock.start(source);
    let zero = zero_of(&clock, model);
    let (mut worst_early, mut worst_late) = (0, 0);
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ model.cycles_a_count;
    let mut last = 0;
    while last < 10_000_000 {
        let before = model.cycle.get() as i64 - zero;
        let now = clock.now().get();
        let after = model.cycle.get() as i64 - zero;
        assert!(now >= last, "the clock went back from {last} to {now}");
        last = now;
        let count = model.cycles_a_count as i64;
        worst_early = worst_early.min(now as i64 - before / count);
        worst_late = worst_late.max(now as i64 - after / count);

        let at = now + 1 + random(&mut state) % 3_000;
        if clock.arm(Ticks::new(at)) == Armed::Pending {
            model.exception.set(false);
            while !model.exception.get() {
                model.run(1 + random(&mut state) % (50 * model.cycles_a_count));
                if random(&mut state).is_multiple_of(4) {
                    clock.now();
                }
                if random(&mut state).is_multiple_of(8) {
                    break;
                }
            }
            // The handler is kept waiting.
            model.run(random(&mut state) % (20_000 * model.cycles_a_count));
        }
    }
    (worst_early, worst_late, model.restarts.get())
}

#[test]
fn at_the_processors_clock_ten_million_counts_with_restarts_are_exact() {
    let model = Model::new(1);
    let (early, late, restarts) = ten_million_counts(&model);
    assert!(restarts > 900, "{restarts}");
    assert_eq!((early, late), (0, 0));
}

#[test]
fn at_a_reference_clock_they_are_exact_as_well() {
    for cycles in [16, 40, 1000] {
        let model = Model::new(cycles);
        let (early, late, restarts) = ten_million_counts(&model);
        assert!(restarts > 900, "{restarts}");
        assert_eq!((early, late), (0, 0), "{cycles}");
    }
}

#[test]
fn an_alarm_rings_at_its_count() {
    let model = Model::new(16);
    let clock = Clock::new(&model);
    clock.start(SystClkSource::External);
    for ahead in (0..600).chain([ROUND - 1, ROUND, ROUND + 1, 3 * ROUND].map(u64::from)) {
        let at = clock.now().after(ahead);
        loop {
            model.exception.set(false);
            let armed = clock.arm(at);
            if clock.now() >= at {
                break;
            }
            while armed == Armed::Pending && !model.exception.get() {
                model.run(16);
            }
            // A step here is a count, and looking at the clock takes some of the next.
            let late = clock.now().since(at);
            assert!(late <= 1, "late by {late}");
        }
    }
}

#[test]
fn a_handler_that_is_late_by_almost_a_round_loses_nothing() {
    let model = Model::new(1);
    let clock = Clock::new(&model);
    clock.start(SystClkSource::Core);
    let zero = zero_of(&clock, &model);
    for _ in 0..20 {
        let _ = clock.arm(clock.now().after(1_000));
        model.run(u64::from(ROUND) - 100);
        let before = model.cycle.get() as i64 - zero;
        let now = clock.now().get() as i64;
        let after = model.cycle.get() as i64 - zero;
        assert!((before..=after).contains(&now));
    }
}

#[test]
fn before_it_is_started_the_time_is_zero_and_nothing_hangs() {
    let model = Model::new(1);
    let clock = Clock::new(&model);
    assert_eq!(clock.now(), Ticks::ZERO);
    assert_eq!(clock.arm(Ticks::new(1)), Armed::Pending);
    clock.start(SystClkSource::Core);
    assert!(model.exception.get(), "what was armed before gets its turn");
    assert!(clock.now() < Ticks::new(200));
}

/// What a flash that is slow at first does to the instructions of a restart.
#[test]
fn a_restart_that_is_held_up_loses_no_time_and_rings_all_the_same() {
    for stall in (0..400).chain([999_500, 1_000_500, 10_000_000]) {
        let model = Model::new(1);
        let clock = Clock::new(&model);
        clock.start(SystClkSource::Core);
        let zero = zero_of(&clock, &model);
        // So that the stall comes before the end of a round, and after it.
        model.run(u64::from(ROUND) - 1_000_000);
        for ahead in [200, 300, 500] {
            let at = clock.now().after(ahead);
            model.exception.set(false);
            model.stall.set(stall);
            let armed = clock.arm(at);
            let before = model.cycle.get() as i64 - zero;
            let now = clock.now();
            let after = model.cycle.get() as i64 - zero;
            assert!((before..=after).contains(&(now.get() as i64)), "{stall}: {now:?}");
            if armed == Armed::Pending {
                assert!(now < at, "{stall}");
                model.run(at.since(now) + 5);
                assert!(model.exception.get(), "{stall}");
            }
        }
    }
}

/// What an interrupt does that a critical section lets through: until the alarm, and several times as long.
#[test]
fn a_restart_that_is_held_up_half_way_is_never_early_and_rings_all_the_same() {
    for ahead in [140, 200, 300, 500] {
        for stall in 0..5 * ahead {
            let model = Model::new(1);
            let clock = Clock::new(&model);
            clock.start(SystClkSource::Core);
            let zero = zero_of(&clock, &model);
            model.exception.set(false);
            let at = clock.now().after(ahead);
            model.stall_after.set(stall);
            assert_eq!(clock.arm(at), Armed::Pending);
            for pause in [0, ahead, ROUND.into()] {
                model.run(pause);
                let before = model.cycle.get() as i64 - zero;
                let now = clock.now().get() as i64;
                let after = model.cycle.get() as i64 - zero;
                // It goes on from less than the distance, as some has passed, and twice from that.
                let is_exact = stall < 2 * (ahead - 60);
                let least = if is_exact { before } else { before - stall as i64 };
                assert!((least..=after).contains(&now), "{ahead}, {stall}: {now}");
            }
            assert!(model.exception.get(), "{ahead}, {stall}");
        }
    }
}

#[test]
fn a_second_start_does_nothing() {
    let model = Model::new(1);
    let clock = Clock::new(&model);
    clock.start(SystClkSource::Core);
    model.run(5_000);
    let before = clock.now();
    clock.start(SystClkSource::External);
    assert!(clock.now() > before);
    let least = critical_section::with(|section| clock.state.borrow(section).least.get());
    assert_eq!(least, LEAST);
}

/// An interrupt amid a start.
#[test]
fn a_timer_that_is_being_started_is_one_that_has_not_been_started() {
    let model = Model::new(1);
    let clock = Clock::new(&model);
    critical_section::with(|section| clock.state.borrow(section).least.set(LEAST));
    clock.start(SystClkSource::Core);
    assert_eq!(clock.now(), Ticks::ZERO);
    assert_eq!(clock.arm(Ticks::new(5)), Armed::Pending);
    assert_eq!((model.cycle.get(), model.exception.get()), (0, false), "nothing was touched");
}
