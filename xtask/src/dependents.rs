//! The tests of crates that depend on `futures-timer`, and its own, with ours in its place.
//!
//! Their sources come from the registry, through cargo, and are tested in a copy. Nothing of theirs is
//! changed but which `futures-timer` they get, and cargo is asked whether they did get it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package};
use xshell::{Shell, cmd};

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this one.
    #[arg(long, value_name = "CRATE")]
    only: Option<String>,
}

const ORIGINAL: &str = "futures-timer";

/// A crate from the registry, and how its tests are run.
struct Dependent {
    name: &'static str,
    version: &'static str,
    arguments: &'static [&'static str],
}

const DEPENDENTS: [Dependent; 3] = [
    // What it has of its own, as the one to be replaced.
    Dependent { name: ORIGINAL, version: "3.0.4", arguments: &["--tests"] },
    // The rate limiter that most use: its futures, streams and sinks wait by it.
    Dependent { name: "governor", version: "0.10.4", arguments: &["--tests"] },
    // A pool of connections, whose every timeout is by it.
    Dependent { name: "mobc", version: "0.9.0", arguments: &["--tests"] },
];

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    if let Some(only) = &arguments.only {
        let names = DEPENDENTS.map(|dependent| dependent.name);
        ensure!(names.contains(&&**only), "there is no {only:?} on the list: {}", names.join(", "));
    }
    let place = workspace::root().join("target/dependents");
    let sources = sources(sh, &place.join("sources"))?;
    let mut passed = Vec::new();
    for dependent in &DEPENDENTS {
        let (name, version) = (dependent.name, dependent.version);
        if arguments.only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        eprintln!("\n== {name} {version}");
        let package = sources
            .iter()
            .find(|package| *package.name == name && package.version.to_string() == version)
            .with_context(|| format!("cargo has not fetched {name} {version}"))?;
        let copy = place.join(name);
        prepare(package, &copy)?;
        let _directory = sh.push_dir(&copy);
        // The version that their lock file names gives way to ours; if what ours needs is locked to
        // something older, all of it does.
        shell::run(cmd!(sh, "cargo update {ORIGINAL}"))?;
        if !has_ours(sh)? {
            shell::run(cmd!(sh, "cargo update"))?;
            ensure!(has_ours(sh)?, "{name} was not given our {ORIGINAL}");
        }
        let arguments = dependent.arguments;
        shell::run(cmd!(sh, "cargo test {arguments...}"))
            .with_context(|| format!("the tests of {name} {version} fail"))?;
        passed.push(format!("{name} {version}"));
    }
    eprintln!("\nxtask: passed with our {ORIGINAL}: {}", passed.join(", "));
    Ok(())
}

/// Whether the crate in this directory would be built with ours. Of older major versions there may be
/// others, by way of its dependencies.
fn has_ours(sh: &Shell) -> Result<bool> {
    let json = shell::read(cmd!(sh, "cargo metadata --all-features --format-version 1"))?;
    let resolved = MetadataCommand::parse(json)?.packages;
    let third = |package: &&Package| *package.name == ORIGINAL && package.version.major == 3;
    let sources: Vec<_> = resolved.iter().filter(third).map(|package| &package.source).collect();
    Ok(sources == [&None])
}

/// Has cargo fetch all of them.
fn sources(sh: &Shell, place: &Path) -> Result<Vec<Package>> {
    let mut manifest = String::from(
        "[package]\nname = \"sources\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n",
    );
    for Dependent { name, version, .. } in &DEPENDENTS {
        manifest += &format!("{name} = \"={version}\"\n");
    }
    fs::create_dir_all(place.join("src"))?;
    fs::write(place.join("Cargo.toml"), manifest)?;
    fs::write(place.join("src/lib.rs"), "")?;
    let _directory = sh.push_dir(place);
    let json = shell::read(cmd!(sh, "cargo metadata --format-version 1"))?;
    Ok(MetadataCommand::parse(json)?.packages)
}

/// A copy whose tests can be run with another `futures-timer`.
fn prepare(package: &Package, copy: &Path) -> Result<()> {
    let source = package.manifest_path.parent().context("a manifest is in a directory")?;
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    copy_tree(source.as_std_path(), copy)?;
    let manifest = copy.join("Cargo.toml");
    let text = if *package.name == ORIGINAL {
        // Its tests, and not the crate itself: they are to use ours.
        fs::remove_dir_all(copy.join("src"))?;
        fs::remove_file(copy.join("Cargo.lock"))?;
        fs::create_dir(copy.join("src"))?;
        fs::write(copy.join("src/lib.rs"), "")?;
        let version = &package.version;
        format!(
            "[package]\nname = \"tests-of-{ORIGINAL}\"\nedition = \"2021\"\n\n[dependencies]\n\
             {ORIGINAL} = \"={version}\"\n\n[dev-dependencies]\n\
             async-std = {{ version = \"1.13\", features = [\"attributes\"] }}\nfutures = \"0.3\"\n"
        )
    } else {
        fs::read_to_string(&manifest)?
    };
    // Not a member of the workspace around it.
    fs::write(manifest, text + "\n[workspace]\n")?;
    // What a user writes into the manifest may stand here as well.
    let ours = workspace::root().join("compat").join(ORIGINAL);
    let patch = format!("[patch.crates-io]\n{ORIGINAL} = {{ path = '{}' }}\n", ours.display());
    fs::create_dir_all(copy.join(".cargo"))?;
    fs::write(copy.join(".cargo/config.toml"), patch)?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
