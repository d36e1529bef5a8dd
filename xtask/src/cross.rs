//! Shows that the core, and what is built on it alone, builds where it is meant to run: no `std`, 32
//! bits, and on ARMv6-M no compare-and-swap.
//!
//! The targets come from rustup. Where it can fetch nothing, Debian's compiler builds `core` itself.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::debian;
use crate::shell::{self, Variables};

/// Cortex-M0, Cortex-M3, and a 32-bit RISC-V.
pub(crate) const TARGETS: [&str; 3] =
    ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "riscv32imac-unknown-none-elf"];

const CORE: [&str; 7] = [
    "-p",
    "moirai-timer-core",
    "-p",
    "moirai-timer-ext",
    "--no-default-features",
    "--features",
    "moirai-timer-ext/alloc",
];

/// A warning that only such a target can raise is an error as well.
const STRICT: Variables<'_> = &[("RUSTFLAGS", "-D warnings")];

pub(crate) fn build(sh: &Shell) -> Result<()> {
    if rustup_has_targets(sh) {
        for target in TARGETS {
            let build = cmd!(sh, "cargo build --release --target {target} {CORE...}");
            shell::run_with(STRICT, build)?;
        }
    } else {
        eprintln!("rustup cannot provide the targets; falling back on Debian's packages");
        debian::install(sh)?;
        for target in TARGETS {
            debian::build(sh, target, &CORE, STRICT)?;
        }
    }
    Ok(())
}

/// Whether the toolchain in use has a `core` for every target, or has one after asking rustup for it.
pub(crate) fn rustup_has_targets(sh: &Shell) -> bool {
    let mut missing = TARGETS.to_vec();
    missing.retain(|target| !has_target(sh, target));
    missing.is_empty() || shell::run(cmd!(sh, "rustup target add {missing...}")).is_ok()
}

fn has_target(sh: &Shell, target: &str) -> bool {
    let query = cmd!(sh, "rustc --print target-libdir --target {target}");
    let directory = query.quiet().ignore_stderr().read();
    directory.is_ok_and(|directory| Path::new(&directory).is_dir())
}
