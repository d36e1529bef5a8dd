//! Everything that must hold before a commit, in the order in which a failure is cheapest.
//!
//! What concerns other targets is built and run beside the rest, by another process of this program,
//! in a target directory of its own: much of either is the work of one processor. The first failure in
//! either ends it. The last line says how long each step took, and what was left out.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cargo_metadata::Package;
use xshell::{Shell, cmd};

use crate::{
    api, bench_embedded, compat, cross, embedded, guide, model, sanitize, shell, soak, tools, wasm,
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the builds for other targets and the firmware, which may need packages that this
    /// machine lacks.
    #[arg(long)]
    host_only: bool,

    /// Begin with this step, after a failure there.
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
}

/// Where the process beside this one builds, and writes what it prints.
const BESIDE: &str = "target/beside";
const BESIDE_PRINTS: &str = "target/beside.txt";

/// What a step runs; it is given the crates that are published.
type Step = fn(&Shell, &[Package]) -> Result<()>;

const STEPS: &[(&str, Step)] = &[
    ("fmt", fmt),
    ("clippy", clippy),
    ("test", test),
    ("model", |sh, _| model::short(sh)),
    ("stand-ins", compat::test),
    ("doc", doc),
    ("api", api::compare),
    ("package", package),
    ("oldest compiler", oldest_compiler),
    ("smoke", smoke),
    ("sanitizers", |sh, _| sanitize::concurrent(sh)),
    ("soak", |sh, _| soak::short(sh)),
    // From here on in the process beside.
    (CROSS_BUILDS, |sh, _| cross::build(sh).and_then(|()| compat::build(sh))),
    ("firmware", firmware),
    ("wasm", wasm),
];

const CROSS_BUILDS: &str = "cross builds";

const FUZZ: &str = "fuzz/Cargo.toml";

/// A published crate carries no file above this: charts and recordings belong to the repository.
const LARGEST_PACKAGED_FILE: u64 = 100_000;

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let published = workspace::published(sh)?;
    let start = Instant::now();
    let mut summary = Vec::new();
    let first = match &arguments.from {
        Some(from) => STEPS.iter().position(|(name, _)| name == from).with_context(|| {
            let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
            format!("there is no step {from:?}, but {}", names.join(", "))
        })?,
        None => 0,
    };
    let beside = STEPS.iter().position(|(name, _)| *name == CROSS_BUILDS).context(CROSS_BUILDS)?;
    let mut steps = &STEPS[first..];
    let mut other = None;
    if first < beside {
        steps = &STEPS[first..beside];
        other = (!arguments.host_only).then(|| start_beside(sh)).transpose()?;
    }
    let mut result = Ok(());
    for &(name, step) in steps {
        eprintln!("\n== {name}");
        let step_start = Instant::now();
        result = step(sh, &published).context(name);
        summary.push(format!("{name} {:.1?}", step_start.elapsed()));
        if result.is_err() {
            break;
        }
    }
    if let Some(mut other) = other {
        let passed = other.wait()?.success();
        // What failed is what is read last.
        if result.is_ok() || !passed {
            eprintln!("\n== what was done beside");
            eprint!("{}", fs::read_to_string(workspace::root().join(BESIDE_PRINTS))?);
        }
        summary.push(format!("{CROSS_BUILDS} and what follows: beside, see {BESIDE_PRINTS}"));
        result = result.and_then(|()| {
            ensure!(passed, "what was done beside");
            Ok(())
        });
    } else if arguments.host_only {
        summary.push(format!("{CROSS_BUILDS} and what follows LEFT OUT, for --host-only"));
    }
    result.with_context(|| format!("test FAILED ({})", summary.join(", ")))?;
    let took = start.elapsed();
    eprintln!("\nxtask: test passed in {took:.1?} ({})", summary.join(", "));
    Ok(())
}

/// The steps from the cross builds on, in a process of their own.
fn start_beside(sh: &Shell) -> Result<Child> {
    let root = workspace::root();
    sh.create_dir(root.join("target"))?;
    let prints = File::create(root.join(BESIDE_PRINTS))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["test", "--from", CROSS_BUILDS]).env("CARGO_TARGET_DIR", root.join(BESIDE));
    command.stdout(prints.try_clone()?).stderr(prints);
    eprintln!("$ cargo xtask test --from '{CROSS_BUILDS}' > {BESIDE_PRINTS} 2>&1 &");
    command.spawn().context("the process beside this one")
}

/// The firmware, and whether it still is within its budget.
fn firmware(sh: &Shell, _: &[Package]) -> Result<()> {
    embedded::run(sh, &embedded::Arguments::default())?;
    bench_embedded::run(sh, false)
}

/// In Node.
fn wasm(sh: &Shell, _: &[Package]) -> Result<()> {
    if !cross::rustup_has(sh, &[cross::BROWSERS]) {
        eprintln!("LEFT OUT: rustup cannot provide {}", cross::BROWSERS);
        return Ok(());
    }
    wasm::run(sh, &wasm::Arguments::default())
}

fn fmt(sh: &Shell, _: &[Package]) -> Result<()> {
    shell::run(cmd!(sh, "cargo fmt --all --check"))?;
    shell::run(cmd!(sh, "cargo fmt --manifest-path {FUZZ} --check"))
}

fn clippy(sh: &Shell, published: &[Package]) -> Result<()> {
    shell::run(cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings"))?;
    // The fuzzer's library is in C++, which need not be compiled for a lint.
    let no_library = &[("CUSTOM_LIBFUZZER_PATH", "./none.a")];
    let fuzz = cmd!(sh, "cargo clippy --manifest-path {FUZZ} --target-dir target/fuzz-lint");
    shell::run_with(no_library, fuzz.args(["--", "-D", "warnings"]))?;
    for package in published {
        let name = &**package.name;
        for features in workspace::feature_sets(package) {
            shell::run(cmd!(sh, "cargo clippy -p {name} {features...} -- -D warnings"))?;
        }
    }
    Ok(())
}

/// Libraries, programs, tests, examples and doc tests; the benchmarks are `cargo xtask bench`.
fn test(sh: &Shell, _: &[Package]) -> Result<()> {
    shell::run(cmd!(sh, "cargo test --workspace"))?;
    // Features that no crate of the workspace asks for. (With `defmt`, nothing links here.)
    shell::run(cmd!(sh, "cargo test -p moirai-timer-core --features fugit,serde"))?;
    shell::run(cmd!(sh, "cargo test -p moirai-timer-hal --features nrf,cmsdk"))?;
    // The rest with all features; the workspace has been tested without, as it is shipped.
    let all = ["--all-features", "--features", "moirai-timer-std/test-util"];
    let crates = ["-p", "moirai-timer-std", "-p", "moirai-timer-ext"];
    let examples = ["-p", "moirai-timer-examples"];
    let suite = ["-p", "moirai-timer-tests"];
    shell::run(cmd!(
        sh,
        "cargo clippy {crates...} {examples...} {suite...} {all...} --all-targets -- -D warnings"
    ))?;
    shell::run(cmd!(sh, "cargo test {crates...} {all...}"))?;
    for test in
        ["virtual_clock", "snapshot", "traced", "no_thread", "clocks", "time_namespace", "fork"]
    {
        shell::run(cmd!(sh, "cargo test {suite...} {all...} --test {test}"))?;
    }
    shell::run(cmd!(sh, "cargo test {suite...} {all...} --doc"))
}

fn doc(sh: &Shell, published: &[Package]) -> Result<()> {
    let strict = &[("RUSTDOCFLAGS", "-D warnings")];
    shell::run_with(strict, cmd!(sh, "cargo doc --workspace --no-deps"))?;
    for package in published {
        let name = &**package.name;
        shell::run_with(strict, cmd!(sh, "cargo doc -p {name} --all-features --no-deps"))?;
    }
    guide::run(sh)
}

/// What a release would upload: the sources, and nothing that strayed into the directory.
fn package(sh: &Shell, published: &[Package]) -> Result<()> {
    for package in published {
        let name = &**package.name;
        ensure!(package.license.is_some(), "{name} names no licence");
        ensure!(package.description.is_some(), "{name} has no description");

        let list = shell::read(cmd!(sh, "cargo package --list --allow-dirty -p {name}"))?;
        let files: Vec<_> = list.lines().collect();
        for file in ["Cargo.toml", "src/lib.rs", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            ensure!(files.contains(&file), "{name} would lack {file}");
        }
        for file in files {
            let path = package.manifest_path.with_file_name(file);
            // Cargo adds files of its own making, which are not on the disk.
            let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
            let strayed = file.starts_with("target/") || bytes > LARGEST_PACKAGED_FILE;
            ensure!(!strayed, "{name} would hold {file}, of {bytes} bytes");
        }
    }
    Ok(())
}

/// The published crates, by the oldest compiler that they promise to be built by. Without the features
/// that ask for other crates, whose promises are theirs.
fn oldest_compiler(sh: &Shell, published: &[Package]) -> Result<()> {
    if !tools::has_rustup(sh) {
        eprintln!("left out: there is no rustup to ask for older compilers");
        return Ok(());
    }
    for package in published {
        let version = package.rust_version.as_ref().context("it promises none")?;
        let (name, toolchain) = (&**package.name, format!("+{version}"));
        tools::toolchain(sh, &version.to_string())?;
        let target = workspace::root().join("target/oldest");
        shell::run(tools::outside(cmd!(
            sh,
            "cargo {toolchain} check -p {name} --target-dir {target}"
        )))?;
    }
    Ok(())
}

/// The main job, the way the README has it, but short; and every example to its end.
fn smoke(sh: &Shell, _: &[Package]) -> Result<()> {
    shell::run(cmd!(sh, "cargo run --release -- --count 2000 --over 200ms --no-chart"))?;
    for example in sh.read_dir("examples-std/examples")? {
        let name = example.file_stem().and_then(|name| name.to_str()).context("it has no name")?;
        // Through a pipe: none of them is to think that somebody looks, and may press a key.
        let run = cmd!(sh, "cargo run -p moirai-timer-examples --all-features --example {name}");
        println!("{}", shell::read(run)?);
    }
    Ok(())
}
