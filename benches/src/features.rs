//! What the features of the crate cost where nobody uses them: two builds of this program, in turn.
//!
//! The one that runs is built without any, and starts itself and the other one, round by round, each time
//! in a new process. Only pairs of one round are compared, and who begins changes: what is left is the
//! machine's noise, whose size the spread of the ratios tells.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};

use crate::machine;

/// Of churn within one process; fire is run once.
const REPEAT: &str = "3";
const FIGURES: [&str; 6] =
    ["CPU ns/op", "wall ns/op", "CPU ns/timer", "late p50 us", "p99 us", "armed in ms"];

/// One figure: what it is, and its values without and with features, a pair a round.
struct Figure {
    name: [String; 4],
    pairs: Vec<(f64, f64)>,
}

/// What the report says of the run.
pub struct Compared {
    figures: Vec<Figure>,
    load: Option<f64>,
}

/// Runs both builds `rounds` times.
pub fn compare(other: &Path, rounds: u32, quick: bool) -> Result<Compared> {
    let load = machine::load();
    let this = std::env::current_exe()?;
    let mut figures: Vec<Figure> = Vec::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let (without, with) = if round % 2 == 0 {
            let without = run(&this, quick)?;
            (without, run(other, quick)?)
        } else {
            let with = run(other, quick)?;
            (run(&this, quick)?, with)
        };
        ensure!(without.len() == with.len(), "the two programs measure different things");
        for ((name, without), (its_name, with)) in without.into_iter().zip(with) {
            ensure!(name == its_name, "{name:?} and {its_name:?} are measured by one program only");
            match figures.iter_mut().find(|figure| figure.name == name) {
                Some(figure) => figure.pairs.push((without, with)),
                None => figures.push(Figure { name, pairs: vec![(without, with)] }),
            }
        }
    }
    Ok(Compared { figures, load })
}

/// Workload, table, column and metric; and the value.
fn run(program: &Path, quick: bool) -> Result<Vec<([String; 4], f64)>> {
    let mut command = Command::new(program);
    command.args(["--raw", "--peers", "moirai", "--only", "churn,fire", "--repeat", REPEAT]);
    command.args(quick.then_some("--quick")).stderr(Stdio::null());
    let output = command.output().with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "{} failed", program.display());
    let raw = String::from_utf8(output.stdout)?;
    let mut figures = Vec::new();
    for line in raw.lines() {
        let [workload, table, column, _, metric, value] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            anyhow::bail!("{} said: {line}", program.display());
        };
        ensure!(
            !["early", "lost"].contains(&metric) || value == "0",
            "timers are {metric}: {value}"
        );
        // A figure that can't be had here is a dash.
        if let (true, Ok(value)) = (FIGURES.contains(&metric), value.parse()) {
            figures.push(([workload, table, column, metric].map(str::to_owned), value));
        }
    }
    Ok(figures)
}

/// The table, in Markdown.
pub fn table(compared: &Compared) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["", "none", "all", "all / none", "of all rounds"]);
    for Figure { name: [workload, kind, column, metric], pairs } in &compared.figures {
        let parts = [workload, kind, column].map(String::as_str);
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let ratios = sorted(pairs.iter().map(|(without, with)| with / without));
        table.add_row([
            format!("{}: {metric}", parts.join(", ")),
            format!("{:.1}", median(&sorted(pairs.iter().map(|pair| pair.0)))),
            format!("{:.1}", median(&sorted(pairs.iter().map(|pair| pair.1)))),
            format!("{:.2}", median(&ratios)),
            format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Writes `features.md`, and returns its path.
pub fn write(compared: &Compared, features: &str, directory: &Path) -> Result<PathBuf> {
    let rounds = compared.figures.first().map_or(0, |figure| figure.pairs.len());
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let mut text = format!(
        "# What features cost\n\nMeasured on {date} by `cargo xtask bench --features-compared` on a {}",
        machine::machine()
    );
    for more in [machine::compiler(), machine::commit().map(|commit| format!("commit {commit}"))] {
        text.extend(more.map(|more| format!(", {more}")));
    }
    if let Some(load) = compared.load {
        let _ = write!(text, ", load before the start {load:.2}");
    }
    let _ = write!(
        text,
        ".\nTwo builds of the benchmark, one with no feature of `moirai-timer-std` and one with all \
         of them\n({features}), run in turn, {rounds} times, in processes of their own. Nobody \
         uses a feature: no\nsubscriber listens, no clock is virtual. The figures are medians; the \
         ratios are of pairs from one round,\ntheir median, and the lowest and highest of them. \
         What is measured is described in the other reports.\n\n{}\n",
        table(compared)
    );
    fs::create_dir_all(directory)?;
    let path = directory.join("features.md");
    fs::write(&path, text)?;
    Ok(path)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of an even number, the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    (sorted[half] + sorted[(sorted.len() - 1) / 2]) / 2.0
}
