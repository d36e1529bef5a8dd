//! A process for each executor, so that none finds memory that another has left behind.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::options::Kind;
use crate::outcome::Outcome;

/// Runs this program again, with the same arguments, on one executor only.
///
/// It may draw its progress on our stderr. Its stdout is the outcome.
///
/// # Errors
/// If it cannot be started, or ends without an outcome.
pub(crate) fn run(kind: Kind) -> Result<Outcome> {
    let program = env::current_exe().context("cannot find this program")?;
    let output = Command::new(&program)
        .args(env::args_os().skip(1))
        .args(["--only", kind.name()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {program:?}"))?;
    if !output.status.success() {
        bail!("the run on {} ended with {}", kind.name(), output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the run on {} had no outcome", kind.name()))
}
