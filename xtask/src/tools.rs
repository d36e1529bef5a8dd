//! Tools that cargo can install, and the nightly compiler that some of them need.
//!
//! They go under `target/tools`, so that nobody's own are replaced, and are built without optimisation
//! and without what a debugger needs: they run for seconds, building them takes minutes.

use std::path::Path;

use anyhow::{Context, Result, bail};
use xshell::{Cmd, Shell, cmd};

use crate::debian::OF_RUSTUP;
use crate::{shell, workspace};

/// What the nightly compiler is called, and the only platform that sanitizers are used on here.
pub(crate) const NIGHTLY: &str = "+nightly";
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Newer compilers refuse to link what a sanitizer has instrumented with a `std` that it has not.
/// Mixing them is fine where nothing is asked about the order of its locks and atomics: its allocator and
/// its calls of the C library are seen.
pub(crate) const MIXED: &str = "-Cunsafe-allow-abi-mismatch=sanitizer";

const NO_SYMBOLS: &[(&str, &str)] = &[("CARGO_PROFILE_DEV_DEBUG", "0")];

/// Installs `tool` unless it is there, and gives the search path that has it.
pub(crate) fn install(sh: &Shell, tool: &str) -> Result<String> {
    install_with(sh, tool, &[])
}

/// The same, with more arguments for `cargo install`.
pub(crate) fn install_with(sh: &Shell, tool: &str, arguments: &[&str]) -> Result<String> {
    let tools = workspace::root().join("target/tools");
    if !tools.join("bin").join(tool).exists() {
        eprintln!("Installing {tool} into {}", tools.display());
        let install = cmd!(sh, "cargo install --debug --locked --root {tools} {tool}");
        shell::run_with(NO_SYMBOLS, install.args(arguments))?;
    }
    Ok(search_path(sh))
}

/// The search path, with the tools of this repository first.
pub(crate) fn search_path(sh: &Shell) -> String {
    let tools = workspace::root().join("target/tools/bin");
    let path = sh.var("PATH").unwrap_or_default();
    format!("{}:{path}", tools.display())
}

/// Installs `package` unless its `program` is there in this version, and gives the search path that has it.
pub(crate) fn install_version(
    sh: &Shell,
    package: &str,
    program: &str,
    version: &str,
) -> Result<String> {
    let program = workspace::root().join("target/tools/bin").join(program);
    let found = cmd!(sh, "{program} --version").quiet().ignore_stderr().read();
    if !found.is_ok_and(|found| found.ends_with(&format!(" {version}"))) {
        let tools = workspace::root().join("target/tools");
        eprintln!("Installing {package} {version} into {}", tools.display());
        let which = format!("{package}@{version}");
        let install = cmd!(sh, "cargo install --debug --locked --force --root {tools} {which}");
        shell::run_with(NO_SYMBOLS, install)?;
    }
    Ok(search_path(sh))
}

/// Sees to it that there is a nightly compiler.
pub(crate) fn nightly(sh: &Shell) -> Result<()> {
    toolchain(sh, "nightly")
}

/// Sees to it that the nightly compiler can build `std` anew.
pub(crate) fn source_of_std(sh: &Shell) -> Result<()> {
    let root = outside(cmd!(sh, "rustc {NIGHTLY} --print sysroot")).quiet().read()?;
    if Path::new(&root).join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
        return Ok(());
    }
    shell::run(cmd!(sh, "rustup component add rust-src --toolchain nightly"))
}

/// Sees to it that there is a compiler of that name or number.
pub(crate) fn toolchain(sh: &Shell, name: &str) -> Result<()> {
    if succeeds(outside(cmd!(sh, "rustc +{name} --version"))) {
        return Ok(());
    }
    if !has_rustup(sh) {
        bail!("this needs the compiler {name:?}, and there is no rustup to ask for it");
    }
    eprintln!("Installing the compiler {name:?}");
    shell::run(cmd!(sh, "rustup toolchain install {name} --profile minimal"))
        .with_context(|| format!("this needs a compiler: `rustup toolchain install {name}`"))
}

pub(crate) fn has_rustup(sh: &Shell) -> bool {
    succeeds(cmd!(sh, "rustup --version"))
}

fn succeeds(command: Cmd<'_>) -> bool {
    command.quiet().ignore_stderr().ignore_stdout().run().is_ok()
}

/// The command, without what the cargo that runs this program has set to keep its toolchain.
pub(crate) fn outside(command: Cmd<'_>) -> Cmd<'_> {
    OF_RUSTUP.into_iter().fold(command, Cmd::env_remove)
}
