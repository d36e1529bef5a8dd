//! What the process holds: bytes by the allocator's account and by the system's, and threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator. The other methods come from these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Has all threads share two of the C library's heaps. With one each for threads that come and go,
/// the process would grow for half an hour, although nothing leaks.
pub(crate) fn share_heaps() {
    // SAFETY: changes a setting of the allocator's.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

/// Bytes that are allocated.
pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

/// Bytes of the process that are in memory.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says so");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    let kilobytes: usize =
        line.trim().trim_end_matches(" kB").parse().expect("it is a number of kB");
    kilobytes * 1024
}

/// Threads of the process.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux lists them").count()
}
