//! What cargo says about the workspace, so that no list of crates or features is kept here.

use std::path::Path;

use anyhow::Result;
use cargo_metadata::{MetadataCommand, Package};
use xshell::{Shell, cmd};

use crate::shell;

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The crates of the workspace that are published: the ones that users build.
pub(crate) fn published(sh: &Shell) -> Result<Vec<Package>> {
    let json = shell::read(cmd!(sh, "cargo metadata --no-deps --format-version 1"))?;
    let mut packages = MetadataCommand::parse(json)?.packages;
    // An empty list of registries is how cargo says `publish = false`.
    packages.retain(|package| package.publish.as_deref() != Some(&[]));
    Ok(packages)
}

/// Every set of features that is worth a check of its own, as arguments of cargo: the default, none,
/// each one alone, and all of them.
pub(crate) fn feature_sets(package: &Package) -> Vec<Vec<&str>> {
    let mut sets = vec![vec![], vec!["--no-default-features"]];
    let mut features: Vec<_> = package.features.keys().collect();
    features.retain(|feature| *feature != "default");
    for feature in features {
        sets.push(vec!["--no-default-features", "--features", feature]);
    }
    sets.push(vec!["--all-features"]);
    sets
}
