//! The tests under ThreadSanitizer, AddressSanitizer and LeakSanitizer.
//!
//! Tests that replace the allocator, forbid system calls, or take memory away from the program are
//! left out: those would be about the sanitizer. A race or a leak is an error.
//!
//! The compiler is a nightly one. ThreadSanitizer has to see how std's locks and counts order what they
//! guard, or it reports races that are none, so `std` is built with it. For the others rustup's will do.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::shell;
use crate::tools::{self, MIXED, NIGHTLY, TARGET};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the tests that have several threads.
    #[arg(long)]
    concurrent: bool,
    /// Only this sanitizer.
    #[arg(long, value_parser = ["thread", "address", "leak"])]
    only: Option<String>,
}

/// The tests with several threads.
const CONCURRENT: [&str; 6] =
    ["conformance_std", "executors", "rules", "threadless", "threads", "virtual_time"];

/// The others. Left out are `no_allocation`, which replaces the allocator; `no_system_call`, which
/// forbids system calls; `interrupted`, which protects memory and handles the faults; `fork` and
/// `fork_amid_a_start`, which fork a process with threads, and `no_thread`, which takes memory from a
/// child; `time_namespace`, which starts itself elsewhere for what `clocks` does here; `blame` and
/// `reliability`, which read a message and a page. So are the tests of `moirai-timer-ext`, which forbids
/// unsafe code.
const ALONE: [&str; 6] =
    ["builder", "conformance_core", "edges", "embassy_queue", "printed", "programs"];

/// Those that need features, which everything else is tested without.
const FEATURED: [&str; 4] = ["clocks", "snapshot", "traced", "virtual_clock"];
const FEATURES: &str =
    "moirai-timer-tests/clocks,moirai-timer-tests/inside,moirai-timer-tests/test-util";

const THREAD: &str = "thread";
/// Looks for leaks as well, when the program ends.
const ADDRESS: &str = "address";
const LEAK: &str = "leak";

/// Does what they must report.
const CONTROL: &str = "xtask/sanitizers/control.rs";

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    for sanitizer in [THREAD, ADDRESS, LEAK] {
        if arguments.only.as_deref().is_none_or(|only| only == sanitizer) {
            tests(sh, sanitizer, arguments.concurrent)?;
        }
    }
    Ok(())
}

/// The short form: the tests with several threads, under two sanitizers that see what all three do.
pub(crate) fn concurrent(sh: &Shell) -> Result<()> {
    [THREAD, ADDRESS].into_iter().try_for_each(|sanitizer| tests(sh, sanitizer, true))
}

fn tests(sh: &Shell, sanitizer: &str, concurrent: bool) -> Result<()> {
    ensure!(cfg!(all(target_os = "linux", target_arch = "x86_64")), "only done on x86-64 Linux");
    tools::nightly(sh)?;
    let (mut flags, mut std) = (format!("-Zsanitizer={sanitizer}"), None);
    if sanitizer == THREAD {
        tools::source_of_std(sh)?;
        std = Some("-Zbuild-std");
    } else {
        flags = format!("{flags} {MIXED}");
    }
    // A directory for each, or each would undo the others' builds.
    let directory = format!("target/sanitize/{sanitizer}");
    control(sh, sanitizer, &directory)?;
    let test = |crates: &[&str], tests: &[&str], features: &[&str]| {
        let command = cmd!(sh, "cargo {NIGHTLY} test --target {TARGET} --target-dir {directory}");
        let command = command.args(std).arg("--lib").args(crates).args(features);
        let command = command.args(tests.iter().flat_map(|test| ["--test", test]));
        shell::run_with(&[("RUSTFLAGS", &flags)], tools::outside(command))
            .with_context(|| format!("the {sanitizer} sanitizer has found something"))
    };
    let (core, std, suite) = ("moirai-timer-core", "moirai-timer-std", "moirai-timer-tests");
    let all = ["-p", core, "-p", std, "-p", suite];
    if concurrent {
        return test(&all, &CONCURRENT, &[]);
    }
    test(&all, &[&CONCURRENT[..], &ALONE].concat(), &[])?;
    test(&["-p", std, "-p", suite], &FEATURED, &["--features", FEATURES])
}

/// Whether the sanitizer reports what it must.
fn control(sh: &Shell, sanitizer: &str, directory: &str) -> Result<()> {
    const SAYS: [(&str, &str); 3] =
        [(THREAD, "data race"), (ADDRESS, "heap-use-after-free"), (LEAK, "detected memory leaks")];
    sh.create_dir(directory)?;
    let program = sh.current_dir().join(directory).join("control");
    let build = cmd!(sh, "rustc {NIGHTLY} --edition=2024 --target {TARGET} -o {program}");
    let build = build.arg(format!("-Zsanitizer={sanitizer}")).args([MIXED, CONTROL]);
    shell::run(tools::outside(build))?;
    let run = tools::outside(cmd!(sh, "{program} {sanitizer}")).ignore_status();
    let said = shell::read_errors_with(&[], run)?;
    let wanted = SAYS.iter().find(|(name, _)| *name == sanitizer).map_or("", |(_, says)| says);
    ensure!(said.contains(wanted), "the {sanitizer} sanitizer did not report a {wanted}:\n{said}");
    Ok(())
}
