//! Cross builds with Debian's packages, for machines on which rustup can fetch no target.
//!
//! Debian's compiler knows every target, but has no `core` built for it. So `core` is built from its
//! sources along with the crate, by `-Zbuild-std`, which a stable compiler grants to `RUSTC_BOOTSTRAP`.

use std::env::consts::ARCH;
use std::iter;

use anyhow::{Context, Result, ensure};
use xshell::{Cmd, Shell, cmd};

use crate::cross::TARGETS;
use crate::shell::{self, Variables};
use crate::workspace;

const PACKAGES: [&str; 4] = ["rustc-web", "rust-web-src", "cargo-web", "lld"];

/// Debian's rustc-web conflicts with its rustc, and nobody's compiler is to be removed: hence the last.
const OPTIONS: [&str; 3] = ["-y", "--no-install-recommends", "--no-remove"];

const COMPILER: Variables<'_> = &[("RUSTC", "/usr/bin/rustc"), ("RUSTC_BOOTSTRAP", "1")];

/// What rustup's cargo, which runs this program, sets for its children. In Debian's cargo it would
/// bring rustup's compiler and libraries back in.
pub(crate) const OF_RUSTUP: [&str; 5] =
    ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"];

/// Installs those of the packages that are missing, after saying so.
pub(crate) fn install(sh: &Shell) -> Result<()> {
    let mut missing = PACKAGES.to_vec();
    missing.retain(|package| !is_installed(sh, package));
    install_packages(sh, &missing)
}

/// Where packages are unpacked that cannot be installed.
const UNPACKED: &str = "target/debian";

/// Sees to it that this shell can run the programs, by their packages: installs those that are missing,
/// after saying so. Where they would push out something that is installed, as QEMU does with a newer
/// `qemu-utils`, they are unpacked in the target directory.
pub(crate) fn install_programs(sh: &Shell, programs: &[(&str, &'static str)]) -> Result<()> {
    let bin = workspace::root().join(UNPACKED).join("bin");
    let path = sh.var_os("PATH").unwrap_or_default();
    sh.set_var("PATH", std::env::join_paths(iter::once(bin).chain(std::env::split_paths(&path)))?);
    let runs =
        |program: &str| cmd!(sh, "{program} --version").quiet().ignore_stderr().read().is_ok();
    let mut missing = Vec::new();
    for (program, package) in programs {
        if !runs(program) {
            missing.push(*package);
        }
    }
    match install_packages(sh, &missing) {
        Err(error) if has_apt(sh) => {
            eprintln!("{}; unpacking them in {UNPACKED}", error.root_cause())
        }
        result => return result,
    }
    unpack(sh, &missing)?;
    for (program, _) in programs {
        ensure!(runs(program), "{program} cannot be run, also from {UNPACKED}");
    }
    Ok(())
}

/// Unpacks packages and what they depend on; their programs can be run from `bin` there.
fn unpack(sh: &Shell, packages: &[&str]) -> Result<()> {
    let root = workspace::root().join(UNPACKED);
    let (bin, archives) = (root.join("bin"), root.join("archives"));
    sh.create_dir(&bin)?;
    sh.create_dir(archives.join("partial"))?;
    let cache = format!("Dir::Cache::archives={}", archives.display());
    let download = ["-y", "--no-install-recommends", "--download-only", "-o", &cache];
    shell::run(apt_get(sh).arg("install").args(download).args(packages)).with_context(way_out)?;
    for archive in sh
        .read_dir(&archives)?
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "deb"))
    {
        cmd!(sh, "dpkg-deb --extract {archive} {root}").quiet().run()?;
    }
    // Only these are to find the libraries that came along.
    let root = root.display();
    let libraries =
        ["usr/lib", "lib"].map(|lib| format!("{root}/{lib}/{ARCH}-linux-gnu")).join(":");
    for program in sh.read_dir(format!("{root}/usr/bin"))? {
        let name = program.file_name().context("it is one of a directory")?;
        let program = program.display();
        let script = format!("#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{program}' \"$@\"\n");
        let file = bin.join(name);
        sh.write_file(&file, script)?;
        cmd!(sh, "chmod +x {file}").quiet().run()?;
    }
    Ok(())
}

fn install_packages(sh: &Shell, missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(has_apt(sh), "there is no apt-get either; {}", way_out());

    eprintln!("Installing Debian's packages: {}", missing.join(" "));
    shell::run(apt_get(sh).arg("update")).with_context(way_out)?;
    let install = apt_get(sh).arg("install").args(OPTIONS).args(missing);
    shell::run(install).with_context(way_out)
}

/// Builds for `target`, in a target directory of its own because the compiler is another one.
pub(crate) fn build(
    sh: &Shell,
    target: &str,
    arguments: &[&str],
    set: Variables<'_>,
) -> Result<()> {
    let arguments = [&["--release"], arguments].concat();
    build_in(sh, target, "target/cross", &arguments, set)
}

/// Builds firmware for `target`. rustup's compilers bring a linker, Debian's is lld.
pub(crate) fn build_firmware(
    sh: &Shell,
    target: &str,
    directory: &str,
    arguments: &[&str],
) -> Result<()> {
    let name = target.replace('-', "_").to_uppercase();
    let linker = format!("CARGO_TARGET_{name}_LINKER");
    build_in(sh, target, directory, arguments, &[(&linker, "ld.lld")])
}

fn build_in(
    sh: &Shell,
    target: &str,
    directory: &str,
    arguments: &[&str],
    set: Variables<'_>,
) -> Result<()> {
    let mut build = cmd!(sh, "/usr/bin/cargo build --target {target}")
        .args(["-Zbuild-std=core", "--target-dir", directory])
        .args(arguments);
    for name in OF_RUSTUP {
        build = build.env_remove(name);
    }
    shell::run_with(&[COMPILER, set].concat(), build)
}

fn way_out() -> String {
    let targets = TARGETS.join(" ");
    format!("run `rustup target add {targets}`, or `cargo xtask test --host-only`")
}

fn is_installed(sh: &Shell, package: &str) -> bool {
    let format = "${db:Status-Status}";
    let query = cmd!(sh, "dpkg-query --show --showformat={format} {package}");
    let status = query.quiet().ignore_stderr().read();
    status.is_ok_and(|status| status == "installed")
}

fn has_apt(sh: &Shell) -> bool {
    cmd!(sh, "apt-get --version").quiet().read().is_ok()
}

fn apt_get(sh: &Shell) -> Cmd<'_> {
    let user = cmd!(sh, "id -u").quiet().read();
    if user.is_ok_and(|user| user == "0") { cmd!(sh, "apt-get") } else { cmd!(sh, "sudo apt-get") }
}
