//! What a program may do. All numbers are valid: indices wrap around, times saturate.

use std::vec::Vec;

use arbitrary::Arbitrary;
use moirai_timer_core::Ticks;

/// A program: a clock that starts somewhere, and what is done then.
#[derive(Clone, Debug, Arbitrary)]
pub struct Program {
    /// Where the clock starts, seen from zero.
    pub start: Deadline,
    /// Whether the metrics are looked at after every step. That applies the commands that wait, so
    /// the other half of the programs is spared it.
    pub watched: bool,
    /// What is done.
    pub steps: Vec<Step>,
}

/// Where a deadline lies, seen from the present.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Deadline {
    /// So many ticks ago.
    Past(u8),
    /// Soon, or now.
    Near(u8),
    /// Later.
    Far(u16),
    /// Beside the beginning of a span of 2^`bits` ticks, `ahead` spans from the present one: where
    /// the levels and buckets of wheels begin and end.
    Edge {
        /// 0 to 59.
        bits: u8,
        /// How many spans ahead.
        ahead: u8,
        /// How many ticks beside it.
        beside: i8,
    },
    /// So many ticks before the last tick of the clock.
    Last(u8),
    /// Not at all.
    Never,
}

impl Deadline {
    /// The deadline, if the present is `now`.
    pub fn from(self, now: Ticks) -> Ticks {
        match self {
            Deadline::Past(ticks) => Ticks::new(now.get().saturating_sub(ticks.into())),
            Deadline::Near(ticks) => now.after(ticks.into()),
            Deadline::Far(ticks) => now.after(ticks.into()),
            Deadline::Edge { bits, ahead, beside } => {
                let bits = u32::from(bits) % 60;
                let span = u128::from(now.get() >> bits) + u128::from(ahead);
                let edge = u64::try_from(span << bits).unwrap_or(u64::MAX);
                Ticks::new(edge.saturating_add_signed(beside.into()))
            }
            Deadline::Last(ticks) => Ticks::new(Ticks::LAST.get() - u64::from(ticks)),
            Deadline::Never => Ticks::NEVER,
        }
    }
}

/// One step of a program.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Step {
    /// Does it now.
    Do(Action),
    /// The waker of this task does it, the next time that it is woken.
    WhenWoken(u8, Action),
    /// The waker of this task does it, the next time that one is dropped.
    WhenDropped(u8, Action),
    /// The waker of this task panics, the next time that it is woken.
    PanicWhenWoken(u8),
    /// The interrupt handler runs, if its interrupt is due.
    Interrupt,
    /// The clock moves to this point, if it is ahead, and nothing else happens.
    Advance(Deadline),
    /// The clock moves to the alarm, if one is set.
    AdvanceToAlarm,
}

/// What a program can do to a timer, also out of a waker. The first number is that of the *place*:
/// each has one future at most.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Action {
    /// Puts a sleep there, with a tolerance of so many ticks.
    Sleep(u8, Deadline, u8),
    /// Puts a sleep there that has its slot at once, if there is one.
    Reserve(u8, Deadline),
    /// Puts an interval there: its start, its period, and what it does about missed ticks.
    Interval(u8, Deadline, u16, u8),
    /// Puts a timeout there, over a future that is not ready.
    Timeout(u8, Deadline),
    /// The future of the timeout there becomes ready.
    Finish(u8),
    /// Polls what is there, for this task.
    Poll(u8, u8),
    /// Moves the deadline of what is there, or its next tick.
    Reset(u8, Deadline),
    /// Drops what is there.
    Drop(u8),
    /// Takes all slots that are left, and keeps them.
    Fill,
    /// Gives those slots back.
    Empty,
    /// Somebody turns.
    Turn,
    /// Somebody applies the commands that wait.
    Drain,
    /// Somebody looks at the metrics.
    Look,
    /// The timer is shut down.
    ShutDown,
}
