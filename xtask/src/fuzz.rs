//! The model's programs, made by libFuzzer (`fuzz/`), which looks for those that reach new code.
//!
//! The programs that it starts from are kept in the repository: the fewest that together reach all
//! that was ever reached. What a run adds stays in `target/fuzz`; `--keep` puts it with the others.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::shell;
use crate::tools::{self, MIXED, NIGHTLY, TARGET};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long to look.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Adds what was found to the programs that are kept, and keeps the fewest that reach as much.
    #[arg(long)]
    keep: bool,
    /// Runs this program alone, which an earlier run has written.
    #[arg(long)]
    program: Option<String>,
}

/// Longer programs reach no more than this many bytes of short ones do, and take longer.
const LONGEST: &str = "-max_len=2048";

/// What counts is which code a program reaches, not how often.
const BY_CODE: &str = "-use_counters=0";

const KEPT: &str = "fuzz/corpus/programs";
const FOUND: &str = "target/fuzz/corpus";

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    tools::nightly(sh)?;
    let path = tools::install(sh, "cargo-fuzz")?;
    let set = &[("PATH", &*path), ("RUSTFLAGS", MIXED)];
    let fuzz = |what: &str| {
        let directory = ["--target-dir", "target/fuzz", "--target", TARGET];
        tools::outside(cmd!(sh, "cargo {NIGHTLY} fuzz {what} {directory...} programs"))
    };
    if let Some(program) = &arguments.program {
        return shell::run_with(set, fuzz("run").arg(program));
    }
    sh.create_dir(FOUND)?;
    let time = format!("-max_total_time={}", u64::from(arguments.minutes) * 60);
    let run = fuzz("run").args([FOUND, KEPT, "--", &time, LONGEST, "-print_final_stats=1"]);
    shell::run_with(set, run).context("the timer does not do what the oracle says")?;
    if arguments.keep {
        // Merging keeps what is there already, so it starts from nothing.
        let (kept, all) = (sh.current_dir().join(KEPT), sh.create_temp_dir()?);
        let merged = all.path().join("merged");
        sh.create_dir(&merged)?;
        let how = ["--", "-merge=1", BY_CODE, LONGEST];
        let merge = fuzz("run").arg(&merged).args([KEPT, FOUND]).args(how);
        shell::run_with(set, merge)?;
        sh.remove_path(&kept)?;
        sh.create_dir(&kept)?;
        for program in sh.read_dir(&merged)? {
            sh.copy_file(program, &kept)?;
        }
    }
    Ok(())
}
