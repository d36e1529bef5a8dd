//! Lengths of time, in the terms in which programs have them.

use core::time::Duration;

use crate::ticks::ticks_in;

/// A length of time that a timer can wait for.
///
/// [`core::time::Duration`] is one, a [`TickCount`] is one, and with the feature `fugit` its
/// durations of 32 and 64 bits are.
///
/// A timer takes any of them. What is asked of a sleep or an interval that is there already takes a
/// `Duration`, because the same types serve on std: there is nothing else there, and programs that
/// write `reset_after(setting.into())` leave it to the compiler to find that out, which it cannot if
/// there is a choice. Every other span is a point in time [from now](crate::Engine::after).
///
/// ```
/// # use moirai_timer_core::{ManualDriver, Span, TickCount, Timer};
/// # use core::time::Duration;
/// # static TIMER: Timer<ManualDriver<1_000_000>, 8> = Timer::new(ManualDriver::new());
/// assert_eq!(Duration::from_millis(2).in_ticks(1_000_000), 2_000);
/// let a = TIMER.sleep(Duration::from_millis(2));
/// let b = TIMER.sleep(TickCount(2_000)); // of a microsecond each
/// assert_eq!(a.deadline(), b.deadline());
/// # #[cfg(feature = "fugit")] {
/// let mut c = TIMER.sleep(fugit::MillisDurationU32::from_ticks(2));
/// assert_eq!(a.deadline(), c.deadline());
///
/// c.reset(TIMER.after(fugit::MillisDurationU32::from_ticks(5)));
/// assert_eq!(c.deadline().get(), 5_000);
/// # }
/// ```
pub trait Span {
    /// How many ticks of a clock of `hz` it takes, rounded up; saturates.
    fn in_ticks(self, hz: u64) -> u64;
}

/// So many ticks of whichever clock is asked to wait for them.
///
/// ```
/// # use moirai_timer_core::{Span, TickCount};
/// assert_eq!(TickCount(5).in_ticks(32_768), 5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TickCount(pub u64);

impl Span for TickCount {
    #[inline]
    fn in_ticks(self, _hz: u64) -> u64 {
        self.0
    }
}

impl Span for Duration {
    #[inline]
    fn in_ticks(self, hz: u64) -> u64 {
        ticks_in(self, hz)
    }
}

#[cfg(feature = "fugit")]
mod fugit {
    use super::Span;

    /// `count` times `numerator / denominator`, rounded up; saturates.
    #[inline]
    fn scaled(count: u64, numerator: u64, hz: u64, denominator: u64) -> u64 {
        // What they have in common is gone at compile time, and often nothing is left to divide.
        let (numerator, denominator) = reduced(numerator, denominator);
        let (hz, denominator) = reduced(hz, denominator);
        let Some(numerator) = numerator.checked_mul(hz) else {
            return beyond(count, numerator, hz, denominator);
        };
        match count.checked_mul(numerator) {
            Some(product) => product.div_ceil(denominator),
            None => {
                let scaled = (count as u128 * numerator as u128).div_ceil(denominator as u128);
                u64::try_from(scaled).unwrap_or(u64::MAX)
            }
        }
    }

    /// The same, for a ratio that is beyond a word. Divides before it multiplies what may overflow.
    #[cold]
    fn beyond(count: u64, numerator: u64, hz: u64, denominator: u64) -> u64 {
        let rate = numerator as u128 * hz as u128;
        let (count, denominator) = (count as u128, denominator as u128);
        let (whole, rest) = (rate / denominator, rate % denominator);
        // Both factors of the second product are below 2^64.
        let scaled =
            whole.saturating_mul(count).saturating_add((rest * count).div_ceil(denominator));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    const fn reduced(a: u64, b: u64) -> (u64, u64) {
        let common = gcd(a, b);
        (a / common, b / common)
    }

    const fn gcd(mut a: u64, mut b: u64) -> u64 {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    macro_rules! span {
        ($($integer:ty)*) => {$(
            impl<const NOM: u64, const DENOM: u64> Span for fugit::Duration<$integer, NOM, DENOM> {
                #[inline]
                fn in_ticks(self, hz: u64) -> u64 {
                    scaled(self.as_ticks().into(), NOM, hz, DENOM)
                }
            }
        )*};
    }

    span!(u32 u64);

    #[cfg(test)]
    mod tests {
        use super::*;
        use fugit::{Duration, MicrosDurationU64, MillisDurationU32, NanosDurationU64};

        #[test]
        fn they_round_up_and_saturate() {
            assert_eq!(Span::in_ticks(MillisDurationU32::from_ticks(5), 1_000_000), 5_000);
            assert_eq!(Span::in_ticks(MicrosDurationU64::from_ticks(1), 32_768), 1);
            assert_eq!(Span::in_ticks(MicrosDurationU64::from_ticks(1_000_000), 32_768), 32_768);
            assert_eq!(Span::in_ticks(Duration::<u32, 1, 32_768>::from_ticks(9), 32_768), 9);
            assert_eq!(Span::in_ticks(NanosDurationU64::from_ticks(u64::MAX), 1), 18_446_744_074);
            assert_eq!(Span::in_ticks(NanosDurationU64::from_ticks(u64::MAX), 3 << 30), u64::MAX);
            assert_eq!(Span::in_ticks(Duration::<u64, 60, 1>::from_ticks(u64::MAX), 1), u64::MAX);
        }

        #[test]
        fn a_ratio_that_is_beyond_a_word_with_the_clocks_rate_is_never_early() {
            // A second, and three fifths of one less a little.
            let second = Duration::<u64, { 1 << 60 }, { 1 << 60 }>::from_ticks(3);
            assert_eq!(Span::in_ticks(second, 1_000_000), 3_000_000);
            let odd = Duration::<u64, 999_999_999_999_999_989, { u64::MAX }>::from_ticks(1_000);
            let exact =
                (999_999_999_999_999_989_u128 * 1_000 * 1_000_003).div_ceil(u64::MAX.into());
            assert_eq!(u128::from(Span::in_ticks(odd, 1_000_003)), exact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_counted_as_they_are_and_durations_by_the_clock() {
        for (hz, ticks) in [(1, 1), (1_000, 3), (32_768, 99), (1_000_000, 3_000)] {
            assert_eq!(TickCount(7).in_ticks(hz), 7);
            assert_eq!(Duration::from_millis(3).in_ticks(hz), ticks);
        }
    }
}
