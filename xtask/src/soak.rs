//! Everything that a program may do to timers, at once and for a while; see `tests/examples/soak`.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long it lasts.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,

    /// What the random numbers start with; the threads' timing differs all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(sh: &Shell, Arguments { minutes, seed }: &Arguments) -> Result<()> {
    soak(sh, &["--release"], *minutes, *seed)
}

/// Half a minute of it, as it was built with the tests.
pub(crate) fn short(sh: &Shell) -> Result<()> {
    soak(sh, &[], 0.5, 1)
}

fn soak(sh: &Shell, profile: &[&str], minutes: f64, seed: u64) -> Result<()> {
    let (minutes, seed) = (minutes.to_string(), seed.to_string());
    let run = cmd!(sh, "cargo run {profile...} -p moirai-timer-tests --example soak");
    shell::run(run.args(["--", "--minutes", &minutes, "--seed", &seed]))
}
