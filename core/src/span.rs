//! Lengths of time, in the terms in which programs have them.

use core::time::Duration;

use crate::ticks::ticks_in;

/// A length of time that a timer can wait for.
///
/// [`core::time::Duration`] is one, a [`TickCount`] is one, and with the feature `fugit` its
/// durations of 32 and 64 bits are.
///
/// ```
/// # use moirai_timer_core::{ManualDriver, TickCount, Timer};
/// # use core::time::Duration;
/// # static TIMER: Timer<ManualDriver<1_000_000>, 8> = Timer::new(ManualDriver::new());
/// let a = TIMER.sleep(Duration::from_millis(2));
/// let b = TIMER.sleep(TickCount(2_000)); // of a microsecond each
/// assert_eq!(a.deadline(), b.deadline());
/// # #[cfg(feature = "fugit")] {
/// let c = TIMER.sleep(fugit::MillisDurationU32::from_ticks(2));
/// assert_eq!(a.deadline(), c.deadline());
/// # }
/// ```
pub trait Span {
    /// How many ticks of a clock of `hz` it takes, rounded up; saturates.
    fn in_ticks(self, hz: u64) -> u64;
}

/// So many ticks of whichever clock is asked to wait for them.
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
    fn scaled(count: u64, numerator: u64, denominator: u64) -> u64 {
        // What both have in common is gone at compile time, and often nothing is left to divide.
        let common = gcd(numerator, denominator);
        let (numerator, denominator) = (numerator / common, denominator / common);
        match count.checked_mul(numerator) {
            Some(product) => product.div_ceil(denominator),
            None => {
                let scaled = (count as u128 * numerator as u128).div_ceil(denominator as u128);
                u64::try_from(scaled).unwrap_or(u64::MAX)
            }
        }
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
                    scaled(self.as_ticks().into(), NOM.saturating_mul(hz), DENOM)
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
