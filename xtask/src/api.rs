//! The public interface of each published crate, as a listing that is kept and reviewed: `docs/api`.
//!
//! A change of what users can name or call shows in the diff of the commit that makes it, or fails the
//! comparison. The listings have every item, and every trait that a type implements, `Send` and `Sync`
//! included, with all features on.
//!
//! They are made of what rustdoc writes as JSON. That is not stable: each compiler has a form of its own,
//! stable ones write it only if they are talked into it, and the listing names what the standard library
//! of that compiler has. So one version is chosen, and installed if there is a rustup to ask. Where it can't
//! be had, nothing is compared, and that is said.
//!
//! The same JSON tells what is shown by no example; see `examples`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Package;
use xshell::{Shell, cmd};

use crate::{embedded, examples, formats, shell, tools, workspace};

/// The compiler of the listings. Another one needs another version of the crate `public-api`.
const COMPILER: &str = "1.95.0";

const REWRITE: &str = "cargo xtask api --write";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write the listings anew.
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let published = workspace::published(sh)?;
    if !arguments.write {
        return compare(sh, &published);
    }
    let toolchain = toolchain(sh)
        .with_context(|| format!("the listings are made by Rust {COMPILER}, which is not here"))?;
    sh.create_dir("docs/api")?;
    for package in &published {
        fs::write(place(package), listing(sh, package, &toolchain)?)?;
    }
    Ok(())
}

/// Fails if a public interface is not the one that is listed; passes, and says so, if that can't be known.
pub(crate) fn compare(sh: &Shell, published: &[Package]) -> Result<()> {
    let Some(toolchain) = toolchain(sh) else {
        eprintln!(
            "\n!! NOT COMPARED: the public interfaces. The listings in docs/api are made by Rust \
             {COMPILER}, which is neither the compiler here nor to be had from rustup."
        );
        return Ok(());
    };
    let mut changes = String::new();
    for package in published {
        let file = place(package);
        let listed = fs::read_to_string(&file)
            .with_context(|| format!("{} (`{REWRITE}` makes it)", file.display()))?;
        for change in differences(&listed, &listing(sh, package, &toolchain)?) {
            changes += &format!("\n  {} {change}", package.name);
        }
        let json = serde_json::from_str(&fs::read_to_string(written(package))?)?;
        let unshown = examples::unshown(&json);
        ensure!(unshown.is_empty(), "no example in {} shows {unshown:?}", package.name);
        if package.features.contains_key("defmt") {
            let missing = formats::missing(&json);
            ensure!(missing.is_empty(), "{}: {missing:?} have no format", package.name);
        }
    }
    if !changes.is_empty() {
        bail!(
            "the public interface is not what docs/api says (`{REWRITE}` takes it over):{changes}"
        );
    }
    Ok(())
}

/// What makes cargo use the compiler of the listings, if it is not the one at hand; `None` if it is not
/// to be had.
fn toolchain(sh: &Shell) -> Option<Option<String>> {
    let here = tools::outside(cmd!(sh, "rustc --version")).quiet().read().unwrap_or_default();
    if here.starts_with(&format!("rustc {COMPILER} ")) {
        return Some(None);
    }
    let installed = tools::has_rustup(sh) && tools::toolchain(sh, COMPILER).is_ok();
    installed.then(|| Some(format!("+{COMPILER}")))
}

/// What the standard library keeps to itself, and nobody can name.
const INTERNAL: [&str; 3] =
    ["marker::Freeze", "marker::UnsafeUnpin", "marker::StructuralPartialEq"];

fn place(package: &Package) -> PathBuf {
    workspace::root().join(format!("docs/api/{}.txt", package.name))
}

/// Of its own: build scripts look at the variable, so that much would be built again and again.
fn target() -> String {
    format!("{}/api", embedded::target_directory())
}

/// What rustdoc has written last.
fn written(package: &Package) -> PathBuf {
    PathBuf::from(format!("{}/doc/{}.json", target(), package.name.replace('-', "_")))
}

fn listing(sh: &Shell, package: &Package, toolchain: &Option<String>) -> Result<String> {
    let name = &**package.name;
    let target = target();
    let rustdoc = cmd!(sh, "cargo {toolchain...} rustdoc --quiet -p {name} --lib --all-features");
    let json = ["--target-dir", &target, "--", "-Zunstable-options", "--output-format", "json"];
    let rustdoc = tools::outside(rustdoc.args(json));
    shell::run_with(&[("RUSTC_BOOTSTRAP", "1")], rustdoc.arg("--cap-lints=allow"))?;
    let api = public_api::Builder::from_rustdoc_json(written(package))
        .omit_blanket_impls(true)
        .build()
        .with_context(|| format!("what Rust {COMPILER} wrote of {name}"))?;
    let items = api.items().map(ToString::to_string);
    let named = items.filter(|item| !INTERNAL.iter().any(|internal| item.contains(internal)));
    let items = named.collect::<Vec<_>>().join("\n");
    Ok(format!("# {name}, with all features. Written by `{REWRITE}`.\n\n{items}\n"))
}

/// The lines of which one listing has more than the other, with a sign that says which.
fn differences(listed: &str, found: &str) -> Vec<String> {
    let only_in = |one: &str, other: &str, sign: char| -> Vec<String> {
        let mut rest: Vec<_> = other.lines().collect();
        let mut extra = Vec::new();
        for line in one.lines() {
            match rest.iter().position(|same| *same == line) {
                Some(at) => drop(rest.swap_remove(at)),
                None => extra.push(format!("{sign} {line}")),
            }
        }
        extra
    };
    let mut all = only_in(listed, found, '-');
    all.extend(only_in(found, listed, '+'));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_and_what_was_added_are_told_apart() {
        let differ = |listed, found| differences(listed, found);
        assert!(differ("a\nb\n", "a\nb\n").is_empty());
        assert_eq!(differ("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
        assert_eq!(differ("a\na\n", "a\n"), ["- a"]);
        assert_eq!(differ("", "a\na\n"), ["+ a", "+ a"]);
    }
}
