//! Runs the comparison with the peers in the one setting in which its figures can be compared.
//!
//! tokio's timer of one wheel a worker is behind `--cfg tokio_unstable`. That flag reaches every
//! crate, so the build has a target directory of its own, and does not undo everybody else's.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Handed to the benchmark as they are; `-- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(sh: &Shell, Arguments { arguments }: &Arguments) -> Result<()> {
    shell::run_with(
        &[("RUSTFLAGS", "--cfg tokio_unstable")],
        cmd!(
            sh,
            "cargo run --release --target-dir target/bench -p moirai-timer-bench -- {arguments...}"
        ),
    )
}
