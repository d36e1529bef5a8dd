//! Checks the concurrent parts: interleavings of the engine's races by loom, and random schedules of
//! the std driver's threads by shuttle.
//!
//! Both put their own atomics in place of the machine's, by a `--cfg` that reaches every crate, so
//! each build has a target directory of its own.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::shell::{self, Variables};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out executions in which threads are stopped more than three times where they need not
    /// be: seconds instead of minutes.
    #[arg(long)]
    short: bool,

    /// How many random schedules to run, over all programs.
    #[arg(long, default_value_t = 100_000)]
    schedules: u64,

    /// Only the models and programs whose name contains this.
    filter: Option<String>,
}

/// Set by the user, it takes the place of ours.
const BOUND: &str = "LOOM_MAX_PREEMPTIONS";

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let Arguments { short, schedules, filter } = arguments;
    let filter = filter.as_deref();
    let mut loom = vec![("RUSTFLAGS", "--cfg loom")];
    if *short && sh.var(BOUND).is_err() {
        loom.push((BOUND, "3"));
    }
    // Of the unit tests of the core that are no models only these can run under loom: they have no atomics,
    // and this build's heap is that of a small machine.
    test(sh, &loom, "loom", "moirai-timer-core", "--lib", "heap::", filter)?;
    test(sh, &loom, "loom", "moirai-timer-core", "--lib", "models::", filter)?;
    test(sh, &loom, "loom", "moirai-timer-core", "--test=models", "", filter)?;

    let schedules = schedules.to_string();
    let shuttle = [("RUSTFLAGS", "--cfg shuttle"), ("SCHEDULES", &*schedules)];
    test(sh, &shuttle, "shuttle", "moirai-timer-std", "--lib", "schedules::", filter)
}

/// What `cargo xtask test` runs.
pub(crate) fn short(sh: &Shell) -> Result<()> {
    run(sh, &Arguments { short: true, schedules: 100_000, filter: None })
}

/// Each in a process of its own, as many at a time as there are processors: loom maps a stack for every
/// thread of every execution, and threads of one process wait for one another to do so (54 models on two
/// processors: 292 s in one process, 142 s in one each).
fn test(
    sh: &Shell,
    variables: Variables<'_>,
    directory: &str,
    package: &str,
    target: &str,
    module: &str,
    filter: Option<&str>,
) -> Result<()> {
    let directory = format!("target/{directory}");
    let of = ["--profile", "model", "--target-dir", &directory, "-p", package, target];
    let all = shell::read_with(variables, cmd!(sh, "cargo test {of...} -- {module} --list"))?;
    let names = all.lines().filter_map(|line| line.strip_suffix(": test"));
    let names: Vec<_> = names.filter(|name| name.contains(filter.unwrap_or_default())).collect();
    ensure!(filter.is_some() || !names.is_empty(), "{package} has no test in {module:?}");
    let next = AtomicUsize::new(0);
    let lane = |sh: &Shell| {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            shell::run_with(variables, cmd!(sh, "cargo test --quiet {of...} -- {name} --exact"))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let lanes = (0..thread::available_parallelism()?.get()).map(|_| {
            let (lane, sh) = (&lane, sh.clone());
            scope.spawn(move || lane(&sh))
        });
        let mut lanes = lanes.collect::<Vec<_>>().into_iter();
        lanes.try_for_each(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
