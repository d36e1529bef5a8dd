//! Debian's packages: for programs that the machine lacks, and for cross builds where rustup can fetch no
//! target.
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
pub(crate) fn install_programs(sh: &Shell, programs: &[(&str, &str)]) -> Result<()> {
    let bin = workspace::root().join(UNPACKED).join("bin");
    let path = sh.var_os("PATH").unwrap_or_default();
    sh.set_var("PATH", std::env::join_paths(iter::once(bin).chain(std::env::split_paths(&path)))?);
    let runs =
        |program: &str| cmd!(sh, "{program} --version").quiet().ignore_stderr().read().is_ok();
    let mut missing = programs.to_vec();
    missing.retain(|(program, _)| !runs(program));
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    match install_packages(sh, &packages) {
        Err(error) if has_apt(sh) => {
            eprintln!("{}; unpacking them in {UNPACKED}", error.root_cause());
        }
        result => return result,
    }
    unpack(sh, &packages)?;
    for (program, _) in missing {
        run_unpacked(sh, program)?;
        ensure!(runs(program), "{program} cannot be run, also from {UNPACKED}");
    }
    Ok(())
}

/// Unpacks packages, and what they depend on.
fn unpack(sh: &Shell, packages: &[&str]) -> Result<()> {
    let root = workspace::root().join(UNPACKED);
    let archives = root.join("archives");
    sh.create_dir(archives.join("partial"))?;
    let cache = format!("Dir::Cache::archives={}", archives.display());
    let download = ["-y", "--no-install-recommends", "--download-only", "-o", &cache];
    shell::run(apt_get(sh).arg("install").args(download).args(packages)).with_context(way_out)?;
    for file in sh.read_dir(&archives)? {
        if file.extension().is_some_and(|end| end == "deb") {
            cmd!(sh, "dpkg-deb --extract {file} {root}").quiet().run()?;
        }
    }
    Ok(())
}

/// Makes a program of those that are unpacked one that can be run: it alone is to find the libraries that
/// came along.
fn run_unpacked(sh: &Shell, program: &str) -> Result<()> {
    let root = workspace::root().join(UNPACKED);
    let script = root.join("bin").join(program);
    let root = root.display();
    let libraries =
        ["usr/lib", "lib"].map(|lib| format!("{root}/{lib}/{ARCH}-linux-gnu")).join(":");
    let run = format!("LD_LIBRARY_PATH='{libraries}' exec '{root}/usr/bin/{program}' \"$@\"");
    sh.write_file(&script, format!("#!/bin/sh\n{run}\n"))?;
    Ok(cmd!(sh, "chmod +x {script}").quiet().run()?)
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
