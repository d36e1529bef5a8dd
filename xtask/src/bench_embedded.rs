//! Counts instructions and bytes on microcontrollers in QEMU, beside the peers, and keeps a budget.
//!
//! The counts are exact, so a regression of a tenth is one, and no noise. `docs/bench/embedded.md`
//! has them all; what it says of our own is the budget until it is written anew.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use crate::{embedded, workspace};

const FIGURES: &str = "docs/bench/embedded.md";

const HEAD: &str = "\
# On microcontrollers

Written by `cargo xtask bench --embedded --write`; `cargo xtask test` fails if a figure of ours is more
than a tenth above what stands here, or above its limit. Instructions are counted in QEMU, where they
are the same on every run: Cortex-M3 (`mps2-an385`), Cortex-M0 (`microbit`), RV32IMAC (`virt`).

## Instructions of one expiry and its reschedule, by the number of timers armed

The alarm's interrupt, the task that it wakes, which asks for its next time, behind all others, and the
interrupt or alarm that follows from this. Everything at `opt-level = 3`, with the clock in a variable:
no driver is in it. [The program](../../examples-embedded/bench/src/bin/instructions.rs).

A row of a `Sleep` includes the task's two polls, the slot and the command queue; a row of embassy's
includes the queue alone (with its tasks: the next table). On the Cortex-M3 our generic queue may take
1.5, 0.33 and 0.2 times as much as embassy's with 8, 64 and 128 armed, and either queue with 128 up to 1.6
times as much as with 8: that is checked.
The last row, of [a program of its own](../../examples-embedded/bench/src/bin/stores.rs), is why a timer
on a microcontroller has a heap.
";

/// What ends the names of the rows of the next table.
const AGAIN: &str = ", again";

const ASKED_AGAIN: &str = "
A task that waits may be polled for another reason, as in a `select`, and ask again for the time that it
waits for:
";

const TASKS: &str = "
## The same in tasks of embassy's executor

As many tasks as there are timers, each waiting for one deadline after another, and all that this takes
but the entry into the interrupt: the executor, the task, what it awaits, and who has it woken.
[Programs](../../examples-embedded/tasks) with the same tasks, executor, clock and time driver, but for our
own sleeps and intervals, which need no such driver, and *Moirai timer under embassy-time*, which is one.
With 8 tasks a sleep of ours takes more than `embassy_time::Timer` does on embassy's queues, and with 64
less than half. The queue that need not search shows what everything else takes.
";

const MIDDLE: &str = "
## What else it takes

Interrupts are off from one instruction to another [in these
sections](../../examples-embedded/sections); how many timers are armed makes no difference, which is checked.
Not so under `embassy_time`: a queue of wakers is in a critical section for one request or one expiry, as
with embassy's own, of O(log n) here. Clocks of 64 bits need no interrupt while nothing is armed;
narrower counters take two a round, to keep the time, and SysTick one in 2^24 counts. SysTick's rows are
counted on the Cortex-M3, which has all instructions of a Cortex-M0, where an instruction takes 32 ns and
one of SysTick's counts 40 ns, much as on a chip whose SysTick counts the processor's cycles; its alarm
waits for two edges of that clock, so a slower one, such as a reference clock, adds up to two of its
counts. *Flash* is what the core and the SysTick driver add to [a
firmware](../../examples-embedded/flash) with one task and 8 timers, at `opt-level = \"z\"`.
";

/// The programs whose tasks wait in different ways, in the order of their rows.
const AWAITED: [&str; 8] = [
    "sleeps",
    "intervals",
    "ours-generic",
    "ours-integrated",
    "driver",
    "theirs-generic",
    "theirs-integrated",
    "no-search",
];

/// A line of a table.
struct Row {
    name: String,
    figures: Vec<u64>,
    /// What none of the figures may be above, at the same place or, if it is one, at all.
    limits: &'static [u64],
}

/// Measures and compares with what is written down; or writes it down.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    let report = report(sh)?;
    println!("{report}");
    let file = workspace::root().join(FIGURES);
    if write {
        return Ok(fs::write(file, report)?);
    }
    let before = fs::read_to_string(&file).context(FIGURES)?;
    within(&before, &report)
}

fn report(sh: &Shell) -> Result<String> {
    const MACHINES: [&str; 3] = ["mps2-an385", "microbit", "virt"];
    let mut instructions = Vec::new();
    let mut tasks = Vec::new();
    let mut sections = Vec::new();
    for machine in MACHINES {
        merge(&mut instructions, &embedded::output(sh, "bench", "instructions", machine, 0)?)?;
        merge(&mut instructions, &embedded::output(sh, "bench", "stores", machine, 0)?)?;
        merge(&mut sections, &embedded::output(sh, "sections", "sections", machine, 0)?)?;
        for program in AWAITED {
            merge(&mut tasks, &embedded::output(sh, "tasks", program, machine, 0)?)?;
        }
    }
    let mut systick = Vec::new();
    // 32 ns an instruction, and 40 ns a count.
    for machine in ["mps2-an385-systick", "mps2-an385-systick-armv6m"] {
        merge(&mut systick, &embedded::output(sh, "sections", "sections", machine, 5)?)?;
    }
    let mut flash = Vec::new();
    for target in embedded::ARM {
        flash.push(embedded::flash(sh, target, "timer")? - embedded::flash(sh, target, "")?);
    }

    let taken = |rows: &mut Vec<Row>, key: &str, name: &str, limits| -> Result<Row> {
        let place = rows.iter().position(|row| row.name == key).with_context(|| key.to_owned())?;
        Ok(Row { name: name.into(), limits, ..rows.remove(place) })
    };
    let [few, many] = ["longest with interrupts off, 8 armed, instructions", ".. 128 armed"];
    let few = taken(&mut sections, "8 armed", few, &[40, 80, 40])?;
    let many = taken(&mut sections, "128 armed", many, &[40, 80, 40])?;
    ensure!(few.figures == many.figures, "the engine's sections grow with the timers");
    let others = [
        taken(
            &mut instructions,
            "bytes",
            "RAM of a timer, bytes, its place in the store included",
            &[40],
        )?,
        Row { name: "flash, bytes".into(), figures: flash, limits: &[6 * 1024] },
        taken(&mut instructions, "idle", "interrupts while nothing is armed", &[0])?,
        few,
        many,
        taken(&mut sections, "8 waiting", "under `embassy_time`: .. 8 waiting", &[u64::MAX])?,
        taken(&mut sections, "128 waiting", ".. 128 waiting", &[u64::MAX])?,
        taken(&mut systick, "SysTick starts", "SysTick: .. when it is started", &[40, 80])?,
        taken(&mut systick, "SysTick reads", "SysTick: .. when the clock is read", &[40, 80])?,
        taken(&mut systick, "SysTick arms", "SysTick: .. when an alarm is set", &[40, 80])?,
    ];

    let mut report = HEAD.to_owned();
    let columns =
        ["Cortex-M3, 8", "64", "128", "Cortex-M0, 8", "64", "128", "RV32, 8", "64", "128"];
    let (mut again, instructions): (Vec<_>, Vec<_>) =
        instructions.into_iter().partition(|row| row.name.ends_with(AGAIN));
    table(&mut report, &columns, &instructions);
    report += ASKED_AGAIN;
    again.iter_mut().for_each(|row| row.name.truncate(row.name.len() - AGAIN.len()));
    table(&mut report, &columns, &again);
    report += TASKS;
    table(&mut report, &columns, &tasks);
    report += MIDDLE;
    table(&mut report, &["Cortex-M3", "Cortex-M0", "RV32"], &others);
    for row in &others {
        check_limits(row)?;
    }
    beside_the_peer(&instructions)?;
    Ok(report)
}

const OURS: &str = "Moirai timer's queue for embassy, generic";
const INTEGRATED: &str = "Moirai timer's queue for embassy, integrated";
const THEIRS: &str = "embassy-time-queue-utils, generic";
/// On the Cortex-M3, with 8, 64 and 128 armed: what our queue may take, in percent of theirs.
const OF_THEIRS: [u64; 3] = [150, 33, 20];
/// And with 128 armed, in percent of what it takes with 8.
const GROWTH: u64 = 160;

/// Whether our queue keeps its distance from the one whose place it takes, measured in the same run, and
/// neither that nor the integrated one grows too fast.
fn beside_the_peer(rows: &[Row]) -> Result<()> {
    let figures = |name: &str| {
        let row = rows.iter().find(|row| row.name == name).with_context(|| name.to_owned())?;
        row.figures.first_chunk::<3>().with_context(|| format!("{name} has too few figures"))
    };
    let (ours, theirs) = (figures(OURS)?, figures(THEIRS)?);
    for ((ours, theirs), percent) in ours.iter().zip(theirs).zip(OF_THEIRS) {
        ensure!(ours * 100 <= theirs * percent, "{OURS}: {ours}, above {percent}% of {theirs}");
    }
    for (name, [few, _, many]) in [(OURS, ours), (INTEGRATED, figures(INTEGRATED)?)] {
        ensure!(many * 100 <= few * GROWTH, "{name}: {many} grew to above {GROWTH}% of {few}");
    }
    Ok(())
}

/// What the rows of others begin with.
const PEERS: [&str; 2] = ["embassy-", "rtic-"];

/// Adds the figures of lines such as `name: 1 2 3` to the rows of their names.
fn merge(rows: &mut Vec<Row>, output: &str) -> Result<()> {
    for line in output.lines() {
        let (name, figures) = line.split_once(": ").with_context(|| line.to_owned())?;
        let figures: Result<Vec<u64>, _> = figures.split_whitespace().map(str::parse).collect();
        let figures = figures.with_context(|| line.to_owned())?;
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.figures.extend(figures),
            None => rows.push(Row { name: name.into(), figures, limits: &[] }),
        }
    }
    Ok(())
}

fn table(report: &mut String, columns: &[&str], rows: &[Row]) {
    let _ =
        writeln!(report, "\n| | {} |\n|---|{}", columns.join(" | "), "--:|".repeat(columns.len()));
    for Row { name, figures, .. } in rows {
        let _ = write!(report, "| {name} |");
        for place in 0..columns.len() {
            let figure = figures.get(place).map_or("–".into(), u64::to_string);
            let _ = write!(report, " {figure} |");
        }
        let _ = writeln!(report);
    }
}

fn check_limits(Row { name, figures, limits }: &Row) -> Result<()> {
    for (place, figure) in figures.iter().enumerate() {
        let limit = limits.get(place).or(limits.first()).context("there is a limit")?;
        ensure!(figure <= limit, "{name}: {figure}, and the limit is {limit}");
    }
    Ok(())
}

/// The names and figures of our own rows.
fn ours(report: &str) -> Vec<(&str, Vec<u64>)> {
    let rows = report.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    rows.map(|(name, cells)| {
        (name, cells.split('|').filter_map(|cell| cell.trim().parse().ok()).collect())
    })
    .filter(|(name, figures): &(&str, Vec<u64>)| {
        let is_ours = !PEERS.iter().any(|peer| name.starts_with(peer));
        is_ours && !name.starts_with('|') && !figures.is_empty()
    })
    .collect()
}

/// Whether no figure of ours is more than a tenth above what it was.
fn within(before: &str, now: &str) -> Result<()> {
    let (before, now) = (ours(before), ours(now));
    ensure!(
        !now.is_empty() && before.len() == now.len(),
        "{FIGURES} has other rows: write it anew"
    );
    for ((name, before), (same, now)) in before.iter().zip(&now) {
        let alike = name == same && before.len() == now.len();
        ensure!(alike, "{FIGURES} has other figures for {name}: write it anew");
        for (before, now) in before.iter().zip(now) {
            ensure!(now * 10 <= before * 11, "{name}: {now}, and it was {before}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(figures: [u64; 2]) -> String {
        let mut rows = Vec::new();
        merge(&mut rows, &format!("a: {}\nembassy-b: 900 {}", figures[0], figures[1])).unwrap();
        merge(&mut rows, "a: 40").unwrap();
        let mut report = String::new();
        table(&mut report, &["8", "64", "128"], &rows);
        report
    }

    #[test]
    fn a_tenth_more_is_within_the_budget_and_more_is_not() {
        let budget = written([100, 100]);
        assert!(within(&budget, &written([110, 100])).is_ok());
        assert!(within(&budget, &written([111, 100])).is_err());
        assert!(within(&budget, "").is_err());
    }

    #[test]
    fn only_our_own_figures_count() {
        assert!(within(&written([100, 100]), &written([100, 500])).is_ok());
        assert_eq!(ours(&written([100, 7])), [("a", vec![100, 40])]);
    }

    #[test]
    fn our_queue_is_held_to_its_share_of_the_peers_and_to_its_growth() {
        let held_beside = |integrated, ours, theirs| {
            let row = |name: &str, figures: [u64; 3]| Row {
                name: name.into(),
                figures: figures.into(),
                limits: &[],
            };
            beside_the_peer(&[row(OURS, ours), row(INTEGRATED, integrated), row(THEIRS, theirs)])
        };
        let held = |ours, theirs| held_beside([100, 130, 160], ours, theirs);
        assert!(held([150, 165, 200], [100, 500, 1_000]).is_ok());
        assert!(held([151, 165, 200], [100, 500, 1_000]).is_err());
        assert!(held([150, 166, 200], [100, 500, 1_000]).is_err());
        assert!(held([150, 165, 201], [100, 500, 1_000]).is_err());
        assert!(held([100, 165, 161], [100, 500, 1_000]).is_err(), "it grows too fast");
        let ours = [150, 165, 200];
        assert!(
            held_beside([100, 130, 161], ours, [100, 500, 1_000]).is_err(),
            "so does the other"
        );
        assert!(beside_the_peer(&[]).is_err());
    }

    #[test]
    fn a_limit_is_one_for_all_or_one_for_each() {
        let row = |limits| Row { name: String::new(), figures: vec![5, 9], limits };
        assert!(check_limits(&row(&[9])).is_ok());
        assert!(check_limits(&row(&[5, 9])).is_ok());
        assert!(check_limits(&row(&[5])).is_err());
    }
}
