//! Points in time, as a driver counts them, and how durations become ticks.

use core::fmt;
use core::time::Duration;

/// A point in time: ticks of the driver's clock since the driver's own zero.
///
/// The latest deadline that can be waited for is [`Ticks::LAST`], 2^60 - 2 ticks: 36 years of
/// nanoseconds, 35,000 years of microseconds. Everything later is [`Ticks::NEVER`].
///
/// ```
/// # use moirai_timer_core::Ticks;
/// let start = Ticks::new(100);
/// assert_eq!(start.after(20).get(), 120);
/// assert_eq!(start.after(20).since(start), 20);
/// assert_eq!(start.since(start.after(20)), 0);
/// assert!(Ticks::LAST.after(1).is_never() && start.after(u64::MAX).is_never());
/// assert_eq!(Ticks::of_clock(u64::MAX), Ticks::LAST);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(u64);

impl Ticks {
    /// The driver's zero.
    pub const ZERO: Ticks = Ticks(0);
    /// Later than every clock: a timer that waits for it takes no slot and never fires.
    pub const NEVER: Ticks = Ticks((1 << 60) - 1);
    /// The latest deadline that is not [`NEVER`](Self::NEVER).
    pub const LAST: Ticks = Ticks(Self::NEVER.0 - 1);

    /// `ticks` after zero; [`NEVER`](Self::NEVER) if that is beyond [`LAST`](Self::LAST).
    pub const fn new(ticks: u64) -> Ticks {
        if ticks >= Self::NEVER.0 { Self::NEVER } else { Ticks(ticks) }
    }

    /// What a clock reads after so many ticks, [`LAST`](Self::LAST) at most: reading *never* would end
    /// the sleeps that wait for ever.
    pub const fn of_clock(ticks: u64) -> Ticks {
        if ticks > Self::LAST.0 { Self::LAST } else { Ticks(ticks) }
    }

    /// The number of ticks since zero.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is later than every clock.
    pub const fn is_never(self) -> bool {
        self.0 >= Self::NEVER.0
    }

    /// `ticks` later; [`NEVER`](Self::NEVER) on overflow.
    pub const fn after(self, ticks: u64) -> Ticks {
        Ticks::new(self.0.saturating_add(ticks))
    }

    /// How many ticks this is after `earlier`; 0 if it is not.
    pub const fn since(self, earlier: Ticks) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Counted back from [`NEVER`](Self::NEVER), which itself is zero then. What starts as *never*
    /// is kept so: a timer that is new is all zeros, and as a `static` takes no flash for its slots.
    #[inline]
    pub(crate) const fn mirrored(self) -> Ticks {
        Ticks(self.0 ^ Self::NEVER.0)
    }

    /// The latest point in `[self, self + tolerance]` that shares the most trailing zero bits.
    ///
    /// Timers that may be a little late meet at such points, without knowing of each other.
    #[inline]
    pub(crate) const fn coarsened(self, tolerance: u64) -> Ticks {
        if tolerance == 0 || self.0 == 0 || self.is_never() {
            return self;
        }
        let latest = self.after(tolerance);
        let latest = if latest.is_never() { Ticks::LAST } else { latest };
        // The highest bit in which the window's two ends differ: below it the window has every
        // value, so that bit's multiple lies inside.
        let differing = (self.0 - 1) ^ latest.0;
        let keep = 63 - differing.leading_zeros();
        Ticks(latest.0 >> keep << keep)
    }
}

impl fmt::Debug for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() { f.write_str("never") } else { write!(f, "{}t", self.0) }
    }
}

const NANOS: u64 = 1_000_000_000;

/// Whether a second's worth of nanoseconds, times the rate, fits into 64 bits. Division by 128 bits
/// takes a kilobyte of code on a small machine, and no such machine has a clock that needs it.
const fn is_slow(hz: u64) -> bool {
    hz < u64::MAX / NANOS
}

/// The ticks that `duration` takes on a clock of `hz`, rounded up; saturates.
#[inline]
pub(crate) const fn ticks_in(duration: Duration, hz: u64) -> u64 {
    let whole = duration.as_secs().saturating_mul(hz);
    let nanos = duration.subsec_nanos() as u64;
    let part = if is_slow(hz) {
        (nanos * hz).div_ceil(NANOS)
    } else {
        (nanos as u128 * hz as u128).div_ceil(NANOS as u128) as u64
    };
    whole.saturating_add(part)
}

/// The duration of `ticks` on a clock of `hz`, rounded down to a nanosecond.
#[inline]
pub(crate) const fn duration_of(ticks: u64, hz: u64) -> Duration {
    let part = ticks % hz;
    let nanos = if is_slow(hz) {
        part * NANOS / hz
    } else {
        (part as u128 * NANOS as u128 / hz as u128) as u64
    };
    Duration::new(ticks / hz, nanos as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_up_so_that_nothing_is_early() {
        assert_eq!(ticks_in(Duration::ZERO, 1000), 0);
        assert_eq!(ticks_in(Duration::from_nanos(1), 1000), 1);
        assert_eq!(ticks_in(Duration::from_millis(5), 1000), 5);
        assert_eq!(ticks_in(Duration::from_nanos(5_000_001), 1000), 6);
        assert_eq!(ticks_in(Duration::from_secs(1), 32_768), 32_768);
        assert_eq!(ticks_in(Duration::from_nanos(1), NANOS), 1);
        assert_eq!(ticks_in(Duration::new(1, 999_999_999), 3), 6);
        assert_eq!(ticks_in(Duration::from_nanos(1), u64::MAX), 18_446_744_074);
        assert_eq!(ticks_in(Duration::from_millis(500), u64::MAX), 1 << 63);
    }

    #[test]
    fn durations_beyond_the_clock_saturate_to_never() {
        assert_eq!(Ticks::ZERO.after(ticks_in(Duration::MAX, NANOS)), Ticks::NEVER);
        assert_eq!(Ticks::LAST.after(1), Ticks::NEVER);
        assert_eq!(Ticks::NEVER.after(u64::MAX), Ticks::NEVER);
        assert_eq!(Ticks::new(u64::MAX), Ticks::NEVER);
        assert!(!Ticks::LAST.is_never());
    }

    #[test]
    fn a_clock_ends_before_never() {
        for (count, shown) in
            [(0, 0), ((1 << 60) - 3, (1 << 60) - 3), ((1 << 60) - 2, (1 << 60) - 2)]
        {
            assert_eq!(Ticks::of_clock(count), Ticks::new(shown));
        }
        for beyond in [(1 << 60) - 1, 1 << 60, u64::MAX] {
            assert_eq!(Ticks::of_clock(beyond), Ticks::LAST);
        }
    }

    #[test]
    fn mirrored_never_is_zero_and_the_order_is_the_other_way_round() {
        assert_eq!(Ticks::NEVER.mirrored(), Ticks::ZERO);
        for pair in [0, 1, 77, 1 << 59, Ticks::LAST.get(), u64::MAX].map(Ticks::new).windows(2) {
            assert!(pair[0] < pair[1] && pair[0].mirrored() > pair[1].mirrored());
            assert_eq!(pair[0].mirrored().mirrored(), pair[0]);
        }
    }

    #[test]
    fn ten_years_of_nanoseconds_are_not_never() {
        assert!(!Ticks::ZERO.after(10 * 366 * 86_400 * NANOS).is_never());
    }

    #[test]
    fn ticks_become_the_duration_they_came_from() {
        for hz in [1, 3, 1000, 32_768, 10_000_000, NANOS] {
            for ticks in [0, 1, 2, hz - 1, hz, hz + 1, 1 << 40] {
                assert_eq!(ticks_in(duration_of(ticks, hz), hz), ticks, "{ticks} at {hz} Hz");
            }
        }
        // Where a tick is less than a nanosecond, it is what is left of it.
        assert_eq!(duration_of(30_000_000_001, 20_000_000_000), Duration::from_millis(1_500));
        assert_eq!(duration_of(u64::MAX / 2, u64::MAX), Duration::from_nanos(499_999_999));
    }

    #[test]
    fn a_coarsened_deadline_stays_in_its_window_and_is_the_roundest_there() {
        for at in 1..300u64 {
            for tolerance in 0..70u64 {
                let got = Ticks::new(at).coarsened(tolerance).get();
                assert!((at..=at + tolerance).contains(&got), "{at} + {tolerance} gave {got}");
                let roundest = (at..=at + tolerance).map(u64::trailing_zeros).max().unwrap();
                if tolerance > 0 {
                    assert_eq!(got.trailing_zeros(), roundest, "{at} + {tolerance} gave {got}");
                }
            }
        }
        assert_eq!(Ticks::ZERO.coarsened(5), Ticks::ZERO);
        assert_eq!(Ticks::NEVER.coarsened(5), Ticks::NEVER);
        assert_eq!(Ticks::LAST.coarsened(u64::MAX), Ticks::LAST);
        // A tolerance beyond the last tick ends there: it is not the same as none.
        assert_eq!(Ticks::new(5).coarsened(u64::MAX), Ticks::new(1 << 59));
        assert_eq!(Ticks::new((3 << 58) - 9).coarsened(u64::MAX), Ticks::new(3 << 58));
    }
}
