//! The crates that stand in for somebody else's by `[patch]`, with the real crates that use them.
//!
//! Each is a workspace of its own: a patch reaches everything in a workspace, and the main one
//! compares the stand-ins with the originals.

use anyhow::Result;
use cargo_metadata::Package;
use xshell::{Shell, cmd};

use crate::shell;

const EMBASSY: &str = "compat/embassy-time-queue-utils";

/// Runs embassy's executor and timers on the queue.
pub(crate) fn test(sh: &Shell, _: &[Package]) -> Result<()> {
    let _directory = sh.push_dir(EMBASSY);
    shell::run(cmd!(sh, "cargo fmt --all --check"))?;
    for features in ["", "generic-queue-8", "generic-queue-8,generic-queue-64", "integrated-timers"]
    {
        shell::run(cmd!(sh, "cargo clippy --all-targets --features {features} -- -D warnings"))?;
    }
    shell::run(cmd!(sh, "cargo test"))?;
    shell::run(cmd!(sh, "cargo test -p proof-std --features generic"))
}
