//! What this process has used of the machine so far. Where the system does not say, nobody knows.

use std::fs;
use std::thread;
use std::time::Duration;

/// The processor time of all threads, those that have ended included.
#[cfg(unix)]
pub fn cpu() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// The processor time of all threads, those that have ended included.
#[cfg(not(unix))]
pub fn cpu() -> Option<Duration> {
    None
}

/// The processor time that `work` takes, on any thread, with what it leaves to be done later.
pub fn cpu_of<T>(work: impl FnOnce() -> T) -> (T, Option<Duration>) {
    settle();
    let before = cpu();
    let result = work();
    settle();
    (result, cpu().zip(before).map(|(after, before)| after - before))
}

/// Waits until no thread has anything left to do, a second at most.
pub fn settle() {
    const LOOK: Duration = Duration::from_millis(10);
    /// To look costs some, too.
    const QUIET: Duration = Duration::from_micros(300);
    for _ in 0..100 {
        let before = cpu();
        thread::sleep(LOOK);
        if cpu().zip(before).is_none_or(|(after, before)| after - before < QUIET) {
            return;
        }
    }
}

/// Context switches of the threads that live, wanted and unwanted.
pub fn context_switches() -> Option<u64> {
    let switches = |status: String| -> u64 {
        let counts = status.lines().filter(|line| line.contains("ctxt_switches:"));
        counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    };
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    let statuses = threads.map(|thread| fs::read_to_string(thread.path().join("status")));
    Some(statuses.flatten().map(switches).sum())
}

/// Bytes of memory that are really there.
pub fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}
