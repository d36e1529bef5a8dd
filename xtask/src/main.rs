//! The chores of this repository, so that everybody and every machine runs the same ones.
//!
//! `cargo xtask <command>`, one file a command. Each prints what it runs, as one could type it.

mod api;
mod bench;
mod bench_embedded;
mod compat;
mod cross;
mod debian;
mod dependents;
mod embedded;
mod examples;
mod formats;
mod fuzz;
mod guide;
mod model;
mod mutants;
mod sanitize;
mod semver;
mod shell;
mod soak;
mod test;
mod tools;
mod wasm;
mod windows;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xshell::Shell;

/// The chores of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check everything that must hold before a commit: format, lints, tests, docs, packages, targets.
    Test(test::Arguments),
    /// Compare the public interfaces with the listings in docs/api, or write these anew.
    Api(api::Arguments),
    /// Tell what the changes since a release break, by the rules of versions: cargo-semver-checks.
    Semver(semver::Arguments),
    /// Measure against the peers, in one run.
    Bench(bench::Arguments),
    /// Look for programs that the model's oracle disagrees with, led by coverage.
    Fuzz(fuzz::Arguments),
    /// Run the tests under the thread, address and leak sanitizers.
    Sanitize(sanitize::Arguments),
    /// Change the core in small ways, and see whether the tests notice.
    Mutants(mutants::Arguments),
    /// Check every interleaving of the engine's races, and random schedules of the std driver.
    Model(model::Arguments),
    /// Do everything to timers at once, for as long as you like.
    Soak(soak::Arguments),
    /// Run the tests of crates that depend on futures-timer, with ours in its place.
    Dependents(dependents::Arguments),
    /// Run the tests of the driver for WebAssembly, in Node or a browser.
    Wasm(wasm::Arguments),
    /// Run the std driver's tests as Windows programs, in Wine. Installs it, 200 MB, if it is missing.
    Windows,
    /// Build the guide, and check the links of every page in the repository.
    Guide,
    /// Build the firmware, run it in QEMU, and check what it prints.
    Embedded(embedded::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace::root());
    match command {
        Command::Test(arguments) => test::run(&sh, arguments),
        Command::Api(arguments) => api::run(&sh, arguments),
        Command::Semver(arguments) => semver::run(&sh, arguments),
        Command::Bench(arguments) => bench::run(&sh, arguments),
        Command::Fuzz(arguments) => fuzz::run(&sh, arguments),
        Command::Sanitize(arguments) => sanitize::run(&sh, arguments),
        Command::Mutants(arguments) => mutants::run(&sh, arguments),
        Command::Model(arguments) => model::run(&sh, arguments),
        Command::Soak(arguments) => soak::run(&sh, arguments),
        Command::Dependents(arguments) => dependents::run(&sh, arguments),
        Command::Wasm(arguments) => wasm::run(&sh, arguments),
        Command::Windows => windows::run(&sh),
        Command::Guide => guide::run(&sh),
        Command::Embedded(arguments) => embedded::run(&sh, arguments),
    }
}
