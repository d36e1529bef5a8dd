//! Runs the std driver's tests as Windows programs, in Wine: not the system itself, but its interface, and
//! all of our code that is for it.

use std::fs;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{cross, debian, shell, workspace};

const TARGET: &str = "x86_64-pc-windows-gnu";
/// Debian has several compilers for this target; std wants this one's threads.
const LINKER: &str = "x86_64-w64-mingw32-gcc-posix";
/// Where Debian's package `wine64` puts it.
const WINE: &str = "/usr/lib/wine/wine64";

/// A library of Windows's that Rust's std needs, and Wine has since version 8.13 only.
const RANDOM: &str = "
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T len) {
    return RtlGenRandom(data, (ULONG)len);
}
";

pub(crate) fn run(sh: &Shell) -> Result<()> {
    cross::need_targets(sh, &[TARGET])?;
    debian::install_programs(sh, &[(LINKER, "gcc-mingw-w64-x86-64"), (WINE, "wine64")])?;

    let directory = workspace::root().join("target/wine");
    fs::create_dir_all(&directory)?;
    let (source, library) = (directory.join("random.c"), directory.join("bcryptprimitives.dll"));
    fs::write(&source, RANDOM)?;
    shell::run(cmd!(sh, "{LINKER} -shared -o {library} {source} -ladvapi32"))?;

    let text = |path: &str| directory.join(path).display().to_string();
    let variables = [
        ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", LINKER),
        ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", WINE),
        ("WINEPREFIX", &text("prefix")),
        ("WINEPATH", &text("")),
        ("WINEDEBUG", "-all"),
    ];
    let crates = ["-p", "moirai-timer-std", "-p", "moirai-timer-tests", "--all-features"];
    let features = ["--features", "moirai-timer-std/test-util"];
    let test = cmd!(
        sh,
        "cargo test --no-fail-fast --target {TARGET} {crates...} {features...} --lib --tests"
    );
    shell::run_with(&variables, test)
}
