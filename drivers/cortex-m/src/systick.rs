//! The driver for SysTick.
//!
//! # A clock and an alarm in one counter
//!
//! SysTick counts down 24 bits and raises its exception at zero. It has no compare register: an
//! alarm is set by restarting it with the distance. The driver notes one number, the time at which
//! the count will be zero; the present is that, less the count. When the count has gone through
//! zero, it goes on from the longest value that there is, so the exception's handler may come late
//! by as much as 2^24 counts, and no time is lost.
//!
//! # Why restarts do not make it drift
//!
//! * Nothing is restarted that need not be. Time that passes zero by itself is exact. Only an alarm
//!   that comes before the next zero takes a restart.
//! * A restart waits until the count changes, then reads it and sets it in a few instructions of
//!   assembler, with interrupts masked. So it happens always at the same distance from an edge of
//!   the clock, and that distance in counts is known: it is rehearsed in
//!   [`start`](SysTick::start), by the same instructions with a load in the place of the store that sets it.
//! * Counters that run at the processor's clock have no fractions of a count. Those that run from a
//!   reference, slower by a factor of 16 at least, keep its edges, whenever they are set. (With one
//!   that is less slow, whether an edge falls into those instructions is left to chance: take the
//!   processor's clock.) QEMU's model begins a *new* count when it is set, and loses a part of one.
//!
//! * A restart whose instructions come late, from a flash that is slow at first, finds that the count
//!   it reads is too near the alarm, and changes nothing; the handler turns again. One that is held up
//!   half-way until the alarm, by an interrupt that the program's critical sections let through, sees
//!   that it was. Held up between the reading of the count and its setting, it makes the clock late by that.
//!
//! # Who accounts for a zero
//!
//! Whoever reads the clock first. The flag that says so is cleared by reading it, so reading the
//! clock is a critical section of a few instructions, and gives the same at every priority. A
//! debugger that reads the control register takes the flag away.

use core::cell::Cell;

use cortex_m::peripheral::syst::SystClkSource;
use critical_section::Mutex;
use moirai_timer_core::{Armed, Driver, Ticks};

use crate::registers::{LONGEST, Processors, Registers};

/// From zero to zero, if nobody restarts it.
const ROUND: u32 = LONGEST + 1;

/// How many counts there have to be left for a restart to be done in time; with fewer, the handler
/// turns until the alarm is due. Of the processor's clock it takes some fifty.
const LEAST: u32 = 128;
/// The same, for a reference clock, which is slower than that of the processor.
const LEAST_OF_REFERENCE: u32 = 16;

/// SysTick, counting `HZ` times a second.
///
/// # Interrupts
///
/// One for each alarm, one for each registration that is earlier than the alarm, one for each 2^24
/// counts since the last alarm, which keeps the time.
///
/// The exception's handler must not be kept waiting for 2^24 counts, 0.1 s at 168 MHz. It may have any
/// priority. The clock may be read at any other, and where interrupts are masked.
///
/// Setting an alarm masks interrupts for 25 instructions, 39 on a Cortex-M0, if a count takes about as long as
/// one: two edges of the clock are waited for, so a slower clock adds up to two of its counts.
///
/// # Before it is started
///
/// The time is 0, and stands still. Sleeps can be armed; they fire once it runs.
#[derive(Debug)]
pub struct SysTick<const HZ: u64> {
    clock: Clock<Processors>,
}

impl<const HZ: u64> SysTick<HZ> {
    /// The driver, for a timer that nobody else uses.
    ///
    /// Fails to compile if `HZ` is 0:
    ///
    /// ```compile_fail,E0080
    /// use moirai_timer_cortex_m::SysTick;
    /// // SAFETY: nobody else uses it.
    /// static DRIVER: SysTick<0> = unsafe { SysTick::take() };
    /// ```
    ///
    /// # Safety
    /// Nobody else uses SysTick, and the timer, its clock included, is used on one core only: each core has a
    /// SysTick of its own.
    pub const unsafe fn take() -> Self {
        const { assert!(HZ > 0, "a clock has at least one tick a second") };
        SysTick { clock: Clock::new(Processors(())) }
    }

    /// Starts the timer, and asks for a turn, for what was armed before. A second call does nothing.
    ///
    /// To be called when the clock is what it is going to be, and the flash's wait states are, too: how long a
    /// restart takes is measured here. Waits for the first count, for ever if the source does not run.
    ///
    /// A reference clock, [`SystClkSource::External`], has to be slower than the processor's by a
    /// factor of 16 at least, or the clock drifts. That of many STM32 is an eighth of it: take
    /// [`SystClkSource::Core`] there.
    ///
    /// Masks interrupts for some 30 instructions and up to two counts of the clock, twice.
    pub fn start(&self, source: SystClkSource) {
        self.clock.start(source);
    }
}

impl<const HZ: u64> Driver for SysTick<HZ> {
    const TICK_HZ: u64 = HZ;

    fn now(&self) -> Ticks {
        self.clock.now()
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.clock.arm(at)
    }

    fn disarm(&self) {
        // The timer goes on to its next zero, which has to be accounted for if it has passed.
        self.clock.now();
    }

    fn pend(&self) {
        self.clock.registers.pend();
    }
}

/// What the clock says.
#[cfg(feature = "defmt")]
impl<const HZ: u64> defmt::Format for SysTick<HZ> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "SysTick(now {})", self.now());
    }
}

#[derive(Debug)]
struct State {
    /// When the count will be zero. Zero itself: the timer was not started.
    end: Cell<u64>,
    /// Counts from the reading of the count to when it goes on from the reload value, in a restart. Zero: it
    /// was not rehearsed.
    takes: Cell<u32>,
    /// How near an alarm may be. Zero: nobody has begun to start the timer.
    least: Cell<u32>,
}

#[derive(Debug)]
struct Clock<R> {
    registers: R,
    state: Mutex<State>,
}

impl<R: Registers> Clock<R> {
    const fn new(registers: R) -> Self {
        // All zeros, so that a `static` is in `.bss`.
        let state = State { end: Cell::new(0), takes: Cell::new(0), least: Cell::new(0) };
        Clock { registers, state: Mutex::new(state) }
    }

    /// In several sections, so that interrupts are not off for all of it. Who comes in between finds a timer
    /// that has not been started.
    fn start(&self, source: SystClkSource) {
        let least = if source == SystClkSource::Core { LEAST } else { LEAST_OF_REFERENCE };
        let before = critical_section::with(|section| {
            let place = &self.state.borrow(section).least;
            let before = place.get();
            place.set(if before == 0 { least } else { before });
            before
        });
        if before != 0 {
            return;
        }
        let registers = &self.registers;
        registers.start(source);
        while registers.count() == 0 {}
        // Once for the caches, then for the answer.
        while !critical_section::with(|section| {
            let state = self.state.borrow(section);
            let takes = registers.rehearse(registers.count()) + 1;
            let is_second = state.takes.replace(takes) != 0;
            state.end.set(if is_second { ROUND.into() } else { 0 });
            is_second
        }) {}
        registers.pend();
    }

    /// The present, and how many counts are left.
    #[inline]
    fn read(&self, state: &State) -> (u64, u32) {
        let (mut end, mut count) = (state.end.get(), self.registers.count());
        if self.registers.take_flag() {
            end += u64::from(ROUND);
            state.end.set(end);
            count = self.registers.count();
        }
        // Zero is where a round begins.
        let left = if count == 0 { ROUND } else { count };
        (end - u64::from(left), left)
    }

    fn now(&self) -> Ticks {
        critical_section::with(|section| {
            let state = self.state.borrow(section);
            if state.end.get() == 0 {
                return Ticks::ZERO;
            }
            Ticks::of_clock(self.read(state).0)
        })
    }

    fn arm(&self, at: Ticks) -> Armed {
        critical_section::with(|section| {
            let state = self.state.borrow(section);
            if state.end.get() == 0 {
                // No time passes yet. `start` asks for a turn.
                return Armed::Pending;
            }
            let (now, left) = self.read(state);
            let is_near = at.get() < now + u64::from(state.least.get());
            let elapsed = is_near || at.get() < state.end.get() && !self.restart(state, at, left);
            if elapsed { Armed::Elapsed } else { Armed::Pending }
        })
    }

    /// Makes the next zero be at `at`, or changes nothing and gives false, if that is too near by now.
    #[inline]
    fn restart(&self, state: &State, at: Ticks, left: u32) -> bool {
        // The present is `end` less the count; `takes` later the count is the reload value, and that is how far
        // the next zero is.
        let ahead = (at.get() as u32).wrapping_sub(state.end.get() as u32);
        let bias = ahead.wrapping_sub(state.takes.get());
        // Half of them are for what follows.
        let Some(short) = self.registers.restart(left % ROUND, bias, state.least.get() / 2) else {
            return false;
        };
        let mut end = at.get();
        if self.registers.take_flag() {
            end += u64::from(self.has_gone_on(short));
        }
        state.end.set(end);
        true
    }

    /// After a restart that was held up until its alarm: how many counts there are from there to the next zero.
    /// The count has gone on from `short` once more, if the reload value was not set back yet. If it was held
    /// up until the zero after that, too, the clock is late by that.
    #[cold]
    fn has_gone_on(&self, short: u32) -> u32 {
        // Zero is where a round begins.
        if (1..=short).contains(&self.registers.count()) {
            return short + 1;
        }
        self.registers.take_flag();
        ROUND
    }
}

#[cfg(test)]
mod tests;
