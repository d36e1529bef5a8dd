//! Changes the core in hundreds of small ways, and sees whether the tests notice each.
//!
//! What is changed and which tests are run is in `.cargo/mutants.toml`. What survives is named in
//! docs/reliability.md. The whole takes an hour or two; `-- --file core/src/heap.rs` is one file.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{shell, tools};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Handed to `cargo mutants` as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Enough to notice what can be noticed: the whole suite has run before.
const PROGRAMS: (&str, &str) = ("PROPTEST_CASES", "300");

pub(crate) fn run(sh: &Shell, Arguments { arguments }: &Arguments) -> Result<()> {
    let path = tools::install(sh, "cargo-mutants")?;
    let command = cmd!(sh, "cargo mutants -p moirai-timer-core -o target/mutants {arguments...}");
    shell::run_with(&[("PATH", &path), PROGRAMS], command)
}
