//! Runs the tests of the driver for WebAssembly, in Node, and if asked for in Chromium.
//!
//! `wasm-bindgen`'s test runner has to be of the very version of the library that `Cargo.lock` has.

use std::fs;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{cross, debian, shell, tools, workspace};

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Also in Chromium, in a page and in a worker. Installs Debian's if there is no chromedriver.
    #[arg(long)]
    browser: bool,
}

const TARGET: &str = cross::BROWSERS;
const PACKAGE: &str = "moirai-timer-wasm";

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    cross::need_targets(sh, &[TARGET])?;
    debian::install_programs(sh, &[("node", "nodejs")])?;
    let version = locked_version("wasm-bindgen")?;
    let path = tools::install_version(sh, "wasm-bindgen-cli", "wasm-bindgen", &version)?;

    let package = ["--target", TARGET, "-p", PACKAGE, "--all-features"];
    shell::run(cmd!(sh, "cargo clippy {package...} --all-targets -- -D warnings"))?;
    let runner = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER";
    let in_node = [("PATH", &*path), (runner, "wasm-bindgen-test-runner")];
    shell::run_with(&in_node, cmd!(sh, "cargo test {package...} --tests"))?;
    if !arguments.browser {
        return Ok(());
    }
    debian::install_programs(sh, &[("chromedriver", "chromium-driver")])?;
    for place in ["WASM_BINDGEN_USE_BROWSER", "WASM_BINDGEN_USE_DEDICATED_WORKER"] {
        let variables = [&in_node[..], &[("CHROMEDRIVER", "chromedriver"), (place, "1")]].concat();
        shell::run_with(&variables, cmd!(sh, "cargo test {package...} --test event_loop"))?;
    }
    Ok(())
}

/// The version of `package` in the lock file.
fn locked_version(package: &str) -> Result<String> {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let entry = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&entry).with_context(|| format!("{package} is not locked"))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}
