//! Telling the processor what will be read soon.
//!
//! A million timers do not fit into a cache, and neither do their tasks. Asked for one at a time,
//! each is waited for; asked for together, they arrive together.

/// Whether this does anything: on machines with caches that can be told.
pub(crate) const PREFETCHES: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)));

/// Starts to bring the line at `address` into the cache. Any address will do, also one that is no
/// address at all: this reads nothing, and never faults.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and the instruction is a hint: it neither reads nor
        // faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        // SAFETY: as above, for PRFM.
        unsafe {
            core::arch::asm!(
                "prfm pldl1keep, [{}]",
                in(reg) address,
                options(nostack, readonly, preserves_flags)
            );
        }
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    let _ = address;
}
