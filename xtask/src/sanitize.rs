//! The tests under ThreadSanitizer, AddressSanitizer and LeakSanitizer.
//!
//! Tests that replace the allocator, forbid system calls, or take memory away from the program are
//! left out: those would be about the sanitizer. A race or a leak is an error; what is suppressed
//! is in `xtask/sanitizers`, with the reason.
//!
//! The compiler is a nightly one and its `std` is not instrumented. For the timer that matters
//! little, because it synchronises with atomics of its own, which are compiled with it.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::shell;
use crate::tools::{self, MIXED, NIGHTLY, TARGET};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the tests that have several threads.
    #[arg(long)]
    concurrent: bool,
    /// Only this sanitizer: thread, address or leak.
    #[arg(long)]
    only: Option<String>,
}

/// The tests with several threads.
const CONCURRENT: [&str; 4] = ["threads", "threadless", "executors", "rules"];

/// The others. `no_allocation` replaces the allocator, `no_system_call` forbids system calls,
/// `interrupted` protects memory and handles the faults, and `fork` forks a process with threads.
const ALONE: [&str; 3] = ["builder", "conformance_core", "programs"];

/// The sanitizers, and the options that each is given.
const SANITIZERS: [(&str, &str); 3] = [
    ("thread", "TSAN_OPTIONS"),
    ("address", "ASAN_OPTIONS"),
    ("leak", "LSAN_OPTIONS"),
];

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    ensure!(cfg!(all(target_os = "linux", target_arch = "x86_64")), "only done on x86-64 Linux");
    tools::nightly(sh)?;
    for (sanitizer, options) in SANITIZERS {
        if arguments.only.as_deref().is_none_or(|only| only == sanitizer) {
            tests(sh, sanitizer, options, arguments.concurrent)
                .with_context(|| format!("the {sanitizer} sanitizer has found something"))?;
        }
    }
    Ok(())
}

fn tests(sh: &Shell, sanitizer: &str, options: &str, concurrent: bool) -> Result<()> {
    let mut tests = vec!["conformance_std"];
    tests.extend(CONCURRENT);
    tests.extend(ALONE.iter().filter(|_| !concurrent));
    let tests = tests.iter().flat_map(|test| ["--test", test]);
    let unit_tests = ["-p", "moirai-timer-core", "-p", "moirai-timer-std", "--lib"];
    let flags = format!("-Zsanitizer={sanitizer} {MIXED}");
    // A directory for each: one would be built anew with every other's flags.
    let directory = format!("target/sanitize/{sanitizer}");
    let set: &[_] = &[("RUSTFLAGS", &flags), (options, "halt_on_error=1")];
    let test = cmd!(sh, "cargo {NIGHTLY} test --target {TARGET} --target-dir {directory}");
    let test = tools::outside(test).args(unit_tests).args(["-p", "moirai-timer-tests"]).args(tests);
    shell::run_with(set, test)
}
