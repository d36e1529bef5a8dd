//! What this process has used of the machine, where the system tells.

use std::time::Duration;

/// Processor time of all threads so far, the kernel's part included.
#[cfg(unix)]
pub(crate) fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// Processor time of all threads so far; not known here.
#[cfg(not(unix))]
pub(crate) fn processor_time() -> Option<Duration> {
    None
}

/// Bytes of memory that the process has resident.
pub(crate) fn resident_memory() -> Option<usize> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem)
}
