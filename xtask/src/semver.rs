//! What the changes since a release mean for its users, by the rules of versions: `cargo semver-checks`, on
//! every published crate.
//!
//! For releases: `api` says before each commit that something has changed, this says whether programs that
//! are built today would still be built. The tool is not installed here, which takes many minutes.

use anyhow::{Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::{shell, tools, workspace};

const INSTALL: &str = "cargo install --locked cargo-semver-checks";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What is compared with: the tag of the last release, or any revision of this repository.
    #[arg(long, value_name = "REVISION")]
    baseline_rev: String,

    /// Only these crates.
    #[arg(long, short, value_name = "CRATE")]
    package: Vec<String>,
}

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let Arguments { baseline_rev, package: only } = arguments;
    let path = tools::search_path(sh);
    let version = cmd!(sh, "cargo semver-checks --version").env("PATH", &path);
    ensure!(
        version.quiet().ignore_stdout().ignore_stderr().run().is_ok(),
        "there is no cargo-semver-checks. `{INSTALL}` builds it, in some 13 minutes of a processor's time; \
         `{INSTALL} --root target/tools` does so for this repository alone; and programs that are \
         built already are at https://github.com/obi1kenobi/cargo-semver-checks/releases"
    );
    ensure!(
        has(sh, &format!("{baseline_rev}^{{commit}}")),
        "this repository has no revision {baseline_rev:?}"
    );
    let published = workspace::published(sh)?;
    if let Some(unknown) = only.iter().find(|name| !published.iter().any(|it| *it.name == **name)) {
        bail!("no crate {unknown:?} is published");
    }
    let mut breaks = Vec::new();
    for package in published.iter().filter(|it| only.is_empty() || only.contains(&it.name)) {
        let name = &**package.name;
        let manifest = package.manifest_path.strip_prefix(workspace::root())?;
        if !has(sh, &format!("{baseline_rev}:{manifest}")) {
            eprintln!("{name} is new since {baseline_rev}, and has nothing to keep");
            continue;
        }
        let check = cmd!(sh, "cargo semver-checks -p {name} --baseline-rev {baseline_rev}");
        if shell::run_with(&[("PATH", &path)], check).is_err() {
            breaks.push(name);
        }
    }
    ensure!(breaks.is_empty(), "since {baseline_rev}, see above: {}", breaks.join(", "));
    Ok(())
}

/// Whether git has that object.
fn has(sh: &Shell, object: &str) -> bool {
    cmd!(sh, "git cat-file -e {object}").quiet().ignore_stderr().run().is_ok()
}
