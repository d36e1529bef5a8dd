//! Linux and Android: the coarse clock, and the slack of timers.

#[cfg(feature = "clocks")]
mod clocks;

use std::ffi::CString;

#[cfg(feature = "clocks")]
pub(crate) use clocks::{ClockChanges, boot_time};

/// The coarse clock is behind the precise one by less than this. It advances with the kernel's
/// tick, every 1 to 10 ms; ten times the longest leaves room for a tick that is late, where a hypervisor
/// has taken away the processor that keeps the time. If it is later than that, a sleep that is due is woken
/// again and again until the clock has caught up.
pub(crate) const COARSE_LAG: u64 = 100_000_000;

/// Nanoseconds of the monotonic clock, the one that [`Instant`](std::time::Instant) shows.
#[inline]
pub(crate) fn now_nanos() -> u64 {
    nanos(libc::CLOCK_MONOTONIC)
}

/// The same, at most [`COARSE_LAG`] ago. A third of the cost, because it does not read the
/// hardware.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    nanos(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline]
fn nanos(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result. It cannot fail: every Linux that Rust
    // supports has both clocks.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Asks the kernel to wake this thread as near to its timeouts as it can. By default it may be
/// 50 us late, to save wake-ups (prctl(2), `PR_SET_TIMERSLACK`).
pub(crate) fn minimise_timer_slack() {
    // SAFETY: this option takes one number, which is valid. It cannot fail; if it did, timers
    // would be less precise.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Gives this thread a name, of which the first 15 bytes are kept.
pub(crate) fn name_thread(name: String) {
    let Ok(name) = CString::new(name) else { return };
    // SAFETY: this option takes a string, which is valid until the call returns.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// The processor that this runs on now, if that can be told. Some nanoseconds.
pub(crate) fn processor() -> Option<u32> {
    if cfg!(miri) {
        return None;
    }
    // SAFETY: this takes nothing, and fails with -1.
    u32::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// Whether [`populate`] does anything.
pub(crate) const POPULATES: bool = !cfg!(miri);

/// Has the kernel find memory for these pages now (madvise(2), `MADV_POPULATE_WRITE`, since Linux 5.14; before
/// that it does nothing).
pub(crate) fn populate(start: *mut u8, len: usize) {
    advise(start, len, libc::MADV_POPULATE_WRITE);
}

/// Has the kernel find memory a page of the usual size at a time, also if others are larger unasked: it may
/// take milliseconds to find one of those.
pub(crate) fn no_large_pages(start: *mut u8, len: usize) {
    advise(start, len, libc::MADV_NOHUGEPAGE);
}

fn advise(start: *mut u8, len: usize, advice: libc::c_int) {
    if cfg!(miri) {
        return;
    }
    // SAFETY: this asks for a number, which the system has.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let before = start.addr() % page;
    let (start, len) = (start.wrapping_sub(before), (before + len).next_multiple_of(page));
    // SAFETY: these pages are the caller's, at least in part, and what is in them stays.
    unsafe { libc::madvise(start.cast(), len, advice) };
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::ptr;

    const PAGES: usize = 256;

    /// How many pages of a fresh mapping are there, after it was asked for or was not.
    fn there(populates: bool) -> usize {
        let len = PAGES * 4_096;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mut pages = [0; PAGES];
        // SAFETY: the mapping is new, there is a byte for each page, and it is given back once.
        unsafe {
            let memory = libc::mmap(ptr::null_mut(), len, access, kind, -1, 0);
            assert_ne!(memory, libc::MAP_FAILED);
            if populates {
                populate(memory.cast(), len);
            }
            assert_eq!(libc::mincore(memory, len, pages.as_mut_ptr()), 0);
            assert_eq!(libc::munmap(memory, len), 0);
        }
        pages.iter().filter(|page| **page & 1 != 0).count()
    }

    #[test]
    fn memory_is_found_before_it_is_used() {
        // SAFETY: this asks about no memory at all.
        let knows = unsafe { libc::madvise(ptr::null_mut(), 0, libc::MADV_POPULATE_WRITE) } == 0;
        assert_eq!(there(false), 0);
        assert_eq!(there(true) > 0, knows);
    }
}
