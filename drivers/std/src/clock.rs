//! The engine's clock here: nanoseconds of the system's monotonic clock or, in tests, of a virtual
//! one.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use moirai_timer_core::Ticks;

#[cfg(feature = "test-util")]
use crate::sys::sync::Arc;
use crate::sys::sync::MutexGuard;
#[cfg(feature = "test-util")]
use crate::test::VirtualTime;
use crate::{fork, sys};

pub(crate) const NANOS: u64 = 1_000_000_000;

/// The clock that a timer goes by. Without the feature `test-util` there is one, and this takes no
/// room and no instruction.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    System,
    #[cfg(feature = "test-util")]
    Virtual(Arc<VirtualTime>),
}

impl Clock {
    /// The present.
    #[inline]
    pub(crate) fn now(&self) -> Ticks {
        match self {
            Clock::System => now(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => time.now(),
        }
    }

    /// Whether `at` is reached.
    #[inline]
    pub(crate) fn is_due(&self, at: Ticks) -> bool {
        match self {
            Clock::System => is_due(at),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => at <= time.now(),
        }
    }

    /// Whether it stands until it is moved by hand.
    pub(crate) fn is_virtual(&self) -> bool {
        !matches!(self, Clock::System)
    }

    /// On a virtual clock, keeps others out of the engine's exclusive section.
    pub(crate) fn alone(&self) -> Option<MutexGuard<'_, ()>> {
        match self {
            Clock::System => None,
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => Some(time.alone()),
        }
    }

    /// A deadline, as the programs have it, in ticks.
    #[inline]
    pub(crate) fn ticks_at(&self, instant: Instant) -> Ticks {
        match self {
            Clock::System => ticks_at(instant),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => time.ticks_at(instant),
        }
    }
}

static ZERO: OnceLock<Zero> = OnceLock::new();

#[inline]
fn zero() -> &'static Zero {
    ZERO.get().unwrap_or_else(find_zero)
}

#[cold]
fn find_zero() -> &'static Zero {
    fork::make(|| ZERO.get_or_init(Zero::find))
}

/// The instant at which the clock was zero.
struct Zero {
    instant: Instant,
    /// The same in the system's terms, if instants let us see these.
    system: Option<i64>,
}

impl Zero {
    /// Two clocks can't be read at once. The system's is read second here, so that this is a little
    /// too early and deadlines a little too late, by some tens of nanoseconds: the least of a few
    /// tries.
    fn find() -> Zero {
        let tries = (0..8).map(|_| {
            let before = Instant::now();
            let nanos = sys::now_nanos();
            (before.elapsed(), before - Duration::from_nanos(nanos))
        });
        let (_, instant) = tries.min_by_key(|(took, _)| *took).expect("there are eight");
        let zero = system_nanos(instant);
        let probes = [0, 1, NANOS - 1, NANOS, 7 * NANOS + 5, 86_400 * NANOS, 1 << 59];
        let seen = probes.iter().all(|&ahead| {
            system_nanos(instant + Duration::from_nanos(ahead)).checked_sub_unsigned(ahead)
                == Some(zero)
        });
        Zero { instant, system: seen.then_some(zero) }
    }
}

/// The fields of an instant, put together: nanoseconds since some zero of the system's.
///
/// The library offers the difference of two instants and nothing else, at the price of a call. But
/// instants can be hashed, and what they feed to the hasher is their seconds and nanoseconds. That
/// is nowhere promised, so it is tried out before it is relied on; see [`Zero::system`].
#[inline]
fn system_nanos(instant: Instant) -> i64 {
    let mut fields = Fields::default();
    instant.hash(&mut fields);
    fields.seconds.saturating_mul(NANOS as i64).saturating_add(fields.nanos.into())
}

#[derive(Default)]
struct Fields {
    seconds: i64,
    nanos: u32,
}

impl Hasher for Fields {
    #[inline]
    fn write_i64(&mut self, seconds: i64) {
        self.seconds = seconds;
    }

    #[inline]
    fn write_u64(&mut self, seconds: u64) {
        self.seconds = seconds.cast_signed();
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.nanos = nanos;
    }

    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}

#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(NANOS).saturating_add(duration.subsec_nanos() as u64)
}

/// The present, by the system's clock.
#[inline]
pub(crate) fn now() -> Ticks {
    Ticks::of_clock(sys::now_nanos())
}

/// Zero for what was before the clock's zero.
#[inline]
pub(crate) fn ticks_at(instant: Instant) -> Ticks {
    let zero = zero();
    Ticks::new(match zero.system {
        Some(zero) => system_nanos(instant).saturating_sub(zero).max(0).cast_unsigned(),
        None => nanos(instant.saturating_duration_since(zero.instant)),
    })
}

/// *Never* is 36 years after the clock's zero.
pub(crate) fn instant_at(ticks: Ticks) -> Instant {
    zero().instant + Duration::from_nanos(ticks.get())
}

/// Whether `at` is reached by the system's clock. What is far away is seen from a clock that is
/// cheap and lags a little.
#[inline]
fn is_due(at: Ticks) -> bool {
    at.get() <= sys::coarse_nanos() + sys::COARSE_LAG && at <= now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_way_to_ticks_and_back() {
        let now = Instant::now();
        for ahead in [0, 1, 999, NANOS, 10 * 365 * 86_400 * NANOS] {
            let at = now + Duration::from_nanos(ahead);
            assert_eq!(instant_at(ticks_at(at)), at);
        }
    }

    #[test]
    fn the_fields_of_an_instant_agree_with_the_librarys_subtraction() {
        let Zero { instant: zero, system } = *super::zero();
        // On systems where this is not so, the timer works, and conversions cost more.
        let system = system.expect("instants are seconds and nanoseconds here");
        let mut far = 1_u64;
        for _ in 0..10_000 {
            // Steele and Vigna's multiplier for linear congruential generators of 64 bits.
            far = far.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            let ahead = far >> (4 + far % 60);
            let instant = zero + Duration::from_nanos(ahead);
            assert_eq!(i128::from(system_nanos(instant)) - i128::from(system), ahead.into());
            assert_eq!(ticks_at(instant), Ticks::new(ahead));
        }
        assert_eq!(ticks_at(zero - Duration::from_secs(1)), Ticks::new(0));
        assert!(ticks_at(zero + Duration::from_secs(1 << 40)).is_never());
    }

    #[test]
    fn the_cheap_look_never_takes_the_past_for_the_future() {
        for back in [0, 1, 1_000, 1_000_000, sys::COARSE_LAG, NANOS] {
            assert!(is_due(Ticks::new(now().get().saturating_sub(back))));
        }
    }

    #[test]
    fn what_is_ahead_is_not_due() {
        for ahead in [600 * NANOS, 3_600 * NANOS, 1 << 59] {
            assert!(!is_due(now().after(ahead)));
        }
        assert!(!is_due(Ticks::NEVER));
    }
}
