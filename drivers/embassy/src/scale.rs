//! From the ticks of one clock to those of another.

/// `value` counted at `from` hertz, in ticks at `to` hertz; saturates.
///
/// With rates that are constants, all but one of the ways are gone after compilation. Where the
/// rates are equal nothing is computed.
#[inline]
pub(crate) const fn down(value: u64, from: u64, to: u64) -> u64 {
    if to.is_multiple_of(from) {
        value.saturating_mul(to / from)
    } else if from.is_multiple_of(to) {
        value / (from / to)
    } else {
        saturate(value as u128 * to as u128 / from as u128)
    }
}

/// The same, rounded up.
#[inline]
pub(crate) const fn up(value: u64, from: u64, to: u64) -> u64 {
    if to.is_multiple_of(from) {
        value.saturating_mul(to / from)
    } else if from.is_multiple_of(to) {
        value.div_ceil(from / to)
    } else {
        saturate((value as u128 * to as u128).div_ceil(from as u128))
    }
}

const fn saturate(value: u128) -> u64 {
    if value > u64::MAX as u128 { u64::MAX } else { value as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_reached_when_the_rounded_tick_is() {
        for (clock, face) in
            [(7, 7), (25, 1), (1, 25), (25, 16), (16, 25), (32_768, 1_000_000), (1_000_000, 32_768)]
        {
            for at in (0..2_000).chain((1 << 45)..(1 << 45) + 2_000) {
                let tick = up(at, face, clock);
                assert!(down(tick, clock, face) >= at, "{at} of {face} Hz is early at {clock} Hz");
                assert!(tick == 0 || down(tick - 1, clock, face) < at, "{at} could be earlier");
            }
        }
    }

    #[test]
    fn the_end_of_time_saturates() {
        for (from, to) in [(1, 3), (3, 3), (2, 3)] {
            assert_eq!((up(u64::MAX, from, to), down(u64::MAX, from, to)), (u64::MAX, u64::MAX));
        }
        assert_eq!(down(u64::MAX, 3, 2), 12_297_829_382_473_034_410);
    }
}
