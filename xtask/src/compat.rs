//! The crates that stand in for somebody else's by `[patch]`, with the real crates that use them.
//!
//! Each is a workspace of its own: a patch reaches everything in a workspace, and the main one
//! compares the stand-ins with the originals.

use anyhow::{Result, ensure};
use cargo_metadata::Package;
use xshell::{Shell, cmd};

use crate::{cross, debian, shell, workspace};

const EMBASSY: &str = "compat/embassy-time-queue-utils";

/// Runs embassy's executor and timers on the queue, and the tests of the other stand-ins.
pub(crate) fn test(sh: &Shell, _: &[Package]) -> Result<()> {
    let _directory = sh.push_dir(EMBASSY);
    shell::run(cmd!(sh, "cargo fmt --all --check"))?;
    for features in ["", "generic-queue-8", "generic-queue-8,generic-queue-64", "integrated-timers"]
    {
        shell::run(cmd!(sh, "cargo clippy --all-targets --features {features} -- -D warnings"))?;
    }
    shell::run(cmd!(sh, "cargo test"))?;
    shell::run(cmd!(sh, "cargo test -p proof-std --features generic"))?;
    capacities(sh)?;
    futures_timer(sh)
}

/// The queue's capacity is set where it is compiled: by features, or by a variable, which comes first.
fn capacities(sh: &Shell) -> Result<()> {
    let test = ["test", "--test", "capacity", "--features"];
    let features = "generic-queue-8,generic-queue-16";
    shell::run(cmd!(sh, "cargo {test...} {features}"))?;
    const NAME: &str = "EMBASSY_TIME_QUEUE_CAPACITY";
    shell::run_with(&[(NAME, "200")], cmd!(sh, "cargo {test...} {features}"))?;
    for (wrong, complaint) in
        [("0", "a waker queue has 1 to 65535 entries"), ("many", "is not a number")]
    {
        let build = cmd!(sh, "cargo {test...} {features}").ignore_status();
        let said = shell::read_errors_with(&[(NAME, wrong)], build)?;
        ensure!(said.contains(complaint), "a capacity of {wrong} was not refused:\n{said}");
    }
    Ok(())
}

/// Its own tests; those of crates that use it are [`dependents`](crate::dependents).
fn futures_timer(sh: &Shell) -> Result<()> {
    let _directory = sh.push_dir(workspace::root().join("compat/futures-timer"));
    shell::run(cmd!(sh, "cargo fmt --all --check"))?;
    shell::run(cmd!(sh, "cargo clippy --all-targets --all-features -- -D warnings"))?;
    shell::run(cmd!(sh, "cargo test"))
}

/// The chips whose firmware is built: a Cortex-M0 with the entries in the tasks, and a larger one
/// with a capacity. (The latter has floating point too, and does without.)
const CHIPS: [(&str, &str); 2] =
    [("thumbv6m-none-eabi", "nrf51"), ("thumbv7m-none-eabi", "nrf52840,generic")];

/// Builds firmware on one of embassy's HALs.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    let has_targets = cross::rustup_has_targets(sh);
    let _directory = sh.push_dir(EMBASSY);
    for (target, features) in CHIPS {
        let arguments = ["-p", "proof-nrf", "--features", features];
        if has_targets {
            shell::run(cmd!(sh, "cargo build --release --target {target}").args(arguments))?;
        } else {
            debian::build_firmware(sh, target, "target/cross", &arguments)?;
        }
    }
    Ok(())
}
