//! Shows that the core, and what is built on it alone, builds where it is meant to run: no `std`, 32
//! bits, and on ARMv6-M no compare-and-swap; and that the std driver compiles on systems that are not
//! at hand.
//!
//! The targets come from rustup. Where it can fetch nothing, Debian's compiler builds `core` itself;
//! it has no `std` for other systems, which are left out then.

use std::path::Path;

use anyhow::{Result, ensure};
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
    "moirai-timer-ext/alloc,portable-atomic/critical-section",
];

/// Systems that the std driver is checked for, with what is built on it. One of each kind that its module
/// `sys` tells apart, Windows by either of its C libraries, and Linux on other processors.
const SYSTEMS: [&str; 8] = [
    "x86_64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
    "aarch64-linux-android",
    "aarch64-unknown-linux-gnu",
    "i686-unknown-linux-gnu",
    WASI,
];

/// There, the stand-in for futures-timer refuses to be built: it needs threads.
const WASI: &str = "wasm32-wasip1";

const STD: [&str; 3] = ["-p", "moirai-timer-std", "--all-features"];
/// And the driver without features.
const EXT: [&str; 2] = ["-p", "moirai-timer-ext"];
/// With its tests.
const WASM: [&str; 4] = ["-p", "moirai-timer-wasm", "--all-features", "--all-targets"];

/// Where the driver for browsers and Node runs; `cargo xtask wasm` runs it there.
pub(crate) const BROWSERS: &str = "wasm32-unknown-unknown";

/// A warning that only such a target can raise is an error as well.
const STRICT: Variables<'_> = &[("RUSTFLAGS", "-D warnings")];

pub(crate) fn build(sh: &Shell) -> Result<()> {
    if rustup_has(sh, &SYSTEMS) {
        for target in SYSTEMS {
            for crates in [&STD[..], &EXT[..]] {
                shell::run(cmd!(sh, "cargo clippy --target {target} {crates...} -- -D warnings"))?;
            }
            if target != WASI {
                let stand_in = "compat/futures-timer/Cargo.toml";
                let clippy = cmd!(sh, "cargo clippy --manifest-path {stand_in} --target {target}");
                shell::run(clippy.args(["--", "-D", "warnings"]))?;
            }
        }
    } else {
        eprintln!("LEFT OUT: rustup cannot provide {}", SYSTEMS.join(", "));
    }
    if rustup_has(sh, &[BROWSERS]) {
        for crates in [&WASM[..], &CORE[..]] {
            shell::run(cmd!(sh, "cargo clippy --target {BROWSERS} {crates...} -- -D warnings"))?;
        }
    } else {
        eprintln!("LEFT OUT: rustup cannot provide {BROWSERS}");
    }
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

/// Whether the toolchain in use has a `core` for every target of firmware, or has one after asking
/// rustup for it.
pub(crate) fn rustup_has_targets(sh: &Shell) -> bool {
    rustup_has(sh, &TARGETS)
}

/// Sees to it that the toolchain in use has a `std` for these targets.
pub(crate) fn need_targets(sh: &Shell, targets: &[&str]) -> Result<()> {
    let names = targets.join(" ");
    ensure!(rustup_has(sh, targets), "this needs `rustup target add {names}`");
    Ok(())
}

pub(crate) fn rustup_has(sh: &Shell, targets: &[&str]) -> bool {
    let mut missing = targets.to_vec();
    missing.retain(|target| !has_target(sh, target));
    missing.is_empty() || shell::run(cmd!(sh, "rustup target add {missing...}")).is_ok()
}

fn has_target(sh: &Shell, target: &str) -> bool {
    let query = cmd!(sh, "rustc --print target-libdir --target {target}");
    let directory = query.quiet().ignore_stderr().read();
    directory.is_ok_and(|directory| Path::new(&directory).is_dir())
}
