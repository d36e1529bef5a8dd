//! The soak: everything that a program may do to timers, at once and for as long as one likes.
//!
//! ```sh
//! cargo xtask soak --minutes 30
//! ```
//!
//! Tasks on tokio, on smol and on bare threads sleep, cancel, move, tick, and time out, on timers
//! of every kind. Beside them wakers panic, or arm and drop timers themselves; threads come and
//! go, and so do timers; processes are forked; all processors are kept busy; and the whole process
//! is stopped for two seconds now and then.
//!
//! It goes in rounds. After each, every slot of every timer is claimed, which shows that none has
//! leaked, and memory and threads are counted. The global timer has no end of slots, and sleeps in it
//! outlast the rounds: at the end of the soak nothing may be armed there. What is early or lost ends
//! the soak at once.
//!
//! Somebody else has to stop a process, and to notice if it hangs: so there are two, the
//! supervisor, which this program is, and the worker, which it starts.

#[cfg(target_os = "linux")]
mod hazards;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod subjects;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod witness;
#[cfg(target_os = "linux")]
mod worker;

use clap::Parser;

/// The soak: everything that a program may do to timers, at once.
#[derive(Parser)]
struct Arguments {
    /// How long it lasts.
    #[arg(long, default_value_t = 0.5)]
    minutes: f64,

    /// What the random numbers start with. The threads' timing differs all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Do the work, instead of supervising it.
    #[arg(long, hide = true)]
    worker: bool,
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let Arguments { minutes, seed, worker } = Arguments::parse();
    let Ok(length) = std::time::Duration::try_from_secs_f64(minutes * 60.0) else {
        eprintln!("soak: {minutes} minutes can't be waited for");
        return std::process::ExitCode::FAILURE;
    };
    if worker {
        worker::run(length, seed);
        return std::process::ExitCode::SUCCESS;
    }
    match supervisor::run(length) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak FAILED: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    let Arguments { .. } = Arguments::parse();
    eprintln!("the soak stops and forks processes, and counts their threads, as Linux does it");
}
