//! Builds the firmware, runs it in QEMU, and checks what it prints.
//!
//! The targets come from rustup, or else from Debian's packages, as in `cross`. QEMU is Debian's.

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, bail, ensure};
use defmt_decoder::{DecodeError, Table};
use object::{Object, ObjectSegment};
use xshell::{Shell, cmd};

use crate::shell;
use crate::{cross, debian};

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Only the programs whose name contains this.
    #[arg(default_value = "")]
    filter: String,
}

/// What QEMU can be, by the name of the feature that the programs have for it.
struct Machine {
    name: &'static str,
    target: &'static str,
    /// The emulator and its machine.
    qemu: &'static str,
}

const ARMV6M: &str = cross::TARGETS[0];
const ARMV7M: &str = cross::TARGETS[1];
/// The targets on which SysTick is.
pub(crate) const ARM: [&str; 2] = [ARMV7M, ARMV6M];
const RISCV32: &str = cross::TARGETS[2];

/// The micro:bit has more memory here than on the desk: the suite needs it. The real-time clock of
/// `virt`, which serves as a second timer, goes by the machine's time.
const MACHINES: [Machine; 8] = [
    Machine { name: "mps2-an385", target: ARMV7M, qemu: "qemu-system-arm -machine mps2-an385" },
    Machine { name: "lm3s6965evb", target: ARMV7M, qemu: "qemu-system-arm -machine lm3s6965evb" },
    Machine {
        name: "microbit",
        target: ARMV6M,
        qemu: "qemu-system-arm -machine microbit -global nrf51-soc.sram-size=65536",
    },
    Machine {
        name: "virt",
        target: RISCV32,
        qemu: "qemu-system-riscv32 -machine virt -bios none -rtc clock=vm",
    },
    Machine {
        name: "mps2-an385-systick",
        target: ARMV7M,
        qemu: "qemu-system-arm -machine mps2-an385",
    },
    Machine {
        name: "microbit-narrow",
        target: ARMV6M,
        qemu: "qemu-system-arm -machine microbit -global nrf51-soc.sram-size=65536",
    },
    Machine {
        name: "microbit-24",
        target: ARMV6M,
        qemu: "qemu-system-arm -machine microbit -global nrf51-soc.sram-size=65536",
    },
    // A Cortex-M3 has all instructions of a Cortex-M0.
    Machine {
        name: "mps2-an385-systick-armv6m",
        target: ARMV6M,
        qemu: "qemu-system-arm -machine mps2-an385",
    },
];

/// An instruction takes 2^`shift` nanoseconds, the same on every run. Idle time is skipped, and on a
/// busy host QEMU may skip an event too many: whoever counts must not be idle.
fn exact(shift: u32) -> [String; 5] {
    let icount = format!("shift={shift},sleep=off");
    ["-nographic", "-icount", &icount, "-semihosting-config", "enable=on,target=native"]
        .map(str::to_owned)
}

/// Beyond what any program takes, in seconds.
const FAR_BEYOND: &str = "600";

struct Program {
    package: &'static str,
    name: &'static str,
    /// The profile of cargo's with which it is built.
    profile: &'static str,
    /// On which of the machines it runs.
    machines: Range<usize>,
    /// What has to be among what it prints, in this order.
    prints: &'static [&'static str],
}

const PROGRAMS: [Program; 13] = [
    Program {
        package: "firmware",
        name: "blinky",
        profile: "release",
        machines: 0..4,
        prints: &["500 ms: on", "1000 ms: off", "4500 ms: on", "5000 ms: off"],
    },
    Program {
        package: "firmware",
        name: "block-on",
        profile: "release",
        machines: 0..4,
        prints: &["10 ms: ticks", "20 ms: fugit's", "30 ms: core's", "30 ms: done"],
    },
    Program {
        package: "firmware",
        name: "timeout",
        profile: "release",
        machines: 0..4,
        prints: &["a line of 5", "deadline has elapsed", "the other 2, and the end of the line"],
    },
    Program {
        package: "firmware",
        name: "delay",
        profile: "release",
        machines: 0..4,
        prints: &["blocking: 85520 m°C", "async: 85520 m°C, 4 blinks"],
    },
    Program {
        package: "firmware",
        name: "tolerance",
        profile: "release",
        machines: 0..1,
        prints: &["late by up to 0ns: ", "late by up to 50ms: ", "a twentieth, or less"],
    },
    Program {
        package: "embassy",
        name: "many-tasks",
        profile: "release",
        machines: 0..4,
        prints: &["24 tasks have slept, and none woke early"],
    },
    Program {
        package: "embassy",
        name: "embassy-time",
        profile: "release",
        machines: 0..4,
        prints: &[
            "a plain loop has waited 3 ms",
            "50 ms: tick 1",
            "200 ms: tick 4",
            "a timeout of 5 ms has ended what never ends",
            "12 tasks have slept, and none woke early",
        ],
    },
    Program {
        package: "rtic-tasks",
        name: "rtic-tasks",
        profile: "release",
        machines: 1..2,
        prints: &["300 ms: the urgent task has run 30 times", "ended a sleep of a minute"],
    },
    Program {
        package: "logging",
        name: "logging",
        profile: "release",
        machines: 0..4,
        prints: &[
            "Sleep(never, now ",
            "a third: Full",
            "timer full: a task polls itself (1 times so far)",
            " fired in true",
        ],
    },
    Program {
        package: "conformance",
        name: "suite",
        profile: "release",
        machines: 0..7,
        prints: &["a sleep of before the start fires after it", " cases passed"],
    },
    hardware(0..4, CASES),
    hardware(4..5, RESTARTED),
    hardware(5..7, CASES),
];

/// What `hardware` prints, with what it prints on some machines besides.
macro_rules! cases {
    ($($besides:literal)?) => {
        &[
            "preempted:",
            "storm:",
            "rung:",
            "delayed:",
            "near:",
            "held up:",
            "idle:",
            "wraps:",
            "far:",
            $($besides,)?
            "passed",
        ]
    };
}

const CASES: &[&str] = cases!();
/// On SysTick, beside another clock.
const RESTARTED: &[&str] = cases!("no drift:");

const fn hardware(machines: Range<usize>, prints: &'static [&'static str]) -> Program {
    Program { package: "conformance", name: "hardware", profile: "release", machines, prints }
}

/// The packages that are only measured, and on which machines.
const MEASURED: [(&str, Range<usize>); 7] = [
    ("bench", 0..1),
    ("bench", 2..4),
    ("sections", 0..1),
    ("sections", 2..5),
    ("sections", 7..8),
    ("tasks", 0..1),
    ("tasks", 2..4),
];

/// What a program prints on a machine on which an instruction takes 2^`shift` nanoseconds; built for
/// speed as the others are for size.
pub(crate) fn output(
    sh: &Shell,
    package: &'static str,
    name: &'static str,
    machine: &str,
    shift: u32,
) -> Result<String> {
    install_emulators(sh)?;
    let _directory = sh.push_dir("examples-embedded");
    let machine = MACHINES.iter().find(|other| other.name == machine).context("no such machine")?;
    let program = Program { package, name, profile: "speed", machines: 0..0, prints: &[] };
    let elf = Build::choose(sh)?.firmware(sh, &program, machine)?;
    emulate(sh, &program, machine, &elf, shift)
}

/// How many bytes of flash the minimal firmware takes, with a feature or without.
pub(crate) fn flash(sh: &Shell, target: &'static str, feature: &'static str) -> Result<u64> {
    let _directory = sh.push_dir("examples-embedded");
    let program =
        Program { package: "flash", name: "flash", profile: "small", machines: 0..0, prints: &[] };
    let machine = Machine { name: feature, target, qemu: "" };
    let elf = sh.read_binary_file(Build::choose(sh)?.firmware(sh, &program, &machine)?)?;
    let elf = object::File::parse(&*elf)?;
    // What is loaded; zeros are not.
    Ok(elf.segments().map(|segment| segment.file_range().1).sum())
}

fn install_emulators(sh: &Shell) -> Result<()> {
    let arm = ("qemu-system-arm", "qemu-system-arm");
    let riscv = ("qemu-system-riscv32", "qemu-system-misc");
    debian::install_programs(sh, &[arm, riscv])
}

pub(crate) fn run(sh: &Shell, Arguments { filter }: &Arguments) -> Result<()> {
    install_emulators(sh)?;
    let _directory = sh.push_dir("examples-embedded");
    shell::run(cmd!(sh, "cargo fmt --all --check"))?;
    let build = Build::choose(sh)?;
    for (document, program) in [("README.md", "start"), ("docs/porting.md", "port")] {
        let program = format!("{program}/src/main.rs");
        let shown = sh.read_file(format!("../{document}"))?.contains(&sh.read_file(&program)?);
        ensure!(shown, "{document} shows another program than examples-embedded/{program}");
    }
    if filter.is_empty() {
        build.clippy(sh)?;
        build.as_the_readme_says(sh)?;
    }
    let programs = PROGRAMS.iter().filter(|program| program.name.contains(filter));
    // One program runs while the next is built.
    thread::scope(|scope| {
        let mut running = None::<ScopedJoinHandle<'_, Result<()>>>;
        let finish = |running: ScopedJoinHandle<'_, Result<()>>| {
            running.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        for program in programs {
            for machine in &MACHINES[program.machines.clone()] {
                let built = build.firmware(sh, program, machine)?;
                // The next may be built to the same place.
                let elf = format!("{built}-{}", machine.name);
                sh.copy_file(built, &elf)?;
                running.take().map_or(Ok(()), finish)?;
                let sh = sh.clone();
                running = Some(scope.spawn(move || {
                    let output = emulate(&sh, program, machine, &elf, 0)?;
                    check(&output, program)
                        .with_context(|| format!("{} on {}", program.name, machine.name))
                }));
            }
        }
        running.map_or(Ok(()), finish)
    })
}

/// Whose compiler makes the firmware.
enum Build {
    Rustup,
    Debian,
}

impl Build {
    fn choose(sh: &Shell) -> Result<Build> {
        if cross::rustup_has_targets(sh) {
            return Ok(Build::Rustup);
        }
        debian::install(sh)?;
        Ok(Build::Debian)
    }

    /// Lints every package, for every machine that it is made for. Debian's compiler has no clippy.
    fn clippy(&self, sh: &Shell) -> Result<()> {
        if let Build::Debian = self {
            eprintln!("clippy is left out: it comes with rustup");
            return Ok(());
        }
        let tested = PROGRAMS.iter().map(|program| (program.package, program.machines.clone()));
        let documented = ["port", "start"].map(|package| (package, "stm32f4", ARMV7M));
        let mut lints = BTreeSet::from([("flash", "timer", ARMV7M)]);
        lints.extend(documented);
        for (package, machines) in tested.chain(MEASURED) {
            lints.extend(MACHINES[machines].iter().map(|on| (package, on.name, on.target)));
        }
        let directory = format!("{}/embedded", target_directory());
        for (package, feature, target) in lints {
            let lint = cmd!(sh, "cargo clippy --quiet --target {target} --target-dir {directory}");
            let package = ["-p", package, "--features", feature, "--", "-D", "warnings"];
            shell::run(lint.args(package))?;
        }
        Ok(())
    }

    /// Runs what the README tells users to run, with their runner.
    fn as_the_readme_says(&self, sh: &Shell) -> Result<()> {
        let Build::Rustup = self else { return Ok(()) };
        let text = sh.read_file("README.md")?;
        let command = text.lines().find(|line| line.starts_with("cargo run "));
        let words = command.context("the README has no command")?.split(' ').skip(1);
        shell::run(cmd!(sh, "cargo").args(words))
    }

    /// Builds a program; where it is then.
    fn firmware(&self, sh: &Shell, program: &Program, machine: &Machine) -> Result<String> {
        let Program { package, name, profile, .. } = program;
        let Machine { name: feature, target, .. } = machine;
        let directory = format!("{}/embedded", target_directory());
        let arguments = ["--profile", profile, "-p", package, "--bin", name, "--features", feature];
        match self {
            Build::Rustup => {
                let build = cmd!(sh, "cargo build --quiet --target {target}");
                shell::run(build.args(["--target-dir", &directory]).args(arguments))?;
            }
            Build::Debian => debian::build_firmware(sh, target, &directory, &arguments)?,
        }
        Ok(format!("{directory}/{target}/{profile}/{name}"))
    }
}

pub(crate) fn target_directory() -> String {
    let default = crate::workspace::root().join("target");
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map_or(default, Into::into);
    chosen.display().to_string()
}

fn emulate(
    sh: &Shell,
    program: &Program,
    machine: &Machine,
    elf: &str,
    shift: u32,
) -> Result<String> {
    let exact = exact(shift);
    let qemu: Vec<_> = machine.qemu.split(' ').collect();
    let run = cmd!(sh, "timeout {FAR_BEYOND} {qemu...} {exact...} -kernel {elf}");
    if program.package != "logging" {
        return shell::read(run);
    }
    // It prints no text, but what becomes text with the help of its symbols.
    let frames = run.quiet().output()?.stdout;
    let output = decode(&sh.read_binary_file(elf)?, &frames)?;
    eprint!("{output}");
    Ok(output)
}

/// The text of `defmt`'s frames.
fn decode(elf: &[u8], frames: &[u8]) -> Result<String> {
    let table = Table::parse(elf)?.context("the program has no table of its texts")?;
    let mut decoder = table.new_stream_decoder();
    decoder.received(frames);
    let mut text = String::new();
    loop {
        match decoder.decode() {
            Ok(frame) => text += &format!("{}\n", frame.display(false)),
            Err(DecodeError::UnexpectedEof) => return Ok(text),
            Err(DecodeError::Malformed) => bail!("a frame that is none, after\n{text}"),
        }
    }
}

/// Whether the lines are among the output, in their order.
fn check(output: &str, program: &Program) -> Result<()> {
    let mut rest = output;
    for line in program.prints {
        let at = rest.find(line);
        ensure!(at.is_some(), "it should have printed {line:?}, and printed\n{output}");
        rest = at.map_or("", |at| &rest[at + line.len()..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_to_be_there_and_in_order() {
        let program =
            |prints| Program { package: "", name: "", profile: "", machines: 0..0, prints };
        assert!(check("one\ntwo\nthree", &program(&["one", "three"])).is_ok());
        assert!(check("one\ntwo", &program(&["two", "one"])).is_err());
        assert!(check("one", &program(&["one", "one"])).is_err());
        assert!(check("", &program(&["one"])).is_err());
    }
}
