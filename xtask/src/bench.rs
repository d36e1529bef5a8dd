//! Runs the comparison with the peers in the one setting in which its figures can be compared.
//!
//! tokio's timer of one wheel a worker is behind `--cfg tokio_unstable`. That flag reaches every
//! crate, so the build has a target directory of its own, and does not undo everybody else's.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{bench_embedded, shell};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Instructions and bytes on a microcontroller instead, and whether they are within the budget.
    #[arg(long)]
    embedded: bool,
    /// With `--embedded`: makes what is measured the budget.
    #[arg(long, requires = "embedded")]
    write: bool,
    /// Handed to the benchmark as they are; `-- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(sh: &Shell, Arguments { embedded, write, arguments }: &Arguments) -> Result<()> {
    if *embedded {
        return bench_embedded::run(sh, *write);
    }
    shell::run_with(
        &[("RUSTFLAGS", "--cfg tokio_unstable")],
        cmd!(
            sh,
            "cargo run --release --target-dir target/bench -p moirai-timer-bench -- {arguments...}"
        ),
    )
}
