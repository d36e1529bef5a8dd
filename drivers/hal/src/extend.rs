//! 64 bits of time out of a counter that wraps: the half-period method, as pure functions.
//!
//! Somebody notes, twice in each round of the counter, that another half of it has passed. Whether
//! the latest half has been noted yet can be seen: the number of noted halves is even in the lower
//! half of the round and odd in the upper one, so if the counter's top bit says otherwise, one is
//! still to be noted. The time is therefore right until the *next* half has passed as well: whoever
//! notes them has half a round to do it.
//!
//! It stands here, and not in the core, because the engine counts in 64 bits and does not ask from
//! what, and because of all drivers only this one has a counter that wraps by itself.

/// The time, when `noted` halves were noted and a counter of `bits` bits stands at `count`.
#[inline]
pub(crate) const fn extend(noted: u64, count: u64, bits: u32) -> u64 {
    let half = bits - 1;
    (noted << half).wrapping_add(count ^ (noted & 1) << half)
}

/// Whether a half has passed that was not noted.
#[inline]
pub(crate) const fn is_due(noted: u64, count: u64, bits: u32) -> bool {
    (count >> (bits - 1) ^ noted) & 1 == 1
}

/// When the half ends in which `time` lies: the time by which somebody has to look again.
#[inline]
pub(crate) const fn end_of_half(time: u64, bits: u32) -> u64 {
    ((time >> (bits - 1)) + 1) << (bits - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_right_for_half_a_round_after_each_half_at_every_wrap() {
        for bits in 2..=10 {
            let half = 1u64 << (bits - 1);
            for time in 0..20 * half {
                let count = time & (2 * half - 1);
                // Noted in time, or half a round late.
                let passed = time / half;
                for noted in passed.saturating_sub(1)..=passed {
                    assert_eq!(extend(noted, count, bits), time, "{bits} bits, {noted} noted");
                    assert_eq!(is_due(noted, count, bits), noted < passed);
                }
                let end = end_of_half(time, bits);
                assert!(end > time && end - time <= half && end.is_multiple_of(half));
            }
        }
    }

    #[test]
    fn wide_counters_and_late_times_do_not_overflow() {
        for (bits, time) in [(32, (1u64 << 60) - 1), (16, 1 << 59), (24, (1 << 60) + 77)] {
            let count = time & ((1 << bits) - 1);
            assert_eq!(extend(time >> (bits - 1), count, bits), time);
        }
    }
}
