//! Runs the comparison with the peers in the one setting in which its figures can be compared.
//!
//! tokio's timer of one wheel a worker is behind `--cfg tokio_unstable`. That flag reaches every
//! crate, so the build has a target directory of its own, and does not undo everybody else's.
//!
//! Or two builds of the same, without the std driver's features and with them, of our engine alone.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{bench_embedded, shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Instructions and bytes on a microcontroller instead, and whether they are within the budget.
    #[arg(long)]
    embedded: bool,
    /// With `--embedded`: makes what is measured the budget.
    #[arg(long, requires = "embedded")]
    write: bool,
    /// Our engine alone instead, with no features of the std driver and with all, in turn.
    #[arg(long, conflicts_with = "embedded")]
    features_compared: bool,
    /// Handed to the benchmark as they are; `-- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

const FLAGS: shell::Variables<'_> = &[("RUSTFLAGS", "--cfg tokio_unstable")];
const TARGET: &str = "target/bench";

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let Arguments { embedded, write, features_compared, arguments } = arguments;
    if *embedded {
        return bench_embedded::run(sh, *write);
    }
    if *features_compared {
        return compare_features(sh, arguments);
    }
    shell::run_with(
        FLAGS,
        cmd!(
            sh,
            "cargo run --release --target-dir {TARGET} -p moirai-timer-bench -- {arguments...}"
        ),
    )
}

/// Two builds, and the one without features runs both.
fn compare_features(sh: &Shell, arguments: &[String]) -> Result<()> {
    let published = workspace::published(sh)?;
    let std = published.iter().find(|package| *package.name == *"moirai-timer-std");
    let std = std.context("there is no moirai-timer-std")?;
    let features = std.features.keys().map(String::as_str).filter(|feature| *feature != "default");
    let features: Vec<_> = features.collect();
    let build = |name: &str, features: &str| -> Result<String> {
        let build = cmd!(
            sh,
            "cargo build --release --target-dir {TARGET} -p moirai-timer-bench --features {features}"
        );
        shell::run_with(FLAGS, build)?;
        let program = format!("{TARGET}/{name}");
        sh.copy_file(format!("{TARGET}/release/moirai-timer-bench"), &program)?;
        Ok(program)
    };
    let named = features.iter().map(|feature| format!("moirai-timer-std/{feature}"));
    let all = build("with-all-features", &named.collect::<Vec<_>>().join(","))?;
    let none = build("without-features", "")?;
    let features = features.join(", ");
    shell::run(cmd!(sh, "{none} --beside {all} --its-features {features} {arguments...}"))
}
